package ha

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// mostUrgent is the highest priority of packets that needs no right.
const mostUrgent = 6

// room is how many bytes of datagrams may wait: more than 10 ms of a flood of 100,000 a second, so that the peer's are not crowded out of it.
const room = 2 << 20

// socket is a UDP socket that never waits, never allocates, and is used by one goroutine.
type socket struct {
	fd   int
	from unix.RawSockaddrAny
	to   unix.RawSockaddrAny
	size uintptr // of to
}

// openSocket binds to local; what it sends goes to peer. The filter may be nil.
func openSocket(local, peer netip.AddrPort, filter []bpf.RawInstruction) (*socket, error) {
	family := unix.AF_INET6
	if local.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open socket: %w", err)
	}
	s := &socket{fd: fd}
	if err := s.prepare(local, filter); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	s.aim(peer)
	return s, nil
}

func (s *socket) prepare(local netip.AddrPort, filter []bpf.RawInstruction) error {
	// Marks for switches and queues that know urgent packets; nothing depends on them.
	_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_PRIORITY, mostUrgent)
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, room) != nil {
		_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, room)
	}
	if local.Addr().Is4() {
		_ = unix.SetsockoptInt(s.fd, unix.IPPROTO_IP, unix.IP_TOS, 0xc0)
	} else {
		_ = unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, 0xc0)
	}
	if len(filter) > 0 {
		if err := attach(s.fd, filter); err != nil {
			return fmt.Errorf("attach filter: %w", err)
		}
	}
	var address unix.Sockaddr
	if local.Addr().Is4() {
		address = &unix.SockaddrInet4{Port: int(local.Port()), Addr: local.Addr().As4()}
	} else {
		address = &unix.SockaddrInet6{Port: int(local.Port()), Addr: local.Addr().As16(), ZoneId: zone(local.Addr())}
	}
	switch err := unix.Bind(s.fd, address); {
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return &noAddressError{local.Addr()}
	case err != nil:
		return fmt.Errorf("bind %s: %w", local, err)
	}
	return nil
}

// noAddressError says that a path begins at an address that this machine does not have.
type noAddressError struct{ address netip.Addr }

func (e *noAddressError) Error() string {
	return fmt.Sprintf("this machine does not have the address %s", e.address)
}

// zone is the interface of a link-local address.
func zone(a netip.Addr) uint32 {
	if a.Zone() == "" {
		return 0
	}
	i, err := net.InterfaceByName(a.Zone())
	if err != nil {
		return 0
	}
	return uint32(i.Index)
}

func (s *socket) aim(peer netip.AddrPort) { s.size = rawAddress(&s.to, peer) }

// rawAddress writes a as the kernel wants it and returns its size.
func rawAddress(raw *unix.RawSockaddrAny, a netip.AddrPort) uintptr {
	port := a.Port()<<8 | a.Port()>>8
	if a.Addr().Is4() {
		*(*unix.RawSockaddrInet4)(unsafe.Pointer(raw)) = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: networkOrder(port), Addr: a.Addr().As4()}
		return unix.SizeofSockaddrInet4
	}
	*(*unix.RawSockaddrInet6)(unsafe.Pointer(raw)) = unix.RawSockaddrInet6{
		Family: unix.AF_INET6, Port: networkOrder(port), Addr: a.Addr().As16(), Scope_id: zone(a.Addr()),
	}
	return unix.SizeofSockaddrInet6
}

// networkOrder undoes the exchange of the two bytes on a machine that stores the high one first.
func networkOrder(swapped uint16) uint16 {
	one := uint16(1)
	if *(*byte)(unsafe.Pointer(&one)) == 1 {
		return swapped
	}
	return swapped<<8 | swapped>>8
}

// addressOf reads an address without its zone; invalid when it is none of IP.
func addressOf(raw *unix.RawSockaddrAny) netip.AddrPort {
	switch raw.Addr.Family {
	case unix.AF_INET:
		r := (*unix.RawSockaddrInet4)(unsafe.Pointer(raw))
		port := networkOrder(r.Port)
		return netip.AddrPortFrom(netip.AddrFrom4(r.Addr), port<<8|port>>8)
	case unix.AF_INET6:
		r := (*unix.RawSockaddrInet6)(unsafe.Pointer(raw))
		port := networkOrder(r.Port)
		return netip.AddrPortFrom(netip.AddrFrom16(r.Addr), port<<8|port>>8)
	}
	return netip.AddrPort{}
}

// receive returns the next datagram's length, -1 when none is there. What is longer than b is cut, and longer than any good one.
func (s *socket) receive(b []byte) (int, netip.AddrPort) {
	size := uint32(unix.SizeofSockaddrAny)
	n, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_TRUNC,
		uintptr(unsafe.Pointer(&s.from)), uintptr(unsafe.Pointer(&size)))
	if e != 0 {
		return -1, netip.AddrPort{}
	}
	return int(min(n, uintptr(len(b)))), addressOf(&s.from)
}

// send sends b to the peer, or not at all: a full queue and a missing route are the same as loss.
func (s *socket) send(b []byte) { s.sendTo(b, &s.to, s.size) }

func (s *socket) sendTo(b []byte, to *unix.RawSockaddrAny, size uintptr) {
	_, _, _ = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL,
		uintptr(unsafe.Pointer(to)), size)
}

func (s *socket) close() { _ = unix.Close(s.fd) }
