package engine

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/balance"
	"evenkeel/engine/explain"
	"evenkeel/engine/persist"
	"evenkeel/engine/rules"
	"evenkeel/engine/wire"
)

// Explain tells what would become of a client of the running services, and why, by the code that serves and without any effect: nothing is counted, remembered or
// moved on. Each loop is asked once. Errors are of kind Invalid, one for each field, NotFound when no such service runs, and Unavailable when the engine does not run.
func (e *Engine) Explain(ctx context.Context, q appliance.Question) (appliance.Explanation, error) {
	if all := q.Validate(); len(all) > 0 {
		return appliance.Explanation{}, all
	}
	if err := e.ready(ctx); err != nil {
		return appliance.Explanation{}, err
	}
	s, local, err := e.listening(&q)
	if err != nil {
		return appliance.Explanation{}, err
	}
	if s == nil {
		return e.unheard(local), nil
	}
	for {
		now := s.running.Load()
		out, err := e.scene(ctx, s, now, local).Explain(q)
		if err != nil {
			return appliance.Explanation{}, &appliance.Error{Kind: appliance.Unavailable, Op: "explain", Message: "The engine is stopping.", Err: err}
		}
		if s.running.Load() == now || ctx.Err() != nil { // or an Apply came between
			return out, nil
		}
	}
}

// TryRules tells what the rules of a service, which need not be saved or running, make of a request. Its server is not chosen. Counts of rate limits are those of the
// running service with that id, if it has the same limits; nothing is counted. Errors are of kind Invalid.
func (e *Engine) TryRules(v appliance.VirtualService, name func(id string) string, q appliance.Question) (appliance.Explanation, error) {
	q.Service = v.ID
	if q.Service == "" {
		q.Service = v.Label
	}
	if all := q.Validate(); len(all) > 0 {
		return appliance.Explanation{}, all
	}
	var before *rules.Program
	for _, s := range e.view.Load().services {
		if s.id == v.ID {
			before = s.running.Load().program
		}
	}
	program, err := rules.Compile(v.Rules, before)
	if err != nil {
		return appliance.Explanation{}, &appliance.Error{Kind: appliance.Invalid, Op: "compile rules", Field: "rules", Message: "A rule cannot be used.", Err: err}
	}
	scene := explain.Scene{Service: &v, Local: portOf(&v, &q), Program: program, Name: name, TLS: v.TLS.On(), Now: wire.Time(e.now())}
	return scene.Explain(q)
}

// listening finds the service that a question is about, nil when nobody listens there, and where the client comes to.
func (e *Engine) listening(q *appliance.Question) (*service, netip.AddrPort, error) {
	if q.Service == "" {
		at := q.Listener
		if !at.IsValid() {
			at = q.Addressed()
		}
		return e.listenerAt(at), at, nil
	}
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		for _, s := range e.view.Load().services {
			c := s.running.Load().config
			if c.ID != q.Service && !same(c.Label, q.Service) {
				continue
			}
			if c.PoolOnly {
				return nil, netip.AddrPort{}, &appliance.Error{
					Kind: appliance.Invalid, Op: "explain", Subject: c.ID, Field: "virtual_service", Message: c.Label + " is a pool: nobody comes to it but by the rules of other services.", Hint: "Ask about a service whose rules lead there.",
				}
			}
			at := portOf(c, q)
			if !c.Ports.Contains(at.Port()) || c.Address != at.Addr() && !c.Address.IsUnspecified() {
				return nil, at, nil
			}
			return s, at, nil
		}
	}
	return nil, netip.AddrPort{}, &appliance.Error{
		Kind: appliance.NotFound, Op: "explain", Subject: q.Service, Field: "virtual_service", Message: fmt.Sprintf("No service %.60q runs.", q.Service), Hint: "What is saved runs when it is applied.",
	}
}

// portOf returns where a client of that service comes to: what the question names, else its first port.
func portOf(c *appliance.VirtualService, q *appliance.Question) netip.AddrPort {
	if at := q.Listener; at.IsValid() {
		return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	}
	if len(c.Ports) == 0 {
		return netip.AddrPort{}
	}
	at := netip.AddrPortFrom(c.Address, c.Ports[0].First)
	if port := q.Port(); c.Ports.Contains(port) || q.Addressed().Addr() == c.Address {
		at = netip.AddrPortFrom(c.Address, port)
	}
	return at
}

// listenerAt returns the service that listens on an address and port: one that has exactly this address comes first, TCP before UDP.
func (e *Engine) listenerAt(at netip.AddrPort) *service {
	var best *service
	rank := 0
	for _, s := range e.view.Load().services {
		c := s.running.Load().config
		if !c.Ports.Contains(at.Port()) || c.Address != at.Addr().Unmap() && !c.Address.IsUnspecified() {
			continue
		}
		r := 1
		if c.Address == at.Addr().Unmap() {
			r += 2
		}
		if c.Protocol != appliance.UDP {
			r++
		}
		if r > rank {
			best, rank = s, r
		}
	}
	return best
}

