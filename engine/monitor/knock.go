package monitor

import (
	"context"
	"net/netip"
	"os"
	"sync"
	"time"

	"evenkeel/appliance"

	"golang.org/x/sys/unix"
)

// knocker makes the checks that only see whether a port opens. The scheduler begins a handful of them and looks once who has answered, which a server nearby has by
// then; the others are awaited in a goroutine. Thousands each second cost little more than their system calls.
//
// A knock ends before it would be a connection for the program that listens: the last segment of the handshake is held back and a reset goes out in its place. The
// server's program is not woken and writes no line about a client that said nothing, and nothing stays in TIME_WAIT.
type knocker struct {
	m     *Monitor
	epoll *os.File // the runtime awaits it like any connection, so that no thread is kept for it

	handful [handful]knock // the scheduler's
	polled  [handful]unix.PollFd
	looked  time.Time // for late ones

	mu      sync.Mutex // guards what follows
	ended   bool
	pending map[int32]knock // by descriptor
	serial  int32           // of the knock that was awaited last
	idle    [2][]socket     // of IPv4 and IPv6
}

// handful is how many knocks the scheduler begins before it looks.
const handful = 16

// mostIdle is how many sockets of a family are kept for later knocks.
const mostIdle = 64

// patience is how often late knocks are looked for.
const patience = 50 * time.Millisecond

// knock is one check under way, or its result.
type knock struct {
	entry   *entry
	to      netip.AddrPort
	socket  socket
	began   time.Time
	took    time.Duration
	pending bool
	serial  int32
	err     error // nil: the port opened
}

// openKnocker returns nil where the kernel has no room for it, or connections are made in a way of somebody's own: then every check has a goroutine.
func openKnocker(m *Monitor) *knocker {
	if m.dialled {
		return nil
	}
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil
	}
	_ = unix.SetNonblock(fd, true) // or the runtime would not take it
	k := &knocker{m: m, epoll: os.NewFile(uintptr(fd), "epoll"), pending: map[int32]knock{}}
	if k.epoll.SetReadDeadline(time.Time{}) != nil {
		_ = k.epoll.Close()
		return nil
	}
	return k
}

// suits tells whether a check is one for the knocker, and where it goes.
func (m *Monitor) suits(e *entry) (to netip.AddrPort, ok bool) {
	p := &e.prepared
	if m.knocks == nil || p.kind != appliance.MonitorConnect || p.broken != "" || p.port == 0 {
		return netip.AddrPort{}, false
	}
	if e.literal.IsValid() {
		return e.literal, e.literal.Addr().Zone() == ""
	}
	if m.resolve == nil {
		return netip.AddrPort{}, false
	}
	a, err := m.resolve(e.id, p.host)
	if err != nil || a.Zone() != "" {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.Unmap(), p.port), true
}

// try makes a handful of knocks. Those that end at once are told; the others are awaited.
func (k *knocker) try(ctx context.Context, list []knock) {
	polled := k.polled[:len(list)]
	for i := range list {
		k.begin(&list[i])
		polled[i] = unix.PollFd{Fd: list[i].socket.fd, Events: unix.POLLOUT}
		if !list[i].pending {
			polled[i].Fd = -1 // poll skips it
		}
	}
	if n, _ := unix.Poll(polled, 0); n > 0 {
		now := k.m.now()
		for i := range list {
			if polled[i].Revents != 0 {
				list[i].end(now, polled[i].Revents&(unix.POLLERR|unix.POLLHUP) != 0)
			}
		}
	}
	over := list[:0]
	k.mu.Lock()
	for i := range list {
		n := &list[i]
		if n.pending && k.await(n) {
			continue
		}
		k.put(n)
		over = append(over, *n)
	}
	k.mu.Unlock()
	k.m.settle(ctx, over)
	clear(list) // lest it hold entries
}

// begin sends the first segment.
func (k *knocker) begin(n *knock) {
	n.began = k.m.now()
	if n.socket, n.err = k.get(!n.to.Addr().Is4()); n.err != nil {
		n.socket.fd = -1
		return
	}
	switch errno := n.socket.connect(n.to); errno {
	case 0:
	case unix.EINPROGRESS:
		n.pending = true
	default:
		n.err, n.took = errno, k.m.now().Sub(n.began)
	}
}

// end makes n a result.
func (n *knock) end(now time.Time, failed bool) {
	n.pending, n.took = false, now.Sub(n.began)
	if failed {
		n.err = n.socket.failure()
	}
}

