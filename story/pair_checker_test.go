package story

import (
	endian "encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sighting is a frame in which a node spoke for the floating address: as the source of IP, or as the sender of ARP.
type sighting struct {
	at   time.Time
	node byte // 'a' or 'b'
	arp  bool
}

// watch captures on the ports of both nodes what they say for an address.
type watch struct {
	fds  []int
	done chan []sighting
}

// watch begins to capture, at the switch: what a node sends, whatever becomes of it later.
func (f *field) watch(address string) *watch {
	f.t.Helper()
	w := &watch{done: make(chan []sighting, 2)}
	within(f.t, f.sw, func() {
		for _, port := range []string{"v-a", "v-b"} {
			fd, err := tap(port)
			if err != nil {
				f.t.Errorf("capture on %s: %v", port, err)
				return
			}
			w.fds = append(w.fds, fd)
			go func() { w.done <- listenTo(fd, port[2], netip.MustParseAddr(address)) }()
		}
	})
	if len(w.fds) != 2 {
		f.t.FailNow()
	}
	return w
}

func tap(port string) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(swap16(unix.ETH_P_ALL)))
	if err != nil {
		return -1, err
	}
	index, err := linkIndex(fd, port)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: swap16(unix.ETH_P_ALL), Ifindex: index})
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	}
	if err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20)
	}
	return fd, err
}

func linkIndex(fd int, name string) (int, error) {
	request, err := unix.NewIfreq(name)
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request)
	}
	if err != nil {
		return 0, err
	}
	return int(request.Uint32()), nil
}

func swap16(n uint16) uint16 { return n<<8 | n>>8 }

// listenTo reads until the socket is shut.
func listenTo(fd int, node byte, address netip.Addr) (out []sighting) {
	frame, control := make([]byte, 128), make([]byte, 128)
	for {
		n, oob, _, from, err := unix.Recvmsg(fd, frame, control, 0)
		if err == unix.EAGAIN || err == unix.EINTR {
			continue
		}
		if err != nil {
			return out
		}
		link, ok := from.(*unix.SockaddrLinklayer)
		if !ok || link.Pkttype == unix.PACKET_OUTGOING {
			continue // to the node
		}
		if arp, speaks := speaksFor(frame[:n], address); speaks {
			out = append(out, sighting{stamp(control[:oob]), node, arp})
		}
	}
}

// stamp is when the kernel saw the frame.
func stamp(control []byte) time.Time {
	list, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(list) == 0 || len(list[0].Data) < 16 {
		return time.Now()
	}
	return time.Unix(int64(endian.NativeEndian.Uint64(list[0].Data)), int64(endian.NativeEndian.Uint64(list[0].Data[8:])))
}

// speaksFor tells whether a frame claims an address.
func speaksFor(frame []byte, address netip.Addr) (arp, yes bool) {
	if len(frame) < 34 {
		return false, false
	}
	own := address.As4()
	switch endian.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_IP:
		return false, slices.Equal(frame[26:30], own[:])
	case unix.ETH_P_ARP:
		return true, slices.Equal(frame[28:32], own[:])
	}
	return false, false
}

// end returns what was seen, in the order of time.
func (w *watch) end() []sighting {
	for _, fd := range w.fds {
		unix.Close(fd)
	}
	var out []sighting
	for range w.fds {
		out = append(out, <-w.done...)
	}
	slices.SortStableFunc(out, func(a, b sighting) int { return a.at.Compare(b.at) })
	return out
}

// verdict is what the wire says of the owners.
type verdict struct {
	changes int           // of owner
	overlap time.Duration // how long both spoke for the address, all together
	frames  int           // of the one while the other was the owner
}

// judge reads sightings: the owner is who spoke last; when another speaks and the owner speaks again within a second, both owned it meanwhile.
func judge(list []sighting) (v verdict) {
	var last [2]time.Time
	var owner byte
	for _, s := range list {
		i, o := s.node-'a', 'b'-s.node
		if owner != 0 && s.node != owner {
			v.changes++
			if !last[i].IsZero() && last[o].Sub(last[i]) < time.Second && last[o].After(last[i]) {
				v.frames++
				v.overlap += s.at.Sub(last[o])
			}
		}
		owner, last[i] = s.node, s.at
	}
	return v
}

func (v verdict) String() string {
	return fmt.Sprintf("%d changes of owner, both for %v (%d frames)", v.changes, v.overlap, v.frames)
}

func TestJudgeSeesTwoOwners(t *testing.T) {
	t0 := time.Unix(1000, 0)
	list := func(text string) (out []sighting) {
		for i, c := range text {
			if c != '.' {
				out = append(out, sighting{at: t0.Add(time.Duration(i) * 10 * time.Millisecond), node: byte(c)})
			}
		}
		return out
	}
	for text, want := range map[string]verdict{
		"aaaa":            {},
		"aaa....bbbb":     {changes: 1},
		"aaa....bbabb":    {changes: 3, frames: 2, overlap: 20 * time.Millisecond},
		"aaa....bbb.....": {changes: 1},
	} {
		if got := judge(list(text)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}
