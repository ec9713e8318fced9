package http2

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"evenkeel/engine/http1"
	"evenkeel/engine/wire"
	"evenkeel/engine/wire/wiretest"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// outRig is clients of HTTP/1 whose requests go to a server in HTTP/2, which the test plays.
type outRig struct {
	*rig
	idle *http1.IdlePool
	decs map[*wiretest.Conn]*hpack.Decoder
}

func newOutRig(t testing.TB) *outRig {
	r := &outRig{rig: newRig(t), decs: map[*wiretest.Conn]*hpack.Decoder{}}
	r.service.servers = NewServers(r.shared)
	r.idle = http1.NewIdlePool(r.loop, 100)
	r.service.config.Limits.ServerTimeout *= 10
	r.enc.SetMaxDynamicTableSize(0) // it writes for several connections
	return r
}

// request has a new client of HTTP/1 send text.
func (r *outRig) request(text string) *wiretest.Conn {
	c := r.loop.Accept(netip.MustParseAddrPort("203.0.113.7:51000"), netip.MustParseAddrPort("192.0.2.10:80"))
	c.Bind(http1.New(http1.Options{Service: r.service, Client: c, Idle: r.idle, Refused: func(why string) { r.reasons = append(r.reasons, why) }}))
	c.Arrive([]byte(text))
	return c
}

// greet completes the n-th connection, with settings.
func (r *outRig) greet(n int, list ...http2.Setting) *wiretest.Conn {
	s := r.server(n)
	_ = r.framer.WriteSettings(list...)
	r.to(s)
	return s
}

// to gives what was written to a connection.
func (r *outRig) to(s *wiretest.Conn) {
	b := bytes.Clone(r.out.Bytes())
	r.out.Reset()
	if !s.Over() {
		s.Arrive(b)
	}
}

func (r *outRig) asked(s *wiretest.Conn) []got {
	if r.decs[s] == nil {
		r.decs[s] = hpack.NewDecoder(4096, nil)
	}
	return framesOf(r.t, s, r.decs[s])
}

// answer has the server answer a stream.
func (r *outRig) answer(s *wiretest.Conn, id uint32, body string, pairs ...string) {
	_ = r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: r.fields(pairs...), EndHeaders: true, EndStream: body == ""})
	if body != "" {
		_ = r.framer.WriteData(id, true, []byte(body))
	}
	r.to(s)
}

const get1 = "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n"

func TestRequestsShareAConnection(t *testing.T) {
	r := newOutRig(t)
	a, b := r.request(get1), r.request("POST /y HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi")
	s := r.greet(0)
	if len(r.loop.Dialed) != 1 {
		t.Fatalf("%d connections", len(r.loop.Dialed))
	}
	list := r.asked(s)
	if g, _ := find(list, http2.FrameHeaders, 1); g.text != ":method: GET\n:scheme: http\n:authority: a.test\n:path: /x\n" || !g.end {
		t.Errorf("%v", list)
	}
	if g, _ := find(list, http2.FrameData, 3); g.text != "hi" || !g.end {
		t.Errorf("%v", list)
	}
	r.answer(s, 3, "second", ":status", "200", "content-length", "6")
	r.answer(s, 1, "", ":status", "404", "x-a", "b")
	if got := take(b); got != "HTTP/1.1 200 \r\ncontent-length: 6\r\n\r\nsecond" {
		t.Errorf("%q", got)
	}
	if got := take(a); got != "HTTP/1.1 404 \r\nx-a: b\r\nContent-Length: 0\r\n\r\n" {
		t.Errorf("%q", got)
	}
	r.balanced()
	r.loop.Advance(31 * time.Second)
	if !s.Over() {
		t.Error("an idle connection is kept for ever")
	}
}

