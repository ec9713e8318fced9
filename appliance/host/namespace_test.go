package host

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"evenkeel/appliance"
)

// inside marks the process that runs in a network namespace of its own.
const inside = "EVENKEEL_TEST_INSIDE_NAMESPACE"

// TestInNamespace runs each of these as a process of its own in a fresh network namespace.
func TestInNamespace(t *testing.T) {
	inNamespace(t, map[string]func(*testing.T){
		"AddressIsPutOnAndTakenOff": addressIsPutOnAndTakenOff,
		"DuplicateIsRefused":        duplicateIsRefused,
		"WithoutTheRight":           withoutTheRight,
		"ForeignAddressStays":       foreignAddressStays,
		"AllOrNothing":              allOrNothing,
		"AfterKill":                 afterKill,
		"Check":                     checkInNetworks,
		"Suggest":                   suggestWhatIsFree,
		"Announces":                 announces,
		"LinkDown":                  linkDown,
	})
}

func inNamespace(t *testing.T, tests map[string]func(*testing.T)) {
	for name, test := range tests {
		if os.Getenv(inside) == "" {
			test = reexecuted
		}
		t.Run(name, test)
	}
}

// reexecuted starts this program again for the same test in a namespace of its own.
func reexecuted(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 || !canUnshare() {
		if os.Getenv("EVENKEEL_TEST_REQUIRE") == "all" {
			t.Fatal("network namespaces need root")
		}
		t.Skip("network namespaces need root")
	}
	outer, name, _ := strings.Cut(t.Name(), "/")
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+outer+"$/^"+name+"$", "-test.v")
	command.Env = append(os.Environ(), inside+"=1")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	output, err := command.CombinedOutput()
	if err != nil || !bytes.Contains(output, []byte("--- PASS: "+t.Name())) {
		t.Errorf("%v\n%s", err, output)
	}
}

func canUnshare() bool {
	command := exec.Command("/bin/true")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	return command.Run() == nil
}

// neighbour is the other end of eth0, in another namespace.
type neighbour struct {
	handle   *netlink.Handle
	link     netlink.Link
	hardware string
	ns       netns.NsHandle
}

// wired makes eth0 with 192.168.0.10/24 and fd00:1::10/64 here, and its other end in another namespace with .1 and ::1.
func wired(t *testing.T) *neighbour {
	t.Helper()
	runtime.LockOSThread() // for good: the thread's namespace and rights change
	here, err := netns.Get()
	must(t, err)
	there, err := netns.New()
	must(t, err)
	must(t, netns.Set(here))
	t.Cleanup(func() { _, _ = here.Close(), there.Close() })
	must(t, netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "peer0", PeerNamespace: netlink.NsFd(there),
	}))
	handle, err := netlink.NewHandleAt(there)
	must(t, err)
	t.Cleanup(handle.Close)
	far, err := handle.LinkByName("peer0")
	must(t, err)
	n := &neighbour{handle, far, far.Attrs().HardwareAddr.String(), there}
	near, err := netlink.LinkByName("eth0")
	must(t, err)
	loop, err := netlink.LinkByName("lo")
	must(t, err)
	must(t, netlink.LinkSetUp(loop))
	must(t, netlink.LinkSetUp(near))
	must(t, handle.LinkSetUp(far))
	give(t, near, "192.168.0.10/24")
	give(t, near, "fd00:1::10/64")
	n.give(t, "192.168.0.1/24")
	n.give(t, "fd00:1::1/64")
	n.awaitCarrier(t)
	return n
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func parsed(t *testing.T, text string) *netlink.Addr {
	t.Helper()
	a, err := netlink.ParseAddr(text)
	must(t, err)
	if a.IP.To4() == nil {
		a.Flags = unix.IFA_F_NODAD
	}
	return a
}

func give(t *testing.T, l netlink.Link, text string) {
	t.Helper()
	must(t, netlink.AddrAdd(l, parsed(t, text)))
}

func (n *neighbour) give(t *testing.T, text string) {
	t.Helper()
	must(t, n.handle.AddrAdd(n.link, parsed(t, text)))
}

// awaitCarrier waits until both ends can talk.
func (n *neighbour) awaitCarrier(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		l, err := netlink.LinkByName("eth0")
		must(t, err)
		if l.Attrs().OperState == netlink.OperUp {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("eth0 does not come up")
		}
	}
}

