package http2

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// scene has servers answer what they were asked, and checks what reached them: whole requests in HTTP/1.1, and nothing behind them.
func (r *rig) scene(answer string) {
	for i := 0; i < len(r.loop.Dialed) && i < 64; i++ {
		s := r.server(i)
		sent := take(s)
		for in := bufio.NewReader(strings.NewReader(sent)); !s.Over(); {
			req, err := http.ReadRequest(in)
			if err != nil {
				if sent != "" && !strings.Contains(sent, "\r\n\r\n") {
					r.t.Fatalf("a server got %q: %v", sent, err)
				}
				break
			}
			if strings.ContainsAny(req.URL.Path+req.Host, "\r\n\x00") {
				r.t.Fatalf("a server got %q", sent)
			}
			if req.ContentLength < 0 { // chunks may be incomplete
				break
			}
			if _, err := in.Peek(1); err == nil && req.ContentLength == 0 && req.Header.Get("Upgrade") == "" {
				r.t.Fatalf("something stands behind a request: %q", sent)
			}
			break
		}
		if sent != "" && !s.Over() {
			s.Arrive([]byte(answer))
		}
	}
}

// over ends everything and demands that nothing is held.
func (r *rig) over() {
	r.loop.Advance(5 * time.Minute)
	r.client.Break(nil)
	for _, s := range r.loop.Dialed {
		if !s.Over() {
			s.Break(nil)
		}
	}
	r.balanced()
}

func FuzzFramesOfAClient(f *testing.F) {
	seed := func(write func(r *rig)) {
		r := newRig(f)
		write(r)
		f.Add(r.out.Bytes())
	}
	seed(func(r *rig) {
		_ = r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: r.fields(getX...), EndStream: true, EndHeaders: true})
		_ = r.framer.WriteRSTStream(1, http2.ErrCodeCancel)
	})
	seed(func(r *rig) {
		_ = r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: r.fields(with(getX, "content-length", "3")...), EndHeaders: true})
		_ = r.framer.WriteDataPadded(1, true, []byte("abc"), make([]byte, 3))
		_ = r.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
		_ = r.framer.WriteWindowUpdate(1, 100)
	})
	seed(func(r *rig) {
		block := r.fields(":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/ws", ":authority", "a", "sec-websocket-version", "13")
		_ = r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:9]})
		_ = r.framer.WriteContinuation(1, true, block[9:])
		_ = r.framer.WriteData(1, false, []byte("frame"))
		_ = r.framer.WriteGoAway(0, http2.ErrCodeNo, nil)
		_ = r.framer.WritePing(false, [8]byte{})
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 16<<10 {
			return
		}
		r := newRig(t)
		r.client.Arrive(b)
		r.scene("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n")
		r.loop.Settle()
		r.over()
	})
}

func FuzzHeaderBlock(f *testing.F) {
	r := newRig(f)
	f.Add(r.fields(getX...), true)
	f.Add(r.fields(with(getX, "cookie", "a", "cookie", "b", "content-length", "0", "x", "\xff")...), false)
	f.Add(r.fields(":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/ws", ":authority", "a", "sec-websocket-version", "13"), false)
	f.Fuzz(func(t *testing.T, block []byte, end bool) {
		if len(block) > 8<<10 {
			return
		}
		r := newRig(t)
		_ = r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndStream: end, EndHeaders: true})
		r.send()
		r.scene("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nx")
		r.over()
	})
}

func FuzzAnswerOfAServer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"), false)
	f.Add([]byte("HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\ngrpc-status: 0\r\n\r\n"), false)
	f.Add([]byte("HTTP/1.0 200 OK\r\nSet-Cookie: a\r\n\r\nuntil close"), false)
	f.Add([]byte("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nx"), true)
	f.Fuzz(func(t *testing.T, b []byte, tunnel bool) {
		if len(b) > 16<<10 {
			return
		}
		r := newRig(t)
		if tunnel {
			r.ask(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/ws", ":authority", "a", "sec-websocket-version", "13")
		} else {
			r.ask(1, true, getX...)
		}
		s := r.server(0)
		s.Arrive(b)
		if !s.Over() {
			s.Finish()
		}
		for _, g := range r.frames() { // which demands that they are frames, and blocks that decode
			if g.kind == http2.FrameHeaders && strings.ContainsAny(strings.ReplaceAll(g.text, "\n", ""), "\r\x00") {
				t.Fatalf("%q", g.text)
			}
		}
		r.over()
	})
}

func FuzzFramesOfAServer(f *testing.F) {
	seed := func(write func(r *rig)) {
		r := newRig(f)
		_ = r.framer.WriteSettings(http2.Setting{ID: 8, Val: 1})
		write(r)
		f.Add(r.out.Bytes())
	}
	seed(func(r *rig) {
		_ = r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: r.fields(":status", "200", "content-length", "3"), EndHeaders: true})
		_ = r.framer.WriteData(1, true, []byte("abc"))
	})
	seed(func(r *rig) {
		_ = r.framer.WriteRSTStream(1, http2.ErrCodeRefusedStream)
		_ = r.framer.WriteGoAway(0, http2.ErrCodeNo, nil)
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 16<<10 {
			return
		}
		r := newOutRig(t)
		r.service.config.Limits.ServerTimeout /= 10
		clients := []interface{ Break(error) }{r.request(get1), r.request("POST /y HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")}
		r.server(0).Arrive(bytes.Clone(b))
		r.loop.Advance(5 * time.Minute)
		for _, c := range clients {
			c.Break(nil)
		}
		r.loop.Advance(5 * time.Minute)
		r.balanced()
	})
}
