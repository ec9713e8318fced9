package story

import (
	endian "encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sighting is a frame in which a node spoke for the floating address: as the source of IP, or as the sender of ARP or neighbour discovery. Or one in which a neighbour spoke to it.
type sighting struct {
	at   time.Time
	node byte // 'a' or 'b'; a neighbour: 'c' the client, 'g' the gateway, 'h' the other host
	arp  bool
	way  [6]byte // the hardware address that a neighbour's frame went to, or that a node's came from
}

// watch captures on the ports of both nodes what they say for an address, and on those of the neighbours what is said to it.
type watch struct {
	f    *field
	fds  []int
	done chan []sighting
	stop chan struct{}
}

// watch begins to capture, at the switch: what a node sends, whatever becomes of it later.
func (f *field) watch(address string) *watch {
	f.t.Helper()
	ports := []string{"v-a", "v-b", "v-client", "v-gate", "v-host"}
	w := &watch{f: f, done: make(chan []sighting, len(ports)), stop: make(chan struct{})}
	within(f.t, f.sw, func() {
		for _, port := range ports {
			fd, err := tap(port)
			if err == nil && (port == "v-gate" || port == "v-host") {
				err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, onlyKnocks())
			}
			if err != nil {
				f.t.Errorf("capture on %s: %v", port, err)
				return
			}
			w.fds = append(w.fds, fd)
			go func() { w.done <- listenTo(fd, port[2], netip.MustParseAddr(address)) }()
		}
	})
	if len(w.fds) != len(ports) {
		f.t.FailNow()
	}
	for _, ns := range []string{f.gate, f.host} {
		go func() { _ = inside(ns, func() { knock(netip.MustParseAddr(address), w.stop) }) }()
	}
	return w
}

// tap captures at a port. The socket hears of no protocol until it is bound: one that does would hear every port's frames meanwhile.
func tap(port string) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
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
		if node >= 'c' {
			if speaksTo(frame[:n], address) {
				out = append(out, sighting{at: stamp(control[:oob]), node: node, way: [6]byte(frame)})
			}
			continue
		}
		if arp, speaks := speaksFor(frame[:n], address); speaks {
			out = append(out, sighting{at: stamp(control[:oob]), node: node, arp: arp, way: [6]byte(frame[6:])})
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

// knocking is the port, of UDP, on which neighbours knock at the address so that they need to know where it is.
const knocking = 9

// knock sends a datagram to an address a hundred times a second.
func knock(address netip.Addr, stop <-chan struct{}) {
	family, to := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: knocking, Addr: address.As16()})
	if address.Is4() {
		family, to = unix.AF_INET, &unix.SockaddrInet4{Port: knocking, Addr: address.As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		_ = unix.Sendto(fd, []byte("?"), 0, to)
		select {
		case <-stop:
			tick.Stop()
			return
		case <-tick.C:
		}
	}
}

// onlyKnocks is a filter of frames.
func onlyKnocks() *unix.SockFprog {
	const half, octet, equal, give = unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	program := []unix.SockFilter{
		{Code: half, K: 12},
		{Code: equal, K: unix.ETH_P_IP, Jf: 4},
		{Code: octet, K: 23},
		{Code: equal, K: unix.IPPROTO_UDP, Jf: 8},
		{Code: half, K: 36},
		{Code: equal, K: knocking, Jt: 5, Jf: 6},
		{Code: equal, K: unix.ETH_P_IPV6, Jf: 5},
		{Code: octet, K: 20},
		{Code: equal, K: unix.IPPROTO_UDP, Jf: 3},
		{Code: half, K: 56},
		{Code: equal, K: knocking, Jf: 1},
		{Code: give, K: 128},
		{Code: give, K: 0},
	}
	return &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
}

// speaksFor tells whether a frame claims an address.
func speaksFor(frame []byte, address netip.Addr) (arp, yes bool) {
	if len(frame) < 34 {
		return false, false
	}
	own := address.AsSlice()
	switch kind := endian.BigEndian.Uint16(frame[12:]); {
	case kind == unix.ETH_P_IP && address.Is4():
		return false, slices.Equal(frame[26:30], own)
	case kind == unix.ETH_P_ARP && address.Is4():
		return true, slices.Equal(frame[28:32], own)
	case kind == unix.ETH_P_IPV6 && address.Is6() && len(frame) >= 38:
		const advertisement = 136
		if len(frame) >= 78 && frame[20] == unix.IPPROTO_ICMPV6 && frame[54] == advertisement {
			return true, slices.Equal(frame[62:78], own)
		}
		return false, slices.Equal(frame[22:38], own)
	}
	return false, false
}

