package dicom

import (
	"bytes"
	"encoding/binary"
)

// FileHeader is what a file says before its data set, PS3.10 section 7.1.
type FileHeader struct {
	Class          string // media storage SOP class UID
	Instance       string // media storage SOP instance UID
	TransferSyntax string // of the data set that follows
}

const (
	preambleLength             = 128
	filePrefix                 = "DICM"
	tagMetaLength          Tag = 0x0002_0000
	tagMetaVersion         Tag = 0x0002_0001
	tagMetaClass           Tag = 0x0002_0002
	tagMetaInstance        Tag = 0x0002_0003
	tagMetaSyntax          Tag = 0x0002_0010
	tagMetaImplementation  Tag = 0x0002_0012
	tagMetaImplementedName Tag = 0x0002_0013
)

// AppendFileHeader appends preamble, prefix and file meta elements.
func AppendFileHeader(dst []byte, h FileHeader) ([]byte, error) {
	meta, err := AppendDataSet(nil, ExplicitLittleEndian, DataSet{
		{Tag: tagMetaVersion, VR: OtherByte, Value: []byte{0, 1}},
		{Tag: tagMetaClass, VR: UniqueID, Value: []byte(h.Class)},
		{Tag: tagMetaInstance, VR: UniqueID, Value: []byte(h.Instance)},
		{Tag: tagMetaSyntax, VR: UniqueID, Value: []byte(h.TransferSyntax)},
		{Tag: tagMetaImplementation, VR: UniqueID, Value: []byte(ImplementationClass)},
		{Tag: tagMetaImplementedName, VR: ShortString, Value: []byte(ImplementationVersionName)},
	})
	if err != nil {
		return nil, err
	}
	dst = append(dst, make([]byte, preambleLength)...)
	dst = append(dst, filePrefix...)
	dst, err = AppendDataSet(dst, ExplicitLittleEndian, DataSet{
		{Tag: tagMetaLength, VR: "UL", Value: binary.LittleEndian.AppendUint32(nil, uint32(len(meta)))},
	})
	if err != nil {
		return nil, err
	}
	return append(dst, meta...), nil
}

// SplitFile returns a file's header and its data set, which aliases file. The only error is *ProtocolError.
func SplitFile(file []byte) (FileHeader, []byte, error) {
	const lengthElement = 12
	start := preambleLength + len(filePrefix)
	if len(file) < start+lengthElement || !bytes.Equal(file[preambleLength:start], []byte(filePrefix)) {
		return FileHeader{}, nil, nonsense("the file does not begin as a DICOM file")
	}
	first, err := DecodeDataSet(ExplicitLittleEndian, file[start:start+lengthElement])
	if err != nil {
		return FileHeader{}, nil, err
	}
	length, ok := first.Get(tagMetaLength)
	if !ok || len(length.Value) != 4 {
		return FileHeader{}, nil, nonsense("the file does not say how long its header is")
	}
	rest := file[start+lengthElement:]
	n := uint64(binary.LittleEndian.Uint32(length.Value))
	if n > uint64(len(rest)) {
		return FileHeader{}, nil, nonsense("the file ends within its header")
	}
	meta, err := DecodeDataSet(ExplicitLittleEndian, rest[:n])
	if err != nil {
		return FileHeader{}, nil, err
	}
	h := FileHeader{Class: meta.Text(tagMetaClass), Instance: meta.Text(tagMetaInstance), TransferSyntax: meta.Text(tagMetaSyntax)}
	return h, rest[n:], nil
}
