package engine

import (
	"context"
	"maps"
	"slices"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/loop"
)

// estate is what passes from one process to the next, and what the one before lets go of. The engine's mutex guards it.
type estate struct {
	listeners map[place][]int    // of the process before, that no group has yet
	endChecks context.CancelFunc // set before Engine.started is closed
}

// checking returns the context in which servers are checked.
func (e *estate) checking(ctx context.Context) context.Context {
	ctx, e.endChecks = context.WithCancel(ctx)
	return ctx
}

// Listeners returns the descriptors of every listener of every loop, for a process that takes over. They stay the engine's: they are valid until the next Apply,
// Leave or the end of Run, which the caller must hold off while it passes them on.
func (e *Engine) Listeners() []int {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []int
	for _, g := range e.groups {
		out = append(out, g.fds...)
	}
	return out
}

// Inherit gives the engine listening descriptors of the process before, which are the engine's from then on, before the first Apply. Apply listens on them instead of
// binding: all of them, however many loops there are. What is no listener is closed.
func (e *Engine) Inherit(fds []int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, fd := range fds {
		at, datagrams, ok := loop.Listening(fd)
		if !ok {
			e.log.Warn("inherited descriptor is no listener", "descriptor", fd)
			loop.CloseAll([]int{fd})
			continue
		}
		if !datagrams {
			loop.LetIn(fd) // the process before may have ended in the middle of handing its addresses on
		}
		local := place{at, datagrams}
		e.estate.listeners[local] = append(e.estate.listeners[local], fd)
	}
}

// take returns the listeners of a group: those that were inherited, and new ones for loops that have none of these.
func (e *Engine) take(local place) ([]int, error) {
	fds := e.estate.listeners[local]
	if len(fds) == 0 {
		return local.bind(len(e.lanes), e.held(local))
	}
	delete(e.estate.listeners, local)
	if missing := len(e.lanes) - len(fds); missing > 0 {
		more, err := local.bind(missing, true)
		if err != nil {
			e.log.Warn("fewer listeners than loops", "address", local.String(), "error", err.Error())
		}
		fds = append(fds, more...)
	}
	return fds, nil
}

// giveBack undoes take.
func (e *Engine) giveBack(g *group) {
	if g.inherited {
		e.estate.listeners[g.local] = g.fds
		return
	}
	loop.CloseAll(g.fds)
}

// Forget closes what was inherited and is not used.
func (e *Engine) Forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for local, fds := range e.estate.listeners {
		e.log.Info("inherited listener not used", "address", local.String())
		loop.CloseAll(fds)
	}
	clear(e.estate.listeners)
}

// Leave is the end of accepting for a process whose listeners another one holds now: they are no longer watched, then closed here, so what waits in their queues is
// the other's. Connections go on; HTTP/1 clients are told with their next answer to come again, idle ones keep their time, and HTTP/2 clients are told at once. Servers are not checked any more, and
// nothing can be applied. Run goes on until its context ends.
func (e *Engine) Leave(ctx context.Context) error {
	if err := e.ready(ctx); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = true
	e.estate.endChecks()
	groups, services := e.groups, e.services
	e.groups = map[place]*group{}
	parting := map[*service]*snapshot{}
	for _, s := range services {
		parting[s] = s.running.Load().parting()
		s.running.Store(parting[s])
	}
	err := e.onAll(func(n *lane) {
		for _, g := range groups {
			for _, l := range g.listeners[n.number] {
				l.Leave()
			}
		}
		for s, next := range parting {
			s.shards[n.number].listeners, s.shards[n.number].leaving = nil, true
			s.shards[n.number].swap(next)
		}
	})
	if err != nil {
		return err
	}
	for _, n := range e.lanes {
		if err := n.leave(ctx); err != nil {
			return err
		}
	}
	return nil
}

// parting returns the snapshot with which the sessions of a process that leaves end one after the other.
func (s *snapshot) parting() *snapshot {
	next, config := *s, s.config.Clone()
	config.HTTP.KeepAlive = appliance.KeepAliveNone
	next.config = &config
	if next.parted == nil {
		next.parted = s
	}
	return &next
}

// quietLook is how often it is looked whether every connection has ended.
const quietLook = 50 * time.Millisecond

// AwaitQuiet waits until no client's connection is open, for at most limit, or until the context ends.
func (e *Engine) AwaitQuiet(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	e.mu.Lock()
	services := slices.Collect(maps.Values(e.services))
	e.mu.Unlock()
	look := time.NewTicker(quietLook)
	defer look.Stop()
	for slices.ContainsFunc(services, func(s *service) bool { return s.open.Load() > 0 }) {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// Health returns what is known of every server, by id, for Recall of a later process.
func (e *Engine) Health() map[string]appliance.ServerHealth {
	out := map[string]appliance.ServerHealth{}
	for id := range e.view.Load().servers {
		out[id] = e.monitor.Health(id)
	}
	return out
}

// Recall gives back what Health returned, before the first Apply: a server is what it was until it is checked again.
func (e *Engine) Recall(known map[string]appliance.ServerHealth) { e.monitor.Recall(known) }

// MergePersistence adds entries of a table that SavePersistence returned to the tables that run; what they have already stays.
func (e *Engine) MergePersistence(saved map[string][]byte) {
	for _, s := range e.view.Load().services {
		now := s.running.Load()
		if now.table == nil || saved[s.id] == nil {
			continue
		}
		known := func(server string) bool { return now.config.Server(server) != nil }
		if err := now.table.Load(saved[s.id], e.now(), time.Now(), known); err != nil {
			e.log.Warn("persistence table not taken over", "service", now.config.Label, "error", err.Error())
		}
	}
}
