package dicom

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// request returns a request with everything that is encoded.
func request() *AssociateRequest {
	return &AssociateRequest{
		Called: "VNA", Calling: "EVENKEEL-LONG-16",
		Contexts: []ContextOffer{
			{ID: 1, AbstractSyntax: Verification, TransferSyntaxes: []string{ImplicitLittleEndian}},
			{ID: 255, AbstractSyntax: SecondaryCapture, TransferSyntaxes: []string{"1.2.840.10008.1.2.4.50", ExplicitBigEndian}},
		},
		User: User{MaxPDU: 16384, ImplementationClass: ImplementationClass, ImplementationVersion: "TEST"},
	}
}

func accept() *AssociateAccept {
	return &AssociateAccept{
		Called: "VNA", Calling: "ME",
		Contexts: []ContextAnswer{{ID: 1, TransferSyntax: ImplicitLittleEndian}, {ID: 3, Result: ContextNoAbstractSyntax}},
		User:     User{ImplementationClass: "1.2.3"},
	}
}

func TestUnitsSurviveTheWire(t *testing.T) {
	units := []PDU{
		request(), accept(), &Rejected{Result: 1, Source: 1, Reason: 7}, &ReleaseRequest{}, &ReleaseResponse{}, &Aborted{Source: 2, Reason: 6},
		&Transfer{Values: []Value{{Context: 1, Command: true, Last: true, Fragment: []byte("ab")}, {Context: 3, Fragment: []byte{}}}},
	}
	var stream bytes.Buffer
	for _, unit := range units {
		if err := Write(&stream, unit); err != nil {
			t.Fatal(err)
		}
	}
	for _, in := range []io.Reader{bytes.NewReader(stream.Bytes()), iotest.OneByteReader(bytes.NewReader(stream.Bytes()))} {
		r := NewReader(in, ReaderOptions{})
		for _, want := range units {
			if got, err := r.Next(); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v; want %+v", got, err, want)
			}
		}
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
	}
}

func TestUnitsAreTheBytesOfTheStandard(t *testing.T) {
	tests := []struct {
		unit PDU
		want string
	}{
		{&Rejected{Result: 1, Source: 1, Reason: 7}, "03000000000400010107"},
		{&ReleaseRequest{}, "05000000000400000000"},
		{&ReleaseResponse{}, "06000000000400000000"},
		{&Aborted{Source: 2, Reason: 6}, "07000000000400000206"},
		{&Transfer{Values: []Value{{Context: 5, Command: true, Last: true, Fragment: []byte{0xAA}}}}, "0400000000070000000305" + "03AA"},
		{
			&AssociateRequest{Called: "A", Calling: "B", Contexts: []ContextOffer{{ID: 1, AbstractSyntax: "1.2", TransferSyntaxes: []string{"1.3"}}}, User: User{MaxPDU: 16384, ImplementationClass: "1.4"}},
			"010000000086" + "00010000" + "41" + strings.Repeat("20", 15) + "42" + strings.Repeat("20", 15) + strings.Repeat("00", 32) +
				"10000015" + hex.EncodeToString([]byte(ApplicationContext)) +
				"20000012" + "01000000" + "30000003312e32" + "40000003312e33" +
				"5000000f" + "5100000400004000" + "52000003312e34",
		},
	}
	for _, test := range tests {
		got, err := test.unit.appendPDU(nil)
		if err != nil || !strings.EqualFold(hex.EncodeToString(got), test.want) {
			t.Errorf("%T: %v\ngot  %x\nwant %s", test.unit, err, got, strings.ToLower(test.want))
		}
	}
}

// patched returns the encoded request with bytes replaced.
func patched(t *testing.T, unit PDU, old, replacement string) string {
	t.Helper()
	encoded, err := unit.appendPDU(nil)
	if err != nil || len(old) != len(replacement) || !bytes.Contains(encoded, []byte(old)) {
		t.Fatalf("cannot replace %q: %v", old, err)
	}
	return strings.Replace(string(encoded), old, replacement, 1)
}

