package http1

import (
	"net/netip"
	"testing"
	"time"

	"evenkeel/engine/wire"
	"evenkeel/engine/wire/wiretest"
)

var other = netip.MustParseAddrPort("10.0.0.9:80")

// parkedLink parks a fresh connection.
func parkedLink(t *testing.T, p *IdlePool, loop *wiretest.Loop, server *wire.Server, to netip.AddrPort) *wiretest.Conn {
	t.Helper()
	conn, err := loop.Dial(to, &link{})
	if err != nil {
		t.Fatal(err)
	}
	c := conn.(*wiretest.Conn)
	p.park(&link{pool: p, conn: c, server: server, address: to, drops: p.drops})
	c.Connect()
	return c
}

// taken returns what the pool gives.
func taken(p *IdlePool, server *wire.Server, to netip.AddrPort) wire.Conn {
	if l := p.take(stackKey{server: server, address: to}, &link{}, true); l != nil {
		return l.conn
	}
	return nil
}

func TestPoolGivesTheNewestOfTheRightServerAndAddress(t *testing.T) {
	loop, a, b := wiretest.NewLoop(), &wire.Server{ID: "a"}, &wire.Server{ID: "b"}
	p := NewIdlePool(loop, 10)
	first, second := parkedLink(t, p, loop, a, vipAddr), parkedLink(t, p, loop, a, vipAddr)
	elsewhere, foreign := parkedLink(t, p, loop, a, other), parkedLink(t, p, loop, b, vipAddr)
	for i, want := range []struct {
		server *wire.Server
		to     netip.AddrPort
		conn   wire.Conn
	}{{a, vipAddr, second}, {a, vipAddr, first}, {a, vipAddr, nil}, {a, other, elsewhere}, {b, other, nil}, {b, vipAddr, foreign}, {b, vipAddr, nil}} {
		if got := taken(p, want.server, want.to); got != want.conn && !(got == nil && want.conn == nil) {
			t.Fatalf("%d: %p, not %p", i, got, want.conn)
		}
	}
	if p.Len() != 0 || first.Over() || second.Over() {
		t.Fatal("what was taken is not the pool's any more")
	}
}

func TestPoolKeepsAtMostMaxAndTheNewest(t *testing.T) {
	loop, a := wiretest.NewLoop(), &wire.Server{ID: "a"}
	p := NewIdlePool(loop, 2)
	first, second, third := parkedLink(t, p, loop, a, vipAddr), parkedLink(t, p, loop, a, other), parkedLink(t, p, loop, a, vipAddr)
	if p.Len() != 2 || !first.Closed || second.Over() || third.Over() {
		t.Fatal("the oldest was not closed")
	}
	none := NewIdlePool(loop, 0)
	if c := parkedLink(t, none, loop, a, vipAddr); !c.Closed || none.Len() != 0 {
		t.Fatal("a pool of zero keeps a connection")
	}
}

func TestParkedConnectionIsClosedWhenIdleEndedBrokenOrUnasked(t *testing.T) {
	loop, a := wiretest.NewLoop(), &wire.Server{ID: "a"}
	p := NewIdlePool(loop, 10)
	park := func() *wiretest.Conn { return parkedLink(t, p, loop, a, vipAddr) }
	if c := park(); true {
		loop.Advance(idleTime - time.Second)
		if c.Over() {
			t.Fatal("closed too early")
		}
		loop.Advance(2 * time.Second)
		if !c.Closed {
			t.Fatal("kept too long")
		}
	}
	if c := park(); true {
		c.Finish()
		if !c.Closed {
			t.Fatal("not closed behind the server's FIN")
		}
	}
	if c := park(); true {
		c.Arrive([]byte("HTTP/1.1 408 Request Timeout\r\n\r\n"))
		if !c.Aborted {
			t.Fatal("a server that speaks unasked is kept")
		}
	}
	park().Break(nil)
	if p.Len() != 0 || len(p.stacks) != 0 || taken(p, a, vipAddr) != nil {
		t.Fatalf("%d connections, %d stacks are left", p.Len(), len(p.stacks))
	}
}