// unheard is the explanation of a client who comes to where nobody listens.
func (e *Engine) unheard(at netip.AddrPort) appliance.Explanation {
	text := fmt.Sprintf("Nothing listens on %s.", at)
	var others []string
	for _, s := range e.view.Load().services {
		if c := s.running.Load().config; c.Address == at.Addr().Unmap() {
			others = append(others, fmt.Sprintf("%s on port %s", c.Label, c.Ports))
		}
	}
	if len(others) > 0 {
		text += " On that address there are " + strings.Join(others, ", ") + "."
	}
	return appliance.Explanation{
		Listener: at, By: appliance.ByNobody, Sentence: text, Steps: []appliance.Step{{Subject: "listener", Mark: appliance.MarkStop, Sentence: text}},
	}
}

// scene is what a service runs with.
func (e *Engine) scene(ctx context.Context, s *service, now *snapshot, local netip.AddrPort) *explain.Scene {
	scene := &explain.Scene{
		Service: now.config, Local: local, Program: now.program, Name: e.nameOf, Open: s.open.Load(), Now: wire.Time(e.now()),
		Pick: func(q wire.Query) ([]explain.Finding, error) { return e.askLoops(ctx, s, q) },
	}
	if now.secrecy != nil && now.secrecy.terminator != nil {
		scene.TLS = true
		scene.Certificate = func(name string) *x509.Certificate { return now.secrecy.terminator.Shown(name) }
	}
	return scene
}

// nameOf returns the label of a running service or server.
func (e *Engine) nameOf(id string) string {
	v := e.view.Load()
	for _, s := range v.services {
		if s.id == id {
			return s.running.Load().config.Label
		}
	}
	if r := v.servers[id]; r != nil {
		if c := r.service.running.Load().config.Server(id); c != nil {
			return c.Label
		}
	}
	return id
}

// askLoops asks every loop which server a dry query would get, each within one turn.
func (e *Engine) askLoops(ctx context.Context, s *service, q wire.Query) ([]explain.Finding, error) {
	found := make([]explain.Finding, len(e.lanes))
	for i, n := range e.lanes {
		if err := n.loop.Call(ctx, func() { found[i] = s.shards[i].look(q) }); err != nil {
			return nil, err
		}
	}
	for i := range found {
		for k := range found[i].Seats {
			e.see(&found[i].Seats[k], &found[i].Config.RealServers[k])
		}
	}
	return found, nil
}

// see adds to a seat what is observed of its server.
func (e *Engine) see(seat *explain.Seat, c *appliance.RealServer) {
	r := e.view.Load().servers[c.ID]
	if r == nil {
		return
	}
	seen := e.serverStatus(r, c)
	if seat.Health = seen.Check; seen.Agent != nil {
		seat.Agent, seat.Held, seat.Advised = seen.Agent.Sentence, seen.Held(), seen.Agent.Percent != 100
	}
}

// look tells what Pick would do, on the shard's loop.
func (s *shard) look(q wire.Query) explain.Finding {
	f := explain.Finding{}
	f.Choice, f.Served = s.Pick(&q)
	own, pool := q, s
	if q.Rule >= 1 && q.Rule <= len(s.routes) && s.routes[q.Rule-1].pool != nil {
		pool, own.Rule = s.routes[q.Rule-1].pool, 0
	}
	f.Waits, f.Ahead = q.Waits, pool.service.queue.Waiting()
	f.Config = pool.config
	f.Memory = pool.memoryOf(&own)
	pool.survey(&own)
	f.Desperate = pool.desperate
	for i, seat := range pool.seats {
		p := &pool.pool.Seats[i]
		f.Seats = append(f.Seats, explain.Seat{
			Down: seat.server.isDown(), Found: pool.addresses[i].IsValid(), Full: pool.full(i), Usable: p.Usable, Open: p.Open, Percent: 100 * p.Share / balance.Whole, Pace: time.Duration(p.Pace),
		})
	}
	return f
}

// memoryOf is what is known of a returning client.
func (s *shard) memoryOf(q *wire.Query) explain.Memory {
	m := s.remembered(q)
	out := explain.Memory{Named: m.named, Returns: m.server >= 0, Sealed: m.opened, Renew: m.renew, Keyed: m.keyed}
	if s.table == nil || out.Sealed && out.Returns || m.key == (persist.Key{}) {
		return out
	}
	out.Key = m.key.String()
	if entry, ok := s.table.Look(m.key, int64(s.lane.loop.Now())); ok {
		out.Known, out.Age, out.Remaining = true, entry.Age, entry.Remaining
	}
	return out
}
