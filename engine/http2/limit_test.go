package http2

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"evenkeel/appliance"

	"golang.org/x/net/http2"
)

// told returns the SETTINGS_MAX_HEADER_LIST_SIZE that a new connection begins with.
func (r *rig) told() uint32 {
	r.t.Helper()
	c := r.loop.Accept(r.client.Peer(), r.client.Local())
	c.Bind(New(Options{Shared: r.shared, Client: c, Config: r.service.Config}))
	f, err := http2.NewFramer(io.Discard, bytes.NewReader(c.Sent)).ReadFrame()
	settings, ok := f.(*http2.SettingsFrame)
	if err != nil || !ok {
		r.t.Fatal(f, err)
	}
	n, _ := settings.Value(http2.SettingMaxHeaderListSize)
	return n
}

// listSize is what RFC 9113, 6.5.2, counts.
func listSize(pairs []string) (n int) {
	for i := 0; i < len(pairs); i += 2 {
		n += len(pairs[i]) + len(pairs[i+1]) + 32
	}
	return n
}

// listed returns a request whose fields count so much, in several fields.
func listed(n int) []string {
	list := with(getX, "cookie", strings.Repeat("c", 200), "x-b", "b")
	return with(list, "x-a", strings.Repeat("a", n-listSize(list)-len("x-a")-32))
}

// askLarge sends a request's head in as many frames as it needs.
func (r *rig) askLarge(id uint32, pairs ...string) {
	block := r.fields(pairs...)
	n := min(len(block), frameLimit)
	_ = r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block[:n], EndStream: true, EndHeaders: n == len(block)})
	for block = block[n:]; len(block) > 0; block = block[n:] {
		n = min(len(block), frameLimit)
		_ = r.framer.WriteContinuation(id, n == len(block), block[:n])
	}
	r.send()
}

func TestARequestHeadMayHaveWhatTheServiceSays(t *testing.T) {
	for name, limit := range map[string]int{"default": 48 << 10, "least": appliance.MinHeadLimit, "2000": 2000, "40000": 40000} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if name != "default" {
				r.service.config.HTTP.HeadLimit = limit
			}
			if n := r.told(); n != uint32(limit) {
				t.Errorf("the client is told %d", n)
			}
			r.askLarge(1, listed(limit)...)
			if s := take(r.server(0)); !strings.HasPrefix(s, "GET /x HTTP/1.1\r\nHost: a.test\r\n") || !strings.HasSuffix(s, "aaa\r\nCookie: "+strings.Repeat("c", 200)+"\r\n\r\n") {
				t.Errorf("%d bytes reached the server: %.100q", len(s), s)
			}
			r.frames()
			r.askLarge(3, with(getX, "x-a", strings.Repeat("a", limit))...)
			if g, ok := find(r.frames(), http2.FrameHeaders, 3); !ok || g.text != ":status: 431\n" || len(r.loop.Dialed) != 1 {
				t.Errorf("%v, %d connections to servers", g, len(r.loop.Dialed))
			}
			r.ask(5, true, getX...) // the connection goes on
			if len(r.loop.Dialed) != 2 || r.client.Over() {
				t.Errorf("%d requests were forwarded, over %v", len(r.loop.Dialed), r.client.Over())
			}
		})
	}
}

// TestHeadLimitHoldsForOpenConnectionsToo: one that began under another limit obeys the new one with its next request.
func TestHeadLimitHoldsForOpenConnectionsToo(t *testing.T) {
	r := newRig(t)
	changed := *r.service.config
	changed.HTTP.HeadLimit = 2000
	r.service.config = &changed
	r.askLarge(1, listed(3000)...)
	if g, ok := find(r.frames(), http2.FrameHeaders, 1); !ok || !strings.HasPrefix(g.text, ":status: 431\n") || len(r.loop.Dialed) != 0 {
		t.Errorf("%v", g)
	}
}
