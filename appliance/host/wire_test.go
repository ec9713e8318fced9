package host

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// capture reads all that arrives at the neighbour until the test ends.
type capture struct {
	conn *packet.Conn
	raw  syscall.RawConn // of conn
	done chan struct{}

	mu     sync.Mutex // guards frames
	frames []captured
}

type captured struct {
	at    time.Time // when the kernel had it
	frame []byte
}

func (n *neighbour) capture(t *testing.T) *capture {
	t.Helper()
	c := &capture{done: make(chan struct{})}
	n.within(t, func() {
		conn := tap(t, n.far(), unix.ETH_P_ALL)
		raw, err := conn.SyscallConn()
		must(t, err)
		must(t, raw.Control(func(fd uintptr) {
			must(t, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20))
			must(t, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW, 1))
		}))
		c.conn, c.raw = conn, raw
	})
	go c.read()
	t.Cleanup(func() {
		_ = c.conn.Close()
		<-c.done
	})
	return c
}

func (c *capture) read() {
	defer close(c.done)
	frame, control := make([]byte, 2048), make([]byte, 128)
	for {
		var n, room int
		var err error
		failed := c.raw.Read(func(fd uintptr) bool {
			n, room, _, _, err = unix.Recvmsg(int(fd), frame, control, 0)
			return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
		})
		if failed != nil || err != nil {
			return
		}
		at := time.Now()
		if came := received(control[:room]); came > 0 {
			at = at.Add(came - clock(bootTime))
		}
		c.mu.Lock()
		c.frames = append(c.frames, captured{at, bytes.Clone(frame[:n])})
		c.mu.Unlock()
	}
}

// from returns what hardware sent from a floating address, or asked in its name, since then.
func (c *capture) from(hardware net.HardwareAddr, since time.Time) []captured {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.frames), func(f captured) bool {
		return f.at.Before(since) || len(f.frame) < 42 || !bytes.Equal(f.frame[6:12], hardware) || !owns(f.frame)
	})
}

// owns tells whether a frame claims to come from vip or vip6.
func owns(frame []byte) bool {
	four, six := vip.As4(), vip6.As16()
	switch body := frame[headerEthernet:]; binary.BigEndian.Uint16(frame[12:]) {
	case etherARP:
		return bytes.Equal(body[14:18], four[:])
	case etherIPv4:
		return bytes.Equal(body[12:16], four[:])
	case etherIPv6:
		return bytes.Equal(body[8:24], six[:]) || bytes.Contains(body[headerIPv6:], six[:])
	}
	return false
}

// far is the neighbour's interface.
func (n *neighbour) far() link {
	return link{index: n.link.Attrs().Index, name: "peer0", hardware: n.link.Attrs().HardwareAddr}
}

// within runs f in the neighbour's namespace.
func (n *neighbour) within(t *testing.T, f func()) {
	t.Helper()
	here, err := netns.Get()
	must(t, err)
	defer func() { _ = here.Close() }()
	must(t, netns.Set(n.ns))
	defer func() { must(t, netns.Set(here)) }()
	f()
}

// run executes a program in the neighbour's namespace.
func (n *neighbour) run(t *testing.T, args ...string) string {
	t.Helper()
	var out []byte
	n.within(t, func() {
		var err error
		if out, err = exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	})
	return string(out)
}

// hears tells whether a frame of the kind comes out of conn within a short time.
func hears(t *testing.T, conn net.PacketConn, wait time.Duration, want func([]byte) bool) bool {
	t.Helper()
	must(t, conn.SetReadDeadline(time.Now().Add(wait)))
	frame := make([]byte, 2048)
	for {
		n, _, err := conn.ReadFrom(frame)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return false
		}
		must(t, err)
		if want(frame[:n]) {
			return true
		}
	}
}

// near0 is this side's eth0.
func near0(t *testing.T) link {
	t.Helper()
	s, err := look(t.Context())
	must(t, err)
	return s.links["eth0"]
}

