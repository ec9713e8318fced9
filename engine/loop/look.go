package loop

import (
	"net/netip"
	"time"

	"evenkeel/engine/wire"
)

// Sight is an accepted connection as it looks from outside.
type Sight struct {
	Number   uint64 // names the connection as long as the loop lives
	Peer     netip.AddrPort
	Local    netip.AddrPort // of the listener, so its address may be unspecified
	Acceptor Acceptor
	Core     wire.Core // nil: it is being closed
	Began    wire.Time // to a tenth of a second
	Received uint64    // bytes of the peer, as they went over the line
	Sent     uint64
}

// bornTick is the resolution of a connection's beginning.
const bornTick = wire.Time(100 * time.Millisecond)

func (c *Conn) sight() Sight {
	return Sight{
		Number: uint64(c.gen)<<32 | uint64(uint32(c.fd)), Peer: c.peer, Local: c.origin.local, Acceptor: c.origin.acceptor, Core: c.core,
		Began: wire.Time(c.born) * bornTick, Received: c.received, Sent: c.sent,
	}
}

// Mark stands for this moment of the loop, see Conn.Precedes. It is called on the loop.
func (l *Loop) Mark() uint32 { return l.gen }

// Precedes tells whether the connection had begun at a mark that is not older than some two thousand million connections.
func (c *Conn) Precedes(mark uint32) bool { return int32(mark-c.gen) >= 0 }

// Look shows the accepted connections among n descriptors, beginning with from, and returns where the next look begins; -1: that was all. It is called on the loop, and
// a look is short if n is small.
func (l *Loop) Look(from, n int, see func(Sight)) (next int) {
	end := min(from+n, len(l.slots))
	for i := from; i < end; i++ {
		if c := l.slots[i].conn; c != nil && c.origin != nil {
			see(c.sight())
		}
	}
	if end >= len(l.slots) {
		return -1
	}
	return end
}

// Tell calls f with the core of each accepted connection among n descriptors, beginning with from, and returns where the next call begins; -1: that was all. It is called
// on the loop. A core that panics loses its connection.
func (l *Loop) Tell(from, n int, f func(wire.Core)) (next int) {
	end := min(from+n, len(l.slots))
	for i := from; i < end; i++ {
		if c := l.slots[i].conn; c != nil && c.origin != nil && c.core != nil {
			l.guard(func() { l.current = c; f(c.core) })
		}
	}
	if end >= len(l.slots) {
		return -1
	}
	return end
}

// End asks the session of a connection to end politely; one that is being closed is closed at once. False: there is no such connection. It is called on the loop.
func (l *Loop) End(number uint64) bool {
	fd := uint32(number)
	if uint64(fd) >= uint64(len(l.slots)) {
		return false
	}
	c := l.slots[fd].conn
	if c == nil || c.origin == nil || c.gen != uint32(number>>32) {
		return false
	}
	if c.core == nil {
		c.Abort()
		return true
	}
	l.guard(func() { l.current = c; c.core.Evict(nil) })
	return true
}
