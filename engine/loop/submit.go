package loop

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// pending is a send of the ring, from its submission until we went on behind it. Its bytes are the first of the connection's queue, which nobody else touches meanwhile.
type pending struct {
	conn *Conn  // nil: it was taken back
	at   uint32 // number of the submission
	size int    // bytes
}

// largestSubmit bounds the bytes that are copied to be sent at the end of the turn; more goes at once by a system call, without a copy.
const largestSubmit = chunkStep

// submittable tells whether a send of that many bytes goes by the ring. A dialed connection comes to the ring here, when it is used for the second time. A small send behind
// a large one is of a stream, whose receiver may be slow: the core must know at once when the kernel takes no more.
func (c *Conn) submittable(size int) bool {
	if size > largestSubmit {
		c.flags |= sentMuch
	}
	if c.flags&sentMuch != 0 {
		return false
	}
	c.prompt()
	if c.flags&(isArmed|isSlow) == isArmed {
		return true
	}
	if c.origin != nil || c.flags&isPrompt == 0 || !c.armable() {
		return false
	}
	sysEpollCtl(c.loop.epoll, unix.EPOLL_CTL_DEL, c.fd, &unix.EpollEvent{})
	c.arm()
	return true
}

// submit has the ring send b, which fits into a chunk, at the end of the turn. Nothing of it counts as queued. The kernel tells only of a send that was not done whole.
func (c *Conn) submit(b []byte) {
	u := c.loop.uring
	c.out = c.loop.buffers.add(nil, b)
	s, n := u.next()
	s.op, s.fd, s.flags, s.opFlags, s.user = opSend, c.fd, sqeSkipSuccess, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL|unix.MSG_WAITALL, c.token(ofSend)
	s.addr, s.length = addressIn(c.out.b), uint32(len(b))
	c.flags |= isPending
	u.sends = append(u.sends, pending{conn: c, at: n, size: len(b)})
}

// submitMore adds to what is pending. False: nothing is any more, and b goes another way.
func (c *Conn) submitMore(b []byte) bool {
	l, p := c.loop, c.pending()
	switch {
	case l.uring.isTaken(p.at): // it is over, and b is sent when we go on behind it
		c.out = l.buffers.add(c.out, b)
		return true
	case len(c.out.b)+len(b) <= cap(c.out.b):
		c.out.b = append(c.out.b, b...)
		p.size += len(b)
		l.uring.place(p.at).length = uint32(p.size)
		return true
	}
	c.retract()
	c.sendQueue()
	return false
}

// pending finds the send of c that is pending.
func (c *Conn) pending() *pending {
	sends := c.loop.uring.sends
	i := len(sends) - 1
	for sends[i].conn != c {
		i--
	}
	return &sends[i]
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

// sendFailed notes how much of a send was done.
func (c *Conn) sendFailed(result int32) {
	p := c.pending()
	p.size = int(max(0, result))
	if c.flags &^= isWritable; result < 0 && result != -int32(unix.EAGAIN) {
		c.fail(syscall.Errno(-result))
	}
}

// goOnBehindSends goes on with the connections whose sends are over.
func (l *Loop) goOnBehindSends() {
	u := l.uring
	for u.seen < len(u.sends) && u.isTaken(u.sends[u.seen].at) {
		p := u.sends[u.seen]
		u.seen++
		if p.conn != nil {
			p.conn.sendOver(p.size)
		}
	}
	rest := copy(u.sends, u.sends[u.seen:])
	clear(u.sends[rest:])
	u.sends, u.seen = u.sends[:rest], 0
}

// sendOver goes on behind a send of the ring that took so many bytes.
func (c *Conn) sendOver(sent int) {
	l := c.loop
	l.current = c
	c.flags &^= isPending
	c.sent += uint64(sent)
	if c.out.off += sent; len(c.out.waiting()) == 0 {
		l.buffers.put(c.out)
		c.out = nil
	}
	if c.flags&isWritable == 0 {
		c.demote()
	}
	if c.out != nil || c.feeder != nil || c.flags&(wantsFIN|isDraining|isLingering|hasFailed) != 0 {
		c.work(0)
	}
}
