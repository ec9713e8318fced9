package http1

import (
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

func TestTimeouts(t *testing.T) {
	limits := func(s *appliance.VirtualService) {
		s.Limits.ClientTimeout, s.Limits.ServerTimeout = appliance.Duration(20*time.Second), appliance.Duration(30*time.Second)
	}
	t.Run("slow head", func(t *testing.T) {
		r := newRig(t, limits)
		r.loop.Advance(10 * time.Second)
		r.client.Arrive([]byte("GET / HT"))
		r.loop.Advance(4 * time.Second)
		r.client.Arrive([]byte("TP/1.1\r\n"))
		r.true("still open", !r.client.Over())
		r.loop.Advance(1001 * time.Millisecond)
		r.refusedWith("408")
	})
	t.Run("slow first chunk", func(t *testing.T) {
		r := newRig(t, limits)
		r.client.Arrive([]byte("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"))
		r.loop.Advance(6 * time.Second)
		r.refusedWith("408")
		r.true("nothing dialed", len(r.loop.Dialed) == 0)
	})
	t.Run("idle client", func(t *testing.T) {
		r := newRig(t, limits)
		r.loop.Advance(15 * time.Second)
		r.client.Arrive([]byte(get))
		r.connected(0).Arrive([]byte(ok2))
		take(r.client)
		r.loop.Advance(19 * time.Second)
		r.true("still open", !r.client.Over())
		r.loop.Advance(2 * time.Second)
		r.true("closed in silence", r.client.Closed && len(r.client.Sent) == 0 && len(r.reasons) == 0)
	})
	t.Run("slow body", func(t *testing.T) {
		r := newRig(t, limits)
		r.client.Arrive([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nh"))
		s := r.connected(0)
		r.loop.Advance(15 * time.Second)
		r.client.Arrive([]byte("e"))
		r.loop.Advance(15 * time.Second)
		r.true("still open", !r.client.Over())
		r.loop.Advance(6 * time.Second)
		r.refusedWith("408")
		r.true("server destroyed", s.Aborted)
	})
	t.Run("slow spliced body", func(t *testing.T) {
		r := newRig(t, limits)
		r.client.Arrive([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n"))
		s := r.connected(0)
		for range 5 {
			r.client.Arrive(make([]byte, 5000))
			r.loop.Advance(15 * time.Second)
		}
		r.true("still open", !r.client.Over() && r.client.Splicing())
		r.true("counted on the way", r.service.counters.BytesIn > 24000)
		r.loop.Advance(10 * time.Second)
		r.refusedWith("408")
		r.true("server destroyed", s.Aborted)
	})
	t.Run("silent server, the client waits for 100", func(t *testing.T) {
		for _, length := range []string{"5", "50000"} {
			r := newRig(t, limits)
			r.client.Arrive([]byte("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: " + length + "\r\n\r\n"))
			s := r.connected(0)
			r.loop.Advance(29 * time.Second)
			r.true("still open", !r.client.Over())
			r.loop.Advance(2 * time.Second)
			r.refusedWith("504")
			r.true("server destroyed", s.Aborted)
		}
	})
	t.Run("slow body behind 100", func(t *testing.T) {
		for _, length := range []string{"5", "50000"} {
			r := newRig(t, limits)
			r.client.Arrive([]byte("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: " + length + "\r\n\r\n"))
			s := r.connected(0)
			r.loop.Advance(25 * time.Second)
			s.Arrive([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
			take(r.client)
			r.loop.Advance(19 * time.Second)
			r.true("its time begins with the 100", !r.client.Over())
			r.loop.Advance(4 * time.Second)
			r.refusedWith("408")
		}
	})
	t.Run("body that does not wait for 100", func(t *testing.T) {
		for _, length := range []string{"5", "50000"} {
			r := newRig(t, limits)
			r.client.Arrive([]byte("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: " + length + "\r\n\r\n"))
			r.connected(0)
			r.client.Arrive([]byte("h"))
			r.loop.Advance(24 * time.Second)
			r.refusedWith("408")
		}
	})
	t.Run("silent server", func(t *testing.T) {
		r := newRig(t, limits)
		r.client.Arrive([]byte(get))
		s := r.connected(0)
		r.loop.Advance(29 * time.Second)
		r.true("still open", !r.client.Over())
		r.loop.Advance(2 * time.Second)
		r.refusedWith("504")
		r.true("server destroyed", s.Aborted)
	})
	t.Run("silent within the answer", func(t *testing.T) {
		r := newRig(t, limits)
		r.client.Arrive([]byte(get))
		s := r.connected(0)
		s.Arrive([]byte("HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\nhello"))
		r.loop.Advance(29 * time.Second)
		s.Arrive([]byte("hello"))
		r.loop.Advance(29 * time.Second)
		r.true("still open", !r.client.Over())
		r.loop.Advance(5 * time.Second)
		r.true("reset", r.client.Aborted && s.Aborted)
		r.balanced()
	})
	t.Run("client does not read", func(t *testing.T) {
		r := newRig(t, limits)
		r.client.Room = 10
		r.client.Arrive([]byte(get))
		s := r.connected(0)
		s.Arrive([]byte("HTTP/1.1 200 OK\r\nContent-Length: 16000\r\n\r\nhello"))
		r.true("server waits", s.Paused)
		r.loop.Advance(15 * time.Second)
		r.client.Unblock(10)
		r.loop.Advance(15 * time.Second)
		r.true("still open", !r.client.Over())
		r.loop.Advance(45 * time.Second)
		r.true("reset", r.client.Aborted && s.Aborted)
		r.balanced()
	})
	t.Run("client does not read its last answer", func(t *testing.T) {
		r := newRig(t, limits)
		r.client.Room = 10
		r.client.Arrive([]byte(get))
		r.connected(0).Arrive([]byte(ok2))
		r.client.Arrive([]byte(get))
		r.true("no second request", len(r.server(0).Sent) == len(get))
		r.loop.Advance(25 * time.Second)
		r.true("reset", r.client.Aborted)
	})
}

func TestDrippingHeadIsScannedWhenItHasDoubled(t *testing.T) {
	r := newRig(t)
	feed(r.client, "GET / HTTP/1.1\r\nHost: x\r\nA: "+strings.Repeat("a", 972), true)
	if s := r.core.(*core).search; s.rescan != 1024 || s.looked != 1000 {
		t.Fatalf("%+v", s)
	}
	r.client.Arrive([]byte("\r\n\r\n"))
	r.true("complete", len(r.loop.Dialed) == 1)
	feed(r.connected(0), "HTTP/1.1 200 OK\r\nA: "+strings.Repeat("a", 980), true)
	if s := r.core.(*core).x.search; s.rescan != 1024 || s.looked != 1000 {
		t.Fatalf("%+v", s)
	}
}

// TestAHeadInDripsIsNoProgress: a server that sends a byte now and then holds a client no longer than a silent one.
func TestAHeadInDripsIsNoProgress(t *testing.T) {
	for _, first := range []string{"HTTP/1.1 200 OK\r\nX-A: ", "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nX-A: "} {
		r := newRig(t, patience)
		r.client.Arrive([]byte(get))
		r.connected(0)
		r.loop.Advance(15 * time.Second)
		r.server(0).Arrive([]byte(first))
		for range 19 {
			r.loop.Advance(time.Second)
			r.server(0).Arrive([]byte("b"))
		}
		r.true("the time begins with the head", !r.client.Over())
		r.loop.Advance(2 * time.Second)
		r.true("it ends", r.server(0).Aborted && strings.Contains(strings.Join(r.reasons, ""), "did not answer in time"))
		r.balanced()
	}
}

// TestAHeadWithoutEndIsRefusedBehindItsLimit: it is not waited for until it has doubled, which the driver would not let it.
func TestAHeadWithoutEndIsRefusedBehindItsLimit(t *testing.T) {
	line := "X-A: " + strings.Repeat("b", 1017) + "\r\n"
	head := strings.Repeat(line, 40)
	r := newRig(t)
	r.client.Arrive([]byte("GET / HTTP/1.1\r\nHost: x\r\n" + head))
	r.true("not yet too large", !r.client.Over())
	r.client.Arrive([]byte(strings.Repeat(line, 10)))
	r.refusedWith("431")

	r = newRig(t)
	r.client.Arrive([]byte(get))
	r.connected(0).Arrive([]byte("HTTP/1.1 200 OK\r\n" + head))
	r.true("not yet too large", !r.client.Over())
	r.server(0).Arrive([]byte(strings.Repeat(line, 10)))
	r.refusedWith("502")
}