func TestReaderRefusesWhatIsBroken(t *testing.T) {
	twice, even := request(), request()
	twice.Contexts[1].ID = 1
	tests := []struct{ name, stream, reason string }{
		{"web server", "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n", `"HTTP/1.1 400 Bad Request`},
		{"short foreign answer", "SSH\n", `"SSH\n"`},
		{"TLS", "\x15\x03\x01\x00\x02\x02\x16", "are not DICOM"},
		{"unknown type", "\x08\x00\x00\x00\x00\x04abcd", "are not DICOM"},
		{"long release", "\x05\x00\x00\x00\x00\x05abcde", "must be 4 bytes long"},
		{"long transfer", "\x04\x00\x00\x02\x00\x01", "131073 bytes, more than the 131072"},
		{"endless request", "\x01\x00\xff\xff\xff\xff", "4294967295 bytes"},
		{"short request", "\x01\x00\x00\x00\x00\x04abcd", "too short"},
		{"empty transfer", "\x04\x00\x00\x00\x00\x00", "is empty"},
		{"short value header", "\x04\x00\x00\x00\x00\x05\x00\x00\x00\x02\x01", "within the header"},
		{"value beyond its unit", "\x04\x00\x00\x00\x00\x06\x00\x00\x00\x03\x01\x00", "does not fit"},
		{"value without control", "\x04\x00\x00\x00\x00\x06\x00\x00\x00\x01\x01\x00", "does not fit"},
		{"value of 4 GiB", "\x04\x00\x00\x00\x00\x06\xff\xff\xff\xff\x01\x00", "does not fit"},
		{"even context of a value", "\x04\x00\x00\x00\x00\x06\x00\x00\x00\x02\x02\x00", "not odd"},
		{"context twice", encoded(t, twice), "proposed twice"},
		{"version", patched(t, even, "\x00\x01\x00\x00VNA", "\x00\x02\x00\x00VNA"), "protocol version 1"},
		{"context even", patched(t, even, "\x01\x00\x00\x00\x30", "\x02\x00\x00\x00\x30"), "no odd id"},
		{"no UID", patched(t, even, Verification, "1.2.840.10008.1.x"), "must stand"},
		{"other application context", patched(t, even, ApplicationContext, "1.2.840.10008.3.1.1.9"), "application context is"},
		{"item beyond its unit", patched(t, even, "\x10\x00\x00\x15", "\x10\x00\x7f\x15"), "does not fit its unit"},
		{"tiny maximum", patched(t, even, "\x51\x00\x00\x04\x00\x00\x40\x00", "\x51\x00\x00\x04\x00\x00\x00\x0f"), "leaves no room"},
		{"no application context", patched(t, even, "\x10\x00\x00\x15", "\x11\x00\x00\x15"), "lacks its application context"},
		{"no user information", patched(t, even, "\x50\x00\x00", "\x5f\x00\x00"), "or user information"},
		{"no contexts", encoded(t, &AssociateRequest{}), "proposes no presentation context"},
		{"answered twice", encoded(t, &AssociateAccept{Contexts: []ContextAnswer{{ID: 1, Result: 3}, {ID: 1, Result: 3}}}), "answered twice"},
		{"accepted without syntax", encoded(t, &AssociateAccept{Contexts: []ContextAnswer{{ID: 1}}}), "without a transfer syntax"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			unit, err := NewReader(strings.NewReader(test.stream), ReaderOptions{}).Next()
			var protocol *ProtocolError
			if !errors.As(err, &protocol) || unit != nil || !strings.Contains(err.Error(), test.reason) {
				t.Errorf("got %+v, %v; want %q", unit, err, test.reason)
			}
		})
	}
}

func encoded(t *testing.T, unit PDU) string {
	t.Helper()
	out, err := unit.appendPDU(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestReaderEndsWithinAUnit(t *testing.T) {
	whole := encoded(t, request())
	for n := 1; n < len(whole); n++ {
		if _, err := NewReader(strings.NewReader(whole[:n]), ReaderOptions{}).Next(); err != io.ErrUnexpectedEOF {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
	}
}

func TestAnnouncedLengthCostsNoMemory(t *testing.T) {
	r := NewReader(strings.NewReader("\x04\x00\x3f\xff\xff\xff0123"), ReaderOptions{MaxPDU: 1 << 30})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := r.Next(); err != io.ErrUnexpectedEOF {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("a lie about the length cost %d bytes", grown)
	}
}

func TestReasonsAreSentences(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{&Rejected{1, 1, 7}, "association rejected: called AE title not recognised"},
		{&Rejected{1, 1, 3}, "association rejected: calling AE title not recognised"},
		{&Rejected{1, 1, 2}, "association rejected: application context not supported"},
		{&Rejected{1, 1, 1}, "association rejected: no reason given"},
		{&Rejected{1, 2, 2}, "association rejected: protocol version not supported"},
		{&Rejected{2, 3, 1}, "association rejected for now: the server is congested"},
		{&Rejected{2, 3, 2}, "association rejected for now: the server's limit of associations is reached"},
		{&Rejected{1, 9, 9}, "association rejected: source 9, reason 9"},
		{&Aborted{0, 0}, "the peer aborted the association"},
		{&Aborted{2, 6}, "the peer aborted the association: a parameter had an invalid value"},
		{&Aborted{2, 77}, "the peer aborted the association without a reason"},
		{&ContextRefused{Verification, ContextNoAbstractSyntax}, "association accepted, but not verification (C-ECHO): abstract syntax not supported"},
		{&ContextRefused{"1.2", 9}, "association accepted, but not service 1.2: refused with result 9"},
	}
	for _, test := range tests {
		if got := test.err.Error(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
