package http1

import (
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire/wiretest"
)

// patience gives both sides the same short time.
func patience(s *appliance.VirtualService) {
	s.Limits.ClientTimeout, s.Limits.ServerTimeout = appliance.Duration(20*time.Second), appliance.Duration(20*time.Second)
}

// nibble lets the peer of c acknowledge a little of what the kernel holds every few seconds, for three minutes.
func (r *rig) nibble(c *wiretest.Conn) {
	r.t.Helper()
	c.Held = 4 << 20
	for range 18 {
		r.loop.Advance(10 * time.Second)
		c.Held -= 100
		r.true("a slow peer is waited for", !r.client.Over() && !c.Over())
	}
}

const endless = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"

// downloads begin a download that its client does not read any more.
var downloads = map[string]func(*rig){
	"queued": func(r *rig) {
		r.client.Room = 100
		r.server(0).Arrive([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n" + strings.Repeat("x", 0x1000) + "\r\n"))
		r.true("queued", r.client.Queued() > 0 && r.server(0).Paused)
	},
	"spliced": func(r *rig) {
		r.server(0).Arrive([]byte(endless))
		r.client.Room = 100
		r.server(0).Arrive(make([]byte, 5000))
		r.true("spliced", r.server(0).Splicing() && r.client.Queued() == 0)
	},
	"last answer": func(r *rig) {
		r.client.Room = 10
		r.server(0).Arrive([]byte(ok2))
		r.true("queued", r.client.Queued() > 0 && r.pool.Len() == 1)
	},
}

func TestDownloadToAClientThatReadsSlowlyGoesOn(t *testing.T) {
	for name, begin := range downloads {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, patience)
			r.client.Arrive([]byte(get))
			r.connected(0)
			begin(r)
			r.nibble(r.client)
			r.loop.Advance(25 * time.Second)
			r.true("not for ever: reset when it stops reading", r.client.Aborted && r.server(0).Over())
			r.balanced()
		})
	}
}

func TestClientThatReadsNothingIsResetInTime(t *testing.T) {
	for name, begin := range downloads {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, patience)
			r.client.Arrive([]byte(get))
			r.connected(0)
			begin(r)
			r.client.Held = 4 << 20
			r.loop.Advance(19 * time.Second)
			r.true("still open", !r.client.Over())
			r.loop.Advance(5 * time.Second)
			r.true("reset", r.client.Aborted)
			r.true("the client is to blame", name == "last answer" || strings.Join(r.reasons, "") == "the client does not read its answer")
			r.balanced()
		})
	}
}

func TestServerThatIsSilentTowardsAClientThatReadsIsToBlame(t *testing.T) {
	r := newRig(t, patience)
	r.client.Arrive([]byte(get))
	r.connected(0).Arrive([]byte(endless + "hello"))
	r.loop.Advance(25 * time.Second)
	r.true("reset", r.client.Aborted && strings.Join(r.reasons, "") == "the server did not answer in time")
}

// uploads begin an upload that its server does not read any more.
var uploads = map[string]func(*rig){
	"queued": func(r *rig) {
		r.client.Arrive([]byte("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"))
		r.connected(0).Room = 0
		r.client.Arrive([]byte("5\r\nhello\r\n"))
		r.true("queued", r.server(0).Queued() > 0 && r.client.Paused)
	},
	"spliced": func(r *rig) {
		r.client.Arrive([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n"))
		r.connected(0).Room = 100
		r.client.Arrive(make([]byte, 5000))
		r.true("spliced", r.client.Splicing() && r.server(0).Queued() == 0)
	},
	"in the kernel": func(r *rig) {
		r.client.Arrive([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"))
		r.connected(0)
	},
}

func TestUploadToAServerThatReadsSlowlyGoesOn(t *testing.T) {
	for name, begin := range uploads {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, patience)
			begin(r)
			r.nibble(r.server(0))
			r.loop.Advance(25 * time.Second)
			r.refusedWith("504") // not 408: the client did what it could
			r.true("server destroyed", r.server(0).Aborted)
		})
	}
}

func TestServerThatReadsNothingOfAnUploadIsGivenUp(t *testing.T) {
	for name, begin := range uploads {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, patience)
			begin(r)
			r.server(0).Held = 4 << 20
			r.loop.Advance(19 * time.Second)
			r.true("still open", !r.client.Over())
			r.loop.Advance(22 * time.Second)
			r.refusedWith("504")
			r.true("server destroyed", r.server(0).Aborted)
		})
	}
}
