package loop

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// pending is a send of the ring, from its submission until we went on behind it.
type pending struct {
	conn *Conn  // nil: it was taken back
	at   uint32 // number of the submission
	b    []byte // in the batch's room
}

// batch is what is submitted in one turn, and the room for its bytes, which is used again when all of it is over.
type batch struct {
	sends []pending
	room  []byte
}

const (
	largestSubmit = 4 << 10  // more is sent at once by a system call, without a copy
	batchRoom     = 64 << 10 // likewise what finds no room
)

func newBatch() batch { return batch{room: make([]byte, 0, batchRoom)} }

// of finds the send of c.
func (t *batch) of(c *Conn) *pending {
	for i := len(t.sends) - 1; i >= 0; i-- {
		if t.sends[i].conn == c {
			return &t.sends[i]
		}
	}
	return nil
}

func (t *batch) clear() {
	clear(t.sends)
	t.sends, t.room = t.sends[:0], t.room[:0]
}

// submittable tells whether a send of that many bytes goes by the ring. A dialed connection that the ring could not receive for at first comes to it here, when it is used
// for the second time. A small send behind a large one is of a stream, whose receiver may be slow: the core must know at once when the kernel takes no more.
func (c *Conn) submittable(size int) bool {
	if size > largestSubmit {
		c.flags |= sentMuch
	}
	if c.flags&sentMuch != 0 {
		return false
	}
	if t := &c.loop.uring.coming; len(t.room)+size > cap(t.room) {
		return false
	}
	if c.flags&(isArmed|isSlow) == isArmed {
		c.prompt()
		return true
	}
	if c.origin != nil || c.flags&hasSent == 0 || !c.armable() {
		return false
	}
	c.prompt()
	sysEpollCtl(c.loop.epoll, unix.EPOLL_CTL_DEL, c.fd, &unix.EpollEvent{})
	c.arm()
	return true
}

// submit has the ring send a copy of b, for which there is room, at the end of the turn. It does not count as queued. The kernel tells only of a send that was not done
// whole.
func (c *Conn) submit(b []byte) {
	u := c.loop.uring
	t := &u.coming
	begin := len(t.room)
	t.room = append(t.room, b...)
	b = t.room[begin:]
	s, n := u.next()
	s.op, s.fd, s.flags, s.opFlags, s.user = opSend, c.fd, sqeSkipSuccess, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL|unix.MSG_WAITALL, c.token(ofSend)
	s.addr, s.length = addressIn(b), uint32(len(b))
	c.flags |= isPending
	t.sends = append(t.sends, pending{conn: c, at: n, b: b})
}

// settle sends what is pending at once, because more comes behind it. What was submitted stays pending: it is over, and nobody knows yet how.
func (c *Conn) settle() {
	p := c.pending()
	if c.loop.uring.isTaken(p.at) {
		return
	}
	b := p.b
	c.retract()
	if b = b[c.send(b):]; len(b) > 0 && c.flags&hasFailed == 0 {
		c.flags |= isDraining
		c.out = c.loop.buffers.add(c.out, b)
	}
}

// pending finds the send of c that is pending.
func (c *Conn) pending() *pending {
	u := c.loop.uring
	if p := u.coming.of(c); p != nil {
		return p
	}
	return u.flying.of(c)
}

// retract takes back what is pending: if it was not submitted yet, it never will be.
func (c *Conn) retract() {
	u, p := c.loop.uring, c.pending()
	if !u.isTaken(p.at) {
		*u.place(p.at) = sqe{op: opNop, flags: sqeSkipSuccess}
	}
	p.conn = nil
	c.flags &^= isPending
}

// takeOff notes that what was to be submitted was.
func (u *uring) takeOff() {
	if n := len(u.coming.sends); n > 0 && len(u.flying.sends) == 0 && u.isTaken(u.coming.sends[n-1].at) {
		u.coming, u.flying = u.flying, u.coming
	}
}

// sendFailed notes how much of a send was done.
func (c *Conn) sendFailed(result int32) {
	p := c.pending()
	p.b = p.b[max(0, result):]
	c.sent += uint64(max(0, result))
	c.flags = c.flags&^isWritable | hasShort
	if result < 0 && result != -int32(unix.EAGAIN) {
		c.fail(syscall.Errno(-result))
	}
}

// goOnBehindSends goes on with the connections whose sends are over.
func (l *Loop) goOnBehindSends() {
	u := l.uring
	for u.seen < len(u.flying.sends) {
		p := u.flying.sends[u.seen]
		u.seen++
		if p.conn != nil {
			p.conn.sendOver(p.b)
		}
	}
	u.flying.clear()
	u.seen = 0
}

// sendOver goes on behind a send of the ring, of b; with hasShort, b is what was not sent.
func (c *Conn) sendOver(b []byte) {
	l := c.loop
	l.current = c
	c.flags &^= isPending
	if c.flags&hasShort == 0 {
		c.sent += uint64(len(b))
	} else {
		behind := c.out
		c.out = l.buffers.add(nil, b)
		if behind != nil {
			c.out = l.buffers.add(c.out, behind.waiting())
			l.buffers.put(behind)
		}
		c.flags &^= hasShort
		c.demote()
	}
	if c.goesOn() {
		c.work(0)
	}
}

// goesOn tells whether something waits behind a send of the ring.
func (c *Conn) goesOn() bool {
	return c.out != nil || c.feeder != nil || c.flags&(wantsFIN|isDraining|isLingering|hasFailed) != 0
}
