package loop

import (
	"net/netip"
	"slices"

	"evenkeel/engine/wire"

	"golang.org/x/sys/unix"
)

// Acceptor is who takes the connections of a listener. Its methods are called on the loop.
type Acceptor interface {
	// Admit asks whether one more connection may be taken; false pauses the listener until Resume. True is counted until Gone.
	Admit() bool
	// Accepted gives the core of a new connection; nil ends it at once. The core may already use c.
	Accepted(c wire.Conn) wire.Core
	// Gone tells that what Admit admitted is over: the descriptor is closed, or nobody came.
	Gone()
}

// origin is where an accepted connection came from.
type origin struct {
	acceptor Acceptor
	local    netip.AddrPort
}

// Listener is one listening descriptor of one loop.
type Listener struct {
	loop   *Loop
	fd     int32
	gen    uint32
	eager  bool   // the client speaks first: read at once
	full   bool   // the acceptor wants no more
	polled bool   // by the ring
	batch  int    // how many connections are taken before it is said again that there are some
	whole  int    // batches in a row that were not too large
	turn   uint64 // of the loop, when the last was taken

	origin *origin
}

const (
	acceptsPerTurn = 32 // bounds how many connections one listener brings in a turn
	wholeBatches   = 3  // so many, one after the other, double the batch
)

// Listen begins to accept from a descriptor of Bind, which is the loop's from then on.
func (l *Loop) Listen(fd int, local netip.AddrPort, a Acceptor, clientFirst bool) *Listener {
	l.gen++
	n := &Listener{loop: l, fd: int32(fd), gen: l.gen, batch: 1}
	n.Serve(a, local, clientFirst)
	l.slot(n.fd).listener = n
	l.listeners = append(l.listeners, n)
	if l.uring != nil {
		l.uring.wake(n)
		return n
	}
	event := unix.EpollEvent{Events: n.wanted(), Fd: n.fd, Pad: int32(n.gen)}
	if errno := sysEpollCtl(l.epoll, unix.EPOLL_CTL_ADD, n.fd, &event); errno != 0 {
		l.log.Error("listener not watched", "address", local.String(), "error", errno.Error())
	}
	return n
}

// Serve gives the listener to another acceptor; connections that were accepted before stay with theirs.
func (n *Listener) Serve(a Acceptor, local netip.AddrPort, clientFirst bool) {
	n.origin, n.eager = &origin{acceptor: a, local: local}, clientFirst
	quick := int32(1)
	if clientFirst {
		quick = 0 // its connections have it from the listener: the answer acknowledges the request, which saves a packet
	}
	sysSetInt(n.fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, quick)
	n.Defer(true)
	if n.full {
		n.full = false
		n.update()
	}
}

// Defer has the kernel keep a connection back until something has come on it, where clients speak first (tcp(7), TCP_DEFER_ACCEPT), or not: then nobody is out of sight who
// believes to be connected.
func (n *Listener) Defer(on bool) {
	seconds := int32(0)
	if on && n.eager {
		seconds = 1
	}
	sysSetInt(n.fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, seconds)
}

// TakeAll accepts everybody who waits now, as far as the acceptor admits them.
func (n *Listener) TakeAll() { n.take(backlog) }

// Resume accepts again after the acceptor had refused.
func (n *Listener) Resume() {
	if n.full {
		n.full = false
		n.update()
	}
}

// Close stops listening. What waits in the queue would be reset by that, so it is taken before and ended politely.
func (n *Listener) Close() {
	l := n.loop
	for range backlog {
		fd, peer, errno := sysAccept(n.fd)
		if errno != 0 {
			break
		}
		c := l.newConn(fd, peer)
		c.flags = isFresh | isReadable | isWritable
		l.fresh = append(l.fresh, c)
		c.Close()
	}
	n.drop()
}

// Leave stops watching before it closes, because another process holds the same socket: closing alone would leave it watched here, and what waits in its queue is
// the other's.
func (n *Listener) Leave() {
	if n.loop.uring == nil {
		sysEpollCtl(n.loop.epoll, unix.EPOLL_CTL_DEL, n.fd, &unix.EpollEvent{})
	}
	n.drop()
}

func (n *Listener) drop() {
	l := n.loop
	l.listeners = slices.DeleteFunc(l.listeners, func(o *Listener) bool { return o == n })
	l.slots[n.fd].listener = nil
	n.full = false
	if n.polled {
		l.uring.cancel(n.token())
		l.uring.enter(enterGetEvents) // else the ring would go on to hold the socket
	}
	sysClose(n.fd)
}

func (n *Listener) wanted() uint32 {
	if n.full || n.loop.starved.at != 0 || n.loop.overfull {
		return 0
	}
	return unix.EPOLLIN
}

func (n *Listener) update() {
	if n.loop.slots[n.fd].listener != n { // closed: the descriptor is somebody else's
		return
	}
	if n.loop.uring != nil {
		n.loop.uring.wake(n)
		return
	}
	event := unix.EpollEvent{Events: n.wanted(), Fd: n.fd, Pad: int32(n.gen)}
	sysEpollCtl(n.loop.epoll, unix.EPOLL_CTL_MOD, n.fd, &event)
}

// pace says how many connections are taken now: asking for one more than there are costs a system call for nothing.
func (n *Listener) pace() int {
	now := n.loop.stats.Turns
	if now-n.turn > 1 {
		n.whole = 0
	}
	if n.turn = now; n.whole >= wholeBatches {
		n.whole, n.batch = 0, min(2*n.batch, acceptsPerTurn)
	}
	return n.batch
}

// accept takes a batch of connections. If there are more, it is called again in the next turn.
func (n *Listener) accept() {
	batch := n.pace()
	switch came, empty := n.take(batch); {
	case empty:
		n.whole, n.batch = 0, max(1, came)
	case came == batch:
		n.whole++
	}
}

// take accepts so many connections at most, and tells how many came and whether no more wait.
func (n *Listener) take(most int) (came int, empty bool) {
	for ; came < most; came++ {
		n.loop.current = nil
		if n.loop.starved.at != 0 || n.loop.overfull { // the last one's dial took the last descriptor
			break
		}
		a := n.origin.acceptor
		if !a.Admit() {
			n.full = true
			n.update()
			break
		}
		if !n.acceptOne(a) {
			a.Gone()
			return came, true
		}
	}
	return came, false
}

// acceptOne takes one connection, which was admitted; false: none came.
func (n *Listener) acceptOne(a Acceptor) bool {
	l := n.loop
	fd, peer, errno := sysAccept(n.fd)
	for errno == unix.EINTR || errno == unix.ECONNABORTED {
		fd, peer, errno = sysAccept(n.fd)
	}
	if errno != 0 {
		if errno == unix.EMFILE || errno == unix.ENFILE || errno == unix.ENOBUFS || errno == unix.ENOMEM {
			l.starve(errno)
		}
		return false
	}
	count(&l.stats.Accepted)
	c := l.newConn(fd, peer)
	c.origin, c.flags = n.origin, isFresh|isReadable|isWritable|isPrompt // TCP_NODELAY comes from the listener
	if n.eager {
		c.flags |= keepsACK
	}
	l.fresh, l.current = append(l.fresh, c), c
	core := a.Accepted(c)
	switch {
	case c.flags&isOver != 0:
	case core == nil:
		c.Close()
	default:
		c.core = core
		if n.eager {
			c.work(0)
		} else {
			c.makeReady()
		}
	}
	if l.ceiling > 0 && fd >= l.ceiling {
		l.starve(unix.EMFILE)
	}
	if l.starved.said && l.starved.at == 0 {
		l.starved.over(l)
	}
	return true
}
