package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"evenkeel/appliance"
	"evenkeel/engine/loop"
)

// place is where somebody listens: TCP and UDP on the same address and port are two.
type place struct {
	netip.AddrPort
	datagrams bool
}

func (p place) probe() error {
	if p.datagrams {
		return loop.ProbeDatagrams(p.AddrPort)
	}
	return loop.Probe(p.AddrPort)
}

func (p place) bind(n int, shared bool) ([]int, error) {
	if p.datagrams {
		return loop.BindDatagrams(p.AddrPort, n, shared)
	}
	return loop.Bind(p.AddrPort, n, shared)
}

// ear is one listening socket of one loop.
type ear interface {
	Serve(a loop.Acceptor, local netip.AddrPort, clientFirst bool)
	Resume()
	Close()
	Leave()
}

// listen gives a loop one of the group's descriptors.
func (g *group) listen(n *lane, fd int) ear {
	s := g.service.shards[n.number]
	if g.local.datagrams {
		return n.loop.ListenDatagrams(fd, g.local.AddrPort, s)
	}
	return n.loop.Listen(fd, g.local.AddrPort, s, g.eager)
}

// group is the listeners of all loops on one address and port. It outlives revisions, and may change hands between services.
type group struct {
	local     place
	service   *service
	listeners [][]ear // of each loop, one at least unless there were too few; none until the loop has taken its descriptors
	fds       []int
	eager     bool
	inherited bool // fds, or some of them, came from the process before
}

// Check tells whether Apply could work, changing nothing: can every listener that is not ours already be bound? Errors name `virtual_services[LABEL].ports` or
// `.address`, all of them at once, and are of kind Conflict, Denied, Invalid, Unsupported or Unavailable.
func (e *Engine) Check(ctx context.Context, c appliance.Config) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := append(e.secured(&c).errors, e.ruled(&c)...)
	for _, want := range e.missing(&c) {
		if err := ctx.Err(); err != nil {
			return &appliance.Error{Kind: appliance.Unavailable, Op: "check listeners", Err: err}
		}
		if e.held(want.local) || len(e.estate.listeners[want.local]) > 0 {
			continue
		}
		if err := want.local.probe(); err != nil {
			all = append(all, listenerError(want.service, err))
		}
	}
	if len(all) > 0 {
		return all
	}
	return nil
}

type wanted struct {
	local   place
	service *appliance.VirtualService
}

// missing lists the listeners that c needs and that do not exist.
func (e *Engine) missing(c *appliance.Config) []wanted {
	var out []wanted
	for i := range c.Cluster.VirtualServices {
		s := &c.Cluster.VirtualServices[i]
		for _, port := range s.Ports.All() {
			if local := (place{netip.AddrPortFrom(s.Address.Unmap(), port), s.Protocol == appliance.UDP}); e.groups[local] == nil {
				out = append(out, wanted{local, s})
			}
		}
	}
	return out
}

// held tells whether a listener of ours stands in the way of that address, a wildcard of an address or the other way round: it proves that nobody else has the port,
// and goes when the configuration is applied.
func (e *Engine) held(local place) bool {
	for have := range e.estate.listeners {
		if have.datagrams == local.datagrams && have.Port() == local.Port() && appliance.Collides(have.Addr(), local.Addr()) {
			return true
		}
	}
	for have := range e.groups {
		if have.datagrams == local.datagrams && have.Port() == local.Port() && appliance.Collides(have.Addr(), local.Addr()) {
			return true
		}
	}
	return false
}

// bind makes every missing listener, or none; none when there are errors already, which it returns with its own.
func (e *Engine) bind(ctx context.Context, c *appliance.Config, all appliance.Errors) ([]*group, error) {
	var groups []*group
	all = append(all, e.ruled(c)...)
	for _, want := range e.missing(c) {
		if err := ctx.Err(); err != nil {
			all = append(all, &appliance.Error{Kind: appliance.Unavailable, Op: "bind listeners", Err: err})
			break
		}
		inherited := len(e.estate.listeners[want.local]) > 0
		fds, err := e.take(want.local)
		if err != nil {
			all = append(all, listenerError(want.service, err))
			continue
		}
		groups = append(groups, &group{local: want.local, fds: fds, inherited: inherited, listeners: make([][]ear, len(e.lanes))})
	}
	if len(all) == 0 {
		return groups, nil
	}
	for _, g := range groups {
		e.giveBack(g)
	}
	return nil, all
}

// listenerError names the field of a listener's error.
func listenerError(s *appliance.VirtualService, err error) *appliance.Error {
	var e *appliance.Error
	if !errors.As(err, &e) {
		e = &appliance.Error{Kind: appliance.Internal, Op: "bind listener", Err: err}
	}
	named := *e
	field := "ports"
	if named.Kind == appliance.Invalid || named.Kind == appliance.Unsupported {
		field = "address"
	}
	named.Field = fmt.Sprintf("virtual_services[%s].%s", s.Label, field)
	named.Subject = s.ID
	return &named
}
