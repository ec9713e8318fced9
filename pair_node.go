package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"evenkeel/appliance"
	"evenkeel/appliance/ha"
	"evenkeel/appliance/ha/role"
	"evenkeel/appliance/host"
)

// together runs this node's half of a pair until the context ends or the membership is another.
func (p *pair) together(ctx context.Context, m appliance.Membership) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	founder, g := p.founding.Swap(false), p.early
	if p.early = nil; g == nil {
		g = p.guard(ctx, host.PairOptions{Floating: p.ground.addresses(), Owned: p.firstLease(founder)})
	}
	floating := g.floating
	node, err := p.newNode(m, founder, g)
	if err != nil {
		p.unguard(floating)
		return err
	}
	p.half.Store(&half{m, node})
	p.a.control.SetWriter(p.writable)
	group, within := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer cancel()
		return node.Run(within)
	})
	group.Go(func() error { return p.tellFacts(within, node) })
	group.Go(func() error { return p.copyTables(within, m, node) })
	group.Go(func() error { return p.untilAnother(within, m.Cluster, cancel) })
	err = group.Wait()
	told := node.Timeline()
	p.decided.Store(&told) // before the node is gone: it stays readable
	p.half.Store(nil)
	p.unguard(floating)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// untilAnother ends the node when the pair is broken, or another one.
func (p *pair) untilAnother(ctx context.Context, cluster string, cancel func()) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.changed:
			if now, paired := p.members.Current(); !paired || now.Cluster != cluster {
				if h := p.half.Load(); h != nil && p.ground.any() {
					h.node.Keep()
				}
				cancel()
				return nil
			}
		}
	}
}

// guarded are the services' addresses behind the lease.
type guarded struct {
	floating *host.Floating // nil: there are none
	limits   []string       // why
}

// prepare puts the addresses behind the lease before the first of them is put on, on a node that is in a pair. Those of a process that this one takes over are there.
func (p *pair) prepare(ctx context.Context) error {
	if _, paired := p.members.Current(); !paired {
		return p.ground.NoPair()
	}
	o := host.PairOptions{Inherit: p.a.heir != nil}
	if o.Inherit {
		o.Floating = p.serviceAddresses()
	}
	p.early = p.guard(ctx, o)
	p.a.control.SetWriter(p.writable)
	return nil
}

// guard puts the services' addresses behind the lease. When that cannot be, the pair shares settings and tables only.
func (p *pair) guard(ctx context.Context, o host.PairOptions) *guarded {
	floating, err := p.ground.Pair(ctx, o)
	if err != nil {
		p.ground.join(nil)
		e := appliance.ErrorsOf(err)[0]
		p.a.options.log.Warn("a pair without floating addresses", "component", "main", "error", err)
		return &guarded{limits: []string{e.Text() + " The pair shares its settings and its persistence table; no address moves between the nodes."}}
	}
	p.ground.join(floating, o.Floating...)
	return &guarded{floating: floating}
}

// firstLease is how long the addresses of a node that was alone live without a renewal when the pair begins, as the role machine counts on; zero for another.
func (p *pair) firstLease(founder bool) time.Duration {
	if !founder {
		return 0
	}
	return role.FirstLease(role.Config{Interval: p.heartbeat().OrDefault().Interval.D()})
}

// unguard gives the addresses back: to this machine if it is in no pair any more, to the process that takes over, and else to nobody.
func (p *pair) unguard(floating *host.Floating) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, paired := p.members.Current()
	failed := func(what string, err error) {
		if err != nil {
			p.a.options.log.Error(what, "component", "main", "error", err)
		}
	}
	switch {
	case floating == nil:
	case p.a.replaced.Load():
		floating.Leave()
		return
	case paired:
		failed("floating addresses not taken off", floating.Down(ctx))
		fallthrough
	default:
		failed("the lease's rules are left", floating.Close())
	}
	if !paired {
		failed("addresses not put on", p.ground.leave(ctx))
	}
}

// newNode makes the node.
func (p *pair) newNode(m appliance.Membership, founder bool, g *guarded) (*ha.Node, error) {
	o := ha.Options{
		Membership: m, Founder: founder, Dir: p.a.options.dir, Paths: p.paths(m), Facts: p.facts(), Settings: p.heartbeat(), TableAlive: p.table.alive,
		Drain: p.drain, Shut: p.shut, Resume: p.resume, SaveKeys: p.members.SaveKeys, Changed: p.turned, Limits: g.limits, Logger: p.a.options.log,
	}
	if g.floating != nil {
		o.Kernel = g.floating
	} else {
		o.Let = p.ground.let
	}
	return ha.New(o)
}

