package dicom

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// converse runs server on the far end of a connection and returns what client said; both are awaited.
func converse(t *testing.T, server func(net.Conn), client func(net.Conn) error) error {
	t.Helper()
	near, far := net.Pipe()
	_ = near.SetDeadline(time.Now().Add(time.Minute))
	_ = far.SetDeadline(time.Now().Add(time.Minute))
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer far.Close()
		server(far)
	}()
	err := client(near)
	_ = near.Close()
	<-done
	return err
}

// take reads one unit and answers with others.
func take(conn net.Conn, r *Reader, answers ...PDU) {
	if _, err := r.Next(); err != nil {
		return
	}
	for _, answer := range answers {
		if err := Write(conn, answer); err != nil {
			return
		}
	}
}

// message is a command set as a unit.
func message(context byte, c Command) PDU {
	return &Transfer{Values: []Value{{Context: context, Command: true, Last: true, Fragment: AppendCommand(nil, c)}}}
}

func accepted() *AssociateAccept {
	return &AssociateAccept{Contexts: []ContextAnswer{{ID: 1, TransferSyntax: ImplicitLittleEndian}}, User: User{ImplementationClass: "1.2.3", ImplementationVersion: "THEM"}}
}

func TestEchoSaysWhatItMet(t *testing.T) {
	good := message(1, Command{Field: EchoResponse, MessageID: 1})
	script := func(steps ...[]PDU) func(net.Conn) {
		return func(conn net.Conn) {
			r := NewReader(conn, ReaderOptions{})
			for _, answers := range steps {
				take(conn, r, answers...)
			}
			_, _ = r.Next() // an abort, maybe
		}
	}
	refused := accepted()
	refused.Contexts[0] = ContextAnswer{ID: 1, Result: ContextNoAbstractSyntax}
	foreign := accepted()
	foreign.Contexts[0].TransferSyntax = ExplicitBigEndian
	tests := []struct {
		name   string
		server func(net.Conn)
		want   string // empty means no error
		as     any    // what errors.As must find
	}{
		{"good", script([]PDU{accepted()}, []PDU{good}, []PDU{&ReleaseResponse{}}), "", nil},
		{"both release", script([]PDU{accepted()}, []PDU{good}, []PDU{&ReleaseRequest{}}, []PDU{&ReleaseResponse{}}), "", nil},
		{"rejected", script([]PDU{&Rejected{1, 1, 7}}), "association rejected: called AE title not recognised", new(*Rejected)},
		{"aborted", script([]PDU{&Aborted{2, 1}}), "the peer aborted the association: it did not recognise a unit, instead of an answer to the association request", new(*Aborted)},
		{"no verification", script([]PDU{refused}, []PDU{&ReleaseResponse{}}), "association accepted, but not verification (C-ECHO): abstract syntax not supported", new(*ContextRefused)},
		{"not offered", script([]PDU{foreign}), "the answer to the association request breaks the DICOM protocol: transfer syntax 1.2.840.10008.1.2.2 was accepted and not offered", new(*ProtocolError)},
		{"wrong unit", script([]PDU{&ReleaseResponse{}}), "breaks the DICOM protocol: it was answered with a unit of another kind", new(*ProtocolError)},
		{"bad status", script([]PDU{accepted()}, []PDU{message(1, Command{Field: EchoResponse, MessageID: 1, Status: 0x0122})}, []PDU{&ReleaseResponse{}}), "C-ECHO was answered with status 0x0122 (SOP class not supported)", nil},
		{"wrong id", script([]PDU{accepted()}, []PDU{message(1, Command{Field: EchoResponse, MessageID: 2})}), "the answer to C-ECHO breaks the DICOM protocol: message 1 was answered as 2", new(*ProtocolError)},
		{"wrong command", script([]PDU{accepted()}, []PDU{message(1, Command{Field: StoreResponse, MessageID: 1})}), "C-ECHO was answered with command 0x8001", new(*ProtocolError)},
		{"released early", script([]PDU{accepted()}, []PDU{&ReleaseRequest{}}), "the server released the association before it answered C-ECHO", nil},
		{"web server", func(conn net.Conn) {
			take(conn, NewReader(conn, ReaderOptions{}))
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
		}, `the answer to the association request breaks the DICOM protocol: the bytes "HTTP/1.1 400 Bad`, new(*ProtocolError)},
		{"closed", func(conn net.Conn) { take(conn, NewReader(conn, ReaderOptions{})) }, "the server closed the connection before it answered the association request", nil},
		{"silent", func(conn net.Conn) {
			take(conn, NewReader(conn, ReaderOptions{}))
			_, _ = io.Copy(io.Discard, conn)
		}, "the server did not answer the association request in time", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var result EchoResult
			err := converse(t, test.server, func(conn net.Conn) (err error) {
				if test.name == "silent" {
					_ = conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
				}
				result, err = Echo(conn, EchoOptions{Calling: "ME"})
				return err
			})
			switch {
			case test.want == "":
				if err != nil || !result.Released || result.Peer.ImplementationVersion != "THEM" {
					t.Errorf("got %+v, %v", result, err)
				}
			case err == nil || !strings.Contains(err.Error(), test.want) || test.as != nil && !errors.As(err, test.as):
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			if test.name == "silent" && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the cause is lost: %v", err)
			}
		})
	}
}

