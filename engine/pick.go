package engine

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/stats"
	"evenkeel/engine/wire"
)

// Pick implements wire.Service: where a rule leads, else the server that the client had before, else one of the scheduler's choice, else the fallback.
func (s *shard) Pick(q *wire.Query) (wire.Choice, bool) {
	c, ok := s.pick(q)
	if q.Ticket != nil {
		unused(q)
	}
	return c, ok
}

func (s *shard) pick(q *wire.Query) (wire.Choice, bool) {
	if q.Spent {
		return s.fallBack(q)
	}
	if c, decided, ok := s.routed(q); decided {
		return c, ok
	}
	return s.pickOwn(q)
}

// pickOwn is Pick among the service's own servers.
func (s *shard) pickOwn(q *wire.Query) (wire.Choice, bool) {
	s.judge()
	s.gauge()
	if q.Ticket != nil {
		if c, ok := s.redeem(q); ok {
			return c, true
		}
	}
	m := s.remembered(q)
	if m.server >= 0 {
		if c, ok := s.choose(m.server, q, wire.ByPersistence); ok {
			return s.returned(c, q, &m), true
		}
		if c, ok, waits := s.wait(q, m); waits {
			return c, ok
		}
	}
	s.survey(q)
	for {
		i := s.next(q)
		if i < 0 {
			break
		}
		if c, ok := s.choose(i, q, wire.ByScheduler); ok {
			return s.welcome(c, q, &m), true
		}
		s.pool.Seats[i].Usable = false // another loop took the last place
	}
	if m.server < 0 {
		if c, ok, waits := s.wait(q, m); waits {
			return c, ok
		}
	}
	return s.fallBack(q)
}

// gauge sees how busy the service is, once for each choice.
func (s *shard) gauge() {
	s.crowded = s.service.queue.Waiting() > 0
	if s.graded {
		s.load = s.service.loadOf(s.servers) + 1
	}
}

// returned completes the choice of the server that a client had before.
func (s *shard) returned(c wire.Choice, q *wire.Query, m *memory) wire.Choice {
	switch {
	case m.renew:
		s.remember(&c, q, m)
	case s.sealer != nil && !m.opened: // the table knew who brings no cookie
		s.giveCookie(&c, q, m)
	}
	return c
}

// welcome completes the choice of a server for who had none.
func (s *shard) welcome(c wire.Choice, q *wire.Query, m *memory) wire.Choice {
	if m.server < 0 { // a server that is only full for the moment is not forgotten
		m.issued = time.Time{}
		s.remember(&c, q, m)
	}
	return c
}

// judge finds out whether health counts.
func (s *shard) judge() {
	s.desperate = s.config.MinimumServers > 0 && s.healthy() < s.config.MinimumServers
}

// survey tells the pool which servers take new clients now, and how busy they are.
func (s *shard) survey(q *wire.Query) {
	s.lookAtOthers()
	for i, seat := range s.seats {
		p := &s.pool.Seats[i]
		p.Usable = s.wants(i) == appliance.Online && s.reachable(i, q) && !s.full(i)
		p.Open = seat.Counters.Open + s.others[i]
		p.Share = seat.server.part(s.shareOf(seat.server))
		if s.paces != nil {
			p.Pace = s.paces[i]
		}
	}
}

// next asks the scheduler.
func (s *shard) next(q *wire.Query) int {
	if q.Dry {
		return s.pool.Peek(q)
	}
	return s.pool.Pick(q)
}

// full tells whether a server has no place for who comes now: it has as many connections as it may, or others wait for the next one that is free.
func (s *shard) full(i int) bool {
	r, server := &s.config.RealServers[i], s.servers[i]
	return r.MaxConnections > 0 && (server.taken.Load() >= placesOf(s.config, r, s.load) || s.crowded && s.service.queue.Ahead(server))
}

// healthy counts the servers that are online and not down.
func (s *shard) healthy() int {
	n := 0
	for i, seat := range s.seats {
		if s.wants(i) == appliance.Online && !seat.server.isDown() && s.addresses[i].IsValid() {
			n++
		}
	}
	return n
}

