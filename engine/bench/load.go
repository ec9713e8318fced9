package bench

import (
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// load is generator and server in one thread: an event loop over plain descriptors, as lean as possible so that the proxies are what is measured.
type load struct {
	epoll  int
	peers  []*peer // by descriptor
	events [512]unix.EpollEvent
	buf    []byte
	failed int64 // clients whose connection or answer was not as it should be
	done   int64 // answers, sessions or bytes that arrived
	source int   // of the next client's address
	paused bool  // clients begin nothing new
}

// peer is one descriptor and what happens on it.
type peer struct {
	fd  int
	act func(l *load, p *peer, events uint32)
	got int
	to  unix.Sockaddr // of a client

	request []byte    // of a web client
	begun   bool      // an answer has begun
	left    int       // bytes of a body that are still to come, or to be sent
	due     time.Time // when the request should have been sent
}

func newLoad() (*load, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	return &load{epoll: ep, buf: make([]byte, 1<<20)}, nil
}

func (l *load) add(p *peer, events uint32) error {
	for p.fd >= len(l.peers) {
		l.peers = append(l.peers, make([]*peer, 1024)...)
	}
	l.peers[p.fd] = p
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, p.fd, &unix.EpollEvent{Events: events, Fd: int32(p.fd)})
}

func (l *load) drop(p *peer) {
	l.peers[p.fd] = nil
	_ = unix.Close(p.fd)
}

// turn handles what happened, and waits for at most that long.
func (l *load) turn(wait time.Duration) {
	n, err := unix.EpollWait(l.epoll, l.events[:], int(wait.Milliseconds())) // less than a millisecond: it does not wait
	if err != nil {
		return
	}
	for i := range n {
		p, events := l.peers[l.events[i].Fd], l.events[i].Events
		if p == nil {
			continue
		}
		if p.to != nil && events&unix.EPOLLOUT != 0 { // a client waits for that once
			l.watch(p, unix.EPOLLIN)
		}
		p.act(l, p, events)
	}
}

// until runs the loop until the condition holds; an error after that long.
func (l *load) until(what string, limit time.Duration, met func() bool) error {
	for end := time.Now().Add(limit); !met(); l.turn(10 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%s: nothing for %v", what, limit)
		}
	}
	return nil
}

func (l *load) during(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		l.turn(10 * time.Millisecond)
	}
}

// listen serves connections with act.
func (l *load) listen(at netip.AddrPort, events uint32, act func(*load, *peer, uint32)) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err := unix.Bind(fd, sockaddr(at)); err != nil {
		return fmt.Errorf("bind %s: %w", at, err)
	}
	if err := unix.Listen(fd, 65535); err != nil {
		return err
	}
	return l.add(&peer{fd: fd, act: func(l *load, p *peer, _ uint32) {
		for range 64 {
			c, _, err := unix.Accept4(p.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			if err != nil {
				return
			}
			_ = l.add(&peer{fd: c, act: act}, events)
		}
	}}, unix.EPOLLIN)
}

func sockaddr(a netip.AddrPort) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}

// dial begins a client's connection from the next source address. Its first event is EPOLLOUT, at once if it is connected already, as it mostly is on loopback: a
// generator that is not lean makes quick contenders wait, and waiting costs them.
func (l *load) dial(to unix.Sockaddr, act func(*load, *peer, uint32)) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	l.source = (l.source + 1) % 200
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 2, byte(1 + l.source)}}); err != nil {
		return err
	}
	if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		return fmt.Errorf("connect: %w", err)
	}
	p := &peer{fd: fd, act: act, to: to}
	if _, err := unix.Getpeername(fd); err != nil {
		return l.add(p, unix.EPOLLOUT)
	}
	if err := l.add(p, unix.EPOLLIN); err != nil {
		return err
	}
	act(l, p, unix.EPOLLOUT)
	return nil
}

// watch changes what a peer waits for.
func (l *load) watch(p *peer, events uint32) {
	_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, p.fd, &unix.EpollEvent{Events: events, Fd: int32(p.fd)})
}
