package store

import "sync"

// watchers are who wants to know that something was written.
type watchers struct {
	mu    sync.Mutex // guards what follows
	ticks map[chan struct{}]struct{}
}

// Watch returns a channel that gets a tick after each write; ticks that nobody has taken yet are one. stop ends it and may be called more than once; the channel is
// never closed.
func (s *Store) Watch() (changed <-chan struct{}, stop func()) {
	w, ticks := &s.watch, make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ticks == nil {
		w.ticks = map[chan struct{}]struct{}{}
	}
	w.ticks[ticks] = struct{}{}
	return ticks, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.ticks, ticks)
	}
}

func (w *watchers) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ticks := range w.ticks {
		select {
		case ticks <- struct{}{}:
		default:
		}
	}
}
