package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// placing puts many addresses on interfaces and takes them off, a part of the list with each system call. It is not safe for concurrent use.
type placing struct {
	fd       int
	sequence uint32
	answer   [64 << 10]byte
}

// placed is a floating address on its interface.
type placed struct {
	address netip.Addr
	link    string
	index   int
}

// placedAtOnce is how many the kernel is told of at once: its answers must fit into the socket.
const placedAtOnce = 64

func newPlacing() (*placing, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("connect netlink: %w", err)
	}
	return &placing{fd: fd}, nil
}

func (p *placing) close() { _ = unix.Close(p.fd) }

// add puts on those of the list that are not there yet. The error of each that failed is told to refused.
func (p *placing) add(list []placed, refused func(placed, error)) {
	p.change(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, list, func(a placed, code unix.Errno) {
		if code != unix.EEXIST {
			refused(a, code)
		}
	})
}

// remove takes off those of the list that are there.
func (p *placing) remove(list []placed, refused func(placed, error)) {
	p.change(unix.RTM_DELADDR, 0, list, func(a placed, code unix.Errno) {
		if code != unix.EADDRNOTAVAIL && code != unix.ENODEV {
			refused(a, code)
		}
	})
}

func (p *placing) change(kind, flags uint16, list []placed, refused func(placed, unix.Errno)) {
	for part := range slices.Chunk(list, placedAtOnce) {
		first := p.sequence + 1
		var text []byte
		for _, a := range part {
			p.sequence++
			text = appendPlaced(text, kind, flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK, p.sequence, a)
		}
		codes, err := p.talk(text, first, len(part))
		for i, a := range part {
			switch {
			case err != nil:
				refused(a, codeOf(err))
			case codes[i] != 0:
				refused(a, codes[i])
			}
		}
	}
}

func codeOf(err error) unix.Errno {
	var code unix.Errno
	if errors.As(err, &code) {
		return code
	}
	return unix.EIO
}

// talk sends and reads one answer to each message. The kernel works while they are sent: its answers are there right away.
func (p *placing) talk(text []byte, first uint32, count int) ([]unix.Errno, error) {
	if _, err := unix.Write(p.fd, text); err != nil {
		return nil, err
	}
	codes := make([]unix.Errno, count)
	for answered := 0; answered < count; {
		n, err := unix.Read(p.fd, p.answer[:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for message := p.answer[:n]; len(message) >= unix.SizeofNlMsghdr; {
			number, code := verdict(message)
			if i := number - first; i < uint32(count) {
				codes[i] = code
				answered++
			}
			size := (int(binary.NativeEndian.Uint32(message)) + 3) &^ 3
			if size < unix.SizeofNlMsghdr || size > len(message) {
				break
			}
			message = message[size:]
		}
	}
	return codes, nil
}

// appendPlaced appends a message about an address as single makes it.
func appendPlaced(b []byte, kind, flags uint16, sequence uint32, a placed) []byte {
	start := len(b)
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, sequence)
	b = binary.NativeEndian.AppendUint32(b, 0)
	family := byte(unix.AF_INET)
	if a.address.Is6() {
		family = unix.AF_INET6
	}
	b = append(b, family, byte(a.address.BitLen()), 0, unix.RT_SCOPE_UNIVERSE)
	b = binary.NativeEndian.AppendUint32(b, uint32(a.index))
	b = attribute(b, unix.IFA_LOCAL, a.address.AsSlice())
	b = attribute(b, unix.IFA_ADDRESS, a.address.AsSlice())
	if a.address.Is6() {
		b = attribute(b, unix.IFA_FLAGS, binary.NativeEndian.AppendUint32(nil, unix.IFA_F_NODAD))
		life := binary.NativeEndian.AppendUint32(nil, 0) // of preference
		life = binary.NativeEndian.AppendUint32(life, math.MaxUint32)
		b = attribute(b, unix.IFA_CACHEINFO, append(life, make([]byte, 8)...))
	}
	binary.NativeEndian.PutUint32(b[start:], uint32(len(b)-start))
	return b
}
