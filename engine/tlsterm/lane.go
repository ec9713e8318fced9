package tlsterm

import (
	"time"

	"evenkeel/engine/wire"
)

// Bounds of what peers can make us hold.
const (
	handshakeTime = 10 * time.Second // from the first byte of TLS to the end of the handshake
	maxHalfOpen   = 2048             // handshakes on one loop that have begun; beyond it the oldest is given up
	spareBuffers  = 64
)

// LaneOptions are what a Lane is made of.
type LaneOptions struct {
	Loop wire.Loop
	Post func(func()) bool // runs f on the loop, from any goroutine; false when the loop is closed
	// Signers sign what would hold the loop up; nil: everything is signed on the loop.
	Signers *Signers
}

// Lane is what the connections of one loop share. Everything in it belongs to the loop.
type Lane struct {
	loop    wire.Loop
	post    func(func()) bool
	signers *Signers
	plain   []byte   // to decrypt into
	out     []byte   // records on their way to a connection; empty whenever a core is told something
	spare   [][]byte // buffers for plaintext that cores leave
	open    int      // handshakes that have begun and not ended
	halves  Conn     // ring of them: halves.newer is the oldest
}

// NewLane returns the lane of a loop.
func NewLane(o LaneOptions) *Lane {
	l := &Lane{loop: o.Loop, post: o.Post, signers: o.Signers, plain: make([]byte, wire.KeepLimit), out: make([]byte, 0, wire.KeepLimit+4096)}
	l.halves.newer, l.halves.older = &l.halves, &l.halves
	return l
}

// HalfOpen returns how many handshakes are under way.
func (l *Lane) HalfOpen() int { return l.open }

// enlist notes that a handshake has begun. A flood of half-open ones drives out the oldest: those of honest peers end within a round trip.
func (l *Lane) enlist(c *Conn) {
	if l.open >= maxHalfOpen {
		l.halves.newer.giveUp(errHalfOpen)
	}
	c.newer, c.older = &l.halves, l.halves.older
	l.halves.older.newer = c
	l.halves.older = c
	l.open++
}

func (l *Lane) delist(c *Conn) {
	if c.newer != nil {
		c.newer.older, c.older.newer = c.older, c.newer
		c.newer, c.older = nil, nil
		l.open--
	}
}

// buffer returns an empty buffer with room for n bytes.
func (l *Lane) buffer(n int) []byte {
	if k := len(l.spare); k > 0 && n <= cap(l.spare[k-1]) {
		b := l.spare[k-1]
		l.spare[k-1] = nil
		l.spare = l.spare[:k-1]
		return b
	}
	return make([]byte, 0, max(n, bufferSize))
}

// bufferSize is the least size of a buffer: a record's.
const bufferSize = 16 << 10

// free takes a buffer back; nil is allowed.
func (l *Lane) free(b []byte) {
	if cap(b) == bufferSize && len(l.spare) < spareBuffers {
		l.spare = append(l.spare, b[:0])
	}
}
