package loop

import (
	"time"

	"golang.org/x/sys/unix"
)

// Send implements wire.Conn.
func (c *Conn) Send(b []byte) int {
	if c.flags&(isOver|hasFailed|wantsFIN) != 0 {
		return c.Queued()
	}
	if c.flags&isPending != 0 {
		c.settle()
	}
	if c.out == nil && c.flags&(isWritable|isPending) == isWritable && !c.pipeWaits() {
		if c.loop.uring != nil && c.submittable(len(b)) {
			c.submit(b)
			return 0
		}
		b = b[c.send(b):]
	}
	if len(b) == 0 || c.flags&hasFailed != 0 {
		return c.Queued()
	}
	c.flags |= isDraining
	c.out = c.loop.buffers.add(c.out, b)
	return c.Queued()
}

// prompt is called before each send. A dialed connection gets TCP_NODELAY with its second: the first never waits, and many have no other.
func (c *Conn) prompt() {
	switch c.flags & (hasSent | isPrompt) {
	case 0:
		c.flags |= hasSent
	case hasSent:
		c.flags |= isPrompt
		sysSetInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
}

// send gives the kernel what it takes now.
func (c *Conn) send(b []byte) (sent int) {
	c.prompt()
	for sent < len(b) {
		n, errno := sysSend(c.fd, b[sent:])
		switch errno {
		case 0:
			sent += n
			c.sent += uint64(n)
		case unix.EINTR:
		case unix.EAGAIN:
			c.flags &^= isWritable
			c.demote()
			return sent
		default:
			c.fail(errno)
			return sent
		}
	}
	return sent
}

// Queued implements wire.Conn.
func (c *Conn) Queued() int {
	if c.out == nil {
		return 0
	}
	return len(c.out.waiting())
}

// Unacknowledged implements wire.Conn (SIOCOUTQ, tcp(7)).
func (c *Conn) Unacknowledged() int {
	if c.flags&isGone != 0 {
		return 0
	}
	n, err := unix.IoctlGetInt(int(c.fd), unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}

// Acknowledge implements wire.Conn.
func (c *Conn) Acknowledge() {
	if c.flags&(keepsACK|isGone|isPending) != keepsACK {
		return
	}
	c.flags &^= keepsACK
	if c.sent == 0 {
		sysSetInt(c.fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	}
}

// outstanding returns how many bytes the peer has not acknowledged, those included that the kernel has not taken.
func (c *Conn) outstanding() int { return c.Queued() + c.Unacknowledged() }

// flush gives the queue to the kernel: what waits in a pipe first, it is older.
func (c *Conn) flush() {
	if c.flags&isPending != 0 {
		return
	}
	if c.pipeWaits() && !c.feeder.emptyPipe() {
		return
	}
	if c.flags&isGone != 0 {
		return
	}
	if c.out != nil && !c.sendQueue() {
		return
	}
	if c.flags&hasFailed != 0 {
		return
	}
	c.finish()
	if c.flags&isDraining != 0 {
		c.flags &^= isDraining
		if c.flags&isOver == 0 {
			c.core.Drained(c)
		}
	}
	if c.feeder != nil && c.flags&isGone == 0 {
		c.feeder.pump()
	}
}

// sendQueue gives the kernel the queue; true: it is empty, or the connection failed.
func (c *Conn) sendQueue() bool {
	n := c.send(c.out.waiting())
	if n > 0 && c.flags&isLingering != 0 {
		c.linger()
	}
	c.out.off += n
	if len(c.out.waiting()) > 0 && c.flags&hasFailed == 0 {
		return false
	}
	c.loop.buffers.put(c.out)
	c.out = nil
	return true
}

// finish sends FIN if it is wanted and nothing waits before it.
func (c *Conn) finish() {
	if c.flags&(wantsFIN|sentFIN|isConnecting|isGone|hasFailed|isPending) != wantsFIN || c.out != nil || c.pipeWaits() {
		return
	}
	c.flags |= sentFIN
	if errno := sysShutdownWrite(c.fd); errno != 0 {
		c.fail(errno)
		return
	}
	if c.flags&isLingering != 0 {
		c.linger()
	}
}

// The patience with a connection that was closed politely.
const (
	flushPatience   = 30 * time.Second // while bytes still wait, since the peer last acknowledged some
	discardPatience = 2 * time.Second  // after FIN
)

// linger sets the end of the polite close.
func (c *Conn) linger() {
	patience := discardPatience
	if c.flags&sentFIN == 0 {
		patience, c.held = flushPatience, int32(c.outstanding())
	}
	c.deadline = c.loop.now.Add(patience)
	c.loop.wheel.set(c)
}

// discard throws away what arrives after a polite close, until the peer's FIN.
func (c *Conn) discard() {
	if c.flags&hasFailed != 0 || c.flags&(hasEnded|sentFIN) == hasEnded|sentFIN {
		c.release()
		return
	}
	for range readsPerTurn {
		if c.flags&(isReadable|hasEnded|isArmed) != isReadable {
			return
		}
		n, errno := c.readInto(c.loop.buffers.shared)
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			c.flags &^= isReadable
		case n > 0 && errno == 0:
			if n < readSize && c.flags&hasHangup == 0 {
				c.flags &^= isReadable
			}
		case errno == 0 && c.flags&sentFIN == 0: // our queue is not empty yet
			c.flags = c.flags&^isReadable | hasEnded
		default:
			c.release()
			return
		}
	}
	c.makeReady()
}
