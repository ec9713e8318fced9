package demo

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"

	"evenkeel/engine/dicom"
)

// Instance is a generated DICOM object.
type Instance struct {
	UID            string // SOP instance UID
	Class          string // SOP class UID
	TransferSyntax string
	DataSet        []byte // as it must arrive
	File           []byte // preamble, header and DataSet, which aliases its end
}

// Object returns a secondary capture image whose file has size bytes, rounded down to an even number, but at least some 900;
// the file can be given to any DICOM program. Equal seeds and sizes give equal objects, different seeds different UIDs.
func Object(seed uint64, size int) Instance {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	random := rand.NewChaCha8(key)
	o := Instance{UID: randomUID(random), Class: dicom.SecondaryCapture, TransferSyntax: dicom.ExplicitLittleEndian}
	study, series := randomUID(random), randomUID(random)

	header, _ := dicom.AppendFileHeader(nil, dicom.FileHeader{Class: o.Class, Instance: o.UID, TransferSyntax: o.TransferSyntax})
	smallest := len(header) + len(image(o, seed, study, series, make([]byte, 2), 1, 2, 0))
	room := max(size&^1-smallest, 0) + 2
	columns := columnsFor(room)
	rows := room / columns
	pixels := make([]byte, rows*columns)
	_, _ = random.Read(pixels)
	set := image(o, seed, study, series, pixels, rows, columns, room-len(pixels))
	o.File = append(header, set...)
	o.DataSet = o.File[len(header):]
	return o
}

// columnsFor keeps rows and what is left over within their limits.
func columnsFor(room int) int {
	switch {
	case room < 16:
		return 2
	case room <= 16*4096:
		return 16
	case room <= 512*4096:
		return 512
	}
	return 4096
}

// image encodes the data set; comment is the length of a filling text.
func image(o Instance, seed uint64, study, series string, pixels []byte, rows, columns, comment int) []byte {
	set, _ := dicom.AppendDataSet(nil, o.TransferSyntax, dicom.NewDataSet(
		dicom.Text(dicom.SOPClassUID, o.Class), dicom.Text(dicom.SOPInstanceUID, o.UID),
		dicom.Text(dicom.StudyDate, "20240102"), dicom.Text(dicom.StudyTime, "030405"), dicom.Text(dicom.AccessionNumber, ""),
		dicom.Text(dicom.ModalityTag, "OT"), dicom.Text(dicom.ConversionType, "WSD"), dicom.Text(dicom.ReferringPhysicianName, ""),
		dicom.Text(dicom.PatientName, fmt.Sprintf("Sample^%020d", seed)), dicom.Text(dicom.PatientID, fmt.Sprintf("%020d", seed)),
		dicom.Text(dicom.PatientBirthDate, ""), dicom.Text(dicom.PatientSex, ""),
		dicom.Text(dicom.StudyInstanceUID, study), dicom.Text(dicom.SeriesInstanceUID, series), dicom.Text(dicom.StudyID, "1"),
		dicom.Text(dicom.SeriesNumber, "1"), dicom.Text(dicom.InstanceNumber, "1"), dicom.Text(dicom.ImageComments, strings.Repeat("x", comment)),
		dicom.Number(dicom.SamplesPerPixel, 1), dicom.Text(dicom.PhotometricInterpretation, "MONOCHROME2"),
		dicom.Number(dicom.Rows, uint16(rows)), dicom.Number(dicom.Columns, uint16(columns)), dicom.Number(dicom.BitsAllocated, 8),
		dicom.Number(dicom.BitsStored, 8), dicom.Number(dicom.HighBit, 7), dicom.Number(dicom.PixelRepresentation, 0),
		dicom.Element{Tag: dicom.PixelData, VR: dicom.OtherByte, Value: pixels},
	))
	return set
}

// randomUID returns a UID under the root for UUIDs, PS3.5 annex B.2.
func randomUID(random *rand.ChaCha8) string {
	var b [16]byte
	_, _ = random.Read(b[:])
	return "2.25." + new(big.Int).SetBytes(b[:]).String()
}