func TestRefusedRequestsAreSentAgain(t *testing.T) {
	post := "POST /y HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi"
	t.Run("REFUSED_STREAM", func(t *testing.T) {
		r := newOutRig(t)
		c := r.request(post)
		s := r.greet(0)
		_ = r.framer.WriteRSTStream(1, http2.ErrCodeRefusedStream)
		r.to(s)
		r.answer(s, 3, "ok", ":status", "200", "content-length", "2")
		if got := take(c); !strings.HasSuffix(got, "ok") {
			t.Errorf("%q, %q", got, r.reasons)
		}
		r.balanced()
	})
	t.Run("PROTOCOL_ERROR of a server that counts slowly", func(t *testing.T) {
		r := newOutRig(t)
		g, p := r.request(get1), r.request(post)
		s := r.greet(0)
		_ = r.framer.WriteRSTStream(1, http2.ErrCodeProtocol)
		_ = r.framer.WriteRSTStream(3, http2.ErrCodeProtocol)
		r.to(s)
		r.answer(s, 5, "ok", ":status", "200", "content-length", "2")
		if a, b := take(g), take(p); !strings.HasSuffix(a, "ok") || !strings.HasPrefix(b, "HTTP/1.1 502") {
			t.Errorf("%q %q", a, b)
		}
		r.balanced()
	})
	t.Run("GOAWAY", func(t *testing.T) {
		r := newOutRig(t)
		first, second := r.request(post), r.request(post)
		s := r.greet(0)
		_ = r.framer.WriteGoAway(1, http2.ErrCodeNo, nil)
		r.to(s)
		other := r.greet(1)
		r.answer(s, 1, "one", ":status", "200", "content-length", "3")
		r.answer(other, 1, "two", ":status", "200", "content-length", "3")
		if a, b := take(first), take(second); !strings.HasSuffix(a, "one") || !strings.HasSuffix(b, "two") {
			t.Errorf("%q %q", a, b)
		}
		if !s.Over() {
			t.Error("a connection that the server leaves is kept")
		}
		r.balanced()
	})
	t.Run("for ever", func(t *testing.T) {
		r := newOutRig(t)
		c := r.request(post)
		s := r.greet(0)
		for id := uint32(1); id < 20 && len(c.Sent) == 0; id += 2 {
			_ = r.framer.WriteRSTStream(id, http2.ErrCodeRefusedStream)
			r.to(s)
		}
		if got := take(c); !strings.HasPrefix(got, "HTTP/1.1 502") {
			t.Errorf("%q", got)
		}
		r.balanced()
	})
	t.Run("a connection that dies", func(t *testing.T) {
		r := newOutRig(t)
		g := r.request(get1)
		p := r.request(post)
		r.greet(0).Break(nil)
		if got := take(p); !strings.HasPrefix(got, "HTTP/1.1 502") {
			t.Errorf("a POST that may have been served: %q", got)
		}
		r.answer(r.greet(1), 1, "ok", ":status", "200", "content-length", "2")
		if got := take(g); !strings.HasSuffix(got, "ok") {
			t.Errorf("a GET is repeated: %q", got)
		}
		r.balanced()
	})
	t.Run("nobody there", func(t *testing.T) {
		r := newOutRig(t)
		c := r.request(get1)
		r.loop.Dialed[0].Break(nil)
		if got := take(c); !strings.HasPrefix(got, "HTTP/1.1 503") {
			t.Errorf("%q", got)
		}
		r.balanced()
	})
}

func TestSilentConnectionIsNotUsedAgain(t *testing.T) {
	r := newOutRig(t)
	r.service.config.Limits.ServerTimeout /= 10
	c := r.request(get1)
	r.greet(0)
	r.loop.Advance(44 * time.Second)
	if got := take(c); !strings.HasPrefix(got, "HTTP/1.1 504") {
		t.Errorf("%q", got)
	}
	r.request(get1)
	if len(r.loop.Dialed) != 2 {
		t.Error("the next request goes where the last one got no sign of life")
	}
}