// reachable tells whether there is a point in connecting to a server.
func (s *shard) reachable(i int, q *wire.Query) bool {
	seat := s.seats[i]
	return (s.desperate || !seat.server.isDown()) && s.addresses[i].IsValid() && (len(q.Tried) == 0 || !slices.Contains(q.Tried, &seat.Server))
}

// lookAtOthers reads how busy the servers are on other loops, and how fast, not more often than every millisecond.
func (s *shard) lookAtOthers() {
	if len(s.service.shards) == 1 && s.paces == nil || s.lookedAt != 0 && s.lane.loop.Now().Sub(s.lookedAt) < othersAge {
		return
	}
	s.lookedAt = s.lane.loop.Now()
	for i, seat := range s.seats {
		s.others[i] = 0
		for _, o := range seat.server.seats {
			if o != seat {
				s.others[i] += atomic.LoadInt64(&o.Counters.Open)
			}
		}
	}
	if s.paces != nil {
		s.lookAtPaces()
	}
}

// port is the one that the client came to. A proxy in front may name one that is not the service's: the first counts then.
func (s *shard) port(q *wire.Query) uint16 {
	if s.config.ProxyProtocol.In && !s.config.Ports.Contains(q.Port) {
		return s.config.Ports[0].First
	}
	return q.Port
}

// choose takes a place on a server; false: its connections are at the limit, or others wait for it.
func (s *shard) choose(i int, q *wire.Query, why wire.Reason) (wire.Choice, bool) {
	r, server := &s.config.RealServers[i], s.servers[i]
	if q.Dry {
		return s.choice(i, q, why), !s.full(i)
	}
	if r.MaxConnections > 0 && s.crowded && s.service.queue.Ahead(server) || !server.enter(placesOf(s.config, r, s.load)) {
		return wire.Choice{}, false
	}
	return s.take(i, q, why), true
}

// take is choice, counted: a place on the server is taken.
func (s *shard) take(i int, q *wire.Query, why wire.Reason) wire.Choice {
	c := s.choice(i, q, why)
	s.seats[i].opened(c.Opened)
	return c
}

func (s *shard) choice(i int, q *wire.Query, why wire.Reason) wire.Choice {
	c := wire.Choice{Server: &s.seats[i].Server, Reason: why, Opened: s.lane.loop.Now(), Sharing: s.sharing}
	c.Address = netip.AddrPortFrom(s.addresses[i], s.config.ServerPort(&s.config.RealServers[i], s.port(q)))
	return c
}

func (n *seat) opened(now wire.Time) {
	stats.Opened(&n.Counters)
	n.ages.Add(now)
}

// fallBack chooses what serves when no server can.
func (s *shard) fallBack(q *wire.Query) (wire.Choice, bool) {
	to := netip.AddrPort{}
	switch s.config.Fallback.Kind {
	case appliance.FallbackPage:
		to = s.engine.options.FallbackPage
	case appliance.FallbackServer:
		to = s.config.Fallback.Address
	}
	if !to.IsValid() || slices.Contains(q.Tried, &s.fallback.Server) {
		return wire.Choice{}, false
	}
	now := s.lane.loop.Now()
	if !q.Dry {
		s.fallback.opened(now)
	}
	return wire.Choice{Server: &s.fallback.Server, Address: to, Fallback: true, Reason: wire.ByFallback, Opened: now}, true
}

// Failed implements wire.Service. The next Pick passes the server over, and rewrites the client's entry when it finds another.
func (s *shard) Failed(c wire.Choice, err error) { s.sawFailure(c.Server.Owner.(*seat), err) }

// Release implements wire.Service.
func (s *shard) Release(c wire.Choice) {
	seat := c.Server.Owner.(*seat)
	stats.Closed(&seat.Counters)
	seat.ages.Remove(c.Opened)
	if seat.server != nil {
		seat.server.service.giveBack(seat.server)
	}
}
