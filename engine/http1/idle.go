package http1

import (
	"net/netip"
	"time"

	"evenkeel/engine/cache"
	"evenkeel/engine/compress"
	"evenkeel/engine/rules"
	"evenkeel/engine/wire"
)

// idleTime is how long a server connection is kept without a request; many servers close theirs after a minute, some after five seconds (which is noticed).
const idleTime = 30 * time.Second

// heldLimit is the most bytes of a request that are kept for another try.
const heldLimit = 16 << 10

// triedKept is how much room for servers that failed an exchange keeps for its next use.
const triedKept = 16

// IdlePool keeps the idle server connections of one loop, and what its cores share: nothing in it is used by two loops. While a connection is parked
// the pool's link is its core: bytes, FIN and errors close it.
type IdlePool struct {
	loop     wire.Loop
	max      int
	count    int
	stacks   map[stackKey]*stack
	last     *stack // of lastKey: most loops talk to few servers
	lastKey  stackKey
	drops    uint64 // how often DropServer was called
	order    link   // ring of all parked links: order.newer is the oldest
	spare    *exchange
	spares   int
	request  requestHead
	response responseHead
	query    wire.Query
	encoders compress.Pool
	coded    []byte        // what an encoder made, until it is sent
	key      []byte        // of the request at hand in a cache
	flight   *cache.Flight // on its way from the look into a cache to the exchange
	writes   string        // likewise: the key of a request that changes something
	hsts     hsts

	malformed *requestHead // that is being refused
	line      []byte       // of it
	evaluator rules.Evaluator
	ruled     rules.Request
}

type stackKey struct {
	server  *wire.Server
	address netip.AddrPort
	owner   *core      // the only client that may have them; nil: any
	client  netip.Addr // the only address whose clients may have them; zero: any
}

// stack is the parked connections to one address, newest on top.
type stack struct{ top *link }

// link is one connection to a server, parked or in use.
type link struct {
	pool         *IdlePool
	conn         wire.Conn
	server       *wire.Server
	address      netip.AddrPort
	owner        *core      // the only client that may have it; nil: any
	client       netip.Addr // the only address whose clients may have it; zero: any
	parked       wire.Time  // since when; zero while in use
	armed        wire.Time
	drops        uint64 // the pool's when it was dialed or taken
	stack        *stack
	above, below *link // in its stack
	newer, older *link // in the pool
}

var _ wire.Core = (*link)(nil)

// NewIdlePool returns the pool of a loop; it keeps at most max connections, the newest. Zero keeps none.
func NewIdlePool(loop wire.Loop, max int) *IdlePool {
	p := &IdlePool{loop: loop, max: max, stacks: map[stackKey]*stack{}}
	p.order.newer, p.order.older = &p.order, &p.order
	return p
}

// Len returns how many connections are parked.
func (p *IdlePool) Len() int { return p.count }

func (p *IdlePool) stackOf(key stackKey, create bool) *stack {
	if p.last != nil && p.lastKey == key {
		return p.last
	}
	s := p.stacks[key]
	if s == nil {
		if !create {
			return nil
		}
		s = &stack{}
		p.stacks[key] = s
	}
	p.last, p.lastKey = s, key
	return s
}

// freshTime is how long a connection may have been parked to be given to a request that must not be sent twice: servers close theirs after some seconds at
// the earliest, so that it hardly ever dies under such a request.
const freshTime = time.Second

// take returns the newest parked connection of a key and binds it to core, or nil. repeatable says that the request may be sent again if the connection turns out to
// be dead.
func (p *IdlePool) take(key stackKey, core wire.Core, repeatable bool) *link {
	s := p.stackOf(key, false)
	if s == nil || s.top == nil {
		return nil
	}
	l := s.top
	age := p.loop.Now().Sub(l.parked)
	if !l.conn.Quiet() || !repeatable && age > freshTime {
		return nil
	}
	l.drops = p.drops
	p.unlink(l)
	if s.top == nil && (key.owner != nil || key.client.IsValid()) { // clients come and go
		delete(p.stacks, key)
		p.last = nil
	}
	l.conn.Bind(core)
	return l
}

