package dicom

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func worklistItem() DataSet {
	return DataSet{
		{Tag: SpecificCharacterSet, VR: CodeString, Value: []byte("ISO_IR 192")},
		{Tag: PatientName, VR: PersonName, Value: []byte("Doe^Jane")},
		{Tag: StudyInstanceUID, VR: UniqueID, Value: []byte("1.2\x00")},
		{Tag: Rows, VR: UnsignedShort, Value: []byte{1, 2}},
		{Tag: ScheduledStepSequence, VR: Sequence, Items: []DataSet{
			{{Tag: ModalityTag, VR: CodeString, Value: []byte("CT")}, {Tag: ScheduledProtocolCode, VR: Sequence}},
			{{Tag: ModalityTag, VR: CodeString, Value: []byte("MR")}},
		}},
		{Tag: PixelData, VR: OtherByte, Value: bytes.Repeat([]byte{7}, 70_000)},
	}
}

func TestDataSetsSurviveTheWire(t *testing.T) {
	for _, transferSyntax := range []string{ImplicitLittleEndian, ExplicitLittleEndian, ExplicitBigEndian} {
		encoded, err := AppendDataSet(nil, transferSyntax, worklistItem())
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeDataSet(transferSyntax, encoded)
		if err != nil || !reflect.DeepEqual(got, worklistItem()) {
			t.Errorf("%s: got %.300v, %v", transferSyntax, got, err)
		}
	}
}

func TestDataSetIsTheBytesOfTheStandard(t *testing.T) {
	set := DataSet{Text(PatientID, "abc"), Number(Rows, 258), Items(ScheduledStepSequence, DataSet{Text(ModalityTag, "CT")})}
	tests := map[string]string{
		ImplicitLittleEndian: "1000200004000000" + "61626320" + "2800100002000000" + "0201" + "4000000112000000" + "feff00e00a000000" + "0800600002000000" + "4354",
		ExplicitLittleEndian: "100020004c4f0400" + "61626320" + "2800100055530200" + "0201" + "400000015351000012000000" + "feff00e00a000000" + "0800600043530200" + "4354",
		ExplicitBigEndian:    "001000204c4f0004" + "61626320" + "0028001055530002" + "0102" + "004001005351000000000012" + "fffee0000000000a" + "0008006043530002" + "4354",
	}
	for transferSyntax, want := range tests {
		got, err := AppendDataSet(nil, transferSyntax, set)
		if err != nil || hex.EncodeToString(got) != want {
			t.Errorf("%s: %v\ngot  %x\nwant %s", transferSyntax, err, got, want)
		}
	}
}

