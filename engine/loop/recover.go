package loop

import (
	"fmt"
	"runtime/debug"
	"syscall"

	"evenkeel/engine/wire"

	"golang.org/x/sys/unix"
)

// guarded is a turn that survives a defect in a core: its connections are reset, everybody else's go on.
func (l *Loop) guarded() { l.guard(l.turn) }

// guard runs f and survives a defect in it. Nothing is the defect of a session until one is told something.
func (l *Loop) guard(f func()) {
	defer l.survive()
	l.current = nil
	f()
}

// survive is deferred around what may panic.
func (l *Loop) survive() {
	if r := recover(); r != nil {
		broken := l.current
		l.log.Error("a defect was survived", "session_ended", broken != nil, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		l.repair(broken)
	}
	l.current = nil
}

// repair ends the session of the connection whose core panicked, if it was one, and has epoll tell once more what the others are ready for: the rest of the
// turn may be lost.
func (l *Loop) repair(broken *Conn) {
	if broken != nil {
		l.endSession(broken)
	}
	l.ready, l.spare = nil, nil
	for i := range l.slots {
		c := l.slots[i].conn
		if c == nil {
			continue
		}
		c.flags &^= isReady
		c.makeReady()
		if c.flags&(isFresh|isArmed) == 0 {
			event := unix.EpollEvent{Events: edges, Fd: c.fd, Pad: int32(c.gen)}
			sysEpollCtl(l.epoll, unix.EPOLL_CTL_MOD, c.fd, &event)
		}
	}
}

// endSession resets every connection of a core that panicked and tells it so, its client first: with that it gives back what it holds.
func (l *Loop) endSession(broken *Conn) {
	core := broken.core
	if core == nil {
		broken.Abort()
		return
	}
	l.resetAll(core, true)
	l.resetAll(core, false)
}

func (l *Loop) resetAll(core wire.Core, accepted bool) {
	for i := range l.slots {
		if c := l.slots[i].conn; c != nil && c.core == core && (c.origin != nil) == accepted {
			c.Abort()
			l.tellBroken(core, c)
		}
	}
}

// tellBroken does not trust the core: what it does not do now stays undone.
func (l *Loop) tellBroken(core wire.Core, c *Conn) {
	defer func() {
		if r := recover(); r != nil {
			l.log.Error("a session could not be ended in order", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}()
	core.Broken(c, syscall.ECONNABORTED)
}