// paths are one between the two addresses of the membership, and one on every further network that both nodes are in.
func (p *pair) paths(m appliance.Membership) []ha.Path {
	out := []ha.Path{{Local: netip.AddrPortFrom(m.Self.Address, 0), Peer: netip.AddrPortFrom(m.Peer.Address, 0)}}
	for _, own := range m.Self.Networks {
		for _, theirs := range m.Peer.Networks {
			known := own.Addr() == m.Self.Address || theirs.Addr() == m.Peer.Address
			if !known && own.Masked() == theirs.Masked() && own.Addr() != theirs.Addr() && len(out) < mostPaths {
				out = append(out, ha.Path{Local: netip.AddrPortFrom(own.Addr(), 0), Peer: netip.AddrPortFrom(theirs.Addr(), 0)})
			}
		}
	}
	for i := range out {
		out[i].Interface = interfaceOf(out[i].Local.Addr())
	}
	return out
}

const mostPaths = 8

// interfaceOf names the interface that has an address now; empty: none.
func interfaceOf(a netip.Addr) string {
	list, err := net.Interfaces()
	if err != nil {
		return ""
	}
	for _, link := range list {
		addresses, err := link.Addrs()
		if err != nil {
			continue
		}
		for _, has := range addresses {
			if n, err := netip.ParsePrefix(has.String()); err == nil && n.Addr().Unmap() == a {
				return link.Name
			}
		}
	}
	return ""
}

func (p *pair) heartbeat() appliance.Heartbeat {
	return p.a.control.Running().Config.Cluster.Heartbeat
}

// facts are what heartbeats carry of this node.
func (p *pair) facts() ha.Facts {
	running := p.a.control.Running()
	f := ha.Facts{Revision: running.Revision.Number, Hash: running.Revision.Hash, Digest: p.digest(), Healthy: p.a.engine.Driver() != "", Version: Version}
	if m, paired := p.members.Current(); paired && m.Self.Role == appliance.Primary {
		f.Priority = 1
	}
	return f
}

const factsEvery = 500 * time.Millisecond

// tellFacts keeps what heartbeats carry, and their settings, up to date.
func (p *pair) tellFacts(ctx context.Context, node *ha.Node) error {
	news, stop := p.a.control.Watch()
	defer stop()
	tick := time.NewTicker(factsEvery)
	defer tick.Stop()
	said := ""
	defer func() { p.tellNowhere(false, said) }()
	for {
		said = p.tellNowhere(p.active(), said)
		if err := node.SetFacts(p.facts()); err != nil {
			p.a.options.log.Error("heartbeats tell old facts", "component", "main", "error", err)
		}
		node.SetSettings(p.heartbeat())
		if m, paired := p.members.Current(); paired {
			node.Name(m.Self.Name, m.Peer.Name)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		case <-tick.C:
		}
	}
}

// drain lets clients end in peace before the peer takes the addresses.
func (p *pair) drain(ctx context.Context) error {
	limit := handOnLimit
	if at, ok := ctx.Deadline(); ok {
		limit = time.Until(at) - shutLimit
	}
	floating := p.serviceAddresses()
	parting, err := p.a.engine.HandOn(ctx, func(a netip.Addr) bool { return slices.Contains(floating, a) }, limit)
	if err == nil {
		p.parting.Store(parting)
	}
	return err
}

// shut lets nobody in any more, for the last moment before the peer takes the addresses.
func (p *pair) shut(ctx context.Context) error {
	if parting := p.parting.Load(); parting != nil && !parting.Shut(ctx, shutLimit) {
		return errUnderWay
	}
	return nil
}

var errUnderWay = errors.New("requests are under way")

// resume lets connections be kept open again.
func (p *pair) resume() {
	if parting := p.parting.Swap(nil); parting != nil {
		parting.Restore()
	}
}

const (
	handOnLimit = 5 * time.Second        // how long requests in flight may take when nobody says
	shutLimit   = 100 * time.Millisecond // how long new clients wait for those who came just before them
)

// turned is told what the node does from now on.
func (p *pair) turned(appliance.Activity) { p.wake() }