func TestDecodeUnderstandsUndefinedLengths(t *testing.T) {
	want := DataSet{{Tag: ScheduledStepSequence, VR: Sequence, Items: []DataSet{{{Tag: ModalityTag, VR: CodeString, Value: []byte("CT")}}}}, Text(RequestedProcedureID, "P1")}
	after := map[string]string{ImplicitLittleEndian: "4000011002000000" + "5031", ExplicitLittleEndian: "4000011053480200" + "5031"}
	tests := []struct{ name, transferSyntax, bytes string }{
		{"both, implicit", ImplicitLittleEndian, "40000001ffffffff" + "feff00e0ffffffff" + "0800600002000000" + "4354" + "feff0de000000000" + "feffdde000000000"},
		{"both, explicit", ExplicitLittleEndian, "4000000153510000ffffffff" + "feff00e0ffffffff" + "0800600043530200" + "4354" + "feff0de000000000" + "feffdde000000000"},
		{"sequence only", ImplicitLittleEndian, "40000001ffffffff" + "feff00e00a000000" + "0800600002000000" + "4354" + "feffdde000000000"},
		{"item only", ImplicitLittleEndian, "400000011a000000" + "feff00e0ffffffff" + "0800600002000000" + "4354" + "feff0de000000000"},
		{"unknown holds implicit items", ExplicitLittleEndian, "40000001554e0000ffffffff" + "feff00e00a000000" + "0800600002000000" + "4354" + "feffdde000000000"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			raw, err := hex.DecodeString(test.bytes + after[test.transferSyntax])
			if err != nil {
				t.Fatal(err)
			}
			if got, err := DecodeDataSet(test.transferSyntax, raw); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestDecodeDataSetRefusesWhatIsBroken(t *testing.T) {
	tests := []struct{ name, transferSyntax, bytes, reason string }{
		{"cut header", ImplicitLittleEndian, "10002000", "within the header"},
		{"cut long header", ExplicitLittleEndian, "400000015351000000", "within the header"},
		{"beyond the end", ImplicitLittleEndian, "1000200004000000" + "6162", "announces 4 bytes, 2 are there"},
		{"out of order", ImplicitLittleEndian, "1000200000000000" + "1000100000000000", "out of order"},
		{"twice", ImplicitLittleEndian, "1000200000000000" + "1000200000000000", "out of order"},
		{"no representation", ExplicitLittleEndian, "1000200002000000" + "6162", "no value representation"},
		{"stray delimiter", ImplicitLittleEndian, "feff0de000000000", "stands where an element must"},
		{"item open", ImplicitLittleEndian, "40000001ffffffff" + "feff00e0ffffffff", "item of undefined length does not end"},
		{"sequence open", ImplicitLittleEndian, "40000001ffffffff", "undefined length does not end"},
		{"no item", ImplicitLittleEndian, "4000000108000000" + "1000200000000000", "stands where an item must"},
		{"item beyond its sequence", ImplicitLittleEndian, "4000000108000000" + "feff00e004000000" + "61626364", "announces 4 bytes, 0 are there"},
		{"item delimiter in a defined item", ImplicitLittleEndian, "4000000110000000" + "feff00e008000000" + "feff0de000000000", "stands where an element must"},
		{"compressed pixels", ExplicitLittleEndian, "e07f10004f420000ffffffff", "has no length"},
		{"deep", ImplicitLittleEndian, strings.Repeat("40000001ffffffff"+"feff00e0ffffffff", 20), "nested more than"},
		{"other syntax", "1.2.840.10008.1.2.4.50", "", "cannot be read here"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			raw, err := hex.DecodeString(test.bytes)
			if err != nil {
				t.Fatal(err)
			}
			got, err := DecodeDataSet(test.transferSyntax, raw)
			var protocol *ProtocolError
			if !errors.As(err, &protocol) || got != nil || !strings.Contains(err.Error(), test.reason) {
				t.Errorf("got %v, %v; want %q", got, err, test.reason)
			}
		})
	}
}

func TestAppendDataSetRefusesWhatDoesNotFit(t *testing.T) {
	if _, err := AppendDataSet(nil, ExplicitLittleEndian, DataSet{Text(PatientID, strings.Repeat("x", 65536))}); err == nil {
		t.Error("a value of 65536 bytes passed as LO")
	}
	if _, err := AppendDataSet(nil, ExplicitLittleEndian, DataSet{{Tag: PatientID}}); err == nil {
		t.Error("an element without representation passed")
	}
}

func TestNewDataSetSortsAndKeepsTheFirst(t *testing.T) {
	s := NewDataSet(Text(PatientID, "1"), Text(PatientName, "a"), Text(PatientName, "b"))
	if len(s) != 2 || s.Text(PatientName) != "a" || s[1].Tag != PatientID || s.Text(StudyID) != "" {
		t.Errorf("got %v", s)
	}
}

func TestFileHeader(t *testing.T) {
	want := FileHeader{Class: SecondaryCapture, Instance: "2.25.7", TransferSyntax: "1.2.840.10008.1.2.4.50"}
	file, err := AppendFileHeader(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	got, set, err := SplitFile(append(file, "the set"...))
	if err != nil || got != want || string(set) != "the set" {
		t.Errorf("got %+v, %q, %v", got, set, err)
	}
	for n := range file {
		if _, _, err := SplitFile(file[:n]); err == nil {
			t.Fatalf("a header of %d of %d bytes passed", n, len(file))
		}
	}
}
