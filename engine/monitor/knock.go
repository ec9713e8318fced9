package monitor

import (
	"context"
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"time"

	"evenkeel/appliance"

	"golang.org/x/sys/unix"
)

// knocker makes the checks that only see whether a port opens, all of them in one goroutine: thousands each second cost no more than their system calls.
//
// A knock ends before it would be a connection for the program that listens: the last segment of the handshake is held back (TCP_QUICKACK off, tcp(7)) and a reset
// goes out in its place. The server's program is not woken and writes no line about a client that said nothing, and nothing stays in TIME_WAIT.
type knocker struct {
	m     *Monitor
	epoll int
	wake  int

	mu      sync.Mutex // guards what follows
	ended   bool
	pending map[int32]*knock
}

// knock is one check under way.
type knock struct {
	entry *entry
	ctx   context.Context
	a     *attempt
	until time.Time
}

// openKnocker returns nil where the kernel has no room for it: then every check has a goroutine of its own.
func openKnocker(m *Monitor) *knocker {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil
	}
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(epoll)
		return nil
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(wake)}
	if unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, &event) != nil {
		_ = unix.Close(epoll)
		_ = unix.Close(wake)
		return nil
	}
	return &knocker{m: m, epoll: epoll, wake: wake, pending: map[int32]*knock{}}
}

// suits tells whether a check is one for the knocker, and where it goes.
func (m *Monitor) suits(e *entry) (to netip.AddrPort, ok bool) {
	p := &e.prepared
	if p.kind != appliance.MonitorConnect || p.broken != "" || p.port == 0 {
		return netip.AddrPort{}, false
	}
	a, err := netip.ParseAddr(p.host)
	if err != nil && m.resolve != nil {
		a, err = m.resolve(e.id, p.host)
	}
	if err != nil || a.Zone() != "" {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.Unmap(), p.port), true
}

// begin sends the first segment.
func (k *knocker) begin(ctx context.Context, e *entry, to netip.AddrPort) {
	n := &knock{entry: e, ctx: ctx, a: k.m.attempt(e.prepared)}
	n.until = time.Now().Add(e.prepared.timeout)
	fd, err := knockAt(to)
	if err != nil {
		k.tell(n, err)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		_ = unix.Close(fd)
		return
	}
	k.pending[int32(fd)] = n
	event := unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(fd)}
	if err := unix.EpollCtl(k.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		delete(k.pending, int32(fd))
		_ = unix.Close(fd)
		go k.tell(n, err) // the lock is held
	}
}

// knockAt begins to connect; closing what it returns sends a reset.
func knockAt(to netip.AddrPort) (int, error) {
	family, address := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()})
	if to.Addr().Is4() {
		family, address = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0)
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	if err := unix.Connect(fd, address); err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// tell hands the result to the monitor.
func (k *knocker) tell(n *knock, err error) {
	o := outcome{}
	if err == nil {
		o = good("Port %d opened in %s", n.a.port, brief(n.a.took()))
	} else {
		o = n.a.unopened(err)
	}
	k.m.finish(n.ctx, n.entry, appliance.Probe{At: n.a.started, Good: o.good, Took: n.a.took(), Sentence: o.sentence()}, o)
	k.m.mu.Lock()
	k.m.busy--
	k.m.mu.Unlock()
}

// patience is how often late knocks are looked for.
const patience = 50 * time.Millisecond

// run tells results until the context ends; then what is under way is given up.
func (k *knocker) run(ctx context.Context) {
	runtime.LockOSThread() // it sleeps in the kernel
	defer runtime.UnlockOSThread()
	stop := context.AfterFunc(ctx, func() { _, _ = unix.Write(k.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) })
	defer stop()
	var events [128]unix.EpollEvent
	for looked := time.Now(); ctx.Err() == nil; {
		n, err := unix.EpollWait(k.epoll, events[:], k.sleep())
		if err != nil {
			n = 0
		}
		for i := range n {
			if events[i].Fd != int32(k.wake) {
				k.answered(events[i].Fd, events[i].Events)
			}
		}
		if now := time.Now(); now.Sub(looked) >= patience {
			looked = now
			k.late(now)
		}
	}
	k.close()
}

// sleep returns for how many milliseconds nothing need be looked at. Without knocks under way a new one wakes epoll by itself.
func (k *knocker) sleep() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.pending) == 0 {
		return -1
	}
	return int(patience / time.Millisecond)
}

// take ends a knock.
func (k *knocker) take(fd int32) *knock {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := k.pending[fd]
	delete(k.pending, fd)
	return n
}

func (k *knocker) answered(fd int32, events uint32) {
	n := k.take(fd)
	if n == nil {
		return
	}
	var err error
	if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		errno, _ := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err = syscall.Errno(errno); errno == 0 {
			err = syscall.ECONNREFUSED
		}
	}
	_ = unix.Close(int(fd))
	k.tell(n, err)
}

// late gives up what has taken too long, or is not wanted any more.
func (k *knocker) late(now time.Time) {
	var list []*knock
	k.mu.Lock()
	for fd, n := range k.pending {
		if !now.Before(n.until) || n.ctx.Err() != nil {
			delete(k.pending, fd)
			_ = unix.Close(int(fd))
			list = append(list, n)
		}
	}
	k.mu.Unlock()
	for _, n := range list {
		k.tell(n, context.DeadlineExceeded)
	}
}

func (k *knocker) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
	for fd := range k.pending {
		_ = unix.Close(int(fd))
	}
	clear(k.pending)
	_ = unix.Close(k.epoll)
	_ = unix.Close(k.wake)
}

// openKnocks returns the knocker of a run, unless connections are made in a way of somebody's own.
func (m *Monitor) openKnocks() *knocker {
	if m.dialled {
		return nil
	}
	return openKnocker(m)
}
