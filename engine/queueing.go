package engine

import (
	"slices"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/queue"
	"evenkeel/engine/wire"
)

// ticket is a client's place in the queue of the service whose servers it waits for. It belongs to the client's loop, but for what is in the queue.
type ticket struct {
	queue.Ticket[*server]
	shard   *shard // of the service that is waited for
	waiter  wire.Waiter
	memory  memory  // what was known of the client when it came
	granted *server // on which it holds a place; set before it is told
	left    bool
}

var _ wire.Ticket = (*ticket)(nil)

// Leave implements wire.Ticket. A place that is on its way is given back when it comes.
func (t *ticket) Leave() {
	t.left = true
	t.shard.service.queue.Leave(&t.Ticket)
}

// Patience implements wire.Ticket.
func (t *ticket) Patience() time.Duration { return t.shard.config.Limits.QueueTimeout.D() }

// tell has the client's loop tell the client that its wait is over.
func (t *ticket) tell() { t.shard.lane.loop.Post(t.turn) }

func (t *ticket) turn() {
	if t.left {
		t.giveBack()
		return
	}
	t.waiter.Turn()
}

// giveBack gives a place back that was not made use of.
func (t *ticket) giveBack() {
	if r := t.granted; r != nil {
		t.granted = nil
		t.shard.service.giveBack(r)
	}
}

// unused gives back the place that a client was told of, if it was led elsewhere meanwhile.
func unused(q *wire.Query) {
	if t, ours := q.Ticket.(*ticket); ours && !q.Waits {
		t.giveBack()
	}
}

// redeem gives a client the place that it was told of, unless its server serves no more.
func (s *shard) redeem(q *wire.Query) (wire.Choice, bool) {
	t, _ := q.Ticket.(*ticket)
	if t == nil || t.shard != s || t.granted == nil {
		return wire.Choice{}, false
	}
	r := t.granted
	t.granted = nil
	i, m := slices.Index(s.servers, r), t.memory
	if i >= 0 && !s.addresses[i].IsValid() { // a host name may lead somewhere now, of which this loop was not told yet
		s.addresses[i] = r.address(&s.config.RealServers[i])
	}
	if i < 0 || !s.reachable(i, q) || !r.takes(s.config, i, t.Own == r) {
		s.service.giveBack(r)
		return wire.Choice{}, false
	}
	if t.Own == r {
		m.server = i
		return s.returned(s.take(i, q, wire.ByPersistence), q, &m), true
	}
	return s.welcome(s.take(i, q, wire.ByScheduler), q, &m), true
}

// takes tells whether the operator, and its agent, want a server to have clients: those that come back to it, or new ones.
func (r *server) takes(c *appliance.VirtualService, i int, returning bool) bool {
	config := &c.RealServers[i]
	switch want := r.wants(config.State); {
	case want == appliance.Halt:
		return false
	case !returning:
		return want == appliance.Online && config.Weight > 0
	}
	return config.State == appliance.Online || !c.Persistence.ClearOnDrain
}

// wait has a client wait for a place: on the server that it had before, or on any that takes it. waits is false when it shall not, since it does not want to or as many
// wait already as may. ok is true when there was a place after all.
func (s *shard) wait(q *wire.Query, m memory) (c wire.Choice, ok, waits bool) {
	limit := int64(s.config.Limits.Queue)
	if q.Waiter == nil && !q.Dry || limit == 0 || s.service.retired.Load() || m.server < 0 && !s.fullForNow(q) {
		return wire.Choice{}, false, false
	}
	if q.Dry {
		q.Crowded = s.service.queue.Waiting() >= limit
		q.Waits = !q.Crowded
		return wire.Choice{}, false, q.Waits
	}
	t, _ := q.Ticket.(*ticket)
	if t == nil || t.shard != s {
		t = &ticket{shard: s}
		t.Holder = t
	}
	t.waiter, t.memory, t.Own, t.Tried = q.Waiter, m, nil, t.Tried[:0]
	if m.server >= 0 {
		t.Own = s.servers[m.server]
	}
	for _, tried := range q.Tried {
		if n := tried.Owner.(*seat); n.server != nil {
			t.Tried = append(t.Tried, n.server)
		}
	}
	if !s.service.queue.Join(&t.Ticket, limit) {
		q.Crowded = true
		return wire.Choice{}, false, false
	}
	q.Ticket = t
	g := s.service.ground()
	g.serve(t)
	if !g.won {
		q.Waits = true
		return wire.Choice{}, false, true
	}
	if c, ok = s.redeem(q); ok {
		return c, true, true
	}
	if s.service.running.Load().config == s.config {
		return wire.Choice{}, false, false
	}
	q.Waits = true // this loop does not know the server as it is now: it will, when it has read its mail
	t.tell()
	return wire.Choice{}, false, true
}

// fullForNow tells whether there is a server that would serve the client if it were not for its limit.
func (s *shard) fullForNow(q *wire.Query) bool {
	for i := range s.seats {
		if s.servers[i].takes(s.config, i, false) && s.reachable(i, q) && s.config.RealServers[i].MaxConnections > 0 {
			return true
		}
	}
	return false
}
