package loop

import (
	"net/netip"
	"syscall"

	"evenkeel/engine/wire"

	"golang.org/x/sys/unix"
)

// DialAs is Dial from a client's own address, of the family of to, which need not be one of this machine: rules of the network must bring the answers back here. The
// connection has the client's port too if no other of ours to that server has it. It needs CAP_NET_ADMIN; EPERM is returned without.
// Who begins is as in DialFrom.
func (l *Loop) DialAs(client, to netip.AddrPort, begins bool, core wire.Core) (wire.Conn, error) {
	fd, errno := l.connectAs(client, to, begins)
	if errno == unix.EADDRINUSE || errno == unix.EADDRNOTAVAIL || errno == unix.EACCES { // taken, or below 1024 without the right to that
		fd, errno = l.connectAs(netip.AddrPortFrom(client.Addr(), 0), to, begins)
	}
	if errno != 0 {
		return nil, errno
	}
	return l.dialed(fd, to, core), nil
}

// connectAs begins to connect from an address; with port 0 the kernel chooses one that is free towards that server.
func (l *Loop) connectAs(from, to netip.AddrPort, begins bool) (int32, syscall.Errno) {
	fd, errno := l.socketTo(to, begins)
	if errno != 0 {
		return -1, errno
	}
	if errno = bindAs(fd, from); errno == 0 {
		if errno = sysConnect(fd, to); errno == 0 || errno == unix.EINPROGRESS {
			return fd, 0
		}
	}
	sysClose(fd)
	return -1, errno
}

// bindAs gives a socket somebody else's address (ip(7), IP_TRANSPARENT). Several sockets may have one port, as long as they go to different servers.
func bindAs(fd int32, from netip.AddrPort) syscall.Errno {
	level, option := unix.SOL_IP, unix.IP_TRANSPARENT
	if from.Addr().Is6() && !from.Addr().Is4In6() {
		level, option = unix.SOL_IPV6, unix.IPV6_TRANSPARENT
	}
	if errno := sysSetInt(fd, level, option, 1); errno != 0 {
		return errno
	}
	if from.Port() == 0 {
		return sysBindSource(fd, from.Addr())
	}
	if errno := sysSetInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); errno != 0 {
		return errno
	}
	return sysBind(fd, from)
}
