package engine

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
)

// The rhythm of handing on: clients of HTTP have a moment in which they hear by an answer that they are to come again, and the last look is close to the change of owner.
const (
	handOnMoment = 200 * time.Millisecond
	handOnLook   = time.Millisecond
)

// HandOn prepares that another machine serves the addresses which moves selects, in a moment: new clients are still served, every answer of HTTP says that the
// connection ends with it (Connection: close, GOAWAY), and HandOn returns when no request is under way, at the latest after limit. Then what is left has been asked to end
// (FIN): sessions of TCP Mode and UDP Mode, tunnels, and requests that took longer. The listeners stay. restore lets the services be as before; it is to be called when the
// addresses have gone, or stayed after all, and may be called again. An error of kind Unavailable says that the engine does not run; nothing has changed then.
func (e *Engine) HandOn(ctx context.Context, moves func(netip.Addr) bool, limit time.Duration) (restore func(), err error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	list := e.part(moves)
	web := slices.DeleteFunc(slices.Clone(list), func(s *service) bool { return s.running.Load().config.Protocol != appliance.HTTP })
	pause(ctx, min(handOnMoment, limit/4))
	e.each(web, func(s *shard) { s.evict(nil, nil) }) // between two requests at once, else behind the answer
	for slices.ContainsFunc(web, func(s *service) bool { return s.open.Load() > 0 }) && ctx.Err() == nil {
		pause(ctx, handOnLook)
	}
	e.each(list, (*shard).evictAll)
	return func() { e.restore(list) }, nil
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
	e.each(list, func(s *shard) {
		s.leaving = true
		s.swap(s.service.running.Load())
		s.lane.loop.Accepted(s, func(_ wire.Conn, core wire.Core) { leave(core) })
	})
	return list
}

// restore undoes part for services that no Apply has changed since.
func (e *Engine) restore(list []*service) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range list {
		if now := s.running.Load(); now.parted != nil {
			s.running.Store(now.parted)
		}
	}
	e.each(list, func(s *shard) {
		s.leaving = false
		s.swap(s.service.running.Load())
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
