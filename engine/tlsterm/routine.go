package tlsterm

import (
	"context"
	"iter"
)

// spareRoutines is how many routines a lane keeps: as many handshakes are under way at once when a loop does little else and clients are 10 ms away.
const spareRoutines = 32

// routine is a coroutine that runs one handshake behind another: its stack grows in the first to what a handshake needs and serves the others as it is.
// It runs on the loop's thread, within Lane.resume; between two calls it stands in handshake.wait, or is free.
type routine struct {
	conn  *Conn // whose handshake it runs; nil: it is free
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
}

// run is the body. A panic ends it, and comes out of resume.
func (r *routine) run(yield func(struct{}) bool) {
	r.yield = yield
	for {
		h := r.conn.hand
		h.err = r.conn.tls.HandshakeContext(context.Background())
		r.conn = nil
		if !yield(struct{}{}) {
			return
		}
	}
}

// routineFor returns the routine for the handshake of c; the one that was used last has its stack in the processor's cache.
func (l *Lane) routineFor(c *Conn) *routine {
	if n := len(l.routines); n > 0 {
		r := l.routines[n-1]
		l.routines[n-1], l.routines = nil, l.routines[:n-1]
		r.conn = c
		return r
	}
	r := &routine{conn: c}
	r.next, r.stop = iter.Pull(r.run)
	return r
}

// resume lets a handshake go on until it waits (true) or is over (false).
func (l *Lane) resume(h *handshake) (waits bool) {
	r := h.routine
	h.running = true
	r.next()
	h.running = false
	if r.conn != nil {
		return true
	}
	h.routine = nil
	if l.closed || len(l.routines) == spareRoutines {
		r.stop()
	} else {
		l.routines = append(l.routines, r)
	}
	return false
}

// Close ends the routines that are free, and from now on every other when its handshake is over. It may be called again.
func (l *Lane) Close() {
	l.closed = true
	for _, r := range l.routines {
		r.stop()
	}
	l.routines = nil
}
