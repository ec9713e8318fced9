package loop

import (
	"net/netip"
	"syscall"

	"evenkeel/engine/wire"

	"golang.org/x/sys/unix"
)

// Conn is one connection of a loop. It implements wire.Conn. A Conn is never used for a second connection, so a handle that somebody still holds is harmless.
type Conn struct {
	loop   *Loop
	core   wire.Core
	origin *origin // of an accepted connection; nil for a dialed one
	peer   netip.AddrPort

	prev, next *Conn // on the wheel
	deadline   wire.Time
	due        int64 // tick of the place on the wheel

	out    *chunk    // waits for the kernel
	kept   *chunk    // was offered and not taken
	splice *splicing // of the bytes of this connection
	feeder *Conn     // the connection that is being spliced into this one
	moved  int64

	fd    int32
	gen   uint32
	flags flags
	place uint16
	errno uint16 // with hasFailed
	held  int32  // of a polite close: how many bytes waited when it was last looked at
	born  uint32 // when it began, in bornTick

	received, sent uint64 // bytes
}

// flags are the state of a connection.
type flags uint32

const (
	isFresh      flags = 1 << iota // accepted and not yet registered
	isReady                        // in Loop.ready
	isConnecting                   // dialed, not yet connected
	isReadable                     // the kernel may have bytes: an edge that was not used up
	isWritable                     // the kernel takes bytes
	isPaused                       // the core wants nothing now
	isOffered                      // Resume was called: offer what is kept again
	isDraining                     // Drained is owed
	isLingering                    // closed politely: flush, FIN, discard
	isPrompt                       // TCP_NODELAY is on
	hasSent                        // something was sent
	isOver                         // the core is told nothing more
	isGone                         // the descriptor is closed
	hasHangup                      // RDHUP, HUP or ERR was seen: a short read does not mean drained
	hasEnded                       // read returned 0, and the core knows
	hasFailed                      // errno says how
	hasError                       // the kernel has an error for it, which the next read tells
	wantsFIN                       // CloseWrite or Close was called
	sentFIN                        // the kernel knows
	isArmed                        // the ring receives for it
	hasMore                        // while the ring receives: it may have left bytes in the kernel
	isPending                      // the ring is to send something, which is in front of out
	hasShort                       // the ring did not send all of it
	sentMuch                       // too much at once for the ring, and the peer has not answered
	isSlow                         // not for the ring any more
	hasTaken                       // errno is what the next read returns: the ring took it from the kernel
	tookFIN                        // the ring has read up to the FIN: the next read returns 0
	isPolled                       // the ring waits for the end of its connect
	isLate                         // in Loop.late
	keepsACK                       // the kernel keeps the first acknowledgement for what is sent
)

const edges = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff

func (l *Loop) newConn(fd int32, peer netip.AddrPort) *Conn {
	l.gen++
	c := &Conn{loop: l, fd: fd, gen: l.gen, peer: peer, born: uint32(l.now / bornTick)}
	l.slot(fd).conn = c
	l.conns++
	return c
}

// register has epoll watch the descriptor, once for its whole life.
func (c *Conn) register() {
	c.flags &^= isLate
	event := unix.EpollEvent{Events: edges, Fd: c.fd, Pad: int32(c.gen)}
	if errno := sysEpollCtl(c.loop.epoll, unix.EPOLL_CTL_ADD, c.fd, &event); errno != 0 {
		c.fail(errno)
	}
}

// Dial implements wire.Loop.
func (l *Loop) Dial(to netip.AddrPort, core wire.Core) (wire.Conn, error) {
	return l.DialFrom(netip.Addr{}, to, false, core)
}

// DialFrom is Dial from an address of this machine, of the family of to; the zero Addr leaves it to the route. Who begins sends at once when the connection stands:
// that saves a packet. If it does not, the server may learn up to 200 ms late that the connection stands.
func (l *Loop) DialFrom(from netip.Addr, to netip.AddrPort, begins bool, core wire.Core) (wire.Conn, error) {
	fd, errno := l.socketTo(to, begins)
	if errno != 0 {
		return nil, errno
	}
	if from.IsValid() {
		if errno = sysBindSource(fd, from); errno != 0 {
			sysClose(fd)
			return nil, errno
		}
	}
	if errno = sysConnect(fd, to); errno != 0 && errno != unix.EINPROGRESS {
		sysClose(fd)
		return nil, errno
	}
	return l.dialed(fd, to, core), nil
}

