package monitor

import (
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// knocksPerSocket is after how many knocks a socket is replaced: a fresh one draws its sequence numbers anew.
const knocksPerSocket = 64

// socket makes one knock after the other: a connection that was hung up leaves it as it was, so that most knocks need neither a new descriptor nor its end.
type socket struct {
	fd    int32
	six   bool
	known bool // to epoll
	left  int  // knocks
}

// openSocket returns one whose end sends a reset. The last segment of a handshake is held back: the kernel believes that data is about to follow, which
// TCP_DEFER_ACCEPT says of every connection of a socket and TCP_QUICKACK of the first one (tcp(7)).
func openSocket(six bool) (socket, error) {
	family := unix.AF_INET
	if six {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return socket{}, err
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0)
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	return socket{fd: int32(fd), six: six, left: knocksPerSocket}, nil
}

// The calls below never block, so they skip the scheduler.

// connect sends the first segment.
func (s *socket) connect(to netip.AddrPort) syscall.Errno {
	s.left--
	port := to.Port()>>8 | to.Port()<<8
	if s.six {
		raw := unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: port, Addr: to.Addr().As16()}
		_, _, errno := syscall.RawSyscall(unix.SYS_CONNECT, uintptr(s.fd), uintptr(unsafe.Pointer(&raw)), unsafe.Sizeof(raw))
		return errno
	}
	raw := unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port, Addr: to.Addr().As4()}
	_, _, errno := syscall.RawSyscall(unix.SYS_CONNECT, uintptr(s.fd), uintptr(unsafe.Pointer(&raw)), unsafe.Sizeof(raw))
	return errno
}

// hangUp sends a reset; false: the socket is of no more use (connect(2), AF_UNSPEC).
func (s *socket) hangUp() bool {
	raw := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	_, _, errno := syscall.RawSyscall(unix.SYS_CONNECT, uintptr(s.fd), uintptr(unsafe.Pointer(&raw)), unsafe.Sizeof(raw))
	return errno == 0
}

func (s *socket) close() { syscall.RawSyscall(unix.SYS_CLOSE, uintptr(s.fd), 0, 0) }

// failure is why a connection did not come.
func (s *socket) failure() error {
	errno, _ := unix.GetsockoptInt(int(s.fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if errno == 0 {
		return syscall.ECONNREFUSED
	}
	return syscall.Errno(errno)
}