// onEth0 lists the addresses of eth0 but for the link-local ones.
func onEth0(t *testing.T) []string {
	t.Helper()
	l, err := netlink.LinkByName("eth0")
	must(t, err)
	list, err := dump(func() ([]netlink.Addr, error) { return netlink.AddrList(l, netlink.FAMILY_ALL) })
	must(t, err)
	var out []string
	for _, a := range list {
		if !a.IP.IsLinkLocalUnicast() {
			out = append(out, a.IPNet.String())
		}
	}
	slices.Sort(out)
	return out
}

func expectEth0(t *testing.T, more ...string) {
	t.Helper()
	want := append([]string{"192.168.0.10/24", "fd00:1::10/64"}, more...)
	slices.Sort(want)
	if got := onEth0(t); !slices.Equal(got, want) {
		t.Errorf("eth0 has %v, not %v", got, want)
	}
}

func newHost(t *testing.T) *Host {
	return New(Options{Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
}

var vip, vip6 = netip.MustParseAddr("192.168.0.188"), netip.MustParseAddr("fd00:1::188")

func addressIsPutOnAndTakenOff(t *testing.T) {
	n := wired(t)
	h := newHost(t)
	list := []netip.Addr{vip, vip6, addr("127.0.0.1"), addr("0.0.0.0"), vip}
	for range 2 { // the second time nothing is to be done
		must(t, h.Claim(t.Context(), list))
		expectEth0(t, "192.168.0.188/32", "fd00:1::188/128")
	}
	l, err := net6(t)
	must(t, err)
	if l.Flags&unix.IFA_F_TENTATIVE != 0 || l.PreferedLft != 0 || l.ValidLft == 0 {
		t.Errorf("%+v", l)
	}
	n.connects(t, "192.168.0.188")
	n.connects(t, "fd00:1::188")
	must(t, h.Release(t.Context(), []netip.Addr{vip6}))
	expectEth0(t, "fd00:1::188/128")
	must(t, h.Release(t.Context(), nil))
	expectEth0(t)
	must(t, h.Release(t.Context(), nil))
}

// net6 returns vip6 as eth0 has it.
func net6(t *testing.T) (netlink.Addr, error) {
	t.Helper()
	list, err := dump(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_V6) })
	for _, a := range list {
		if a.IP.Equal(vip6.AsSlice()) {
			return a, err
		}
	}
	return netlink.Addr{}, errors.Join(err, errors.New("fd00:1::188 is not there"))
}

// connects opens a TCP connection from the neighbour to a port of address that listens here.
func (n *neighbour) connects(t *testing.T, address string) {
	t.Helper()
	a := addr(address)
	family := unix.AF_INET
	var to unix.Sockaddr = &unix.SockaddrInet4{Addr: as4(a), Port: 7007}
	if a.Is6() {
		family, to = unix.AF_INET6, &unix.SockaddrInet6{Addr: a.As16(), Port: 7007}
	}
	server, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer func() { _ = unix.Close(server) }()
	must(t, unix.Bind(server, to))
	must(t, unix.Listen(server, 1))
	here, err := netns.Get()
	must(t, err)
	defer func() { _ = here.Close() }()
	must(t, netns.Set(n.ns))
	client, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, netns.Set(here))
	must(t, err)
	defer func() { _ = unix.Close(client) }()
	must(t, unix.SetsockoptTimeval(client, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: 5}))
	if err := unix.Connect(client, to); err != nil {
		t.Errorf("the neighbour cannot reach %s: %v", address, err)
	}
}

func as4(a netip.Addr) (b [4]byte) {
	if a.Is4() {
		b = a.As4()
	}
	return b
}

func duplicateIsRefused(t *testing.T) {
	n := wired(t)
	n.give(t, "192.168.0.188/32")
	n.give(t, "fd00:1::188/128")
	h := newHost(t)
	for _, a := range []netip.Addr{vip, vip6} {
		err := h.Claim(t.Context(), []netip.Addr{addr("192.168.0.189"), a})
		list := appliance.ErrorsOf(err)
		want := a.String() + " is already used by another machine on eth0, with the hardware address " + n.hardware + "."
		if len(list) != 1 || list[0].Kind != appliance.Conflict || list[0].Text() != want || list[0].Subject != a.String() || list[0].Hint == "" {
			t.Errorf("%v", err)
		}
		expectEth0(t) // the free one is not added alone
	}
}

