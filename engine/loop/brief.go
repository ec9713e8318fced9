package loop

import (
	"time"

	"golang.org/x/sys/unix"
)

// What the ring does at both ends of a connection, so that a short one does without epoll: it tells of clients and of the end of a connect, and lets those alone that are
// about to be closed.

// token names the listener to the ring.
func (n *Listener) token() uint64 {
	return ofListener | uint64(n.gen&0xffffff)<<32 | uint64(uint32(n.fd))
}

// wake has the ring poll n again, at the end of the turn.
func (u *uring) wake(n *Listener) { u.waking = append(u.waking, n) }

// pollListeners has the ring tell of clients that wait. One poll tells once, at once if they wait already. A listener that wants none is not polled; update wakes it.
func (u *uring) pollListeners() {
	for i, n := range u.waking {
		u.waking[i] = nil
		if n.polled || n.loop.slots[n.fd].listener != n || n.wanted() == 0 {
			continue
		}
		s, _ := u.next()
		s.op, s.fd, s.opFlags, s.user = opPoll, n.fd, unix.POLLIN, n.token()
		n.polled = true
	}
	u.waking = u.waking[:0]
}

// awaitConnect has the ring tell when the connect is over.
func (c *Conn) awaitConnect() {
	s, _ := c.loop.uring.next()
	s.op, s.fd, s.opFlags, s.user = opPoll, c.fd, unix.POLLOUT, c.token(ofConnect)
	c.flags |= isPolled
}

// connectOver goes on behind a connect that the ring waited for.
func (l *Loop) connectOver(e *cqe) {
	c := l.named(e.user)
	switch {
	case c == nil:
		sysClose(int32(uint32(e.user)))
		l.uring.leaving--
	case e.result < 0:
		c.flags &^= isPolled
		c.register()
	default:
		c.flags &^= isPolled
		c.work(uint32(e.result))
	}
}

// closeDescriptor closes at once, or when the ring has let go: until then the connection would stay open, and so must its number stay taken.
func (c *Conn) closeDescriptor() {
	switch {
	case c.flags&isArmed != 0:
		c.cancel(ofReceive)
	case c.flags&isPolled != 0:
		c.cancel(ofConnect)
	default:
		sysClose(c.fd)
		return
	}
	c.loop.uring.leaving++
}

// late is for how long nobody watches a connection whose peer has finished: most are closed before.
const late = 20 * time.Millisecond

// registerLate has epoll watch c unless it is closed soon. Meanwhile nothing can come of its peer but a reset, which a send would tell too.
func (l *Loop) registerLate(c *Conn) {
	if len(l.uring.late) == 0 {
		l.uring.lateAt = l.now.Add(late)
	}
	c.flags |= isLate
	l.uring.late = append(l.uring.late, c)
}

// watchLate registers those that are still open when their time has come.
func (l *Loop) watchLate() {
	u := l.uring
	if len(u.late) == 0 || l.now < u.lateAt {
		return
	}
	for i, c := range u.late {
		if u.late[i] = nil; c.flags&isLate != 0 {
			c.register()
		}
	}
	u.late = u.late[:0]
}