// park takes a connection whose last response is complete. One that was in use while any server was dropped may be a connection to that server: it is closed,
// which costs the others one connect each.
func (p *IdlePool) park(l *link) {
	if p.max <= 0 || l.drops != p.drops {
		l.conn.Close()
		return
	}
	if p.count >= p.max {
		p.order.newer.close()
	}
	s := p.stackOf(l.key(), true)
	l.stack, l.below, l.above = s, s.top, nil
	if s.top != nil {
		s.top.above = l
	}
	s.top = l
	l.newer, l.older = &p.order, p.order.older
	p.order.older.newer = l
	p.order.older = l
	p.count++
	l.parked = p.loop.Now()
	l.conn.Bind(l)
	if l.armed == 0 {
		l.armed = l.parked.Add(idleTime)
		l.conn.WakeAt(l.armed)
	}
}

func (l *link) key() stackKey { return stackKey{l.server, l.address, l.owner, l.client} }

// unlink takes l out of the pool; its connection is the caller's.
func (p *IdlePool) unlink(l *link) {
	if l.above != nil {
		l.above.below = l.below
	} else {
		l.stack.top = l.below
	}
	if l.below != nil {
		l.below.above = l.above
	}
	l.newer.older, l.older.newer = l.older, l.newer
	if l.owner != nil {
		l.owner.own = nil
	}
	l.above, l.below, l.newer, l.older, l.stack, l.parked = nil, nil, nil, nil, nil, 0
	p.count--
}

// DropServer closes every parked connection to a server, which was removed or is down; those in use are closed behind their answer.
func (p *IdlePool) DropServer(server *wire.Server) {
	p.drops++
	for l := p.order.newer; l != &p.order; {
		next := l.newer
		if l.server == server {
			l.close()
		}
		l = next
	}
	for key := range p.stacks { // what is left is empty: all its connections are in use
		if key.server == server {
			delete(p.stacks, key)
		}
	}
	p.last = nil
}

// Close closes every parked connection; connections that are in use are closed when they would be parked.
func (p *IdlePool) Close() {
	p.max = 0
	for p.order.newer != &p.order {
		p.order.newer.close()
	}
}

// leave takes l out of the pool for good, and its stack too when it was the last: addresses come and go.
func (l *link) leave() {
	p, s := l.pool, l.stack
	p.unlink(l)
	if s.top == nil {
		delete(p.stacks, l.key())
		p.last = nil
	}
}

func (l *link) close() {
	l.leave()
	l.conn.Close()
}

// Received closes the connection: a server that speaks unasked is in doubt.
func (l *link) Received(_ wire.Conn, b []byte) int {
	l.leave()
	l.conn.Abort()
	return len(b)
}

// Ended closes the connection, as the server did.
func (l *link) Ended(wire.Conn) { l.close() }

// Broken forgets the connection.
func (l *link) Broken(wire.Conn, error) { l.leave() }

// Woken closes the connection when it was idle for long enough; the timer is set once and looked at when it fires.
func (l *link) Woken(c wire.Conn) {
	until := l.parked.Add(idleTime)
	if l.pool.loop.Now() >= until {
		l.close()
		return
	}
	l.armed = until
	c.WakeAt(until)
}

// Drained does not concern a parked connection.
func (l *link) Drained(wire.Conn) {}

// Connected does not happen to a parked connection.
func (l *link) Connected(wire.Conn) {}

// Spliced does not happen to a parked connection.
func (l *link) Spliced(wire.Conn, int64, bool) {}

// Evict does not concern a parked connection; DropServer does.
func (l *link) Evict(*wire.Server) {}

// newExchange returns a cleared exchange, used before if possible.
func (p *IdlePool) newExchange() *exchange {
	x := p.spare
	if x == nil {
		return &exchange{}
	}
	p.spare, x.next = x.next, nil
	p.spares--
	return x
}

// release takes an exchange back; large buffers are left to the collector.
func (p *IdlePool) release(x *exchange) {
	if x.flight != nil {
		x.flight.End(p.loop.Now(), true) // it failed: another one may fetch
	}
	if x.encoder != nil {
		p.encoders.Put(x.encoder)
	}
	held, tried, session, edits, line := x.held[:0], x.tried[:0], x.session[:0], x.edits[:0], x.account.line[:0]
	clear(x.tried)
	if cap(held) > 2*heldLimit {
		held = nil
	}
	if cap(tried) > triedKept {
		tried = nil
	}
	*x = exchange{held: held, tried: tried, session: session, edits: edits, account: account{line: line}}
	if p.spares < 1024 {
		x.next, p.spare = p.spare, x
		p.spares++
	}
}