func withoutTheRight(t *testing.T) {
	wired(t)
	h := newHost(t)
	other := addr("192.168.0.189")
	must(t, h.Claim(t.Context(), []netip.Addr{other}))
	drop(t, unix.CAP_NET_ADMIN, unix.CAP_NET_RAW)
	err := h.Claim(t.Context(), []netip.Addr{vip, other})
	list := appliance.ErrorsOf(err)
	if len(list) != 1 || list[0].Kind != appliance.Denied || list[0].Hint != "Run this as root: ip addr add 192.168.0.188/32 dev eth0" ||
		!strings.Contains(list[0].Text(), "CAP_NET_ADMIN is missing") {
		t.Fatalf("%v", err)
	}
	must(t, h.Claim(t.Context(), []netip.Addr{other, addr("127.0.0.1"), addr("192.168.0.10")})) // nothing to do needs no right
	list = appliance.ErrorsOf(h.Release(t.Context(), nil))
	if len(list) != 1 || list[0].Kind != appliance.Denied || list[0].Hint != "Run this as root: ip addr del 192.168.0.189/32 dev eth0" {
		t.Fatalf("%v", list)
	}
	expectEth0(t, "192.168.0.189/32")
}

// drop takes capabilities from this thread for good.
func drop(t *testing.T, capabilities ...uint) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	must(t, unix.Capget(&header, &sets[0]))
	for _, c := range capabilities {
		sets[c/32].Effective &^= 1 << (c % 32)
		sets[c/32].Permitted &^= 1 << (c % 32)
	}
	must(t, unix.Capset(&header, &sets[0]))
}

func foreignAddressStays(t *testing.T) {
	wired(t)
	l, err := netlink.LinkByName("eth0")
	must(t, err)
	give(t, l, "192.168.0.188/32")
	give(t, l, "fd00:1::188/128")
	h := newHost(t)
	must(t, h.Claim(t.Context(), []netip.Addr{vip, vip6, addr("192.168.0.10")}))
	must(t, h.Release(t.Context(), nil))
	expectEth0(t, "192.168.0.188/32", "fd00:1::188/128")
}

func allOrNothing(t *testing.T) {
	wired(t)
	h := newHost(t)
	must(t, os.WriteFile("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", []byte("1"), 0o644))
	must(t, h.Claim(t.Context(), []netip.Addr{vip}))
	err := h.Claim(t.Context(), []netip.Addr{addr("192.168.0.189"), addr("172.16.0.1")})
	if appliance.KindOf(err) != appliance.Invalid {
		t.Errorf("%v", err)
	}
	if got := onEth0(t); !slices.Equal(got, []string{"192.168.0.10/24", "192.168.0.188/32"}) {
		t.Errorf("eth0 has %v", got)
	}
	// The kernel refuses the second address after the first was added.
	s, err := look(t.Context())
	must(t, err)
	s.links["gone0"] = link{index: 4711, name: "gone0"}
	err = h.add(t.Context(), s, map[string][]netip.Addr{"eth0": {addr("192.168.0.190")}, "gone0": {addr("10.9.9.9")}})
	if appliance.KindOf(err) != appliance.Unavailable {
		t.Errorf("%v", err)
	}
	if got := onEth0(t); !slices.Equal(got, []string{"192.168.0.10/24", "192.168.0.188/32"}) {
		t.Errorf("eth0 has %v", got)
	}
	if len(h.ours) != 1 || h.ours[vip] != "eth0" {
		t.Errorf("ours: %v", h.ours)
	}
}

// afterKill is a process that ends without releasing, and its successor.
func afterKill(t *testing.T) {
	wired(t)
	dir := t.TempDir()
	must(t, New(Options{Dir: dir}).Claim(t.Context(), []netip.Addr{vip, vip6}))
	next := New(Options{Dir: dir})
	must(t, next.Claim(t.Context(), []netip.Addr{vip}))
	must(t, next.Release(t.Context(), []netip.Addr{vip}))
	expectEth0(t, "192.168.0.188/32")
	must(t, New(Options{Dir: dir}).Release(t.Context(), nil))
	expectEth0(t)
	// What cannot be written down is not added: a successor would not know it.
	err := New(Options{Dir: dir + "/missing"}).Claim(t.Context(), []netip.Addr{vip})
	if appliance.KindOf(err) != appliance.Unavailable {
		t.Errorf("%v", err)
	}
	expectEth0(t)
}

