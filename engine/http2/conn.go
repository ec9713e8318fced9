package http2

import (
	"syscall"
	"time"

	"evenkeel/engine/wire"

	"golang.org/x/net/http2/hpack"
)

// What we allow a peer.
const (
	maxStreams    = 128              // at the same time
	streamWindow  = 256 << 10        // bytes of one stream that may wait for a server or a client
	connWindow    = 1 << 20          // of all streams of a connection together
	flushFrom     = 64 << 10         // frames are collected until the end of the turn, or until they are so many
	queueLimit    = 1 << 20          // a peer that lets so many bytes wait and asks for more is closed
	flushPatience = 30 * time.Second // for what waits in a stream whose core is done with it
	closePatience = 2 * time.Second  // for the end of a stream that we have ended
)

// conn is one connection of HTTP/2, with a client or with a server. It is the wire.Core of the connection below it and makes the wire.Conns of its streams.
type conn struct {
	outer  wire.Conn
	shared *Shared
	role   role
	dec    *hpack.Decoder

	streams []*stream // open, by ascending number
	work    []*stream // have something to do at the end of this turn
	out     []byte    // frames that were not given to the connection below yet
	block   []byte    // of a header block that goes on in CONTINUATION
	pending frame     // the HEADERS frame of block
	resets  recent    // streams that we reset
	closed  recent    // streams that ended
	budget  budget

	sendWindow  int64 // what we may send on all streams
	recvWindow  int64 // what the peer may still send on all streams
	owed        int64 // taken and not given back yet
	peerInitial int64 // what each stream of the peer's begins with
	peerStreams int   // how many streams the peer allows at the same time
	lastID      uint32
	nextID      uint32 // of our own streams
	turn        int    // where pump begins
	held        int    // what the loop was told that c holds
	more        uint8  // CONTINUATION frames of block

	heard wire.Time // when something came last
	wake  wire.Time // when the timer below fires, or zero
	since wire.Time // when what is waited for now began
	state connState
	depth uint8
}

// connState are the yes-or-noes of a connection.
type connState struct {
	greeted   bool // the peer's preface and SETTINGS have come
	inPreface bool // of a client: its 24 bytes have come
	inBlock   bool // CONTINUATION must follow
	dropTable bool // the peer set the size of our table: the next block begins with 0
	webSocket bool // the server takes the extended CONNECT
	draining  bool // the first GOAWAY was sent
	final     bool // the last GOAWAY was sent, or the peer's came: no new stream
	ended     bool // the peer has finished sending
	bye       bool // a client said GOAWAY
	connected bool // to a server: the connection is there
	over      bool
	asked     bool // Soon was asked for a turn
	idle      bool // no stream is open, since `since`
	gone      bool // a stream is, and stands in streams still
}

// role is what differs between a connection of a client and one to a server.
type role interface {
	// greeting appends what we say first.
	greeting(out []byte) []byte
	// fields handles a complete header block.
	fields(c *conn, f frame, block []byte)
	// headLimit returns how many bytes a head from the peer may have.
	headLimit() int
	// patience returns how long the connection may be without a stream, and how long its first bytes may take.
	patience() (idle, first time.Duration)
	// retired is told that the connection is over or must not be used for new streams.
	retired(c *conn)
	// refused is told why something was turned away.
	refused(reason string)
	// answers tells whether we answer requests on the connection.
	answers() bool
}

var (
	_ wire.Core = (*conn)(nil)
	_ wire.Task = (*conn)(nil)
)

func newConn(shared *Shared, r role) *conn {
	c := &conn{shared: shared, role: r, sendWindow: firstWindow, recvWindow: connWindow, peerInitial: firstWindow, peerStreams: 100, nextID: 1}
	c.dec = hpack.NewDecoder(4096, shared.head.field)
	c.since = c.now()
	c.budget.since = c.since
	return c
}

func (c *conn) now() wire.Time { return c.shared.loop.Now() }

// greet sends our preface.
func (c *conn) greet() {
	c.room()
	c.out = c.role.greeting(c.out)
	c.out = appendWindowUpdate(c.out, 0, connWindow-firstWindow)
}

// enter begins, and leave ends, what the connection below tells us.
func (c *conn) enter() { c.depth++ }

func (c *conn) leave() {
	if c.depth == 1 && !c.state.over {
		c.settle()
	}
	c.depth--
}

// settle does what the turn left to do.
func (c *conn) settle() {
	for rounds := 0; len(c.work) > 0; rounds++ {
		if rounds == maxRounds { // the others' turn has come
			c.later()
			break
		}
		list := c.work
		c.work = nil
		for _, s := range list {
			s.queued = false
			s.run()
		}
		if c.work == nil {
			c.work = list[:0]
		}
	}
	if c.state.over {
		return
	}
	if c.state.gone {
		c.sweep()
	}
	c.flush()
	c.weigh()
	c.restOrEnd()
	if !c.state.over {
		c.wakeBy(c.due())
	}
}

