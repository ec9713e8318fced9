package loop

import (
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below never block, so they skip the scheduler (RawSyscall); the one that blocks, waitBlocking, does not.

func sysRead(fd int32, b []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), e
}

func sysSend(fd int32, b []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	return int(n), e
}

func sysSplice(from, to int32, n int) (int, syscall.Errno) {
	const flags = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK
	moved, _, e := syscall.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), flags)
	return int(moved), e
}

func sysClose(fd int32) { syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

func sysShutdownWrite(fd int32) syscall.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
	return e
}

func sysAccept(fd int32) (int32, netip.AddrPort, syscall.Errno) {
	var raw unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	n, _, e := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&raw)), uintptr(unsafe.Pointer(&size)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, netip.AddrPort{}, e
	}
	return int32(n), addressOf(&raw), 0
}

func sysLocal(fd int32) netip.AddrPort {
	var raw unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	if _, _, e := syscall.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&raw)), uintptr(unsafe.Pointer(&size))); e != 0 {
		return netip.AddrPort{}
	}
	return addressOf(&raw)
}

func addressOf(raw *unix.RawSockaddrAny) netip.AddrPort {
	switch raw.Addr.Family {
	case unix.AF_INET:
		a := (*unix.RawSockaddrInet4)(unsafe.Pointer(raw))
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), swap(a.Port))
	case unix.AF_INET6:
		a := (*unix.RawSockaddrInet6)(unsafe.Pointer(raw))
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), swap(a.Port))
	}
	return netip.AddrPort{}
}

// swap turns a port between the network's order of bytes and a little-endian machine's.
func swap(port uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&port))
	return uint16(b[0])<<8 | uint16(b[1])
}

func sysConnect(fd int32, to netip.AddrPort) syscall.Errno {
	if a := to.Addr(); a.Is4() || a.Is4In6() {
		raw := unix.RawSockaddrInet4{Family: unix.AF_INET, Port: swap(to.Port()), Addr: a.As4()}
		_, _, e := syscall.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&raw)), unsafe.Sizeof(raw))
		return e
	}
	raw := unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: swap(to.Port()), Addr: to.Addr().As16()}
	_, _, e := syscall.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&raw)), unsafe.Sizeof(raw))
	return e
}

// sysBindSource chooses the address that a connection comes from, and leaves the port to the connect, so that one port can serve several servers (ip(7)).
func sysBindSource(fd int32, from netip.Addr) syscall.Errno {
	if errno := sysSetInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); errno != 0 {
		return errno
	}
	return sysBind(fd, netip.AddrPortFrom(from, 0))
}

func sysBind(fd int32, from netip.AddrPort) syscall.Errno {
	if a := from.Addr(); a.Is4() || a.Is4In6() {
		raw := unix.RawSockaddrInet4{Family: unix.AF_INET, Port: swap(from.Port()), Addr: a.As4()}
		_, _, e := syscall.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&raw)), unsafe.Sizeof(raw))
		return e
	}
	raw := unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: swap(from.Port()), Addr: from.Addr().As16()}
	_, _, e := syscall.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&raw)), unsafe.Sizeof(raw))
	return e
}

func sysSocket(family int) (int32, syscall.Errno) {
	n, _, e := syscall.RawSyscall(unix.SYS_SOCKET, uintptr(family), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	return int32(n), e
}

func sysSetInt(fd int32, level, option int, value int32) syscall.Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option), uintptr(unsafe.Pointer(&value)), 4, 0)
	return e
}

// sysResetOnClose makes the next close send a reset.
func sysResetOnClose(fd int32) {
	linger := unix.Linger{Onoff: 1}
	syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER, uintptr(unsafe.Pointer(&linger)), unsafe.Sizeof(linger), 0)
}

// sysUnread returns how many bytes have arrived that nobody has read.
func sysUnread(fd int32) (n int32, e syscall.Errno) {
	_, _, e = syscall.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCINQ, uintptr(unsafe.Pointer(&n)))
	return n, e
}

// sysError takes the error that the kernel keeps for the socket.
func sysError(fd int32) syscall.Errno {
	var value, size int32 = 0, 4
	if _, _, e := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_ERROR,
		uintptr(unsafe.Pointer(&value)), uintptr(unsafe.Pointer(&size)), 0); e != 0 {
		return e
	}
	return syscall.Errno(value)
}

func sysEpollCtl(ep int32, op int, fd int32, event *unix.EpollEvent) syscall.Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(ep), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(event)), 0, 0)
	return e
}

// poll asks for events without waiting.
func poll(ep int32, events []unix.EpollEvent) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	return int(n), e
}

// waitBlocking waits for events and lets other goroutines have the processor meanwhile.
func waitBlocking(ep int32, events []unix.EpollEvent, milliseconds int) (int, syscall.Errno) {
	n, _, e := syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(milliseconds), 0, 0)
	return int(n), e
}
