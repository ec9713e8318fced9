package http2

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// The tests follow the lines of the list of hostile input.

func TestRequestBecomesCanonical(t *testing.T) {
	r := newRig(t)
	r.ask(1, false, with([]string{":method", "POST", ":scheme", "http", ":path", "/p?q=1", ":authority", "a.test"}, "cookie", "a=1", "x-y", "z", "cookie", "b=2", "te", "trailers")...)
	s := r.server(0)
	want := "POST /p?q=1 HTTP/1.1\r\nHost: a.test\r\nx-y: z\r\nCookie: a=1; b=2\r\nTransfer-Encoding: chunked\r\n\r\n"
	if got := take(s); got != want {
		t.Fatalf("\n%q\n%q", got, want)
	}
	r.data(1, false, "hello")
	_ = r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: r.fields("x-late", "yes", "content-length", "9"), EndStream: true, EndHeaders: true})
	r.send()
	if got := take(s); got != "5\r\nhello\r\n0\r\nx-late: yes\r\n\r\n" {
		t.Fatalf("%q", got)
	}
	s.Arrive([]byte("HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nGrpc-Status: 0\r\n\r\n"))
	list := r.frames()
	texts := ""
	for _, g := range list {
		texts += fmt.Sprintf("%v %v %q;", g.kind, g.end, g.text)
	}
	if texts != `HEADERS false ":status: 200\nx-a: b\n";DATA false "abc";HEADERS true "grpc-status: 0\n";` {
		t.Fatal(texts)
	}
	r.balanced()
}

func TestResetsShareOneBudget(t *testing.T) {
	t.Run("of the client", func(t *testing.T) {
		r := newRig(t)
		id := uint32(1)
		for ; id < 4000 && !r.client.Over(); id += 2 {
			_ = r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: r.fields(getX...), EndStream: true, EndHeaders: true})
			_ = r.framer.WriteRSTStream(id, http2.ErrCodeCancel)
			r.send()
		}
		r.wantClosed(http2.ErrCodeEnhanceYourCalm)
		if n := id / 2; n < 200 || n > budgetFull+10 {
			t.Errorf("closed after %d resets", n)
		}
		r.balanced()
	})
	t.Run("that it provokes", func(t *testing.T) {
		r := newRig(t)
		n := 0
		for id := uint32(1); id < 4000 && !r.client.Over(); id += 2 {
			n++
			r.ask(id, false, getX...)
			if n%2 == 0 {
				_ = r.framer.WriteWindowUpdate(id, 0)
				r.send()
			} else {
				_ = r.framer.WriteRSTStream(id, http2.ErrCodeCancel)
				r.send()
			}
		}
		r.wantClosed(http2.ErrCodeEnhanceYourCalm)
		if n > budgetFull+10 {
			t.Errorf("closed after %d", n)
		}
		r.balanced()
	})
	t.Run("a reader who leaves pages", func(t *testing.T) {
		r := newRig(t)
		id := uint32(1)
		for range 20 {
			for range 100 {
				r.ask(id, true, getX...)
				_ = r.framer.WriteRSTStream(id, http2.ErrCodeCancel)
				r.send()
				id += 2
			}
			r.loop.Advance(10 * time.Second)
		}
		if r.client.Over() {
			t.Errorf("closed: %q", r.reasons)
		}
	})
}