// socketTo makes the socket of a connection to an address; the last descriptors may come from the reserve. If this side begins, the acknowledgement that completes the
// handshake goes with its first bytes: TCP_QUICKACK 0 has the kernel wait for them (tcp(7); tcp_rcv_synsent_state_process in net/ipv4/tcp_input.c, pingpong mode).
func (l *Loop) socketTo(to netip.AddrPort, begins bool) (int32, syscall.Errno) {
	family := unix.AF_INET6
	if to.Addr().Is4() || to.Addr().Is4In6() {
		family = unix.AF_INET
	}
	fd, errno := sysSocket(family)
	if (errno == unix.EMFILE || errno == unix.ENFILE) && l.starved.lend() {
		l.starve(errno)
		fd, errno = sysSocket(family)
	}
	if errno == 0 && begins {
		sysSetInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0) // without, it is a packet more
	}
	return fd, errno
}

// dialed makes a connection of a socket that is being connected.
func (l *Loop) dialed(fd int32, to netip.AddrPort, core wire.Core) *Conn {
	c := l.newConn(fd, to)
	c.core, c.flags = core, isConnecting
	if l.uring != nil {
		c.awaitConnect()
	} else {
		c.register()
	}
	count(&l.stats.Dialed)
	return c
}

// Quiet implements wire.Conn.
func (c *Conn) Quiet() bool {
	switch {
	case c.flags&(isReadable|hasMore) != 0 || c.kept != nil:
		return false
	case c.flags&isArmed != 0:
		return c.flags&isSlow == 0 && !c.loop.uring.has(c.token(ofReceive))
	case c.flags&isSlow != 0: // it was spliced or moved bulk: epoll may not have told yet what came behind that
		n, e := sysUnread(c.fd)
		return e == 0 && n == 0
	}
	return true
}

// HasSent tells whether bytes of the peer have come that no core has taken. It costs a system call unless they are known already.
func (c *Conn) HasSent() bool {
	if c.kept != nil || c.flags&isArmed != 0 && c.loop.uring.has(c.token(ofReceive)) {
		return true
	}
	n, _ := sysUnread(c.fd)
	return n > 0
}

// makeReady has the loop look at c in its next turn.
func (c *Conn) makeReady() {
	if c.flags&(isReady|isGone) == 0 {
		c.flags |= isReady
		c.loop.ready = append(c.loop.ready, c)
	}
}

// work does what an event, or being ready, allows.
func (c *Conn) work(events uint32) {
	if c.flags&isGone != 0 {
		return
	}
	c.loop.current = c
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.flags |= isReadable
	}
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.flags |= hasHangup
	}
	if events&unix.EPOLLERR != 0 {
		c.flags |= hasError
	}
	if c.flags&isConnecting != 0 && !c.connected(events) {
		return
	}
	if events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.flags |= isWritable
	}
	if c.flags&isWritable != 0 {
		c.flush()
	}
	c.take()
	if c.flags&(hasError|hasFailed|isReady|isOver) == hasError && c.origin != nil {
		c.lost()
	}
	if c.flags&(hasFailed|isGone|isReady) == hasFailed { // one that is ready has more to read
		if c.flags&isArmed != 0 { // the ring too may have more
			c.demote()
			return
		}
		c.breakOff()
	}
}

// connected handles the end of a connect; false: nothing more is to be done with c now.
func (c *Conn) connected(events uint32) bool {
	switch {
	case c.flags&hasFailed != 0:
		c.breakOff()
		return false
	case events&(unix.EPOLLERR|unix.EPOLLHUP) != 0:
		errno := sysError(c.fd)
		if errno == 0 {
			errno = unix.ECONNREFUSED
		}
		c.fail(errno)
		c.breakOff()
		return false
	case events&unix.EPOLLOUT == 0:
		return false
	}
	c.flags = c.flags&^isConnecting | isWritable
	if c.loop.uring != nil {
		c.watch()
	}
	if c.flags&isOver == 0 {
		c.core.Connected(c)
	}
	return c.flags&isGone == 0
}

// fail notes that the connection is broken; the core is told from the loop, after what still could be read.
func (c *Conn) fail(errno syscall.Errno) {
	if c.flags&(hasFailed|isGone) == 0 {
		c.flags |= hasFailed | isReadable | hasHangup // what came before may still be read
		c.errno = uint16(errno)
		c.makeReady()
	}
}

// lost ends an accepted connection whose peer is gone and of which nothing is read now, so that its server does not work for nobody. A dialed one keeps its error
// until it is read: an answer may stand before it.
func (c *Conn) lost() {
	c.flags |= hasFailed
	if c.flags&hasTaken != 0 {
		return
	}
	errno := sysError(c.fd)
	if errno == 0 {
		errno = unix.ECONNRESET
	}
	c.errno = uint16(errno)
}

