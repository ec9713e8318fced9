package loop

import (
	"syscall"
	"time"

	"evenkeel/engine/wire"

	"golang.org/x/sys/unix"
)

// uring is the second driver: what is hot goes by the ring, everything else as with epoll, whose descriptor the ring watches. The ring tells of clients that wait and of
// connects that are over, and receives for a connection (isArmed) that was accepted or connected; small sends are submitted together, once a turn. A connection that is
// spliced, moves bulk, has a peer that does not keep up or has finished goes back to epoll for good (isSlow).
//
// The order of bytes rests on one rule: who is armed is never read from by a system call, and who is pending is never written to by one.
type uring struct {
	*ring
	inUse   int32       // the buffer that a core looks at, or -1
	coming  batch       // of sends, to be submitted
	flying  batch       // was submitted, so it is over
	seen    int         // of flying, what was gone on behind
	leaving int         // descriptors that are closed as soon as the ring lets go of them
	watched bool        // the ring watches epoll
	ready   bool        // epoll has events
	late    []*Conn     // see registerLate
	lateAt  wire.Time   // when they are registered
	waking  []*Listener // are to be polled again
}

// What a completion is of: the highest bits of what the kernel gives back; below stand the generation and the descriptor.
const (
	ofNothing uint64 = iota << 56
	ofReceive
	ofSend
	ofEpoll
	ofConnect
	ofListener
)

const ofMask = 0xff << 56

func (c *Conn) token(of uint64) uint64 { return of | uint64(c.gen&0xffffff)<<32 | uint64(uint32(c.fd)) }

// named returns the connection of a token, nil when it is closed.
func (l *Loop) named(token uint64) *Conn {
	fd := uint32(token)
	if uint64(fd) >= uint64(len(l.slots)) {
		return nil
	}
	if c := l.slots[fd].conn; c != nil && c.gen&0xffffff == uint32(token>>32)&0xffffff {
		return c
	}
	return nil
}

// armable tells whether the ring may receive for c: nothing is held back, nothing is left in the kernel that we know of, and nobody waits for room in it.
func (c *Conn) armable() bool {
	const never = isSlow | isArmed | isReadable | isPaused | isFresh | isConnecting | isOver | hasFailed | hasEnded | hasHangup
	return c.loop.uring != nil && c.flags&(never|isWritable) == isWritable && c.kept == nil && c.splice == nil && c.feeder == nil
}

// arm has the ring receive for c from now on.
func (c *Conn) arm() {
	s, _ := c.loop.uring.next()
	s.op, s.fd, s.flags, s.priority, s.user, s.total = opRecv, c.fd, sqeBufferSelect, recvMultishot|recvPollFirst, c.token(ofReceive), mostAhead
	c.flags |= isArmed
}

// demote moves c back to epoll, as soon as the ring has let go of it.
func (c *Conn) demote() {
	if c.flags&(isArmed|isSlow) == isArmed {
		c.cancel(ofReceive)
	}
	c.flags |= isSlow
	if c.flags&isLate != 0 {
		c.register()
	}
}

func (c *Conn) cancel(of uint64) { c.loop.uring.cancel(c.token(of)) }

func (u *uring) cancel(token uint64) {
	s, _ := u.next()
	s.op, s.fd, s.flags, s.addr = opCancel, -1, sqeSkipSuccess, token
}

// watch has the ring receive, or epoll watch what the ring cannot receive for.
func (c *Conn) watch() {
	if c.armable() {
		c.arm()
	} else {
		c.register()
	}
}

// turnRing is the second half of a turn: it looks for what the ring and epoll have, and handles it.
func (l *Loop) turnRing() {
	l.waitRing()
	l.clock()
	l.complete()
	if !l.uring.ready {
		return
	}
	l.uring.ready = false
	n, errno := poll(l.epoll, l.events[:])
	if errno != 0 {
		return
	}
	for i := range n {
		l.dispatch(&l.events[i])
	}
}

// waitRing submits, and sleeps only if there is nothing else to do.
func (l *Loop) waitRing() {
	count(&l.stats.Turns)
	l.weigh()
	l.ageFresh()
	u := l.uring
	if !u.watched {
		u.watched = true
		s, _ := u.next()
		s.op, s.fd, s.opFlags, s.user = opPoll, l.epoll, unix.POLLIN, ofEpoll
	}
	u.pollListeners()
	l.watchLate()
	if !l.isIdle() {
		u.look()
		u.takeOff()
		return
	}
	if l.register(); l.isBusy() {
		return
	}
	count(&l.stats.Waits)
	l.yield()
	patience := time.Duration(-1)
	if ms := l.patience(); ms >= 0 {
		patience = time.Duration(ms) * time.Millisecond
	}
	u.wait(patience)
	u.takeOff()
}

