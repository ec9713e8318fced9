package loop

import (
	"fmt"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// guarded is a turn that survives a defect in a core: its connections are reset, everybody else's go on.
func (l *Loop) guarded() {
	defer func() {
		if r := recover(); r != nil {
			l.log.Error("a session was ended by a defect", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			l.repair()
		}
	}()
	l.turn()
}

// repair resets every connection of the core that panicked, and has epoll tell once more what the others are ready for: the rest of the turn was lost.
func (l *Loop) repair() {
	broken := l.current
	l.current = nil
	if broken != nil && broken.core != nil {
		core := broken.core
		for i := range l.slots {
			if c := l.slots[i].conn; c != nil && c.core == core {
				c.Abort()
			}
		}
	}
	if broken != nil {
		broken.Abort()
	}
	l.ready, l.spare = nil, nil
	for i := range l.slots {
		c := l.slots[i].conn
		if c == nil {
			continue
		}
		c.flags &^= isReady
		c.makeReady()
		if c.flags&isFresh == 0 {
			event := unix.EpollEvent{Events: edges, Fd: c.fd, Pad: int32(c.gen)}
			sysEpollCtl(l.epoll, unix.EPOLL_CTL_MOD, c.fd, &event)
		}
	}
}
