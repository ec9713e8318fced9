package loop

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"evenkeel/appliance"

	"golang.org/x/sys/unix"
)

// backlog is asked for; the kernel bounds it by net.core.somaxconn.
const backlog = 65535

// Bind makes n listening descriptors that share one address (SO_REUSEPORT). The first is bound and listens without sharing, so that a port which another process holds,
// or takes at this moment, is refused; shared leaves that out because this process is known to hold the port (a wildcard follows an address, or the other way round).
// Errors are of kind Conflict (taken), Denied (no right), Invalid (not an address here) or Unavailable, with Subject set to the address.
func Bind(local netip.AddrPort, n int, shared bool) ([]int, error) {
	var fds []int
	for i := range n {
		fd, err := listenOne(local, shared || i > 0)
		if err != nil {
			CloseAll(fds)
			return nil, bindError(local, err)
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

func listenOne(local netip.AddrPort, share bool) (int, error) {
	fd, err := bindOne(local, share)
	if err != nil {
		return -1, err
	}
	if err = unix.Listen(fd, backlog); err == nil && !share {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) // from now on the rest of the group may join
	}
	if err != nil {
		CloseAll([]int{fd})
		return -1, err
	}
	return fd, nil
}

// Probe looks whether the address could be bound now, by nobody but us; nothing is kept, and nobody can connect meanwhile.
func Probe(local netip.AddrPort) error {
	fd, err := bindOne(local, false)
	if err != nil {
		return bindError(local, err)
	}
	CloseAll([]int{fd})
	return nil
}

// Listening tells whether a descriptor is a listening TCP socket, or a bound one of UDP, and where it listens.
func Listening(fd int) (local netip.AddrPort, datagrams, ok bool) {
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil || unix.SetNonblock(fd, true) != nil {
		return local, false, false
	}
	if datagrams = protocol == unix.IPPROTO_UDP; !datagrams {
		if on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || on != 1 || protocol != unix.IPPROTO_TCP {
			return local, false, false
		}
	}
	local = sysLocal(int32(fd))
	return local, datagrams, local.IsValid() && local.Port() != 0
}

// CloseAll closes descriptors of Bind that no loop took.
func CloseAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

func bindOne(local netip.AddrPort, share bool) (int, error) {
	return bindSocket(local, unix.SOCK_STREAM, share)
}

// bindSocket binds a socket of a kind. Two of UDP that allow their address to be used again would share it in silence, so they do not.
func bindSocket(local netip.AddrPort, kind int, share bool) (int, error) {
	addr := local.Addr().Unmap()
	family, level, freebind := unix.AF_INET, unix.SOL_IP, unix.IP_FREEBIND
	var to unix.Sockaddr = &unix.SockaddrInet4{Port: int(local.Port())}
	if addr.Is4() {
		to.(*unix.SockaddrInet4).Addr = addr.As4()
	} else {
		family, level, freebind = unix.AF_INET6, unix.SOL_IPV6, unix.IPV6_FREEBIND
		to = &unix.SockaddrInet6{Port: int(local.Port()), Addr: addr.As16()}
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	set := func(level, option, value int) {
		if err == nil {
			err = unix.SetsockoptInt(fd, level, option, value)
		}
	}
	if kind == unix.SOCK_STREAM {
		set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		set(unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if share {
		set(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if family == unix.AF_INET6 {
		v6only := 1
		if addr.IsUnspecified() {
			v6only = 0
		}
		set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, v6only)
	}
	set(level, freebind, 1)
	if err == nil {
		err = unix.Bind(fd, to)
	}
	if err != nil {
		CloseAll([]int{fd})
		return -1, err
	}
	return fd, nil
}

// bindError turns the kernel's answer into a sentence.
func bindError(local netip.AddrPort, err error) error {
	port, addr := local.Port(), local.Addr().Unmap()
	e := &appliance.Error{Kind: appliance.Unavailable, Op: "bind listener", Subject: local.String(), Err: err}
	var errno syscall.Errno
	errors.As(err, &errno)
	switch errno {
	case unix.EADDRINUSE:
		e.Kind = appliance.Conflict
		e.Message = fmt.Sprintf("Port %d on %s is already in use by another program on this machine.", port, addr)
		e.Hint = fmt.Sprintf("Stop that program or choose another port; “ss -ltnp sport = :%d” shows which one it is.", port)
	case unix.EACCES, unix.EPERM:
		e.Kind = appliance.Denied
		e.Message = fmt.Sprintf("The appliance has no right to listen on port %d of %s.", port, addr)
		e.Hint = "Ports below 1024 need root or the capability CAP_NET_BIND_SERVICE."
	case unix.EADDRNOTAVAIL:
		e.Kind = appliance.Invalid
		e.Message = fmt.Sprintf("%s is not an address that this machine can listen on.", addr)
	case unix.EAFNOSUPPORT:
		e.Kind = appliance.Unsupported
		e.Message = fmt.Sprintf("This machine has no IPv6, so nothing can listen on %s.", addr)
	case unix.EMFILE, unix.ENFILE:
		e.Message = fmt.Sprintf("There are no descriptors left to listen on port %d of %s.", port, addr)
		e.Hint = "Raise the limit of open files."
	default:
		e.Message = fmt.Sprintf("Listening on port %d of %s is not possible: %v.", port, addr, err)
	}
	return e
}
