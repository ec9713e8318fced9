package dicom

import (
	"bytes"
	"reflect"
	"testing"
)

func FuzzReader(f *testing.F) {
	for _, unit := range []PDU{
		request(), accept(), &Rejected{1, 1, 7}, &Aborted{2, 6}, &ReleaseRequest{},
		&Transfer{Values: []Value{{Context: 1, Command: true, Fragment: []byte("ab")}, {Context: 3, Last: true}}},
	} {
		seed, err := unit.appendPDU(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := NewReader(bytes.NewReader(stream), ReaderOptions{MaxPDU: 4096})
		for range len(stream)/pduHeader + 1 {
			unit, err := r.Next()
			if err != nil {
				return
			}
			encoded, err := unit.appendPDU(nil)
			if err != nil {
				t.Fatalf("%+v was read and cannot be written: %v", unit, err)
			}
			again, err := NewReader(bytes.NewReader(encoded), ReaderOptions{}).Next()
			if err != nil || !reflect.DeepEqual(again, unit) {
				t.Fatalf("%+v became %+v, %v", unit, again, err)
			}
		}
		t.Fatal("more units than bytes")
	})
}

func FuzzDecodeCommand(f *testing.F) {
	f.Add(AppendCommand(nil, Command{Field: StoreRequest, Class: SecondaryCapture, Instance: "2.25.1", HasDataSet: true, OfferedBy: "A"}))
	f.Add(AppendCommand(nil, Command{Field: FindResponse, Status: Pending, Comment: "text"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCommand(b)
		if err != nil {
			return
		}
		again, err := DecodeCommand(AppendCommand(nil, c))
		if err != nil || again.Field != c.Field || again.MessageID != c.MessageID || again.HasDataSet != c.HasDataSet || again.Class != c.Class || again.Instance != c.Instance {
			t.Fatalf("%+v became %+v, %v", c, again, err)
		}
	})
}

func FuzzDecodeDataSet(f *testing.F) {
	for i, transferSyntax := range []string{ImplicitLittleEndian, ExplicitLittleEndian, ExplicitBigEndian} {
		seed, err := AppendDataSet(nil, transferSyntax, worklistItem()[:5])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed, byte(i))
	}
	f.Fuzz(func(t *testing.T, b []byte, which byte) {
		transferSyntax := []string{ImplicitLittleEndian, ExplicitLittleEndian, ExplicitBigEndian}[which%3]
		set, err := DecodeDataSet(transferSyntax, b)
		if err != nil {
			return
		}
		encoded, err := AppendDataSet(nil, ExplicitLittleEndian, set)
		if err != nil {
			return // a value of implicit VR can be too long for its representation
		}
		again, err := DecodeDataSet(ExplicitLittleEndian, encoded)
		if err != nil || len(again) != len(set) {
			t.Fatalf("%v became %v, %v", set, again, err)
		}
	})
}

func FuzzSplitFile(f *testing.F) {
	seed, err := AppendFileHeader(nil, FileHeader{Class: SecondaryCapture, Instance: "2.25.1", TransferSyntax: ExplicitLittleEndian})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, file []byte) {
		if _, set, err := SplitFile(file); err == nil && !bytes.HasSuffix(file, set) {
			t.Fatal("the data set is not the end of the file")
		}
	})
}