// sweep forgets the streams that are gone.
func (c *conn) sweep() {
	c.state.gone = false
	kept := c.streams[:0]
	for _, s := range c.streams {
		if !s.is(isGone) {
			kept = append(kept, s)
		}
	}
	clear(c.streams[len(kept):])
	c.streams = kept
}

// Run implements wire.Task: the turn that soon asked for.
func (c *conn) Run() {
	c.state.asked = false
	if !c.state.over {
		c.enter()
		c.leave()
	}
}

// maxRounds is how often in one turn streams may give themselves more to do.
const maxRounds = 8

// soon has settle called: at the end of this turn's call, or in the next turn.
func (c *conn) soon() {
	if c.depth == 0 {
		c.later()
	}
}

func (c *conn) later() {
	if !c.state.asked && !c.state.over {
		c.state.asked = true
		c.shared.loop.Soon(c)
	}
}

// flush gives the collected frames to the connection below.
func (c *conn) flush() {
	if len(c.out) == 0 || c.outer == nil {
		return
	}
	queued := c.outer.Send(c.out)
	c.shared.put(c.out)
	c.out = nil
	if queued > queueLimit {
		c.close(enhanceYourCalm)
	}
}

// room makes sure that out has a buffer.
func (c *conn) room() {
	if c.out == nil {
		c.out = c.shared.get()
	}
}

// writable tells whether bodies may be sent now.
func (c *conn) writable() bool {
	if len(c.out) >= flushFrom {
		c.flush()
	}
	return c.outer != nil && !c.state.over && c.sendWindow > 0 && c.outer.Queued() == 0
}

// pump sends what waits in streams, a frame of each in turn.
func (c *conn) pump() {
	for moved := true; moved && c.writable(); {
		moved = false
		n := len(c.streams)
		for i := range n {
			if s := c.streams[(c.turn+i)%n]; s.waits() && s.pushOne() {
				moved = true
			}
			if !c.writable() {
				c.turn = (c.turn + i + 1) % n
				break
			}
		}
	}
	for i := 0; i < len(c.streams) && !c.state.over; i++ {
		c.streams[i].drained()
	}
}

// Drained implements wire.Core.
func (c *conn) Drained(wire.Conn) {
	if !c.state.over {
		c.enter()
		c.pump()
		c.leave()
	}
}

// Ended implements wire.Core: requests that came whole get their answers, the others are given up.
func (c *conn) Ended(wire.Conn) {
	if c.state.over {
		return
	}
	c.enter()
	c.state.ended = true
	c.retire()
	for _, s := range c.streams {
		if !s.is(remoteEnded) {
			s.broken(syscall.ECONNRESET)
		}
	}
	c.leave()
}

// Broken implements wire.Core.
func (c *conn) Broken(_ wire.Conn, err error) {
	if !c.state.over {
		c.state.over = true
		c.end(err)
	}
}

// end tells every stream that the connection is gone.
func (c *conn) end(err error) {
	c.role.retired(c)
	for _, s := range c.streams {
		if !s.repeats() {
			s.lost(err)
		}
	}
	if c.out != nil {
		c.shared.put(c.out)
	}
	c.streams, c.work, c.block, c.out = nil, nil, nil, nil
	c.weigh()
}

// What a connection and each of its streams cost beside what waits in them: with the decoder's table, and with the core of a stream.
const (
	connCost   = 8 << 10
	streamCost = 3 << 10
)

// weigh tells the loop what c holds: bodies that came and were not taken count, and the peer knows of them, too.
func (c *conn) weigh() {
	now := 0
	if !c.state.over {
		now = connCost + len(c.streams)*streamCost + cap(c.block) + int(connWindow-c.recvWindow-c.owed)
	}
	if now != c.held {
		c.shared.loop.Hold(now - c.held)
		c.held = now
	}
}

// charge takes n from the budget; false: the connection was closed.
func (c *conn) charge(n int32, reason string) bool {
	if c.budget.spend(c.now(), n) {
		return true
	}
	c.fail(enhanceYourCalm, reason)
	return false
}

// Connected implements wire.Core.
func (c *conn) Connected(wire.Conn) {
	if c.state.over {
		return
	}
	if below, secure := c.outer.(wire.Secured); secure && below.Secrecy().Protocol != "h2" {
		c.state.over = true
		c.outer.Abort()
		c.end(syscall.EPROTONOSUPPORT)
		return
	}
	c.enter()
	c.state.connected, c.since = true, c.now()
	c.greet()
	for i := 0; i < len(c.streams) && !c.state.over; i++ {
		c.streams[i].connected()
	}
	c.leave()
}

// Spliced implements wire.Core; it does not happen.
func (c *conn) Spliced(wire.Conn, int64, bool) {}