// datagram is a frame with an UDP packet without content.
func datagram(from net.HardwareAddr, source, target netip.Addr) []byte {
	to := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	udp := []byte{0x30, 0x39, 0x1b, 0x5f, 0, 8, 0, 0}
	if source.Is6() {
		b := []byte{0x60, 0, 0, 0, 0, 8, 17, 64}
		b = append(append(b, source.AsSlice()...), target.AsSlice()...)
		return ethernet(to, from, etherIPv6, append(b, udp...))
	}
	b := []byte{0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0}
	b = append(append(b, source.AsSlice()...), target.AsSlice()...)
	return ethernet(to, from, etherIPv4, append(b, udp...))
}

// tap hears all packets of a protocol.
func tap(t *testing.T, l link, protocol int) *packet.Conn {
	t.Helper()
	conn, err := packet.Listen(&net.Interface{Index: l.index, Name: l.name, HardwareAddr: l.hardware}, packet.Raw, protocol, nil)
	must(t, err)
	return conn
}

// ends are raw sockets at both ends of the wire. Those here are bound to one protocol each: the kernel feeds them where it feeds itself, behind the gate.
type ends struct {
	here map[uint16]*packet.Conn
	far  *packet.Conn
}

func rawPair(t *testing.T, n *neighbour) ends {
	t.Helper()
	e := ends{here: map[uint16]*packet.Conn{}}
	for _, kind := range []uint16{etherARP, etherIPv4, etherIPv6} {
		conn := tap(t, near0(t), int(kind))
		t.Cleanup(func() { _ = conn.Close() })
		e.here[kind] = conn
	}
	n.within(t, func() {
		conn := tap(t, n.far(), unix.ETH_P_ALL)
		t.Cleanup(func() { _ = conn.Close() })
		e.far = conn
	})
	return e
}

// mark is a frame that always passes: when it is there, what was sent before it is there or lost.
func end(kind uint16) []byte {
	return ethernet(broadcast, net.HardwareAddr{2, 0, 0, 0, 0, 8}, kind, append([]byte{0x60}, make([]byte, 60)...))
}

func (e ends) leaves(t *testing.T, frame []byte) bool {
	t.Helper()
	kind := binary.BigEndian.Uint16(frame[12:])
	_ = send(e.here[kind], frame) // the gate's refusal is an error here
	must(t, send(e.here[kind], end(kind)))
	return before(t, e.far, frame, end(kind))
}

func (e ends) arrives(t *testing.T, frame []byte) bool {
	t.Helper()
	kind := binary.BigEndian.Uint16(frame[12:])
	must(t, send(e.far, frame))
	must(t, send(e.far, end(kind)))
	return before(t, e.here[kind], frame, end(kind))
}

// before tells whether frame comes before end does.
func before(t *testing.T, conn net.PacketConn, frame, end []byte) bool {
	t.Helper()
	came := false
	if !hears(t, conn, time.Minute, func(got []byte) bool {
		came = came || bytes.HasPrefix(got, frame)
		return bytes.HasPrefix(got, end)
	}) {
		t.Fatal("even what is free does not pass")
	}
	return came
}

func awaitLine(t *testing.T, r io.Reader, want string) {
	t.Helper()
	text := make([]byte, 0, 4096)
	for !strings.Contains(string(text), want) {
		n, err := r.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		if err != nil {
			t.Fatalf("%q does not come: %v, %s", want, err, text)
		}
	}
}

// awaitUntil polls, for ten seconds at most.
func awaitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); !done(); <-tick.C {
		if time.Since(start) > time.Minute {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// dial opens connections from the neighbour.
func (n *neighbour) dial(t *testing.T, list ...string) []net.Conn {
	t.Helper()
	var out []net.Conn
	for _, a := range list {
		n.within(t, func() {
			c, err := net.DialTimeout("tcp", a, 30*time.Second)
			must(t, err)
			t.Cleanup(func() { _ = c.Close() })
			out = append(out, c)
		})
	}
	return out
}

// ruleset lists the lines of all tables, in an order that does not depend on when they were made.
func ruleset(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("nft", "list", "ruleset").Output()
	must(t, err)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// cable makes one more interface whose other end is at the neighbour.
func (n *neighbour) cable(t *testing.T, name string) netlink.Link {
	t.Helper()
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "far" + name, PeerNamespace: netlink.NsFd(n.ns)}))
	l, err := netlink.LinkByName(name)
	must(t, err)
	return l
}
