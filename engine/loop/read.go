package loop

import (
	"syscall"

	"evenkeel/engine/wire"

	"golang.org/x/sys/unix"
)

// readsPerTurn bounds what one connection may take of a turn.
const readsPerTurn = 4

// take moves bytes from the kernel to where they go now: another connection, the core, or nowhere.
func (c *Conn) take() {
	switch {
	case c.flags&(isGone|isConnecting) != 0:
	case c.flags&isLingering != 0:
		c.discard()
	case c.splice != nil:
		c.pump()
	default:
		c.read()
	}
}

// open tells whether the core may be offered bytes now.
func (c *Conn) open() bool { return c.flags&(isPaused|isOver) == 0 && c.splice == nil }

func (c *Conn) read() {
	if c.flags&isOffered != 0 && c.open() {
		c.offerKept()
	}
	for range readsPerTurn {
		if !c.open() || c.flags&(isReadable|hasEnded|isArmed) != isReadable || !c.readOnce() {
			return
		}
	}
	c.makeReady()
}

// readOnce returns false when there is nothing more to read now.
func (c *Conn) readOnce() bool {
	buf := c.loop.buffers.shared
	have := 0
	if c.kept != nil {
		if have = copy(buf, c.kept.waiting()); have >= wire.KeepLimit {
			return false
		}
	}
	room := buf[have:min(have+wire.OneRead, len(buf))]
	n, errno := c.readInto(room)
	switch {
	case errno == unix.EAGAIN:
		c.flags &^= isReadable
		return false
	case errno == unix.EINTR:
		return true
	case errno != 0:
		c.fail(errno)
		return false
	case n == 0 && c.flags&hasFailed != 0: // a send took the error from the kernel: this is no FIN
		c.flags &^= isReadable
		return false
	case n == 0:
		c.flags = c.flags&^isReadable | hasEnded
		c.core.Ended(c)
		return false
	}
	c.received += uint64(n)
	c.flags &^= sentMuch
	if n < len(room) && c.flags&hasHangup == 0 {
		c.flags &^= isReadable // a short read: the next bytes bring an edge
	}
	c.offer(buf[:have+n])
	return true
}

// readInto reads once, unless the ring has taken what a read would return.
func (c *Conn) readInto(b []byte) (int, syscall.Errno) {
	switch {
	case c.flags&hasTaken != 0:
		return 0, syscall.Errno(c.errno)
	case c.flags&tookFIN != 0:
		return 0, 0
	}
	return sysRead(c.fd, b)
}

// offerKept offers again what was kept.
func (c *Conn) offerKept() {
	c.flags &^= isOffered
	k := c.kept
	if k == nil {
		return
	}
	c.kept = nil
	most := min(len(k.waiting()), wire.KeepLimit) // the ring may have brought more
	taken := c.core.Received(c, k.waiting()[:most])
	k.off += taken
	if c.flags&isOver != 0 || len(k.waiting()) == 0 {
		c.loop.buffers.put(k)
	} else if c.kept = k; taken == most {
		c.flags |= isOffered
	}
	c.offered()
}

// offer hands b to the core and keeps what it leaves; b is the shared buffer and begins with what was kept.
func (c *Conn) offer(b []byte) {
	c.flags &^= isOffered
	k := c.kept
	c.kept = nil
	if k != nil {
		k.b, k.off = k.b[:0], 0
	}
	taken := c.core.Received(c, b)
	if c.flags&isOver != 0 || taken == len(b) {
		c.loop.buffers.put(k)
	} else {
		c.kept = c.loop.buffers.add(k, b[taken:])
	}
	c.offered()
}

// offered looks at what the core asked for while it had bytes.
func (c *Conn) offered() {
	switch {
	case c.splice != nil:
		c.pump()
	case c.kept != nil && c.flags&(isOffered|isPaused) == isOffered:
		c.makeReady()
	}
}
