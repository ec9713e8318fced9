package dicom

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func TestCommandsSurviveTheWire(t *testing.T) {
	for _, want := range []Command{
		{Field: EchoRequest, Class: Verification, MessageID: 1},
		{Field: EchoResponse, Class: Verification, MessageID: 65535},
		{Field: StoreRequest, Class: SecondaryCapture, Instance: "2.25.1", MessageID: 7, Priority: 2, HasDataSet: true, OfferedBy: "MOVER", OfferedByID: 9},
		{Field: StoreResponse, Class: SecondaryCapture, Instance: "2.25.1", MessageID: 7, Status: OutOfResources, Comment: "no room"},
		{Field: FindRequest, Class: ModalityWorklist, MessageID: 2, HasDataSet: true},
		{Field: FindResponse, Class: ModalityWorklist, MessageID: 2, HasDataSet: true, Status: Pending},
		{Field: CancelRequest, MessageID: 2},
	} {
		if got, err := DecodeCommand(AppendCommand(nil, want)); err != nil || got != want {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
}

func TestEchoRequestIsTheBytesOfTheStandard(t *testing.T) {
	want := "0000000004000000" + "38000000" +
		"0000020012000000" + hex.EncodeToString([]byte(Verification)) + "00" +
		"0000000102000000" + "3000" + "0000100102000000" + "0100" + "0000000802000000" + "0101"
	if got := hex.EncodeToString(AppendCommand(nil, Command{Field: EchoRequest, Class: Verification, MessageID: 1})); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestDecodeCommandRefusesWhatIsBroken(t *testing.T) {
	field, id := "0000000102000000"+"3000", "0000100102000000"+"0100"
	tests := []struct{ name, bytes, reason string }{
		{"empty", "", "lacks"},
		{"no message id", field, "lacks"},
		{"no command", id, "lacks"},
		{"cut", field + id[:10], "within an element"},
		{"beyond the end", field + "0000100104000000" + "0100", "announces 4 bytes, 2 are there"},
		{"4 GiB", field + "00001001ffffffff" + "0100", "announces 4294967295 bytes"},
		{"out of order", id + field, "out of order"},
		{"twice", field + field, "out of order"},
		{"other group", field + id + "0800160000000000", "(0008,0016)"},
		{"wide number", "0000000104000000" + "30000000" + id, "has 4 bytes, not 2"},
	}
	for _, test := range tests {
		raw, err := hex.DecodeString(test.bytes)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeCommand(raw)
		var protocol *ProtocolError
		if !errors.As(err, &protocol) || got != (Command{}) || !strings.Contains(err.Error(), test.reason) {
			t.Errorf("%s: got %+v, %v; want %q", test.name, got, err, test.reason)
		}
	}
}

func TestStatusInWords(t *testing.T) {
	for status, want := range map[Status]string{
		Success: "status 0x0000 (success)", SOPClassNotSupported: "status 0x0122 (SOP class not supported)", 0xA701: "status 0xA701 (out of resources)",
		0xC123: "status 0xC123 (cannot understand)", 0x0119: "status 0x0119 (a failure)", 0xFF01: "status 0xFF01 (pending)",
	} {
		if got := status.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
