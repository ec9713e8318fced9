package loop

import (
	"net/netip"
	"syscall"
	"unsafe"

	"evenkeel/engine/wire"

	"golang.org/x/sys/unix"
)

// Taker takes the datagrams of clients. It is called on the loop; b is the loop's and valid during the call only.
type Taker interface {
	Datagram(d *Datagrams, from netip.AddrPort, to netip.Addr, b []byte)
	// Shut tells that d is closed: nothing can be answered any more.
	Shut(d *Datagrams)
}

// Datagrams is one UDP socket of one loop: bound to a service's address, or connected to a server.
type Datagrams struct {
	loop  *Loop
	fd    int32
	gen   uint32
	local netip.AddrPort
	taker Taker                     // of a service's address
	got   func(b []byte, err error) // of a server: what it answered, or why it cannot
	bound bool

	holders int  // that may still answer by it
	left    bool // another process receives
}

const (
	datagramsPerTurn = 64
	largestDatagram  = 65535
)

// ListenDatagrams begins to receive on a descriptor of BindDatagrams, which is the loop's from then on.
func (l *Loop) ListenDatagrams(fd int, local netip.AddrPort, t Taker) *Datagrams {
	d := &Datagrams{loop: l, local: local, taker: t, bound: true}
	d.watch(int32(fd))
	return d
}

// DialDatagrams connects a UDP socket to a server, from an address of this machine if from is valid. got is told every answer, and errors such as that nobody is
// there (ECONNREFUSED); Drop ends it.
func (l *Loop) DialDatagrams(from netip.Addr, to netip.AddrPort, got func(b []byte, err error)) (*Datagrams, error) {
	family := unix.AF_INET6
	if to.Addr().Is4() || to.Addr().Is4In6() {
		family = unix.AF_INET
	}
	n, _, errno := syscall.RawSyscall(unix.SYS_SOCKET, uintptr(family), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if errno != 0 {
		return nil, errno
	}
	fd := int32(n)
	if l.ceiling > 0 && fd >= l.ceiling {
		errno = unix.EMFILE
	}
	if errno == 0 && from.IsValid() {
		errno = sysBindSource(fd, from)
	}
	if errno == 0 {
		errno = sysConnect(fd, to)
	}
	if errno != 0 {
		sysClose(fd)
		return nil, errno
	}
	d := &Datagrams{loop: l, got: got}
	d.watch(fd)
	return d, nil
}

func (d *Datagrams) watch(fd int32) {
	l := d.loop
	l.gen++
	d.fd, d.gen = fd, l.gen
	l.slot(fd).datagrams = d
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: fd, Pad: int32(d.gen)}
	if errno := sysEpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &event); errno != 0 {
		l.log.Error("datagrams not watched", "error", errno.Error())
	}
}

// Serve gives the socket to another taker.
func (d *Datagrams) Serve(a Acceptor, local netip.AddrPort, _ bool) {
	if t, ok := a.(Taker); ok {
		if d.taker != t {
			d.taker.Shut(d)
		}
		d.taker, d.local = t, local
	}
}

// Port is the one of ours that clients send to.
func (d *Datagrams) Port() uint16 { return d.local.Port() }

// Resume does not concern datagrams: nothing is held back.
func (d *Datagrams) Resume() {}

// Close stops receiving and answering.
func (d *Datagrams) Close() {
	if d.taker != nil {
		d.taker.Shut(d)
	}
	d.Drop()
}

// Leave stops receiving, because another process does. Who holds the socket can still answer; it is closed when nobody does, so that the other process can give the
// port up.
func (d *Datagrams) Leave() {
	sysEpollCtl(d.loop.epoll, unix.EPOLL_CTL_DEL, d.fd, &unix.EpollEvent{})
	d.left = true
	d.closeUnheld()
}

// Hold notes that a client may still be answered by the socket; Free must follow.
func (d *Datagrams) Hold() { d.holders++ }

// Free ends what Hold began.
func (d *Datagrams) Free() {
	d.holders--
	d.closeUnheld()
}

func (d *Datagrams) closeUnheld() {
	if d.left && d.holders == 0 {
		d.Drop()
	}
}

// Drop closes the socket.
func (d *Datagrams) Drop() {
	if s := d.loop.slot(d.fd); s.datagrams == d {
		s.datagrams = nil
		sysClose(d.fd)
	}
}

// arrived takes what has come.
func (d *Datagrams) arrived() {
	for range datagramsPerTurn {
		if d.loop.slots[d.fd].datagrams != d {
			return
		}
		b := d.loop.buffers.shared[:largestDatagram]
		if !d.bound {
			n, errno := sysRead(d.fd, b)
			switch errno {
			case 0:
				d.got(b[:n], nil)
			case unix.EAGAIN:
				return
			case unix.EINTR:
			default:
				d.got(nil, errno)
				return
			}
			continue
		}
		n, from, to, errno := d.receive(b)
		switch errno {
		case 0:
			d.taker.Datagram(d, from, to, b[:n])
		case unix.EINTR:
		default:
			return
		}
	}
}

// control has room for one IP_PKTINFO or IPV6_PKTINFO, aligned.
type control [6]uint64

