package tlsterm

import (
	"crypto/tls"
	"time"

	"evenkeel/engine/wire"
)

// Bounds of what peers can make us hold.
const (
	handshakeTime = 10 * time.Second // from the accept to the end of the handshake
	maxHalfOpen   = 1024             // handshakes on one loop that have begun; beyond it clients wait for their turn
	honestTime    = time.Second      // what a handshake may last when others wait for their turn: honest ones take a round trip
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
	begun   ring     // handshakes under way, in the order in which they began
	waiting ring     // clients whose hello has come and whose turn has not

	routines []*routine        // are free, the last one was used last
	suites   map[uint16]string // the names of the cipher suites
	closed   bool
}

// NewLane returns the lane of a loop.
func NewLane(o LaneOptions) *Lane {
	l := &Lane{loop: o.Loop, post: o.Post, signers: o.Signers, plain: make([]byte, wire.KeepLimit), out: make([]byte, 0, wire.KeepLimit+4096), suites: suiteNames()}
	l.begun.clear()
	l.waiting.clear()
	return l
}

// suiteNames returns the names of all suites: tls.CipherSuiteName makes a list of them each time.
func suiteNames() map[uint16]string {
	names := map[uint16]string{}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		names[s.ID] = s.Name
	}
	return names
}

// HalfOpen returns how many handshakes are under way.
func (l *Lane) HalfOpen() int { return l.begun.length }

// room tells whether one more handshake may begin. When there are too many, the oldest is given up if it lasts longer than an honest one: a flood of half-open
// ones cannot keep others out for long, and a crowd of honest clients waits and loses nobody.
func (l *Lane) room() bool {
	if l.begun.length < maxHalfOpen {
		return true
	}
	oldest := l.begun.oldest()
	if l.loop.Now().Sub(oldest.hand.began) < honestTime {
		return false
	}
	oldest.giveUp(errHalfOpen)
	return true
}

// next gives the turn to the client that waits longest.
func (l *Lane) next() {
	if c := l.waiting.oldest(); c != nil && l.begun.length < maxHalfOpen {
		l.waiting.remove(c)
		c.raw.Resume() // its hello is offered again
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

// ring is a list of connections, each of which is in one ring at most.
type ring struct {
	head   Conn // head.newer is the oldest
	length int
}

func (r *ring) clear() { r.head.newer, r.head.older = &r.head, &r.head }

func (r *ring) oldest() *Conn {
	if r.length == 0 {
		return nil
	}
	return r.head.newer
}

func (r *ring) add(c *Conn) {
	c.newer, c.older, c.listed = &r.head, r.head.older, r
	r.head.older.newer = c
	r.head.older = c
	r.length++
}

// remove takes c out, if it is in.
func (r *ring) remove(c *Conn) {
	if c.listed == r {
		c.newer.older, c.older.newer = c.older, c.newer
		c.newer, c.older, c.listed = nil, nil, nil
		r.length--
	}
}
