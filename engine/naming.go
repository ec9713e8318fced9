package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"evenkeel/appliance"
	"evenkeel/engine/monitor"
	"evenkeel/engine/names"
)

// naming is where a server's host name leads; it is never changed, only replaced.
type naming struct {
	name    string
	address netip.Addr // that connections go to; zero: none
	waits   bool       // the name has not been looked up yet
	why     string     // why there is no address, or what is to be said of it; a sentence, or empty
}

// named is a use of a host name.
type named struct {
	service *service
	server  *server
}

// nameUses lists who uses which host name in what runs.
func (e *Engine) nameUses() map[string][]named {
	uses := map[string][]named{}
	for _, s := range e.services {
		now := s.running.Load()
		for i, r := range now.servers {
			if name, ok := now.config.RealServers[i].Address.Name(); ok {
				uses[name] = append(uses[name], named{s, r})
			}
		}
	}
	return uses
}

// watchNames has the names of what runs looked up, and looks anew where they lead: listeners and settings may have changed.
func (e *Engine) watchNames() {
	e.uses = e.nameUses()
	list := make([]string, 0, len(e.uses))
	for name := range e.uses {
		list = append(list, name)
	}
	e.names.Watch(list)
	for name := range e.uses {
		e.lead(name)
	}
}

// nameChanged is told by the resolver.
func (e *Engine) nameChanged(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.ended {
		e.lead(name)
	}
}

// lead brings all servers of a name to where it leads now. Connections that are open stay; only idle ones to servers are dropped. The engine's mutex is held.
func (e *Engine) lead(name string) {
	answer := e.names.Answer(name)
	for _, use := range e.uses[name] {
		config := use.service.running.Load().config
		at := config.Server(use.server.id)
		before := use.server.naming.Load()
		now := e.placeOf(config, at, before, answer)
		use.server.naming.Store(now)
		if before != nil && before.address == now.address && before.waits == now.waits {
			continue
		}
		e.log.Info("host name leads to", "service", config.Label, "real_server", at.Label, "name", name, "address", now.address.String(), "why", now.why)
		for _, n := range e.lanes {
			n.loop.Post(func() { use.service.shards[n.number].readdress(use.server) })
		}
		use.service.revise()
		e.monitor.Hasten(use.server.id)
	}
}

// placeOf works out where a name leads for one server: to the address in use while it is in the answer, else to the first that may be used.
func (e *Engine) placeOf(v *appliance.VirtualService, r *appliance.RealServer, before *naming, answer names.Answer) *naming {
	name := string(r.Address)
	if !answer.Asked {
		n := &naming{name: name, waits: true, why: fmt.Sprintf("The name %s is being looked up.", name)}
		if before != nil {
			n.address = before.address
		}
		return n
	}
	n, refusal := &naming{name: name}, ""
	candidates := answer.Addresses
	if before != nil && slices.Contains(candidates, before.address) {
		candidates = append([]netip.Addr{before.address}, candidates...)
	}
	for _, a := range candidates {
		why := e.refuses(v, r, a)
		if why == "" {
			n.address = a
			break
		}
		refusal = cmp.Or(refusal, why)
	}
	switch {
	case n.address.IsValid() && answer.Failure != "":
		n.why = fmt.Sprintf("The name %s does not resolve any more: %s; its last address %s is used.", name, answer.Failure, n.address)
	case n.address.IsValid():
	case refusal != "":
		n.why = fmt.Sprintf("The name %s leads where no server may be: %s", name, refusal)
	default:
		n.why = fmt.Sprintf("The name %s does not resolve: %s.", name, answer.Failure)
	}
	return n
}

// refuses says why a name must not lead a server to a, or "": the rules are those for addresses that are typed, and no listener of the appliance may be reached at all,
// because what a name server says could change into a circle at any time.
func (e *Engine) refuses(v *appliance.VirtualService, r *appliance.RealServer, a netip.Addr) string {
	if why := appliance.RefusedServer(a, e.loopback); why != "" {
		return why
	}
	if from := v.SourceAddress.Addr; from.IsValid() && from.Is4() != a.Is4() {
		return fmt.Sprintf("%s cannot be reached from the source address %s.", a, from)
	}
	if v.SourceAddress.Transparent && !v.Address.IsUnspecified() && (v.Address.Is4() != a.Is4() || a.IsLoopback() && !v.Address.IsLoopback()) {
		return fmt.Sprintf("%s cannot be reached from the own addresses of the clients of %s.", a, v.Address)
	}
	ports := portsOf(v, r)
	for _, l := range e.options.Site.Listeners {
		if slices.Contains(ports, l.Address.Port()) && e.reaches(a, l.Address.Addr()) {
			return fmt.Sprintf("%s port %d is %s of this appliance itself.", a, l.Address.Port(), l.Name)
		}
	}
	for _, port := range ports {
		for _, at := range [3]netip.Addr{a, netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
			g := e.groups[place{netip.AddrPortFrom(at, port), v.Protocol == appliance.UDP}]
			if g != nil && e.reaches(a, at) {
				return fmt.Sprintf("%s port %d is the service %s of this appliance itself.", a, port, g.service.running.Load().config.Label)
			}
		}
	}
	return ""
}