// receive takes one datagram with both addresses.
func (d *Datagrams) receive(b []byte) (n int, from netip.AddrPort, to netip.Addr, errno syscall.Errno) {
	var name unix.RawSockaddrAny
	var extra control
	vector := unix.Iovec{Base: &b[0]}
	vector.SetLen(len(b))
	message := unix.Msghdr{Name: (*byte)(unsafe.Pointer(&name)), Namelen: unix.SizeofSockaddrAny, Iov: &vector, Iovlen: 1, Control: (*byte)(unsafe.Pointer(&extra))}
	message.SetControllen(int(unsafe.Sizeof(extra)))
	r, _, errno := syscall.RawSyscall(unix.SYS_RECVMSG, uintptr(d.fd), uintptr(unsafe.Pointer(&message)), 0)
	if errno != 0 {
		return 0, from, to, errno
	}
	to = d.local.Addr()
	header := (*unix.Cmsghdr)(unsafe.Pointer(&extra))
	body := unsafe.Pointer(&extra[2])
	switch {
	case !to.IsUnspecified() || message.Controllen < unix.SizeofCmsghdr:
	case header.Level == unix.SOL_IP && header.Type == unix.IP_PKTINFO:
		to = netip.AddrFrom4((*unix.Inet4Pktinfo)(body).Spec_dst)
	case header.Level == unix.SOL_IPV6 && header.Type == unix.IPV6_PKTINFO:
		to = netip.AddrFrom16((*unix.Inet6Pktinfo)(body).Addr).Unmap()
	}
	return int(r), addressOf(&name), to, 0
}

// Reply sends a datagram to a client from the address that it was sent to; what the kernel does not take now is lost, as datagrams may be.
func (d *Datagrams) Reply(client netip.AddrPort, from netip.Addr, b []byte) {
	var name unix.RawSockaddrAny
	var extra control
	size := nameOf(&name, client, !d.local.Addr().Is4())
	message := unix.Msghdr{Name: (*byte)(unsafe.Pointer(&name)), Namelen: size}
	var vector unix.Iovec
	if len(b) > 0 {
		vector.Base = &b[0]
		vector.SetLen(len(b))
		message.Iov, message.Iovlen = &vector, 1
	}
	if d.local.Addr().IsUnspecified() && from.IsValid() {
		header := (*unix.Cmsghdr)(unsafe.Pointer(&extra))
		message.Control = (*byte)(unsafe.Pointer(&extra))
		if from.Is4() { // also of a client that came to the IPv6 wildcard by IPv4: the kernel takes its kind there
			header.Level, header.Type = unix.SOL_IP, unix.IP_PKTINFO
			header.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
			(*unix.Inet4Pktinfo)(unsafe.Pointer(&extra[2])).Spec_dst = from.As4()
			message.SetControllen(unix.CmsgSpace(unix.SizeofInet4Pktinfo))
		} else {
			header.Level, header.Type = unix.SOL_IPV6, unix.IPV6_PKTINFO
			header.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
			(*unix.Inet6Pktinfo)(unsafe.Pointer(&extra[2])).Addr = from.As16()
			message.SetControllen(unix.CmsgSpace(unix.SizeofInet6Pktinfo))
		}
	}
	syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(d.fd), uintptr(unsafe.Pointer(&message)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

// nameOf writes an address as the socket's family has it.
func nameOf(raw *unix.RawSockaddrAny, a netip.AddrPort, six bool) uint32 {
	if !six {
		*(*unix.RawSockaddrInet4)(unsafe.Pointer(raw)) = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: swap(a.Port()), Addr: a.Addr().As4()}
		return unix.SizeofSockaddrInet4
	}
	*(*unix.RawSockaddrInet6)(unsafe.Pointer(raw)) = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: swap(a.Port()), Addr: a.Addr().As16()}
	return unix.SizeofSockaddrInet6
}

// Send gives a datagram to the server; nil also when the kernel does not take it now. An error is what the kernel knows of the server (ECONNREFUSED).
func (d *Datagrams) Send(b []byte) error {
	if d.loop.slots[d.fd].datagrams != d {
		return unix.EBADF
	}
	var first *byte
	if len(b) > 0 {
		first = &b[0]
	}
	_, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(d.fd), uintptr(unsafe.Pointer(first)), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno == 0 || errno == unix.EAGAIN || errno == unix.EINTR || errno == unix.ENOBUFS {
		return nil
	}
	return errno
}

// alarm is a function that wants to be called at a time.
type alarm struct {
	at wire.Time
	do func()
}

// At has do called from the loop at t or soon after; a later call with the same holder replaces what was set, zero turns it off. There are few of them.
func (l *Loop) At(holder any, t wire.Time, do func()) {
	if t == 0 {
		delete(l.alarms, holder)
		return
	}
	if l.alarms == nil {
		l.alarms = map[any]alarm{}
	}
	l.alarms[holder] = alarm{t, do}
}

// ring calls what is due.
func (l *Loop) ring() {
	for holder, a := range l.alarms {
		if l.now >= a.at {
			delete(l.alarms, holder)
			l.guard(a.do)
		}
	}
}

// BindDatagrams makes n UDP descriptors that share one address, as Bind does for listeners.
func BindDatagrams(local netip.AddrPort, n int, shared bool) ([]int, error) {
	var fds []int
	for i := range n {
		fd, err := bindSocket(local, unix.SOCK_DGRAM, shared || i > 0)
		if err == nil && !shared && i == 0 {
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}
		if err == nil && local.Addr().IsUnspecified() {
			err = wantDestination(fd, local.Addr().Is6())
		}
		if err != nil {
			CloseAll(append(fds, fd))
			return nil, bindError(local, err)
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

// wantDestination has the kernel tell to which of our addresses a datagram came.
func wantDestination(fd int, six bool) error {
	if six {
		if err := unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1); err != nil {
			return err
		}
		return nil
	}
	return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_PKTINFO, 1)
}

// ProbeDatagrams is Probe for UDP.
func ProbeDatagrams(local netip.AddrPort) error {
	fd, err := bindSocket(local, unix.SOCK_DGRAM, false)
	if err != nil {
		return bindError(local, err)
	}
	CloseAll([]int{fd})
	return nil
}
