package http2

import (
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

func TestTraceAndOptionsOfTheServerPassWhereTheServiceSaysSo(t *testing.T) {
	for _, c := range []struct{ method, path string }{{"TRACE", "/x"}, {"OPTIONS", "*"}} {
		r := newRig(t)
		r.service.config.HTTP.TraceAndOptions = true
		r.ask(1, true, ":method", c.method, ":scheme", "http", ":path", c.path, ":authority", "a")
		if got, want := take(r.server(0)), c.method+" "+c.path+" HTTP/1.1\r\nHost: a\r\n\r\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		r.ask(3, true, ":method", "CONNECT", ":authority", "a:443")
		if g, _ := find(r.frames(), http2.FrameHeaders, 3); !strings.HasPrefix(g.text, ":status: 405\n") || len(r.loop.Dialed) != 1 {
			t.Errorf("CONNECT: %v", g)
		}
	}
}

func TestTraceAndOptionsOfTheServerReachServersThatSpeakHTTP2(t *testing.T) {
	r := newOutRig(t)
	r.service.config.HTTP.TraceAndOptions = true
	r.request("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
	r.request("TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n")
	s := r.greet(0)
	asked := r.asked(s)
	for id, want := range map[uint32]string{1: ":method: OPTIONS\n:scheme: http\n:authority: a\n:path: *\n", 3: ":method: TRACE\n:scheme: http\n:authority: a\n:path: /x\n"} {
		if g, ok := find(asked, http2.FrameHeaders, id); !ok || g.text != want || !g.end {
			t.Errorf("stream %d: %v", id, g)
		}
	}
}