func TestServersMalformedAnswers(t *testing.T) {
	for name, pairs := range map[string][]string{
		"no status": {"x", "y"}, "status of words": {":status", "ok"}, "101": {":status", "101"}, "two": {":status", "200", ":status", "200"}, "request's pseudo-field": {":status", "200", ":path", "/"},
		"CR LF": {":status", "200", "x", "a\r\nb: c"}, "connection": {":status", "200", "connection", "close"}, "a body that is missing": {":status", "200", "content-length", "5"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newOutRig(t)
			c := r.request(get1)
			s := r.greet(0)
			r.answer(s, 1, "", pairs...)
			if got := take(c); !strings.HasPrefix(got, "HTTP/1.1 502") {
				t.Errorf("%q", got)
			}
			r.balanced()
		})
	}
	t.Run("more than its length", func(t *testing.T) {
		r := newOutRig(t)
		c := r.request(get1)
		r.answer(r.greet(0), 1, "toolong", ":status", "200", "content-length", "3")
		if got := take(c); strings.Contains(got, "too") || !c.Aborted {
			t.Errorf("%q, reset %v", got, c.Aborted)
		}
	})
	t.Run("unasked", func(t *testing.T) {
		r := newOutRig(t)
		c := r.request("POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n")
		s := r.greet(0)
		r.answer(s, 7, "x", ":status", "200")
		if !s.Over() || !strings.HasPrefix(take(c), "HTTP/1.1 502") {
			t.Error("a server that answers what was not asked is believed")
		}
	})
}

func TestWebSocketToAServerInHTTP2(t *testing.T) {
	// The key and the proof are those of RFC 6455, 1.3.
	handshake := "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
	t.Run("taken", func(t *testing.T) {
		r := newOutRig(t)
		c := r.request(handshake + "early")
		s := r.greet(0, http2.Setting{ID: 8, Val: 1})
		if g, _ := find(r.asked(s), http2.FrameHeaders, 1); g.text != ":method: CONNECT\n:protocol: websocket\n:scheme: http\n:authority: a.test\n:path: /ws\nsec-websocket-version: 13\n" || g.end {
			t.Fatalf("%v", g)
		}
		_ = r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: r.fields(":status", "200"), EndHeaders: true})
		_ = r.framer.WriteData(1, false, []byte("first"))
		r.to(s)
		got := take(c)
		if !strings.HasPrefix(got, "HTTP/1.1 101 ") || !strings.Contains(got, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") || !strings.HasSuffix(got, "\r\n\r\nfirst") {
			t.Fatalf("%q", got)
		}
		if g, _ := find(r.asked(s), http2.FrameData, 1); g.text != "early" {
			t.Fatalf("%v", g)
		}
		c.Arrive([]byte("ping"))
		c.Finish()
		list := r.asked(s)
		if len(list) != 2 || list[0].text != "ping" || !list[1].end {
			t.Fatalf("%v", list)
		}
		_ = r.framer.WriteData(1, true, []byte("last"))
		r.to(s)
		if got := take(c); got != "last" || !c.Closed {
			t.Errorf("%q, closed %v", got, c.Closed)
		}
		r.balanced()
	})
	t.Run("not spoken there", func(t *testing.T) {
		r := newOutRig(t)
		c := r.request(handshake)
		r.greet(0)
		if got := take(c); !strings.HasPrefix(got, "HTTP/1.1 502") {
			t.Errorf("%q", got)
		}
		r.balanced()
	})
}

// TestStreamsDoNotMixBytes sends random bodies both ways at once through windows of all sizes.
func TestStreamsDoNotMixBytes(t *testing.T) {
	r := newRig(t)
	_ = r.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1000})
	r.send()
	const streams = 50
	for i := range streams {
		r.ask(uint32(2*i+1), true, getX...)
		r.server(i).Arrive([]byte("HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n"))
	}
	got := make([]strings.Builder, streams)
	for pass := 0; pass < 5000; pass++ {
		done := true
		for i := range streams {
			s := r.server(i)
			if sent := pass * 1000; sent < 50000 {
				s.Arrive(bytes.Repeat([]byte{byte('0' + i)}, 1000))
			}
			done = done && got[i].Len() == 50000
		}
		if done {
			break
		}
		for _, g := range r.frames() {
			if g.kind == http2.FrameData {
				got[g.stream/2].WriteString(g.text)
				_ = r.framer.WriteWindowUpdate(0, uint32(len(g.text)))
				_ = r.framer.WriteWindowUpdate(g.stream, uint32(len(g.text)))
			}
		}
		r.send()
	}
	for i := range streams {
		if text := got[i].String(); len(text) != 50000 || strings.Trim(text, string(rune('0'+i))) != "" {
			t.Fatalf("stream %d got %d bytes", 2*i+1, len(text))
		}
	}
	r.balanced()
}

var _ wire.Service = (*service)(nil)