func TestFloodsAreClosed(t *testing.T) {
	floods := map[string]func(r *rig){
		"SETTINGS":    func(r *rig) { _ = r.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100}) },
		"PING":        func(r *rig) { _ = r.framer.WritePing(false, [8]byte{1}) },
		"PRIORITY":    func(r *rig) { _ = r.framer.WritePriority(5, http2.PriorityParam{StreamDep: 3}) },
		"empty DATA":  func(r *rig) { _ = r.framer.WriteData(1, false, nil) },
		"tiny window": func(r *rig) { _ = r.framer.WriteWindowUpdate(0, 1) },
		"unknown":     func(r *rig) { _ = r.framer.WriteRawFrame(0xee, 0, 0, []byte("x")) },
		"padding":     func(r *rig) { _ = r.framer.WriteDataPadded(1, false, nil, make([]byte, 200)) },
	}
	for name, flood := range floods {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.ask(1, false, getX...)
			n := 0
			for ; n < 20000 && !r.client.Over(); n++ {
				flood(r)
				r.send()
			}
			r.wantClosed(http2.ErrCodeEnhanceYourCalm)
			if n > budgetFull+10 {
				t.Errorf("closed after %d", n)
			}
			r.balanced()
		})
	}
	t.Run("CONTINUATION", func(t *testing.T) {
		for _, size := range []int{0, 1, 16000} {
			r := newRig(t)
			_ = r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: r.fields(getX...)})
			n := 0
			for ; n < 1000 && !r.client.Over(); n++ {
				_ = r.framer.WriteContinuation(1, false, make([]byte, size))
				r.send()
			}
			r.wantClosed(http2.ErrCodeEnhanceYourCalm)
			if n > maxContinuations+1 {
				t.Errorf("closed after %d", n)
			}
		}
	})
	t.Run("a block that drips", func(t *testing.T) {
		r := newRig(t)
		_ = r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: r.fields(getX...)})
		r.send()
		r.loop.Advance(6 * time.Second)
		r.wantClosed(http2.ErrCodeEnhanceYourCalm)
	})
	t.Run("nothing at all", func(t *testing.T) {
		r := newRig(t)
		r.client = r.loop.Accept(r.client.Peer(), r.client.Local())
		r.client.Bind(New(Options{Shared: r.shared, Client: r.client, Config: r.service.Config}))
		r.frames()
		r.loop.Advance(6 * time.Second)
		r.wantClosed(http2.ErrCodeSettingsTimeout)
	})
	t.Run("an idle connection", func(t *testing.T) {
		r := newRig(t)
		for range 9 {
			r.loop.Advance(5 * time.Second)
			if !r.client.Over() {
				_ = r.framer.WritePing(false, [8]byte{})
				r.send()
			}
		}
		r.wantClosed(http2.ErrCodeNo)
	})
}

func TestHeaderTableGames(t *testing.T) {
	t.Run("a bomb", func(t *testing.T) {
		r := newRig(t)
		r.ask(1, true, with(getX, "x-bomb", strings.Repeat("a", 3000))...)
		bomb := append(r.fields(getX...), bytes.Repeat([]byte{0x80 | 62}, 16000)...)
		_ = r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: bomb, EndStream: true, EndHeaders: true})
		r.send()
		if g, ok := find(r.frames(), http2.FrameHeaders, 3); !ok || g.text != ":status: 431\n" || cap(r.shared.head.text) > 4*maxHead {
			t.Fatalf("%v, %d bytes were held", g, cap(r.shared.head.text))
		}
		r.ask(5, true, getX...) // the connection goes on
		if len(r.loop.Dialed) != 2 || r.client.Over() {
			t.Errorf("%d requests were forwarded, over %v", len(r.loop.Dialed), r.client.Over())
		}
	})
	for name, block := range map[string][]byte{
		"an index that is not there": {0x80 | 0x7f, 0x7f}, "index zero": {0x80}, "a table too large": {0x3f, 0xe2, 0x1f}, "cut short": {0x40, 0x05, 'a'},
		"an endless number": bytes.Repeat([]byte{0xff}, 100), "Huffman without end": {0x40, 0x81, 0xff, 0x00},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			_ = r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndStream: true, EndHeaders: true})
			r.send()
			r.wantClosed(http2.ErrCodeCompression)
		})
	}
}