func checkInNetworks(t *testing.T) {
	wired(t)
	h := newHost(t)
	must(t, h.Check(t.Context(), []netip.Addr{vip, vip6, addr("127.0.0.1"), addr("::"), addr("192.168.0.10")}))
	list := appliance.ErrorsOf(h.Check(t.Context(), []netip.Addr{vip, addr("192.168.7.1"), addr("192.168.0.255")}))
	if len(list) != 2 || list[0].Text() != "192.168.7.1 is in none of this appliance's networks (eth0 192.168.0.10/24)." || list[1].Field != "192.168.0.255" {
		t.Errorf("%v", list)
	}
	networks, err := h.Networks(t.Context())
	want := []Network{{"eth0", netip.MustParsePrefix("192.168.0.10/24")}, {"eth0", netip.MustParsePrefix("fd00:1::10/64")}}
	if err != nil || !slices.Equal(networks, want) {
		t.Errorf("%v, %v", networks, err)
	}
	expectEth0(t)
}

func suggestWhatIsFree(t *testing.T) {
	n := wired(t)
	h := newHost(t)
	var s Suggestion
	var ok bool
	awaitUntil(t, "a suggestion that is known to be free", func() bool { // it takes half a second at most, which is too short for a busy machine to know
		s, ok = h.Suggest(t.Context(), "192.168.1.188")
		return ok && s.Free
	})
	if s.Address != vip || s.Hint != "Did you mean 192.168.0.188? It is free in 192.168.0.0/24 on eth0." {
		t.Errorf("%+v", s)
	}
	n.give(t, "192.168.0.188/32")
	awaitUntil(t, "an address that is in use to be suggested no more", func() bool {
		s, ok = h.Suggest(t.Context(), "192.168.1.188")
		if s.Free {
			t.Errorf("an address that is in use is suggested: %+v", s)
		}
		return !ok
	})
	drop(t, unix.CAP_NET_RAW)
	awaitUntil(t, "a suggestion without the right to ask", func() bool {
		s, ok = h.Suggest(t.Context(), "192.168.1.187")
		return ok
	})
	if s.Free || s.Hint != "Did you mean 192.168.0.187? It is in 192.168.0.0/24 on eth0." {
		t.Errorf("%+v, %v", s, ok)
	}
}

// announces holds when the neighbour hears, from both families, who has the address now.
func announces(t *testing.T) {
	n := wired(t)
	near, err := netlink.LinkByName("eth0")
	must(t, err)
	here, err := netns.Get()
	must(t, err)
	defer func() { _ = here.Close() }()
	must(t, netns.Set(n.ns))
	far := link{index: n.link.Attrs().Index, name: "peer0", hardware: n.link.Attrs().HardwareAddr}
	var ears []*packet.Conn
	for _, a := range []netip.Addr{vip, vip6} {
		ear, err := open(far, wireOf(a))
		must(t, err)
		defer func() { _ = ear.Close() }()
		must(t, ear.SetReadDeadline(time.Now().Add(time.Minute)))
		ears = append(ears, ear)
	}
	must(t, netns.Set(here))
	must(t, newHost(t).Claim(t.Context(), []netip.Addr{vip, vip6}))
	for i, a := range []netip.Addr{vip, vip6} {
		frame := make([]byte, 256)
		for {
			count, _, err := ears[i].ReadFrom(frame)
			must(t, err)
			probing := a.Is4() && bytes.Equal(frame[headerEthernet+14:headerEthernet+18], make([]byte, 4))
			if got, owner := wireOf(a).owner(frame[:count]); got == a && !probing {
				if owner.String() != near.Attrs().HardwareAddr.String() {
					t.Errorf("%s is announced for %s", a, owner)
				}
				break
			}
		}
	}
}

// linkDown holds when a cable is out at the start: the address is put on all the same.
func linkDown(t *testing.T) {
	n := wired(t)
	must(t, n.handle.LinkSetDown(n.link))
	must(t, newHost(t).Claim(t.Context(), []netip.Addr{vip}))
	near, err := netlink.LinkByName("eth0")
	must(t, err)
	must(t, netlink.LinkSetDown(near))
	must(t, newHost(t).Claim(t.Context(), []netip.Addr{addr("192.168.0.189")}))
	if got := onEth0(t); !slices.Contains(got, "192.168.0.188/32") || !slices.Contains(got, "192.168.0.189/32") {
		t.Errorf("eth0 has %v", got)
	}
}