// speaksTo tells whether a frame is one of IP for an address.
func speaksTo(frame []byte, address netip.Addr) bool {
	if len(frame) < 42 {
		return false
	}
	switch endian.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_IP:
		return address.Is4() && slices.Equal(frame[30:34], address.AsSlice())
	case unix.ETH_P_IPV6:
		return address.Is6() && len(frame) >= 54 && frame[20] != unix.IPPROTO_ICMPV6 && slices.Equal(frame[38:54], address.AsSlice())
	}
	return false
}

// end returns what was seen, in the order of time.
func (w *watch) end() []sighting {
	close(w.stop)
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
	wrong   time.Duration // for how long after a change a neighbour's table still had the old owner, at worst
}

// continuous is the longest pause in which nobody loses the addresses and gets them back: a lease and its end take longer.
const continuous = 200 * time.Millisecond

// judge reads sightings: the owner is who spoke last. When another speaks and the owner speaks again after so short a pause that it never stopped to own the address, both owned it meanwhile.
func judge(list []sighting) (v verdict) {
	var last [2]time.Time
	var owner byte
	var since time.Time              // of the owner's first frame
	var right [6]byte                // where it came from
	var former, way map[byte][6]byte // where each neighbour's frames went before that, and go now
	way = map[byte][6]byte{}
	for _, s := range list {
		if s.node >= 'c' {
			if way[s.node] = s.way; !since.IsZero() && s.way == former[s.node] && s.way != right {
				v.wrong = max(v.wrong, s.at.Sub(since))
			}
			continue
		}
		i, o := s.node-'a', 'b'-s.node
		if owner != 0 && s.node != owner {
			v.changes++
			since, right, former = s.at, s.way, maps.Clone(way)
			if !last[i].IsZero() && s.at.Sub(last[i]) < continuous {
				v.frames++
				v.overlap += s.at.Sub(last[o])
			}
		}
		owner, last[i] = s.node, s.at
	}
	return v
}

func (v verdict) String() string {
	return fmt.Sprintf("%d changes of owner, both for %v (%d frames), neighbours wrong for %v", v.changes, v.overlap, v.frames, v.wrong)
}

func TestJudgeSeesTwoOwners(t *testing.T) {
	t0 := time.Unix(1000, 0)
	list := func(text string) (out []sighting) {
		for i, c := range text {
			at := t0.Add(time.Duration(i) * 10 * time.Millisecond)
			switch c {
			case 'a', 'b':
				out = append(out, sighting{at: at, node: byte(c), way: [6]byte{2, byte(c) - 'a' + 'A'}})
			case 'A', 'B': // the client, to that one
				out = append(out, sighting{at: at, node: 'c', way: [6]byte{2, byte(c)}})
			case 'Y', 'Z': // the gateway
				out = append(out, sighting{at: at, node: 'g', way: [6]byte{2, byte(c) - 'Y' + 'A'}})
			}
		}
		return out
	}
	gone := strings.Repeat(".", 30)
	for text, want := range map[string]verdict{
		"aaaa":                           {},
		"aaa....bbbb":                    {changes: 1},
		"aaa....bbabb":                   {changes: 3, frames: 2, overlap: 20 * time.Millisecond},
		"aaa....bbb.....":                {changes: 1},
		"aa" + gone + "bb" + gone + "aa": {changes: 2},
		"aa" + gone + "bbabb":            {changes: 3, frames: 1, overlap: 10 * time.Millisecond},
		"aAaA..AbBbBbBbB":                {changes: 1},
		"aAaAaAAbAAbAbBb":                {changes: 1, wrong: 40 * time.Millisecond},
		"aAaYaAbBbYbBbZb":                {changes: 1, wrong: 30 * time.Millisecond},
		"aAaYbBbZb" + gone + "aBaZaAaYa": {changes: 2, wrong: 30 * time.Millisecond},
	} {
		if got := judge(list(text)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}
