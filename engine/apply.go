package engine

import (
	"context"
	"net/netip"
	"reflect"
	"slices"
	"sync"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
)

// Apply makes the whole configuration so. New listeners are bound first; if one cannot be, nothing changes and the errors are those of Check. Then every loop
// swaps in one step. What did not change is not touched: its listeners, connections and counters stay. A removed server, or one that is drained, keeps its open
// connections; those of a halted server, a removed service and a removed listener are asked to end politely.
// Applying the same configuration again changes nothing. An error of kind Unavailable says that the engine does not run.
func (e *Engine) Apply(ctx context.Context, c appliance.Config) error {
	if err := e.ready(ctx); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended {
		return &appliance.Error{Kind: appliance.Unavailable, Op: "apply", Message: "The engine is stopping."}
	}
	secured := e.secured(&c)
	fresh, err := e.bind(ctx, &c, secured.errors)
	if err != nil {
		return err
	}
	next := e.prepare(&c, fresh, secured.services)
	e.loopback = c.Cluster.Settings.AllowLoopback
	for i := range next.swaps {
		e.rename(&next.swaps[i])
		next.swaps[i].service.running.Store(&next.swaps[i].snapshot)
		next.swaps[i].watch()
		for _, r := range next.swaps[i].warming {
			r.warm(e.now())
		}
	}
	for _, s := range next.retired {
		s.retired.Store(true)
	}
	err = e.onAll(func(n *lane) { next.perform(n) })
	for i := range next.swaps {
		next.swaps[i].tidy()
	}
	e.services, e.groups, e.scripts, e.homes = next.services, next.groups, slices.Clone(c.Cluster.Scripts), nil
	secured.keep()
	e.publish(&c)
	e.watchNames()
	e.traffic.Configure(&c.Local)
	running := e.running()
	e.monitor.Apply(running, e.scripts)
	e.agents.Apply(running)
	next.learnHealth(e)
	for _, s := range e.services {
		s.room()
		s.revise()
	}
	for _, s := range next.retired {
		s.dismiss()
	}
	return err
}

