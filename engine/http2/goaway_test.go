package http2

import (
	"testing"
	"time"

	"evenkeel/engine/wire"

	"golang.org/x/net/http2"
)

// lastStreams returns the numbers in the GOAWAY frames that came.
func lastStreams(t *testing.T, r *rig) (list []uint32, pinged bool) {
	t.Helper()
	sent := r.client.Sent
	for len(sent) >= 9 {
		n := int(sent[0])<<16 | int(sent[1])<<8 | int(sent[2])
		switch kind, b := http2.FrameType(sent[3]), sent[9:9+n]; kind {
		case http2.FrameGoAway:
			list = append(list, uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8|uint32(b[3]))
		case http2.FramePing:
			pinged = pinged || string(b) == drainPing
		}
		sent = sent[9+n:]
	}
	r.client.Sent = nil
	return list, pinged
}

func TestLeaveServesWhatIsOnItsWayAndEndsBehindIt(t *testing.T) {
	for _, open := range []bool{true, false} {
		for _, answers := range []bool{true, false} {
			r := newRig(t)
			if open {
				r.ask(1, true, getX...)
			}
			r.frames()
			r.core.(wire.Leaver).Leave()
			if list, pinged := lastStreams(t, r); len(list) != 1 || list[0] != 1<<31-1 || !pinged || r.client.Over() {
				t.Fatalf("open %v: GOAWAY %v, PING %v, over %v", open, list, pinged, r.client.Over())
			}
			r.ask(3, true, getX...) // it crossed the GOAWAY
			if answers {
				_ = r.framer.WritePing(true, [8]byte([]byte(drainPing)))
				r.send()
			} else {
				r.loop.Advance(drainPatience + time.Second)
			}
			if list, _ := lastStreams(t, r); len(list) != 1 || list[0] != 3 {
				t.Fatalf("open %v: the last GOAWAY is %v", open, list)
			}
			r.ask(5, true, getX...) // it is too late
			n := 1
			if open {
				n = 2
			}
			if len(r.loop.Dialed) != n {
				t.Fatalf("open %v: %d requests were served", open, len(r.loop.Dialed))
			}
			for i := range n {
				if r.client.Over() {
					t.Fatal("closed before the answers")
				}
				r.server(i).Arrive([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
			}
			if _, ok := find(r.frames(), http2.FrameHeaders, 3); !ok || !r.client.Over() {
				t.Errorf("open %v: the answer came %v, closed behind it %v", open, ok, r.client.Over())
			}
			r.core.(wire.Leaver).Leave() // once more does nothing
			r.balanced()
		}
	}
}

func TestLeaveEndsAConnectionWithoutStreams(t *testing.T) {
	r := newRig(t)
	r.frames()
	r.core.(wire.Leaver).Leave()
	r.core.(wire.Leaver).Leave()
	if list, _ := lastStreams(t, r); len(list) != 1 || r.client.Over() {
		t.Fatalf("GOAWAY %v", list)
	}
	_ = r.framer.WritePing(true, [8]byte([]byte(drainPing)))
	r.send()
	if !r.client.Over() {
		t.Error("it is still open")
	}
}
