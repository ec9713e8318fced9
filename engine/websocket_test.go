package engine

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/tlsterm/tlstest"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// serveWebSocket takes the handshake of RFC 6455 and gives every byte back, in upper case; behind the client's end it says goodbye.
func serveWebSocket(t *testing.T) *sample {
	return serve(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		req, err := http.ReadRequest(in)
		if err != nil || req.Header.Get("Upgrade") != "websocket" || req.Header.Get("Sec-WebSocket-Version") != "13" {
			return
		}
		sum := sha1.Sum([]byte(req.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
		buf := make([]byte, 32<<10)
		for {
			n, err := in.Read(buf)
			if _, failed := c.Write(bytes.ToUpper(buf[:n])); failed != nil {
				return
			}
			if err != nil {
				_, _ = io.WriteString(c, "goodbye")
				return
			}
		}
	})
}

// large is more than what is buffered on the way.
var large = strings.Repeat("0123456789abcdef", 256<<10)

// converse sends much, ends, and demands all of it back with the goodbye behind it.
func converse(t *testing.T, to io.Writer, end func(), from io.Reader) {
	t.Helper()
	failed := make(chan error, 1)
	go func() {
		_, err := io.WriteString(to, large)
		end()
		failed <- err
	}()
	got, err := io.ReadAll(from)
	if want := strings.ToUpper(large) + "goodbye"; err != nil || string(got) != want {
		t.Errorf("%d bytes of %d came back, %v", len(got), len(want), err)
	}
	if err := <-failed; err != nil {
		t.Error(err)
	}
}

func TestWebSocketOverHTTP1(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	issued := ca.Issue("a.test")
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", secure), func(t *testing.T) {
			v := web(t, "svc", serveWebSocket(t).address)
			if secure {
				v.TLS.Certificates = []string{issued.ID}
			}
			r := start(t, Options{Loops: 1, Certificates: keep(issued)})
			r.apply(v)
			c, err := net.DialTimeout("tcp", address(v), 5*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
			end := func() { _ = c.(*net.TCPConn).CloseWrite() }
			if secure {
				inside := tls.Client(c, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test"})
				c, end = inside, func() { _ = inside.CloseWrite() }
			}
			fmt.Fprintf(c, "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
			in := bufio.NewReader(c)
			resp, err := http.ReadResponse(in, nil)
			if err != nil || resp.StatusCode != 101 || resp.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
				t.Fatalf("%v %v", resp, err)
			}
			converse(t, c, end, in)
			until(t, "released", func() bool { return r.status(v.ID).Servers[0].Connections == 0 })
		})
	}
}

// duplex is one stream of a client of HTTP/2 that sends and receives bytes as they come: what RFC 8441 asks for and Go's client does not have.
type duplex struct {
	conn   net.Conn
	mu     sync.Mutex // of what framer writes
	framer *http2.Framer
	window chan int // how much more may be sent
	body   *io.PipeReader
	status string
}

// tunnel opens a WebSocket by an extended CONNECT on stream 1.
func tunnel(t *testing.T, to string) *duplex {
	t.Helper()
	c, err := net.DialTimeout("tcp", to, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	_, _ = io.WriteString(c, http2.ClientPreface)
	d := &duplex{conn: c, framer: http2.NewFramer(c, c), window: make(chan int, 1000)}
	_ = d.framer.WriteSettings()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "http"}, {":path", "/ws"}, {":authority", "a.test"}, {"sec-websocket-version", "13"}} {
		_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	_ = d.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	head, pw := make(chan string, 1), (*io.PipeWriter)(nil)
	d.body, pw = io.Pipe()
	done := make(chan struct{})
	go func() { defer close(done); d.receive(head, pw) }()
	t.Cleanup(func() { c.Close(); d.body.Close(); <-done })
	select {
	case d.status = <-head:
	case <-time.After(time.Minute):
		t.Fatal("no answer")
	}
	return d
}

func (d *duplex) receive(head chan<- string, body *io.PipeWriter) {
	dec := hpack.NewDecoder(4096, nil)
	for {
		f, err := d.framer.ReadFrame()
		if err != nil {
			_ = body.CloseWithError(fmt.Errorf("the connection ended: %w", err))
			return
		}
		switch f := f.(type) {
		case *http2.HeadersFrame:
			fields, _ := dec.DecodeFull(f.HeaderBlockFragment())
			head <- fields[0].Value
		case *http2.DataFrame:
			_, _ = body.Write(f.Data())
			if n := len(f.Data()); n > 0 {
				d.mu.Lock()
				_ = d.framer.WriteWindowUpdate(0, uint32(n))
				_ = d.framer.WriteWindowUpdate(1, uint32(n))
				d.mu.Unlock()
			}
			if f.StreamEnded() {
				body.Close()
				return
			}
		case *http2.SettingsFrame:
			if n, told := f.Value(http2.SettingInitialWindowSize); told {
				d.window <- int(n)
			}
		case *http2.RSTStreamFrame:
			_ = body.CloseWithError(fmt.Errorf("reset: %v", f.ErrCode))
			return
		case *http2.WindowUpdateFrame:
			if f.StreamID == 1 {
				d.window <- int(f.Increment)
			}
		}
	}
}

// Write sends as far as the window of the stream, which is smaller than the connection's here, is open.
func (d *duplex) Write(b []byte) (n int, err error) {
	left := 0
	for n < len(b) {
		for left == 0 {
			select {
			case left = <-d.window:
			case <-time.After(time.Minute):
				return n, fmt.Errorf("the window stays shut at %d", n)
			}
		}
		size := min(len(b)-n, left, 16384)
		if err := d.send(b[n:n+size], false); err != nil {
			return n, err
		}
		n, left = n+size, left-size
	}
	return n, nil
}

func (d *duplex) send(b []byte, last bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.framer.WriteData(1, last, b)
}

func (d *duplex) end() { _ = d.send(nil, true) }

func TestWebSocketOverHTTP2(t *testing.T) {
	v := web(t, "svc", serveWebSocket(t).address)
	v.HTTP.HTTP2In = appliance.HTTP2Always
	r := start(t, Options{Loops: 1})
	r.apply(v)
	d := tunnel(t, address(v))
	if d.status != "200" {
		t.Fatal(d.status)
	}
	converse(t, d, d.end, d.body)
	until(t, "released", func() bool { return r.status(v.ID).Servers[0].Connections == 0 })
}

// TestWebSocketOverTwoHopsOfHTTP2 goes through two services: HTTP/2 to the first, between the two, and HTTP/1 to the server.
func TestWebSocketOverTwoHopsOfHTTP2(t *testing.T) {
	inner := web(t, "inner", serveWebSocket(t).address)
	inner.HTTP.HTTP2In = appliance.HTTP2Always
	outer := web(t, "outer", netip.AddrPortFrom(inner.Address, inner.Ports[0].First))
	outer.HTTP.HTTP2In, outer.HTTP.HTTP2Out = appliance.HTTP2Always, true
	r := start(t, Options{Loops: 1})
	r.apply(inner, outer)
	d := tunnel(t, address(outer))
	if d.status != "200" {
		t.Fatal(d.status)
	}
	converse(t, d, d.end, d.body)
}