// fewSends may be submitted by the call that sleeps: the scheduler takes back the processor from a longer one.
const fewSends = 4

// isIdle tells whether the ring has nothing to be looked at and the loop nothing to do, so that one call may submit what is there and sleep. Behind a send nothing
// may wait then: who sleeps does not go on.
func (l *Loop) isIdle() bool {
	u := l.uring
	if l.isBusy() || u.done() || u.hasWork() || len(u.flying.sends) > 0 || len(u.coming.sends) > fewSends {
		return false
	}
	for _, p := range u.coming.sends {
		if p.conn != nil && p.conn.goesOn() {
			return false
		}
	}
	return true
}

// complete handles what the ring has done. It begins where it ended, even if a core panicked.
func (l *Loop) complete() {
	u := l.uring
	u.takeBack()
	for e, ok := u.pop(); ok; e, ok = u.pop() {
		l.current = nil
		switch e.user & ofMask {
		case ofReceive:
			l.received(&e)
		case ofSend:
			if c := l.named(e.user); c != nil && c.flags&isPending != 0 {
				c.sendFailed(e.result)
			}
		case ofEpoll:
			u.watched, u.ready = false, true
		case ofConnect:
			l.connectOver(&e)
		case ofListener:
			if n := l.slots[uint32(e.user)].listener; n != nil && n.token() == e.user {
				n.polled = false
				u.wake(n)
				n.accept()
			}
		}
	}
	u.publish()
	l.goOnBehindSends()
}

// takeBack offers the buffer again that was in use.
func (u *uring) takeBack() {
	if u.inUse >= 0 {
		u.offer(uint16(u.inUse))
		u.inUse = -1
	}
}

// received handles a completion of a receive.
func (l *Loop) received(e *cqe) {
	u, c := l.uring, l.named(e.user)
	l.current = c
	if e.flags&cqeBuffer != 0 {
		id := uint16(e.flags >> cqeBufferShift)
		u.inUse = int32(id)
		if c != nil && e.result > 0 {
			if e.result == ringBufferSize || e.flags&cqeMore == 0 { // the kernel may have more
				c.flags |= hasMore
			}
			c.arrived(u.buffer(id)[:e.result])
		}
		u.takeBack()
	}
	if e.flags&cqeMore != 0 {
		return
	}
	c = l.named(e.user) // the core may have closed it
	if c == nil {
		sysClose(int32(uint32(e.user)))
		u.leaving--
		return
	}
	c.disarmed(syscall.Errno(max(0, -e.result)), e.result == 0)
}

// disarmed goes on when the ring receives no more for c: again by the ring if that only was out of buffers or had brought as much as it may, else by epoll. An error that the ring took from the
// kernel is what the next read returns; a FIN the kernel tells again.
func (c *Conn) disarmed(errno syscall.Errno, ended bool) {
	c.flags &^= isArmed | hasMore
	if !ended && (errno == 0 || errno == unix.ENOBUFS) && c.flags&isSlow == 0 {
		c.flags |= isReadable
		c.take() // what the ring left in the kernel is not younger than what comes now
		if c.armable() {
			c.loop.uring.publish()
			c.arm()
		}
		if c.flags&(isArmed|isGone) != 0 {
			return
		}
	}
	c.flags |= isSlow
	events := uint32(unix.EPOLLIN)
	switch {
	case ended:
		c.flags |= tookFIN
		events |= unix.EPOLLRDHUP
	case errno != 0 && errno != unix.ECANCELED && errno != unix.ENOBUFS:
		c.flags |= hasTaken
		c.errno = uint16(errno)
		events |= unix.EPOLLERR
	}
	c.work(events)
	switch {
	case c.flags&isGone != 0:
	case ended && c.flags&(isWritable|isReadable|hasFailed) == isWritable:
		c.loop.registerLate(c)
	default:
		c.register()
	}
}

// arrived handles bytes that the ring received.
func (c *Conn) arrived(b []byte) {
	c.received += uint64(len(b))
	c.flags &^= sentMuch
	switch {
	case c.flags&isOver != 0: // thrown away
	case !c.open():
		c.kept = c.loop.buffers.add(c.kept, b)
	case c.kept == nil:
		c.offer(b)
	default:
		c.kept = c.loop.buffers.add(c.kept, b)
		c.offerKept()
	}
	if c.flags&isGone == 0 && (len(b) == ringBufferSize || c.kept != nil && len(c.kept.waiting()) >= wire.KeepLimit) {
		c.demote()
	}
}
