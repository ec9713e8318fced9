package engine

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"syscall"

	"evenkeel/engine/loop"
	"evenkeel/engine/wire"
)

// associations are the clients of a service in UDP Mode on one loop: one for each address and port of a client, in the order of their last datagram. Their number is
// bounded by the service's limit: beyond it the one that was silent longest is forgotten, so that a flood of made-up addresses does not shut out who comes next.
type associations struct {
	list  map[peering]*association
	order association // ring: newer is the oldest
}

// peering is what makes an association: the kernel gives all its datagrams to one loop.
type peering struct {
	client netip.AddrPort
	at     netip.Addr // the address of ours that the client sent to
	on     *loop.Datagrams
}

// association is one client and its server.
type association struct {
	peering
	shard        *shard
	newer, older *association
	server       *loop.Datagrams // nil when there is none
	choice       wire.Choice
	tried        []*wire.Server
	first        []byte // what to send again when the server turns out not to be there; nil once one has answered
	number       uint64 // see clients
	began        wire.Time
	active       wire.Time
	answer       wire.Time // when a server answered first; zero: never
	received     uint64    // from the client
	sent         uint64    // to the client
	failures     uint32    // servers that were not there
	heard        bool      // the server has answered
	gone         bool
}

var _ loop.Taker = (*shard)(nil)

// mostRepeated is the largest datagram that is kept until its server has answered.
const mostRepeated = 2048

// Datagram implements loop.Taker.
func (s *shard) Datagram(d *loop.Datagrams, from netip.AddrPort, to netip.Addr, b []byte) {
	k := peering{from, to, d}
	a := s.datagrams.list[k]
	if a == nil {
		if a = s.associate(k); a == nil {
			atomic.StoreUint64(&s.counters.Refused, s.counters.Refused+1)
			return
		}
	}
	s.datagrams.touch(a, s.lane.loop.Now())
	atomic.StoreUint64(&s.counters.BytesIn, s.counters.BytesIn+uint64(len(b)))
	a.send(b)
}

// Shut implements loop.Taker: the clients of a socket go with it.
func (s *shard) Shut(d *loop.Datagrams) {
	for k, a := range s.datagrams.list {
		if k.on == d {
			a.end(wire.EndEvicted, evictedByOperator)
		}
	}
}

// associate makes an association, in the place of the oldest if there is no other; nil: there is none of this loop's to give way.
func (s *shard) associate(k peering) *association {
	t := &s.datagrams
	if t.list == nil {
		t.list = map[peering]*association{}
		t.order.newer, t.order.older = &t.order, &t.order
	}
	if !s.Admit() {
		if !t.giveWay() || !s.Admit() {
			return nil
		}
	}
	atomic.StoreUint64(&s.counters.Total, s.counters.Total+1)
	a := &association{peering: k, shard: s, active: s.lane.loop.Now()}
	a.began = a.active
	t.list[k] = a
	s.lane.clients.enter(a)
	k.on.Hold()
	t.append(a)
	if len(t.list) == 1 {
		s.watchDatagrams()
	}
	return a
}

func (t *associations) append(a *association) {
	a.newer, a.older = &t.order, t.order.older
	t.order.older.newer = a
	t.order.older = a
}

func (t *associations) remove(a *association) {
	a.newer.older, a.older.newer = a.older, a.newer
	delete(t.list, a.peering)
}

func (t *associations) touch(a *association, now wire.Time) {
	a.active = now
	if t.order.older != a {
		a.newer.older, a.older.newer = a.older, a.newer
		t.append(a)
	}
}

// giveWay forgets the association that was silent longest; false: there is none.
func (t *associations) giveWay() bool {
	if len(t.list) == 0 {
		return false
	}
	t.order.newer.end(wire.EndEvicted, "another client took its place")
	return true
}

// evict ends the associations with a server; nil: all.
func (t *associations) evict(server *wire.Server) {
	for _, a := range t.list {
		if server == nil || a.server != nil && a.choice.Server == server {
			a.end(wire.EndEvicted, evictedByOperator)
		}
	}
}

