package loop

import (
	"syscall"

	"evenkeel/engine/wire"

	"golang.org/x/sys/unix"
)

// splicing is a transfer inside the kernel from one connection to another.
type splicing struct {
	to     *Conn
	left   int64 // not yet read; negative: until the peer finishes
	inPipe int   // read and not yet written; the pipe is held while it is not zero
	pipe   pipe
	ended  bool
}

// splicePerTurn bounds what one transfer may move in a turn.
const splicePerTurn = 1 << 20

// Raw implements wire.Conn.
func (c *Conn) Raw() bool { return true }

// SpliceTo implements wire.Conn.
func (c *Conn) SpliceTo(to wire.Conn, n int64) {
	other, ours := to.(*Conn)
	if !ours || c.flags&isOver != 0 || other.flags&isOver != 0 {
		return
	}
	c.endSplice()
	if n < 0 {
		n = -1
	}
	c.splice = &splicing{to: other, left: n}
	other.feeder, c.moved = c, 0
	c.demote()
	c.makeReady()
}

// Moved implements wire.Conn.
func (c *Conn) Moved() int64 { return c.moved }

// pipeWaits tells whether bytes for c stand in a pipe.
func (c *Conn) pipeWaits() bool { return c.feeder != nil && c.feeder.splice.inPipe > 0 }

// endSplice forgets the transfer of c's bytes; those in the pipe are lost.
func (c *Conn) endSplice() {
	s := c.splice
	if s == nil {
		return
	}
	if s.inPipe > 0 {
		c.loop.dropPipe(s.pipe)
	}
	s.to.feeder, c.splice = nil, nil
}

// pump moves bytes as long as both sides are willing.
func (c *Conn) pump() {
	s := c.splice
	if s == nil || !c.pumpKept() {
		return
	}
	for budget := splicePerTurn; ; {
		switch {
		case s.inPipe > 0 && !c.emptyPipe():
			return
		case s.to.out != nil || s.to.flags&(isConnecting|hasFailed|isPending) != 0:
			return
		case s.left == 0 || s.ended:
			c.spliced()
			return
		case c.flags&isReadable == 0:
			return
		case budget <= 0:
			c.makeReady()
			return
		}
		n, goOn := c.fillPipe()
		if !goOn {
			return
		}
		budget -= n
	}
}

// pumpKept sends on what the core had been offered and did not take.
func (c *Conn) pumpKept() bool {
	s := c.splice
	if c.kept == nil {
		return true
	}
	b := c.kept.waiting()
	if s.left >= 0 && int64(len(b)) > s.left {
		b = b[:s.left]
	}
	s.to.Send(b)
	c.account(len(b))
	c.moved += int64(len(b))
	if c.kept.off += len(b); len(c.kept.waiting()) == 0 {
		c.loop.buffers.put(c.kept)
		c.kept = nil
	}
	return c.kept == nil || s.left == 0
}

func (c *Conn) account(n int) {
	if s := c.splice; s.left > 0 {
		s.left -= int64(n)
	}
}

// fillPipe reads once from c into an empty pipe; without a pipe it copies.
func (c *Conn) fillPipe() (n int, goOn bool) {
	s := c.splice
	want := pipeSize
	if s.left >= 0 && s.left < int64(want) {
		want = int(s.left)
	}
	p, ok := c.loop.getPipe()
	if !ok {
		return c.copyOnce(min(want, wire.OneRead))
	}
	n, errno := 0, syscall.Errno(c.errno)
	if c.flags&hasTaken == 0 {
		n, errno = sysSplice(c.fd, p.w, want)
	}
	if n > 0 && errno == 0 {
		s.pipe, s.inPipe = p, n
		c.received += uint64(n)
		c.account(n)
		return n, true
	}
	c.loop.putPipe(p)
	return 0, c.readEnded(n, errno)
}

// readEnded judges a read that brought nothing; true: the caller looks again.
func (c *Conn) readEnded(n int, errno unix.Errno) bool {
	if c.flags&hasFailed != 0 {
		c.flags &^= isReadable
		return false
	}
	switch errno {
	case 0:
		c.flags = c.flags&^isReadable | hasEnded
		c.splice.ended = true
		return true
	case unix.EINTR:
		return true
	case unix.EAGAIN:
		c.flags &^= isReadable
	default:
		c.fail(errno)
	}
	return false
}

func (c *Conn) copyOnce(want int) (n int, goOn bool) {
	n, errno := c.readInto(c.loop.buffers.shared[:want])
	if n <= 0 || errno != 0 {
		return 0, c.readEnded(n, errno)
	}
	c.splice.to.Send(c.loop.buffers.shared[:n])
	c.account(n)
	c.moved += int64(n)
	c.received += uint64(n)
	return n, true
}

// emptyPipe writes what the pipe holds; true: it is empty and was given back.
func (c *Conn) emptyPipe() bool {
	s := c.splice
	for s.inPipe > 0 {
		if s.to.flags&isWritable == 0 {
			return false
		}
		s.to.prompt()
		n, errno := sysSplice(s.pipe.r, s.to.fd, s.inPipe)
		switch {
		case errno == unix.EAGAIN:
			s.to.flags &^= isWritable
			s.to.demote()
			return false
		case errno == unix.EINTR:
		case errno != 0:
			s.to.fail(errno)
			return false
		default:
			s.inPipe -= n
			s.to.sent += uint64(n)
			c.moved += int64(n)
		}
	}
	c.loop.putPipe(s.pipe)
	return true
}

// spliced ends the transfer and tells the core; reading goes on as before.
func (c *Conn) spliced() {
	ended := c.splice.ended
	c.endSplice()
	to := c.moved
	if c.flags&isOver == 0 {
		c.core.Spliced(c, to, ended)
	}
	if c.flags&isGone == 0 && (c.kept != nil || c.flags&isReadable != 0) {
		c.flags |= isOffered
		c.makeReady()
	}
}