func TestMalformedRequestsAreNeverForwarded(t *testing.T) {
	for name, pairs := range map[string][]string{
		"CR in a name": with(getX, "x\ry", "1"), "LF in a name": with(getX, "x\ny", "1"), "NUL in a name": with(getX, "x\x00", "1"), "colon in a name": with(getX, "x:y", "1"),
		"space in a name": with(getX, "x y", "1"), "8-bit name": with(getX, "x\xe4", "1"), "empty name": with(getX, "", "1"), "upper case": with(getX, "X-Y", "1"),
		"CR LF in a value": with(getX, "x", "1\r\ny: 2"), "NUL in a value": with(getX, "x", "a\x00b"), "LF in a value": with(getX, "x", "a\nb"), "space around a value": with(getX, "x", " a"),
		"connection": with(getX, "connection", "close"), "transfer-encoding": with(getX, "transfer-encoding", "chunked"), "upgrade": with(getX, "upgrade", "h2c"),
		"keep-alive": with(getX, "keep-alive", "1"), "proxy-connection": with(getX, "proxy-connection", "close"), "te": with(getX, "te", "gzip"), "http2-settings": with(getX, "http2-settings", "x"),
		"two authorities": with(getX, "host", "b.test"), "two hosts": {":method", "GET", ":scheme", "http", ":path", "/", "host", "a", "host", "a"},
		":authority twice": with(getX, ":authority", "a.test"), "userinfo": {":method", "GET", ":scheme", "http", ":path", "/", ":authority", "u@a.test"},
		"no authority": {":method", "GET", ":scheme", "http", ":path", "/"}, "no method": {":scheme", "http", ":path", "/", ":authority", "a"}, "no path": {":method", "GET", ":scheme", "http", ":authority", "a"},
		"no scheme": {":method", "GET", ":path", "/", ":authority", "a"}, "other scheme": {":method", "GET", ":scheme", "ftp", ":path", "/", ":authority", "a"},
		"a space in the path": {":method", "GET", ":scheme", "http", ":path", "/a HTTP/1.1", ":authority", "a"}, "CR LF in the path": {":method", "GET", ":scheme", "http", ":path", "/a\r\nx: y", ":authority", "a"},
		"a path without slash": {":method", "GET", ":scheme", "http", ":path", "a", ":authority", "a"}, "a method with a space": {":method", "GET /", ":scheme", "http", ":path", "/", ":authority", "a"},
		"unknown pseudo-field": with(getX, ":x", "1"), "pseudo-field behind a field": {":method", "GET", ":scheme", "http", "x", "y", ":path", "/", ":authority", "a"}, ":status": with(getX, ":status", "200"),
		"two lengths": with(getX, "content-length", "0", "content-length", "0"), "length in words": with(getX, "content-length", "ten"), "a body that is missing": with(getX, "content-length", "5"),
		"another protocol": {":method", "CONNECT", ":protocol", "connect-udp", ":scheme", "http", ":path", "/", ":authority", "a"}, "CONNECT with a path": {":method", "CONNECT", ":scheme", "http", ":path", "/", ":authority", "a"},
		":protocol without CONNECT": with(getX, ":protocol", "websocket"),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.ask(1, true, pairs...)
			r.wantReset(1, http2.ErrCodeProtocol)
			if len(r.reasons) != 1 {
				t.Errorf("%q", r.reasons)
			}
		})
	}
	for name, pairs := range map[string][]string{
		"CONNECT": {":method", "CONNECT", ":authority", "a.test:443"}, "TRACE": {":method", "TRACE", ":scheme", "http", ":path", "/", ":authority", "a"},
		"OPTIONS *": {":method", "OPTIONS", ":scheme", "http", ":path", "*", ":authority", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.ask(1, true, pairs...)
			if g, _ := find(r.frames(), http2.FrameHeaders, 1); !strings.HasPrefix(g.text, ":status: 405\n") || len(r.loop.Dialed) != 0 {
				t.Errorf("%v", g)
			}
		})
	}
}

func TestLengthThatDisagrees(t *testing.T) {
	post := []string{":method", "POST", ":scheme", "http", ":path", "/", ":authority", "a", "content-length", "5"}
	for name, body := range map[string][]string{"more": {"123456"}, "less": {"1234"}, "more in pieces": {"12", "3456"}, "less in pieces": {"12", ""}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.ask(1, false, post...)
			s := r.server(0)
			for i, text := range body {
				r.data(1, i == len(body)-1, text)
			}
			if g, ok := find(r.frames(), http2.FrameRSTStream, 1); !ok || g.code != http2.ErrCodeProtocol {
				t.Errorf("not reset: %v", g)
			}
			if sent := take(s); !s.Aborted || strings.HasSuffix(sent, "12345") {
				t.Errorf("the server got %q, aborted %v", sent, s.Aborted)
			}
			r.balanced()
		})
	}
}