// onAll runs f on every loop and waits for all.
func (e *Engine) onAll(f func(*lane)) error {
	var all sync.WaitGroup
	errs := make([]error, len(e.lanes))
	for i, n := range e.lanes {
		all.Go(func() { errs[i] = n.loop.Call(context.Background(), func() { f(n) }) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// change is the way from what runs to a configuration.
type change struct {
	services map[string]*service
	groups   map[place]*group
	swaps    []serviceSwap
	fresh    []*group // to listen
	moved    []*group // to another service
	removed  []*group
	retired  []*service // to end
}

// serviceSwap is one service whose snapshot changes.
type serviceSwap struct {
	snapshot
	service *service
	dropped []*server // gone, drained, halted or elsewhere: no idle connection stays
	halted  []*server
	warming []*server            // came online
	astray  func(wire.Conn) bool // connections that came to a listener which the service no longer has; nil: none
}

// prepare works out what must change, without changing anything that runs.
func (e *Engine) prepare(c *appliance.Config, fresh []*group, secured map[string]*secrecy) *change {
	next := &change{services: map[string]*service{}, groups: map[place]*group{}, fresh: fresh}
	for _, g := range fresh {
		next.groups[g.local] = g
	}
	for i := range c.Cluster.VirtualServices {
		v := &c.Cluster.VirtualServices[i]
		s := e.services[v.ID]
		if s == nil || s.running.Load().config.Protocol != v.Protocol {
			s = e.newService(v.ID)
		}
		next.services[v.ID] = s
		if old := s.running.Load(); old == nil || old.secrecy != secured[v.ID] || !reflect.DeepEqual(old.config, v) || old.sealer != nil && old.sealed != e.key {
			own := v.Clone()
			w := s.swapTo(&own)
			w.secrecy = secured[v.ID]
			w.rekeyed(old)
			e.persistence(&w.snapshot, old)
			w.compile(old)
			next.swaps = append(next.swaps, w)
		}
		next.listeners(e, s, v)
	}
	for local, g := range e.groups {
		if next.groups[local] == nil {
			next.removed = append(next.removed, g)
		}
	}
	for id, s := range e.services {
		if next.services[id] != s {
			next.retired = append(next.retired, s)
		}
	}
	return next
}

// listeners gives every listener of v to s.
func (next *change) listeners(e *Engine, s *service, v *appliance.VirtualService) {
	eager := v.Protocol == appliance.HTTP || v.TLS.On()
	for _, port := range v.Ports.All() {
		local := place{netip.AddrPortFrom(v.Address.Unmap(), port), v.Protocol == appliance.UDP}
		if g := next.groups[local]; g != nil {
			g.service, g.eager = s, eager
			continue
		}
		g := e.groups[local]
		next.groups[local] = g
		if g.service != s || g.eager != eager {
			g.service, g.eager = s, eager
			next.moved = append(next.moved, g)
		}
	}
}

// swapTo works out what the change of one service means for its servers.
func (s *service) swapTo(c *appliance.VirtualService) serviceSwap {
	w := serviceSwap{service: s, snapshot: snapshot{config: c, servers: s.match(c)}}
	before := s.running.Load()
	if before == nil {
		return w
	}
	old := before.config
	for i, r := range w.servers {
		if was := old.Server(r.id); c.RealServers[i].State == appliance.Online && (was == nil || was.State != appliance.Online) {
			w.warming = append(w.warming, r)
		}
	}
	for i, had := range before.servers {
		was, is := &old.RealServers[i], c.Server(had.id)
		if is == nil || is.State != appliance.Online && was.State == appliance.Online || is.Address != was.Address || is.Port != was.Port {
			w.dropped = append(w.dropped, had)
		}
		if is != nil && is.State == appliance.Halt && was.State != appliance.Halt {
			w.halted, w.dropped = append(w.halted, had), append(w.dropped, had)
		}
	}
	if old.ProxyProtocol.Out != c.ProxyProtocol.Out || old.SourceAddress != c.SourceAddress {
		w.dropped = slices.Clone(before.servers)
	}
	if old.Address != c.Address || !slices.Equal(old.Ports, c.Ports) {
		w.astray = func(conn wire.Conn) bool {
			local := conn.Local()
			if own, ok := conn.(interface{ Arrived() netip.AddrPort }); ok { // a proxy may have named another one
				local = own.Arrived()
			}
			return !c.Ports.Contains(local.Port()) || c.Address != local.Addr() && !c.Address.IsUnspecified()
		}
	}
	return w
}

// perform is run by every loop for itself.
func (next *change) perform(n *lane) {
	for i := range next.swaps {
		w := &next.swaps[i]
		w.service.shards[n.number].swap(&w.snapshot)
	}
	for _, g := range next.fresh {
		for i := n.number; i < len(g.fds); i += len(g.listeners) {
			g.listeners[n.number] = append(g.listeners[n.number], g.listen(n, g.fds[i]))
		}
	}
	for _, g := range next.moved {
		for _, l := range g.listeners[n.number] {
			l.Serve(g.service.shards[n.number], g.local.AddrPort, g.eager)
		}
	}
	for _, g := range next.removed {
		for _, l := range g.listeners[n.number] {
			l.Close()
		}
	}
	next.reroute(n)
	next.relist(n)
	for i := range next.swaps {
		next.swaps[i].end(n)
	}
	for _, s := range next.retired {
		shard := s.shards[n.number]
		shard.evictAll()
		for _, seat := range shard.seats {
			n.dropServer(&seat.Server)
		}
	}
}

// relist tells every shard which listeners are its own now.
func (next *change) relist(n *lane) {
	if len(next.fresh)+len(next.moved)+len(next.removed) == 0 {
		return
	}
	for _, s := range next.retired {
		s.shards[n.number].listeners = nil
	}
	for _, s := range next.services {
		s.shards[n.number].listeners = nil
	}
	for _, g := range next.groups {
		shard := g.service.shards[n.number]
		shard.listeners = append(shard.listeners, g.listeners[n.number]...)
	}
}

// end asks the connections to end that the change concerns.
func (w *serviceSwap) end(n *lane) {
	shard := w.service.shards[n.number]
	for _, s := range w.dropped {
		n.dropServer(&s.seats[n.number].Server)
	}
	for _, s := range w.halted {
		shard.evict(&s.seats[n.number].Server, nil)
	}
	if w.astray != nil {
		shard.evict(nil, w.astray)
	}
}

// publish shows to those who look what runs now.
func (e *Engine) publish(c *appliance.Config) {
	v := &view{servers: map[string]*server{}}
	for i := range c.Cluster.VirtualServices {
		s := e.services[c.Cluster.VirtualServices[i].ID]
		v.services = append(v.services, s)
		for _, r := range s.running.Load().servers {
			v.servers[r.id] = r
		}
	}
	e.view.Store(v)
}

// learnHealth asks for what the monitor knew before it could tell: of servers that came from elsewhere with their id.
func (next *change) learnHealth(e *Engine) {
	for i := range next.swaps {
		for _, s := range next.swaps[i].servers {
			for { // until what was stored is what is known: a transition may be told meanwhile
				h := e.monitor.Standing(s.id)
				s.down.Store(h == appliance.Down)
				if e.monitor.Standing(s.id) == h {
					break
				}
			}
			e.advise(s)
		}
	}
}

// running returns the snapshots of all services; one that did not change is the same as before.
func (e *Engine) running() []*appliance.VirtualService {
	list := make([]*appliance.VirtualService, 0, len(e.services))
	for _, s := range e.services {
		list = append(list, s.running.Load().config)
	}
	return list
}
