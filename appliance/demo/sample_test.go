package demo

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"evenkeel/appliance"
	"evenkeel/engine/dicom"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running opens a sample on a port of the kernel's and runs it until the test ends.
func running(t *testing.T, options Options) *Sample {
	t.Helper()
	options.Listen = "127.0.0.1:0"
	s, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return s
}

// dial connects to a sample with a deadline for everything that follows.
func dial(t *testing.T, s *Sample) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", s.Addr().String(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}

func TestOpenNamesABusyPort(t *testing.T) {
	first := running(t, Options{Kind: HTTP})
	_, err := Open(Options{Kind: HL7, Listen: first.Addr().String()})
	if appliance.KindOf(err) != appliance.Conflict || !strings.Contains(err.Error(), first.Addr().String()+" is already in use") {
		t.Errorf("got %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		options Options
		kind    appliance.Kind
		field   string
	}{
		{"kind", Options{Kind: "smtp", Listen: "127.0.0.1:0"}, appliance.Invalid, "kind"},
		{"no address", Options{Kind: HTTP}, appliance.Invalid, "listen"},
		{"a name", Options{Kind: HTTP, Listen: "localhost:0"}, appliance.Invalid, "listen"},
		{"port", Options{Kind: HTTP, Listen: "127.0.0.1:65536"}, appliance.Invalid, "listen"},
		{"foreign address", Options{Kind: HTTP, Listen: "192.0.2.1:0"}, appliance.Invalid, "listen"},
		{"folder in a file, DICOM", Options{Kind: DICOM, Listen: "127.0.0.1:0", Keep: filepath.Join(file, "x")}, appliance.Denied, "keep"},
		{"folder in a file, HL7", Options{Kind: HL7, Listen: "127.0.0.1:0", Keep: filepath.Join(file, "x")}, appliance.Denied, "keep"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := Open(test.options)
			var e *appliance.Error
			if !errors.As(err, &e) || s != nil || e.Kind != test.kind || e.Field != test.field || e.Hint == "" {
				t.Errorf("got %v, %#v", s, err)
			}
		})
	}
}

func TestRunEndsWithinASecondWhateverIsOpen(t *testing.T) {
	tests := []struct {
		name string
		kind Kind
		say  func(*testing.T, *net.TCPConn)
	}{
		{"silent DICOM", DICOM, func(*testing.T, *net.TCPConn) {}},
		{"associated", Worklist, func(t *testing.T, conn *net.TCPConn) {
			if _, err := dicom.Associate(conn, dicom.AssociateOptions{Contexts: []dicom.ContextOffer{{ID: 1, AbstractSyntax: dicom.Verification, TransferSyntaxes: []string{dicom.ImplicitLittleEndian}}}}); err != nil {
				t.Fatal(err)
			}
		}},
		{"half a message", HL7, func(_ *testing.T, conn *net.TCPConn) { _, _ = io.WriteString(conn, "\x0bMSH|^~") }},
		{"held answer", HTTP, func(t *testing.T, conn *net.TCPConn) {
			_, _ = io.WriteString(conn, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
			if _, err := conn.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}},
		{"slow answer to a body that does not come", HTTP, func(_ *testing.T, conn *net.TCPConn) {
			_, _ = io.WriteString(conn, "POST /slow?ms=600000 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := Open(Options{Kind: test.kind, Listen: "127.0.0.1:0", Keep: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ctx) }()
			conn := dial(t, s)
			test.say(t, conn)
			cancel()
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("Run: %v", err)
				}
			case <-time.After(time.Minute):
				t.Fatal("Run does not end")
			}
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection stays open")
			}
			if again, err := net.Dial("tcp", s.Addr().String()); err == nil {
				_ = again.Close()
				t.Error("the port stays open")
			}
		})
	}
}

func TestCloseIsIdempotentAndEndsRun(t *testing.T) {
	for _, kind := range []Kind{DICOM, HL7, Worklist, HTTP} {
		s, err := Open(Options{Kind: kind, Listen: "127.0.0.1:0", Keep: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
		if err := s.Run(context.Background()); err != nil {
			t.Errorf("%s: Run after Close: %v", kind, err)
		}
	}
}

func TestWebNamesItself(t *testing.T) {
	s := running(t, Options{Kind: HTTP, Label: "Web1"})
	client := &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	tests := []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"GET", "/", "", 200, "Web1\nGET /\n"},
		{"GET", "/some/page", "", 200, "Web1\nGET /some/page\n"},
		{"GET", "/healthz", "", 200, "ok\n"},
		{"GET", "/slow?ms=1", "", 200, "Web1\nGET /slow\n"},
		{"GET", "/slow?ms=-1", "", 400, "ms must be a number"},
		{"GET", "/status?code=503", "", 503, "Web1 503\n"},
		{"GET", "/status?code=204", "", 204, ""},
		{"GET", "/status?code=100", "", 400, "code must be"},
		{"GET", "/drip?n=2&ms=0", "", 200, "Web1 0\nWeb1 1\n"},
		{"POST", "/echo", "what I say", 200, "what I say"},
		{"GET", "/headers", "", 200, `"X-Mine": [`},
	}
	for _, test := range tests {
		request, err := http.NewRequest(test.method, "http://"+s.Addr().String()+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Mine", "1")
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode != test.code || answer.Header.Get("X-Sample") != "Web1" || !strings.Contains(string(body), test.want) || test.want == "" && len(body) > 0 {
			t.Errorf("%s %s: %d, %v, %q", test.method, test.path, answer.StatusCode, err, body)
		}
	}
	answer, err := client.Get("http://" + s.Addr().String() + "/bytes?n=200001")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if n, err := io.Copy(io.Discard, answer.Body); err != nil || n != 200001 || answer.ContentLength != n {
		t.Errorf("/bytes: %d of %d bytes, %v", n, answer.ContentLength, err)
	}
	if want := int64(len(tests) + 1); s.Served() != want {
		t.Errorf("served %d, want %d", s.Served(), want)
	}
}