// breakOff closes a failed connection and tells the core.
func (c *Conn) breakOff() {
	over, core, errno := c.flags&isOver != 0, c.core, syscall.Errno(c.errno)
	c.release()
	if !over {
		core.Broken(c, errno)
	}
}

// release closes the descriptor and gives back everything.
func (c *Conn) release() {
	if c.flags&isGone != 0 {
		return
	}
	l := c.loop
	c.flags = c.flags&^(isFresh|isLate) | isGone | isOver // the descriptor may be another connection's when it is registered
	if c.flags&isPending != 0 {
		c.retract()
	}
	c.endSplice()
	if c.feeder != nil {
		feeder := c.feeder
		feeder.endSplice()
		feeder.makeReady()
	}
	l.wheel.remove(c)
	l.buffers.put(c.out)
	l.buffers.put(c.kept)
	c.out, c.kept, c.core = nil, nil, nil
	l.slots[c.fd].conn = nil
	l.conns--
	c.closeDescriptor()
	if c.origin != nil {
		c.origin.acceptor.Gone()
	}
}

// Pause implements wire.Conn.
func (c *Conn) Pause() { c.flags |= isPaused }

// Resume implements wire.Conn.
func (c *Conn) Resume() {
	c.flags = c.flags&^isPaused | isOffered
	if c.kept != nil || c.flags&(isReadable|hasFailed) != 0 {
		c.makeReady()
	}
}

// CloseWrite implements wire.Conn.
func (c *Conn) CloseWrite() {
	c.flags |= wantsFIN
	c.finish()
}

// Close implements wire.Conn.
func (c *Conn) Close() {
	if c.flags&isOver != 0 {
		return
	}
	c.over()
	if c.flags&isConnecting != 0 {
		c.release()
		return
	}
	c.flags |= wantsFIN | isLingering
	if c.flags&(hasEnded|isPending) == hasEnded && c.out == nil || c.flags&hasFailed != 0 { // closing sends the FIN
		c.release()
		return
	}
	c.finish()
	c.linger()
	if c.flags&isReadable != 0 {
		c.makeReady()
	}
}

// over ends the core's part in c.
func (c *Conn) over() {
	c.flags |= isOver
	c.endSplice()
	if c.feeder != nil {
		c.feeder.endSplice()
	}
	c.core, c.deadline = nil, 0
	c.loop.buffers.put(c.kept)
	c.kept = nil
}

// Abort implements wire.Conn.
func (c *Conn) Abort() {
	if c.flags&isGone == 0 {
		sysResetOnClose(c.fd)
		c.release()
	}
}

// WakeAt implements wire.Conn.
func (c *Conn) WakeAt(t wire.Time) {
	if c.flags&isOver != 0 {
		return
	}
	if c.deadline = t; t != 0 {
		c.loop.wheel.set(c)
	}
}

// expired is called when the deadline has come.
func (c *Conn) expired() {
	switch {
	case c.flags&(isLingering|sentFIN) == isLingering && int32(c.outstanding()) != c.held: // slow, but it reads
		c.linger()
	case c.flags&isLingering != 0:
		c.release()
	case c.flags&isOver == 0:
		c.core.Woken(c)
	}
}

// Bind implements wire.Conn.
func (c *Conn) Bind(core wire.Core) {
	if c.flags&isOver == 0 {
		c.core = core
	}
}

// Peer implements wire.Conn.
func (c *Conn) Peer() netip.AddrPort { return c.peer }

// Rename makes c the connection of somebody else, whom a proxy speaks for: Peer and Local return these from now on.
func (c *Conn) Rename(peer, local netip.AddrPort) {
	c.peer = peer
	if c.origin != nil {
		c.origin = &origin{acceptor: c.origin.acceptor, local: local}
	}
}

// Arrived returns this machine's end of the connection itself, whatever it was renamed to.
func (c *Conn) Arrived() netip.AddrPort {
	if c.flags&isGone != 0 {
		return netip.AddrPort{}
	}
	return sysLocal(c.fd)
}

// Local implements wire.Conn.
func (c *Conn) Local() netip.AddrPort {
	if c.origin == nil {
		if c.flags&isGone != 0 {
			return netip.AddrPort{}
		}
		return sysLocal(c.fd)
	}
	if c.origin.local.Addr().IsUnspecified() && c.flags&isGone == 0 {
		c.origin = &origin{acceptor: c.origin.acceptor, local: sysLocal(c.fd)}
	}
	return c.origin.local
}