// portsOf lists the ports of a server that the appliance connects to.
func portsOf(v *appliance.VirtualService, r *appliance.RealServer) []uint16 {
	var list []uint16
	if r.Port != 0 {
		list = append(list, r.Port)
	} else {
		list = v.Ports.All()
	}
	if v.Monitor.Port != 0 {
		list = append(list, v.Monitor.Port)
	}
	if v.Monitor.Agent.Enabled {
		list = append(list, v.Monitor.Agent.Port)
	}
	return list
}

// home tells whether a is the address of a service. The engine's mutex is held.
func (e *Engine) home(a netip.Addr) bool {
	if e.homes == nil { // Apply has forgotten them
		e.homes = map[netip.Addr]bool{}
		for local := range e.groups {
			e.homes[local.Addr()] = true
		}
	}
	return e.homes[a]
}

// reaches tells whether who connects to a comes to what listens on at.
func (e *Engine) reaches(a, at netip.Addr) bool {
	if !appliance.Collides(a, at) { // a wildcard of IPv4 does not listen on addresses of IPv6
		return false
	}
	return !at.IsUnspecified() || a.IsLoopback() || slices.Contains(e.options.Site.Addresses, a) || e.home(a)
}

// readdress brings one server of a shard to its address.
func (s *shard) readdress(r *server) {
	for i, n := range s.seats {
		if n.server == r {
			s.addresses[i] = r.address(&s.config.RealServers[i])
			s.lane.dropServer(&n.Server)
		}
	}
}

// address returns where connections to a server go; zero: nowhere.
func (r *server) address(c *appliance.RealServer) netip.Addr {
	if a, ok := c.Address.Addr(); ok {
		return a
	}
	if n := r.naming.Load(); n != nil && n.name == string(c.Address) {
		return n.address
	}
	return netip.Addr{}
}

// rename prepares the servers of a snapshot that comes: one whose address becomes a name stays where it was until the name has been looked up.
func (e *Engine) rename(w *serviceSwap) {
	old := w.service.running.Load()
	for i, r := range w.servers {
		c := &w.config.RealServers[i]
		name, ok := c.Address.Name()
		before := r.naming.Load()
		switch {
		case !ok:
			r.naming.Store(nil)
			continue
		case before != nil && before.name == name:
			continue
		}
		last := &naming{}
		if old != nil {
			if was := old.config.Server(r.id); was != nil {
				last.address = r.address(was)
			}
		}
		r.naming.Store(e.placeOf(w.config, c, last, e.names.Answer(name)))
	}
}

// err is why there is no address, in a sentence without its dot.
func (n *naming) err() error {
	switch {
	case n.address.IsValid():
		return nil
	case n.waits:
		return monitor.ErrNotYet
	}
	return errors.New(strings.TrimSuffix(n.why, "."))
}

// whereIs tells the monitor where to find a server that has a name.
func (e *Engine) whereIs(id, name string) (netip.Addr, error) {
	r := e.view.Load().servers[id]
	if r == nil {
		return netip.Addr{}, monitor.ErrNotYet
	}
	n := r.naming.Load()
	if n == nil || n.name != name {
		return netip.Addr{}, monitor.ErrNotYet
	}
	return n.address, n.err()
}

// lookUp is whereIs for a server that need not run: the name is looked up now if nobody watches it.
func (e *Engine) lookUp(ctx context.Context, v *appliance.VirtualService, r *appliance.RealServer) (netip.Addr, error) {
	answer := e.names.Lookup(ctx, string(r.Address))
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.placeOf(v, r, nil, answer)
	return n.address, n.err()
}

// tell adds to what is observed of a server what its name has to do with it.
func (n *naming) tell(name string, out *appliance.ServerStatus) {
	if n == nil || n.name != name {
		return
	}
	out.Resolved = n.address
	switch {
	case n.waits && !n.address.IsValid() && out.Check.Health != appliance.Down:
		out.Check.Health, out.Check.Sentence = appliance.Unknown, n.why
	case !n.address.IsValid():
		out.Check.Health, out.Check.Sentence = appliance.Down, n.why
	case n.why != "" && !n.waits:
		out.Check.Sentence = strings.TrimSpace(out.Check.Sentence + " " + n.why)
	}
}

// Names returns where host names lead, for RecallNames of a later process.
func (e *Engine) Names() map[string][]netip.Addr { return e.names.Known() }

// RecallNames gives back what Names returned, before the first Apply: a name leads where it led until it is looked up again.
func (e *Engine) RecallNames(known map[string][]netip.Addr) { e.names.Recall(known) }
