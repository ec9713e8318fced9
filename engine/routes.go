package engine

import (
	"fmt"
	"reflect"
	"slices"

	"evenkeel/appliance"
	"evenkeel/engine/http1"
	"evenkeel/engine/rules"
	"evenkeel/engine/wire"
)

var _ http1.Ruled = (*shard)(nil)

// route is where a rule sends requests to, on one loop; the zero value leads nowhere, and the service's own pool serves.
type route struct {
	pool *shard // of another service
	seat int    // 1 + index of a server of the own service
}

// routing is what a shard knows of rules.
type routing struct {
	program   *rules.Program // nil: there are none
	routes    []route        // of the program
	fronts    []*service     // whose rules lead to this service
	evaluator *rules.Evaluator
}

// ruled refuses rules that do not compile. Validate has refused them before.
func (e *Engine) ruled(c *appliance.Config) appliance.Errors {
	var all appliance.Errors
	for i := range c.Cluster.VirtualServices {
		s := &c.Cluster.VirtualServices[i]
		if len(s.Rules) == 0 || e.services[s.ID] != nil && reflect.DeepEqual(e.services[s.ID].running.Load().config.Rules, s.Rules) {
			continue
		}
		if _, err := rules.Compile(s.Rules, nil); err != nil {
			all = append(all, &appliance.Error{
				Kind: appliance.Invalid, Op: "compile rules", Subject: s.ID, Field: fmt.Sprintf("virtual_services[%s].rules", s.Label), Message: "A rule cannot be used.", Err: err,
			})
		}
	}
	return all
}

// compile gives a snapshot its program. The counts of limits that stay as they are stay too.
func (w *serviceSwap) compile(old *snapshot) {
	var before *rules.Program
	if old != nil {
		before = old.program
	}
	w.program, _ = rules.Compile(w.config.Rules, before) // bind has seen that it compiles
}

// Program implements http1.Ruled.
func (s *shard) Program() *rules.Program { return s.program }

// reroute finds anew where the rules of all services lead, on one loop: a pool may have come, gone or been made again.
func (next *change) reroute(n *lane) {
	for _, s := range next.services {
		s.shards[n.number].fronts = nil
	}
	for _, s := range next.services {
		shard := s.shards[n.number]
		shard.routes = shard.routes[:0]
		for _, r := range shard.program.Routes() {
			to := route{}
			if o := next.services[r.Pool]; o != nil {
				to.pool = o.shards[n.number]
				to.pool.fronts = append(to.pool.fronts, s)
			} else {
				to.seat = 1 + slices.IndexFunc(shard.seats, func(n *seat) bool { return n.ID == r.Server })
			}
			shard.routes = append(shard.routes, to)
		}
	}
}

// routed chooses where a rule sends the request. decided is false when no rule says anything, or when the server that it names cannot serve: then the others do.
func (s *shard) routed(q *wire.Query) (c wire.Choice, decided, ok bool) {
	if s.config.Protocol != appliance.HTTP && s.program != nil && !q.Ruled {
		if !s.decide(q) {
			return wire.Choice{}, true, false
		}
	}
	if q.Rule < 1 || q.Rule > len(s.routes) {
		return wire.Choice{}, false, false
	}
	s.judge()
	switch to := s.routes[q.Rule-1]; {
	case to.pool != nil:
		own := *q
		own.Rule = 0
		c, ok = to.pool.pickOwn(&own)
		q.Ticket, q.Waits, q.Crowded = own.Ticket, own.Waits, own.Crowded
		return c, true, ok
	case to.seat > 0 && s.wants(to.seat-1) == appliance.Online && s.reachable(to.seat-1, q):
		s.gauge()
		c, ok = s.choose(to.seat-1, q, wire.ByRule)
		return c, ok, ok
	}
	return wire.Choice{}, false, false
}

// readsName tells whether the rules want the server name of clients whose TLS passes through, so that their first bytes must be waited for.
func (s *shard) readsName() bool { return s.program.Asks(appliance.SubjectTLS) }

// decide runs the rules of TCP Mode on a client; false: it is turned away.
func (s *shard) decide(q *wire.Query) bool {
	if s.evaluator == nil {
		s.evaluator = &rules.Evaluator{}
	}
	r := rules.OfConnection(q.Client.Addr(), q.Port, q.TLSName)
	d := s.evaluator.Run(s.program, &r, int64(s.lane.loop.Now()), q.Dry)
	q.Rule, q.Ruled = d.Route, true
	switch {
	case d.Retry > 0:
		q.Refusal = "the client's source connects more often than a rule allows"
	case d.Status != 0:
		q.Refusal = "a rule refused the session"
	}
	return d.Status == 0
}

// ownerOf returns the service whose server was chosen: this one, or one that a rule led to.
func (s *shard) ownerOf(c wire.Choice) *shard {
	n, ours := c.Server.Owner.(*seat)
	if !ours || n.server == nil || n.server.service == s.service {
		return s
	}
	return n.server.service.shards[s.lane.number]
}

// evictRouted asks the sessions of other services to end that came to a server of this one by a rule.
func (s *shard) evictRouted(server *wire.Server) {
	for _, front := range s.fronts {
		s.lane.loop.Accepted(front.shards[s.lane.number], func(_ wire.Conn, core wire.Core) { core.Evict(server) })
	}
}
