package host

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"evenkeel/appliance/realtime"
)

// ear hears on one interface who answers and who claims, and speaks there. It hears in front of the gate: what the kernel is kept from is heard all the same. What it
// says goes through the gate.
type ear struct {
	link link
	file *os.File
	raw  syscall.RawConn
}

// earFilter lets ARP and neighbour discovery through, but nothing of other virtual networks on the same wire.
var earFilter = []bpf.Instruction{
	bpf.LoadExtension{Num: bpf.ExtVLANTagPresent},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: 8},
	bpf.LoadAbsolute{Off: 12, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherARP, SkipTrue: 7},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherIPv6, SkipFalse: 5},
	bpf.LoadAbsolute{Off: headerEthernet + 6, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: icmpv6, SkipFalse: 3},
	bpf.LoadAbsolute{Off: headerEthernet + headerIPv6, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: solicitation, SkipTrue: 2},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: advertisement, SkipTrue: 1},
	bpf.RetConstant{Val: 0},
	bpf.RetConstant{Val: 256},
}

func listen(l link) (*ear, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	if err := prepare(fd, l); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("listen on %s: %w", l.name, err)
	}
	file := os.NewFile(uintptr(fd), "packets of "+l.name)
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("listen on %s: %w", l.name, err)
	}
	return &ear{l, file, raw}, nil
}

// prepare binds the socket last, so that nothing comes in before the filter is there.
func prepare(fd int, l link) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW, 1); err != nil {
		return err
	}
	code, err := bpf.Assemble(earFilter)
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(code))
	for i, c := range code {
		filter[i] = unix.SockFilter{Code: c.Op, Jt: c.Jt, Jf: c.Jf, K: c.K}
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
		return err
	}
	return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_ALL), Ifindex: l.index})
}

// bigEndian returns v as it stands in memory in the order of the network.
func bigEndian(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

// say sends a frame, without waiting: when the queue is full it is lost, as on any wire.
func (e *ear) say(frame []byte) error {
	kind := binary.BigEndian.Uint16(frame[12:])
	to := unix.SockaddrLinklayer{Protocol: bigEndian(kind), Ifindex: e.link.index, Halen: 6}
	copy(to.Addr[:], frame[:6])
	var err error
	if failed := e.raw.Control(func(fd uintptr) { err = unix.Sendto(int(fd), frame, unix.MSG_DONTWAIT, &to) }); failed != nil {
		return failed
	}
	return err
}

// heard is what a frame says about an address.
type heard struct {
	address netip.Addr
	owner   [6]byte
	answer  bool // to a question of this interface
	probe   bool // the owner of this hardware address asks in nobody's name who has it (RFC 5227, RFC 4862): it claims nothing yet
	on      link
	at      time.Duration
}

const (
	earPatience = 100 * time.Millisecond // within this an ear notices that it was closed
	earBurst    = 64                     // frames that are read at a time …
	earBreath   = time.Millisecond       // … before others may run, whoever floods the wire
)

// run hands on what is heard until the ear is closed. The witness's answers keep a lone owner's lease, so that it runs with priority, and waits in the kernel itself.
func (e *ear) run(tell func(heard)) {
	_ = realtime.Lock(realtime.Neighbour) // the heartbeat tells when there is no right to it
	frame, control := make([]byte, 256), make([]byte, 128)
	own := [6]byte(e.link.hardware)
	breath := unix.NsecToTimespec(int64(earBreath))
	for {
		left := earBurst
		closed := e.raw.Control(func(fd uintptr) {
			for patience := earPatience; left > 0; left, patience = left-1, 0 {
				n, room, err := next(int(fd), frame, control, patience)
				if err != nil { // nothing came, or the interface is down and may come back
					return
				}
				if h, ok := understand(frame[:n], own); ok {
					h.on, h.at = e.link, received(control[:room])
					tell(h)
				}
			}
		})
		switch {
		case closed != nil:
			return
		case left == 0:
			_ = unix.Nanosleep(&breath, nil)
		}
	}
}

// next reads a frame, and waits for it so long.
func next(fd int, frame, control []byte, patience time.Duration) (size, room int, err error) {
	if patience > 0 {
		timeout := unix.NsecToTimespec(int64(patience))
		if _, err := unix.Ppoll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, &timeout, nil); err != nil {
			return 0, 0, err
		}
	}
	size, room, _, _, err = unix.Recvmsg(fd, frame, control, unix.MSG_DONTWAIT)
	return size, room, err
}

// received returns when the kernel had a packet, on CLOCK_BOOTTIME. The kernel notes it on the wall clock; when that was set meanwhile, the packet may seem to be older
// than it is, and one from the future is of unknown age: 0.
func received(control []byte) time.Duration {
	list, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0
	}
	for _, m := range list {
		if m.Header.Level != unix.SOL_SOCKET || m.Header.Type != unix.SO_TIMESTAMPNS_NEW || len(m.Data) < 16 {
			continue
		}
		seconds, nanoseconds := binary.NativeEndian.Uint64(m.Data), binary.NativeEndian.Uint64(m.Data[8:])
		stamp := time.Duration(seconds)*time.Second + time.Duration(nanoseconds)
		if age := clock(unix.CLOCK_REALTIME) - stamp; age >= 0 {
			return max(clock(bootTime)-age, 0)
		}
	}
	return 0
}

// bootTime is the clock of the pair: it goes on while the process is stopped, and nobody sets it.
const bootTime = unix.CLOCK_BOOTTIME

func clock(id int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// understand reads what any machine on the wire may have sent: who has an address, or whose question it is.
func understand(frame []byte, own [6]byte) (heard, bool) {
	if len(frame) < headerEthernet {
		return heard{}, false
	}
	mine := [6]byte(frame[:6]) == own
	switch binary.BigEndian.Uint16(frame[12:]) {
	case etherARP:
		return understandARP(frame[headerEthernet:], own, mine)
	case etherIPv6:
		return understandDiscovery(frame[headerEthernet:], [6]byte(frame[6:12]), mine)
	}
	return heard{}, false
}

func understandARP(b []byte, own [6]byte, mine bool) (heard, bool) {
	if len(b) < lengthARP || [6]byte(b) != [6]byte{0, 1, 8, 0, 6, 4} {
		return heard{}, false
	}
	operation := binary.BigEndian.Uint16(b[6:])
	h := heard{
		address: netip.AddrFrom4([4]byte(b[14:18])), owner: [6]byte(b[8:14]),
		answer: mine && operation == arpReply && [6]byte(b[18:24]) == own,
	}
	if h.address.IsUnspecified() && operation == arpRequest {
		h.address, h.probe = netip.AddrFrom4([4]byte(b[24:28])), true
	}
	return h, !h.address.IsUnspecified()
}

func understandDiscovery(b []byte, from [6]byte, mine bool) (heard, bool) {
	if len(b) < headerIPv6+lengthNDP || b[6] != icmpv6 || b[7] != 255 {
		return heard{}, false
	}
	const solicited = 0x40
	message := b[headerIPv6:]
	target := netip.AddrFrom16([16]byte(message[8:24]))
	switch {
	case message[0] == advertisement && message[1] == 0:
		return heard{address: target, owner: from, answer: mine && message[4]&solicited != 0}, true
	case message[0] == solicitation && message[1] == 0:
		source := netip.AddrFrom16([16]byte(b[8:24]))
		if source.IsUnspecified() {
			return heard{address: target, owner: from, probe: true}, true
		}
		return heard{address: source, owner: from}, true
	}
	return heard{}, false
}