// watchDatagrams ends what was silent for too long, when it is time.
func (s *shard) watchDatagrams() {
	t, now, patience := &s.datagrams, s.lane.loop.Now(), s.config.Limits.ClientTimeout.D()
	for len(t.list) > 0 && now.Sub(t.order.newer.active) >= patience {
		t.order.newer.lapsed()
	}
	if len(t.list) > 0 {
		s.lane.loop.At(t, t.order.newer.active.Add(patience), s.watchDatagrams)
	}
}

// send gives a datagram to the client's server; one that is known not to be there is passed over for another.
func (a *association) send(b []byte) {
	a.received += uint64(len(b))
	a.pass(b)
}

// pass is send for what may have been given to another server before.
func (a *association) pass(b []byte) {
	if a.server != nil && a.isDown() {
		a.release()
	}
	if a.server == nil && !a.connect() {
		return
	}
	if !a.heard && len(b) <= mostRepeated {
		a.first = append(a.first[:0], b...)
	}
	for range len(a.shard.seats) + 1 {
		err := a.server.Send(b)
		if err == nil {
			c := &a.choice.Server.Counters
			atomic.StoreUint64(&c.BytesIn, c.BytesIn+uint64(len(b)))
			return
		}
		if !a.another(err) {
			return
		}
	}
}

// connect chooses a server and opens a socket to it.
func (a *association) connect() bool {
	s := a.shard
	for {
		q := wire.Query{Client: a.client, Port: a.port(), Tried: a.tried}
		choice, ok := s.Pick(&q)
		if !ok {
			a.tried = nil // the next datagram tries them all again
			atomic.StoreUint64(&s.counters.Refused, s.counters.Refused+1)
			return false
		}
		from := s.config.SourceAddress.Addr
		if choice.Fallback {
			from = netip.Addr{}
		}
		server, err := s.lane.loop.DialDatagrams(from, choice.Address, a.answered)
		if err == nil {
			a.choice, a.server = choice, server
			return true
		}
		s.Release(choice)
		if errors.Is(err, syscall.EMFILE) { // for want of descriptors the oldest gives way; that says nothing of the server
			if s.datagrams.order.newer == a || !s.datagrams.giveWay() {
				return false
			}
			continue
		}
		s.Failed(choice, err)
		a.failures++
		a.tried = append(a.tried, choice.Server)
	}
}

// isDown tells whether the checks have found the server down meanwhile.
func (a *association) isDown() bool {
	seat := a.choice.Server.Owner.(*seat)
	return seat.server != nil && seat.server.isDown()
}

// port is the one of ours that the client came to.
func (a *association) port() uint16 { return a.on.Port() }

// another leaves a server that is not there for the next one.
func (a *association) another(err error) bool {
	a.shard.Failed(a.choice, err)
	a.failures++
	a.tried = append(a.tried, a.choice.Server)
	a.release()
	return a.connect()
}

// answered passes on what the server says. An error is that nobody is there: what it was sent goes to another.
func (a *association) answered(b []byte, err error) {
	if a.gone {
		return
	}
	s := a.shard
	if err != nil {
		first := a.first
		if a.first, a.heard = nil, false; a.another(err) && first != nil {
			a.pass(first)
		}
		return
	}
	a.first, a.tried, a.heard = nil, nil, true
	now := s.lane.loop.Now()
	s.datagrams.touch(a, now)
	if a.answer == 0 {
		a.answer = now
	}
	a.sent += uint64(len(b))
	one := &a.choice.Server.Counters
	atomic.StoreUint64(&one.BytesOut, one.BytesOut+uint64(len(b)))
	atomic.StoreUint64(&s.counters.BytesOut, s.counters.BytesOut+uint64(len(b)))
	a.on.Reply(a.client, a.at, b)
}

// release gives the server back.
func (a *association) release() {
	if a.server != nil {
		a.server.Drop()
		a.server = nil
		a.shard.Release(a.choice)
	}
}

// end forgets the client, and tells how and why.
func (a *association) end(end wire.End, why string) {
	if a.gone {
		return
	}
	a.gone = true
	a.record(end, why)
	a.shard.lane.clients.leave(a)
	a.shard.datagrams.remove(a)
	a.release()
	a.on.Free()
	a.shard.Gone()
}