func TestRequestsBeyondTheLimitAreRefused(t *testing.T) {
	r := newRig(t)
	id := uint32(1)
	for range maxStreams + 5 {
		r.ask(id, true, getX...)
		id += 2
	}
	refused := 0
	for _, g := range r.frames() {
		if g.kind == http2.FrameRSTStream && g.code == http2.ErrCodeRefusedStream {
			refused++
		}
	}
	if refused != 5 || len(r.loop.Dialed) != maxStreams {
		t.Errorf("%d refused, %d forwarded", refused, len(r.loop.Dialed))
	}
	r.client.Break(nil)
	r.balanced()
}

// TestSlowReadersHoldLittle has a client that asks for a thousand large answers and reads none of them.
func TestSlowReadersHoldLittle(t *testing.T) {
	held := 0
	for range 10 {
		r := newRig(t)
		_ = r.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		r.send()
		id := uint32(1)
		for range 100 {
			r.ask(id, true, getX...)
			id += 2
		}
		for i := range 100 {
			s := r.server(i)
			s.Arrive([]byte("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"))
			for range 20 {
				if s.Paused {
					break
				}
				s.Arrive(make([]byte, 64<<10))
			}
			if !s.Paused {
				t.Fatal("a server is read for a client that does not read")
			}
		}
		c := r.core.(*conn)
		for _, s := range c.streams {
			held += cap(s.out.b) + cap(s.inbox)
		}
		r.loop.Advance(50 * time.Second) // the client timeout, from when it was first seen not to read
		if len(c.streams) != 0 || r.service.open != 0 {
			t.Fatalf("%d streams stay", len(c.streams))
		}
	}
	if held > 1000*160<<10 {
		t.Errorf("a thousand slow streams hold %d KiB", held>>10)
	}
}

func TestBytesBehindARefusedWebSocket(t *testing.T) {
	r := newRig(t)
	r.ask(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/ws", ":authority", "a", "sec-websocket-version", "13")
	s := r.server(0)
	if got := take(s); !strings.HasPrefix(got, "GET /ws HTTP/1.1\r\nHost: a\r\n") || !strings.Contains(got, "Upgrade: websocket\r\n") || !strings.Contains(got, "Sec-WebSocket-Key: ") {
		t.Fatalf("%q", got)
	}
	r.data(1, false, "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n")
	s.Arrive([]byte("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"))
	if g, _ := find(r.frames(), http2.FrameHeaders, 1); !strings.HasPrefix(g.text, ":status: 403\n") || !g.end {
		t.Errorf("%v", g)
	}
	if got := take(s); got != "" {
		t.Errorf("the server got %q", got)
	}
	without := newRig(t)
	without.ask(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/ws", ":authority", "a")
	if g, _ := find(without.frames(), http2.FrameHeaders, 1); !strings.HasPrefix(g.text, ":status: 400\n") || len(without.loop.Dialed) != 0 {
		t.Errorf("without version: %v", g)
	}
}

func TestServerThatBreaksOffIsSeen(t *testing.T) {
	r := newRig(t)
	r.ask(1, true, getX...)
	s := r.server(0)
	s.Arrive([]byte("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"))
	s.Break(nil)
	if g, ok := find(r.frames(), http2.FrameRSTStream, 1); !ok || g.code != http2.ErrCodeInternal {
		t.Errorf("%v", g)
	}
	r.balanced()
}

// TestSmallMessagesMayBeAnswered has a client give back the window of each small message at once, and measure its way with a PING, as gRPC does.
func TestSmallMessagesMayBeAnswered(t *testing.T) {
	r := newRig(t)
	r.ask(1, true, getX...)
	s := r.server(0)
	s.Arrive([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
	for range 10 * budgetFull {
		s.Arrive([]byte("3\r\nabc\r\n"))
		_ = r.framer.WriteWindowUpdate(0, 3)
		_ = r.framer.WriteWindowUpdate(1, 3)
		_ = r.framer.WritePing(false, [8]byte{1})
		r.send()
	}
	if r.client.Over() {
		t.Errorf("closed: %q", r.reasons)
	}
}