// get returns a socket that is idle, or a new one.
func (k *knocker) get(six bool) (socket, error) {
	k.mu.Lock()
	idle := &k.idle[family(six)]
	if n := len(*idle); n > 0 {
		s := (*idle)[n-1]
		*idle = (*idle)[:n-1]
		k.mu.Unlock()
		return s, nil
	}
	k.mu.Unlock()
	return openSocket(six)
}

// put takes the socket of a knock that is over; the lock is held.
func (k *knocker) put(n *knock) {
	s := n.socket
	if s.fd < 0 {
		return
	}
	idle := &k.idle[family(s.six)]
	if k.ended || n.err != nil || s.left <= 0 || len(*idle) >= mostIdle || !s.hangUp() {
		s.close()
		return
	}
	*idle = append(*idle, s)
}

func family(six bool) int {
	if six {
		return 1
	}
	return 0
}

// await leaves n to the goroutine; the lock is held. When that cannot be, n is a result.
func (k *knocker) await(n *knock) bool {
	k.serial++
	n.serial = k.serial
	event := unix.EpollEvent{Events: unix.EPOLLOUT | unix.EPOLLONESHOT, Fd: n.socket.fd, Pad: n.serial}
	operation := unix.EPOLL_CTL_ADD
	if n.socket.known {
		operation = unix.EPOLL_CTL_MOD
	}
	err := error(os.ErrClosed)
	if !k.ended {
		err = k.control(operation, &event)
	}
	if err != nil {
		n.pending, n.err = false, err
		return false
	}
	n.socket.known = true
	k.pending[n.socket.fd] = *n
	return true
}

// control is epoll_ctl.
func (k *knocker) control(operation int, event *unix.EpollEvent) error {
	raw, err := k.epoll.SyscallConn()
	if err != nil {
		return err
	}
	failed := raw.Control(func(fd uintptr) { err = unix.EpollCtl(int(fd), operation, int(event.Fd), event) })
	if err == nil {
		err = failed
	}
	return err
}

// run tells results until the context ends; then what is under way is given up.
func (k *knocker) run(ctx context.Context) {
	defer k.close()
	raw, err := k.epoll.SyscallConn()
	if err != nil {
		return
	}
	defer context.AfterFunc(ctx, func() { _ = k.epoll.SetReadDeadline(time.Unix(1, 0)) })()
	var events [128]unix.EpollEvent
	for ctx.Err() == nil {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			n, _ = unix.EpollWait(int(fd), events[:], 0)
			return n > 0
		})
		if err != nil {
			return
		}
		k.answered(ctx, events[:n])
	}
}

// answered tells the results of knocks that epoll says something about.
func (k *knocker) answered(ctx context.Context, events []unix.EpollEvent) {
	now := k.m.now()
	var over []knock
	k.mu.Lock()
	for _, event := range events {
		n, found := k.pending[event.Fd]
		if !found || n.serial != event.Pad {
			continue // it was given up, and its descriptor may be another's
		}
		delete(k.pending, event.Fd)
		n.end(now, event.Events&(unix.EPOLLERR|unix.EPOLLHUP) != 0)
		k.put(&n)
		over = append(over, n)
	}
	k.mu.Unlock()
	if k.m.settle(ctx, over) {
		k.m.nudge()
	}
}

// late gives up what has taken too long, at most once in that patience, and returns for how long nothing need be looked at.
func (k *knocker) late(ctx context.Context) time.Duration {
	now := k.m.now()
	var over []knock
	k.mu.Lock()
	if len(k.pending) == 0 {
		k.mu.Unlock()
		return idleWait
	}
	if since := now.Sub(k.looked); since < patience {
		k.mu.Unlock()
		return patience - since
	}
	k.looked = now
	for fd, n := range k.pending {
		if now.Sub(n.began) >= n.entry.prepared.timeout {
			delete(k.pending, fd)
			n.end(now, false)
			n.err = context.DeadlineExceeded
			k.put(&n)
			over = append(over, n)
		}
	}
	k.mu.Unlock()
	k.m.settle(ctx, over)
	return patience
}

func (k *knocker) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
	for _, n := range k.pending {
		n.socket.close()
	}
	clear(k.pending)
	for i, list := range k.idle {
		for _, s := range list {
			s.close()
		}
		k.idle[i] = nil
	}
	_ = k.epoll.Close()
}

// result is what a knock says about its server.
func (m *Monitor) result(n *knock) (appliance.Probe, outcome) {
	p := appliance.Probe{At: n.began, Good: n.err == nil, Took: n.took}
	if p.Good {
		o := n.entry.opened(n.took)
		p.Sentence = n.entry.openedSentence
		return p, o
	}
	a := m.attempt(n.entry.prepared)
	o := a.unopened(n.err)
	p.Sentence = o.sentence()
	return p, o
}