func TestMessagesOfEveryLengthPassALinkInBothDirections(t *testing.T) {
	for _, peerMax := range []uint32{16, 17, 64, 4096, 0} {
		for _, n := range []int{0, 1, 9, 10, 11, 20, 52, 58, 4090, 4091, 10_000} {
			want := bytes.Repeat([]byte("0123456789"), n/10+1)[:n]
			var wire bytes.Buffer
			if err := NewLink(nil, &wire, peerMax).Send(3, Command{Field: StoreRequest, MessageID: 5}, bytes.NewReader(want)); err != nil {
				t.Fatal(err)
			}
			limit := int(peerMax)
			link := NewLink(NewReader(&wire, ReaderOptions{MaxPDU: limit}), nil, 0)
			context, c, err := link.Receive()
			if err != nil || context != 3 || c.MessageID != 5 || !c.HasDataSet {
				t.Fatalf("maximum %d, %d bytes: %d, %+v, %v", peerMax, n, context, c, err)
			}
			if got, err := io.ReadAll(link.DataSet()); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("maximum %d: %d bytes became %d, %v", peerMax, n, len(got), err)
			}
		}
	}
}

func TestLinkRefusesWhatIsOutOfPlace(t *testing.T) {
	command := Value{Context: 1, Command: true, Last: true, Fragment: AppendCommand(nil, Command{Field: StoreRequest, MessageID: 1, HasDataSet: true})}
	part := Value{Context: 1, Fragment: []byte("ab")}
	half := func(context byte) Value { return Value{Context: context, Command: true, Fragment: []byte("ab")} }
	other := Value{Context: 3, Last: true, Fragment: []byte("ab")}
	tests := []struct {
		name  string
		units []PDU
		want  string
	}{
		{"data set first", []PDU{&Transfer{Values: []Value{part}}}, "a data set came without its command"},
		{"other context", []PDU{&Transfer{Values: []Value{command, part, other}}}, "interrupted by another message"},
		{"command inside", []PDU{&Transfer{Values: []Value{command, part, command}}}, "interrupted by another message"},
		{"ends", []PDU{&Transfer{Values: []Value{command, part}}}, "unexpected EOF"},
		{"aborted", []PDU{&Transfer{Values: []Value{command, part}}, &Aborted{}}, "the peer aborted the association"},
		{"associates again", []PDU{&Transfer{Values: []Value{command, part}}, request()}, "an association unit came within the association"},
		{"split over contexts", []PDU{&Transfer{Values: []Value{half(1), half(3)}}}, "changes from presentation context 1 to 3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var wire bytes.Buffer
			for _, unit := range test.units {
				if err := Write(&wire, unit); err != nil {
					t.Fatal(err)
				}
			}
			link := NewLink(NewReader(&wire, ReaderOptions{}), nil, 0)
			_, _, err := link.Receive()
			if err == nil {
				_, _, err = link.Receive() // drops the data set first
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
