package engine

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/loop"
	"evenkeel/engine/wire"
)

// The rhythm of handing on: clients of HTTP have a moment in which they hear by an answer that they are to come again, and the last look is close to the change of owner.
const (
	handOnMoment = 200 * time.Millisecond
	handOnLook   = 250 * time.Microsecond
	handOnCalm   = time.Millisecond // after the last client was let in: handshakes under way come to their end, and what the kernel has queued to a loop
)

// Parting is what HandOn has begun. Its methods may be called one after the other only.
type Parting struct {
	engine    *Engine
	moves     func(netip.Addr) bool
	list, web []*service
}

// HandOn prepares that another machine serves the addresses which moves selects: new clients are still served, every answer of HTTP says that the connection ends with it
// (Connection: close, GOAWAY), and HandOn returns when no request is under way, at the latest after limit. Who asks for nothing for a moment is asked to end (FIN). The
// listeners stay. What it returns goes on from there, or undoes it. An error of kind Unavailable says that the engine does not run; nothing has changed then.
func (e *Engine) HandOn(ctx context.Context, moves func(netip.Addr) bool, limit time.Duration) (*Parting, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	p := &Parting{engine: e, moves: moves, list: e.part(moves)}
	p.web = slices.DeleteFunc(slices.Clone(p.list), func(s *service) bool { return s.running.Load().config.Protocol != appliance.HTTP })
	moment := min(handOnMoment, limit/4)
	pause(ctx, moment)
	for {
		e.each(p.web, (*shard).evictOlder) // between two requests at once, else behind the answer
		if p.quiet(ctx, moment) || ctx.Err() != nil {
			return p, nil
		}
	}
}

// Shut lets no more clients of TCP in: who asks for a connection is not answered and asks again, of the other machine then. It returns when those who were let in before
// have their answers, at the latest after limit, and tells whether they have. Before it returns, what is left has been asked to end (FIN): sessions of TCP Mode and UDP Mode, tunnels, and
// requests that took longer. It is for the moment right before the change of owner: a client's kernel takes a second to ask again.
func (p *Parting) Shut(ctx context.Context, limit time.Duration) (quiet bool) {
	p.engine.shut(p)
	pause(ctx, handOnCalm)
	p.engine.takeAll(p)
	quiet = p.quiet(ctx, limit)
	p.engine.each(p.list, (*shard).evictAll)
	return quiet
}

// Restore lets the services be as before. It is to be called when the addresses have gone, or stayed after all, and may be called again.
func (p *Parting) Restore() { p.engine.restore(p) }

// quiet waits until no client of HTTP is there any more, at the latest until most is over.
func (p *Parting) quiet(ctx context.Context, most time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	busy := func(s *service) bool { return s.open.Load() > 0 }
	for slices.ContainsFunc(p.web, busy) {
		if ctx.Err() != nil {
			return false
		}
		pause(ctx, handOnLook)
	}
	return true
}

// pause waits for d, or until the context ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// part swaps in snapshots with which the clients of services end one after the other, tells those of HTTP/2, and returns the services.
func (e *Engine) part(moves func(netip.Addr) bool) []*service {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []*service
	for _, s := range e.services {
		if now := s.running.Load(); moves(now.config.Address) {
			s.running.Store(now.parting())
			list = append(list, s)
		}
	}
	e.eachListener(moves, func(n *loop.Listener) { n.Defer(false) })
	e.each(list, func(s *shard) {
		s.leaving, s.mark = true, s.lane.loop.Mark()
		s.swap(s.service.running.Load())
		s.lane.loop.Accepted(s, func(_ wire.Conn, core wire.Core) { leave(core) })
	})
	return list
}

// shut closes the listeners of TCP to new clients.
func (e *Engine) shut(p *Parting) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for local, g := range e.groups {
		if local.datagrams || !p.moves(local.Addr()) {
			continue
		}
		for _, fd := range g.fds {
			if err := loop.HoldOff(fd); err != nil {
				e.log.Error("new clients are let in until the last", "address", local.String(), "error", err.Error())
				return
			}
		}
	}
}

// takeAll lets in who was in front of the door when it was shut: until a loop has taken them they are not seen.
func (e *Engine) takeAll(p *Parting) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.eachListener(p.moves, (*loop.Listener).TakeAll)
}

// restore undoes shut, and part for services that no Apply has changed since.
func (e *Engine) restore(p *Parting) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for local, g := range e.groups {
		if !local.datagrams && p.moves(local.Addr()) {
			for _, fd := range g.fds {
				loop.LetIn(fd)
			}
		}
	}
	e.eachListener(p.moves, func(n *loop.Listener) { n.Defer(true) })
	for _, s := range p.list {
		if now := s.running.Load(); now.parted != nil {
			s.running.Store(now.parted)
		}
	}
	e.each(p.list, func(s *shard) {
		s.leaving = false
		s.swap(s.service.running.Load())
	})
}

// eachListener runs f for the listeners of TCP on the addresses that move, each on its loop. The caller holds mu.
func (e *Engine) eachListener(moves func(netip.Addr) bool, f func(*loop.Listener)) {
	_ = e.onAll(func(n *lane) {
		for local, g := range e.groups {
			if local.datagrams || !moves(local.Addr()) {
				continue
			}
			for _, l := range g.listeners[n.number] {
				f(l.(*loop.Listener))
			}
		}
	})
}

// each runs f for every loop's part of the services. Loops that have ended need it no more.
func (e *Engine) each(list []*service, f func(*shard)) {
	_ = e.onAll(func(n *lane) {
		for _, s := range list {
			f(s.shards[n.number])
		}
	})
}