func TestReusedConnectionIsIdleAnew(t *testing.T) {
	r := newRig(t)
	r.client.Arrive([]byte(get))
	s := r.connected(0)
	s.Arrive([]byte(ok2))
	for range 10 {
		r.loop.Advance(20 * time.Second)
		r.client.Arrive([]byte(get))
		s.Arrive([]byte(ok2))
	}
	r.true("one connection", len(r.loop.Dialed) == 1 && !s.Over())
	r.loop.Advance(31 * time.Second)
	r.true("closed", s.Closed && r.pool.Len() == 0)
}

func TestRequestThatMustNotBeRepeatedGetsAFreshConnection(t *testing.T) {
	r := newRig(t)
	post := "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
	r.client.Arrive([]byte(get))
	r.connected(0).Arrive([]byte(ok2))
	r.loop.Advance(freshTime)
	r.client.Arrive([]byte(post))
	r.equal("reused", take(r.server(0)), get+post)
	r.server(0).Arrive([]byte(ok2))
	r.loop.Advance(freshTime + time.Millisecond)
	r.client.Arrive([]byte(post))
	r.equal("new", take(r.connected(1)), post)
	r.server(1).Arrive([]byte(ok2))
	r.true("both parked", r.pool.Len() == 2)
}

func TestDropServerAndCloseEndParkedConnections(t *testing.T) {
	loop, a, b := wiretest.NewLoop(), &wire.Server{ID: "a"}, &wire.Server{ID: "b"}
	p := NewIdlePool(loop, 10)
	gone, also, stays := parkedLink(t, p, loop, a, vipAddr), parkedLink(t, p, loop, a, other), parkedLink(t, p, loop, b, vipAddr)
	p.DropServer(a)
	if !gone.Closed || !also.Closed || stays.Over() || p.Len() != 1 {
		t.Fatal("not the server's connections were closed")
	}
	p.Close()
	if !stays.Closed || p.Len() != 0 || len(p.stacks) != 0 {
		t.Fatal("the pool is not empty")
	}
	if late := parkedLink(t, p, loop, b, vipAddr); !late.Closed {
		t.Fatal("a closed pool keeps a connection")
	}
}

func TestConnectionInUseWhenItsServerIsDroppedIsNotParked(t *testing.T) {
	r := newRig(t)
	r.client.Arrive([]byte(get))
	s := r.connected(0)
	r.pool.DropServer(r.service.servers[0])
	s.Arrive([]byte(ok2))
	r.equal("answered", take(r.client), ok2)
	r.true("closed", s.Closed && r.pool.Len() == 0 && !r.client.Over())
	r.client.Arrive([]byte(get)) // the server is back
	r.connected(1).Arrive([]byte(ok2))
	r.true("parked", r.pool.Len() == 1)
	r.client.Arrive([]byte(get))
	r.pool.DropServer(r.service.servers[0])
	r.server(1).Arrive([]byte(ok2))
	r.true("used before, then closed", r.server(1).Closed && r.pool.Len() == 0)
}

func TestPoolForgetsServersThatAreDropped(t *testing.T) {
	loop := wiretest.NewLoop()
	p := NewIdlePool(loop, 10)
	stays := &wire.Server{ID: "stays"}
	parkedLink(t, p, loop, stays, vipAddr)
	for range 50 {
		gone := &wire.Server{ID: "gone"}
		parkedLink(t, p, loop, gone, vipAddr)
		if c := taken(p, gone, vipAddr); c == nil {
			t.Fatal("nothing to take")
		}
		p.DropServer(gone)
	}
	if len(p.stacks) != 1 || p.Len() != 1 || taken(p, stays, vipAddr) == nil {
		t.Fatalf("%d stacks, %d connections are left", len(p.stacks), p.Len())
	}
}
