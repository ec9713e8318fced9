package loop

import (
	"context"
	"sync"
	"sync/atomic"

	"evenkeel/appliance"

	"golang.org/x/sys/unix"
)

// mailbox carries closures from other goroutines to the loop.
type mailbox struct {
	wake    int32 // eventfd
	waiting atomic.Bool

	mu     sync.Mutex
	list   []func()
	closed bool
}

// Post runs f on the loop, soon and in order; any goroutine may call it, the loop's own too. It tells whether the loop still takes mail.
func (l *Loop) Post(f func()) bool { return l.mail.post(f) }

// Call runs f on the loop and waits until it has run, until the context ends, or until the loop is closed (kind Unavailable). An error of kind Internal says that
// f broke off by a defect, which is logged. Never call it from the loop.
func (l *Loop) Call(ctx context.Context, f func()) error {
	done, whole := make(chan struct{}), false
	if !l.mail.post(func() { defer close(done); f(); whole = true }) {
		return &appliance.Error{Kind: appliance.Unavailable, Op: "call loop", Message: "The engine is stopping."}
	}
	select {
	case <-done:
		if !whole {
			return &appliance.Error{Kind: appliance.Internal, Op: "call loop", Message: "A defect of the engine broke this off; the log says where."}
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *mailbox) post(f func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.list = append(m.list, f)
	if len(m.list) == 1 {
		m.waiting.Store(true)
		one := [8]byte{1}
		_, _ = unix.Write(int(m.wake), one[:])
	}
	return true
}

// arrived empties the eventfd; run does the work.
func (m *mailbox) arrived() {
	var b [8]byte
	_, _ = sysRead(m.wake, b[:])
}

// run does what is there; each by do.
func (m *mailbox) run(do func(func())) {
	if !m.waiting.Load() {
		return
	}
	m.mu.Lock()
	list := m.list
	m.list = nil
	m.waiting.Store(false)
	m.mu.Unlock()
	for _, f := range list {
		do(f)
	}
}

// close has do run what is still there, so that nobody waits for ever, and takes nothing more.
func (m *mailbox) close(do func(func())) {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return
	}
	m.closed = true
	m.mu.Unlock()
	m.waiting.Store(true)
	m.run(do)
	sysClose(m.wake)
}
