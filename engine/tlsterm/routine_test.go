package tlsterm

import (
	"testing"

	"evenkeel/engine/wire"
	"evenkeel/engine/wire/wiretest"
)

// TestOneRoutineServesHandshakesOneBehindAnother whether they succeed, break off or fail, and ends with its lane.
func TestOneRoutineServesHandshakesOneBehindAnother(t *testing.T) {
	first := hello(t)
	p := simple(t)
	loop := wiretest.NewLoop()
	lane := NewLane(LaneOptions{Loop: loop})
	t.Cleanup(lane.Close)
	begin := func(b []byte) (*wiretest.Conn, *Conn) {
		in := loop.Accept(anywhere, anywhere)
		c := lane.Server(in, p.serverConfig, func(*Conn) wire.Core { return &side{} }, nil)
		in.Bind(c)
		in.Arrive(b)
		return in, c
	}
	in, c := begin(first)
	used := c.hand.routine
	if used == nil || len(lane.routines) != 0 {
		t.Fatal("the handshake does not wait")
	}
	in.Finish() // in the middle
	if len(lane.routines) != 1 || lane.routines[0] != used || used.conn != nil {
		t.Fatal("the routine of a client that left is not free")
	}
	if in, _ = begin([]byte("GET / HTTP/1.1\r\n\r\n")); !in.Over() || len(lane.routines) != 1 {
		t.Fatal("that of a client that failed is not free")
	}
	in, c = begin(first)
	if c.hand.routine != used || len(lane.routines) != 0 {
		t.Fatal("a free routine is not used")
	}
	lane.Close()
	c.Evict(nil)
	if !in.Over() || len(lane.routines) != 0 {
		t.Error("a routine outlives its lane")
	}
}

// TestFreeRoutinesAreBounded when a crowd has left.
func TestFreeRoutinesAreBounded(t *testing.T) {
	first := hello(t)
	p := simple(t)
	loop := wiretest.NewLoop()
	lane := NewLane(LaneOptions{Loop: loop})
	t.Cleanup(lane.Close)
	var crowd []*wiretest.Conn
	for range 2 * spareRoutines {
		in := loop.Accept(anywhere, anywhere)
		in.Bind(lane.Server(in, p.serverConfig, func(*Conn) wire.Core { return &side{} }, nil))
		in.Arrive(first)
		crowd = append(crowd, in)
	}
	for _, in := range crowd {
		in.Finish()
	}
	if lane.HalfOpen() != 0 || len(lane.routines) != spareRoutines {
		t.Errorf("%d half open, %d free routines", lane.HalfOpen(), len(lane.routines))
	}
}
