package host

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"evenkeel/appliance"
)

// TestPairInNamespace runs each of these as a process of its own in a fresh network namespace.
func TestPairInNamespace(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		if os.Getenv("EVENKEEL_TEST_REQUIRE") == "all" {
			t.Fatal("nft is not installed")
		}
		t.Skip("nft is not installed")
	}
	inNamespace(t, map[string]func(*testing.T){
		"UpAndDown":         upAndDown,
		"FiveHundred":       fiveHundred,
		"AfterKill":         pairAfterKill,
		"MadeWhileServing":  madeWhileServing,
		"EndsWithoutTrace":  endsWithoutTrace,
		"WithoutIPv6":       pairWithoutIPv6,
		"SetWhileUp":        setWhileUp,
		"WithoutTheRight":   pairWithoutTheRight,
		"LinkLosesAndFinds": linkLosesAndFinds,
		"NeighboursFollow":  neighboursFollow,
		"WitnessAnswers":    witnessAnswers,
		"OldAnswersAreOld":  oldAnswersAreOld,
		"ProbeSeesOwner":    probeSeesOwner,
		"ThirdMachine":      thirdMachine,
		"RebuiltIsTold":     rebuiltIsTold,
	})
}

func paired(t *testing.T, h *Host, list ...netip.Addr) *Floating {
	t.Helper()
	f, err := h.Pair(t.Context(), PairOptions{Floating: list})
	must(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// await returns the next event of a kind, or fails after a minute.
func (f *Floating) await(t *testing.T, kind appliance.KernelEventKind) appliance.KernelEvent {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		select {
		case e := <-f.Events():
			if e.Kind == kind {
				return e
			}
		case <-limit:
			t.Fatalf("no event of kind %s", kind)
		}
	}
}

// none fails when an event of the kind comes within a short time.
func (f *Floating) none(t *testing.T, kind appliance.KernelEventKind) {
	t.Helper()
	limit := time.After(60 * time.Millisecond)
	for {
		select {
		case e := <-f.Events():
			if e.Kind == kind {
				t.Fatalf("unexpected: %+v", e)
			}
		case <-limit:
			return
		}
	}
}

func upAndDown(t *testing.T) {
	n := wired(t)
	h := newHost(t)
	f := paired(t, h, vip, vip6, addr("127.0.0.1"), addr("192.168.0.10"))
	if places := f.Places(); len(places) != 2 || places[vip] != "eth0" || places[vip6] != "eth0" {
		t.Errorf("%v", places)
	}
	expectEth0(t)
	for range 2 {
		must(t, f.Up(t.Context()))
		expectEth0(t, "192.168.0.188/32", "fd00:1::188/128")
	}
	if n.answers(t, vip) {
		t.Error("an answer before the lease")
	}
	must(t, f.Renew(after(10*time.Second)))
	n.connects(t, "192.168.0.188")
	n.connects(t, "fd00:1::188")
	for range 2 {
		must(t, f.Down(t.Context()))
		expectEth0(t)
	}
	must(t, f.Up(t.Context()))
	if n.answers(t, vip) {
		t.Error("Down has not ended the lease")
	}
	awaitUntil(t, "an answer for the node's own address", func() bool { return n.answers(t, addr("192.168.0.10")) })
	must(t, f.Down(t.Context()))
	must(t, f.Close())
	if list := ruleset(t); strings.Contains(list, leaseTable) {
		t.Errorf("left over: %s", list)
	}
}

// answers tells whether this side answers ARP for a.
func (n *neighbour) answers(t *testing.T, a netip.Addr) bool {
	t.Helper()
	here := near0(t).hardware
	asker := rawPair(t, n).far
	defer func() { _ = asker.Close() }()
	must(t, send(asker, arp(n.far().hardware, addr("192.168.0.1"), a)))
	return hears(t, asker, 60*time.Millisecond, func(frame []byte) bool {
		got, owner := arpOwner(frame)
		return got == a && bytes.Equal(owner, here)
	})
}

// many returns count addresses, half of them IPv6.
func many(count int) []netip.Addr {
	var out []netip.Addr
	four, six := addr("10.1.0.10"), addr("fd00:7::10")
	for range count / 2 {
		out = append(out, four, six)
		four, six = four.Next(), six.Next()
	}
	return out
}

func fiveHundred(t *testing.T) {
	n := wired(t)
	l, err := netlink.LinkByName("eth0")
	must(t, err)
	give(t, l, "10.1.0.1/16")
	give(t, l, "fd00:7::1/64")
	f := paired(t, newHost(t), many(500)...)
	const tries, slack = 8, 4 // for machines that are busy with other tests
	timed := func(what string, limit time.Duration, undo, do func() error) {
		t.Helper()
		best := time.Hour
		for try := 0; try < tries && best > limit; try++ {
			if try > 0 {
				must(t, undo())
			}
			start := time.Now()
			must(t, do())
			best = min(best, time.Since(start))
		}
		t.Logf("%s: %s", what, best)
		if best > limit {
			t.Errorf("%s takes %s, not %s", what, best, limit)
		}
	}
	up, down := func() error { return f.Up(t.Context()) }, func() error { return f.Down(t.Context()) }
	timed("500 up", slack*100*time.Millisecond, down, up)
	timed("500 up again", slack*100*time.Millisecond, up, up)
	if got := len(onEth0(t)); got != 504 {
		t.Errorf("%d addresses are up", got)
	}
	must(t, f.Renew(after(10*time.Second)))
	last := addr("fd00:7::109") // the kernel lets IPv6 addresses answer one after the other
	ends := rawPair(t, n)
	start := time.Now()
	awaitUntil(t, "the last answers", func() bool {
		must(t, send(ends.far, solicit(n.far().hardware, last)))
		return hears(t, ends.far, 5*time.Millisecond, func(frame []byte) bool {
			h, ok := understand(frame, [6]byte{})
			return ok && h.address == last
		})
	})
	t.Logf("the last answers after %s more", time.Since(start))
	heard := n.capture(t)
	start = time.Now()
	f.Announce(0)
	announced := func() bool {
		heard.mu.Lock()
		defer heard.mu.Unlock()
		seen := map[netip.Addr]bool{}
		for _, c := range heard.frames {
			if h, ok := understand(c.frame, [6]byte{}); ok && [6]byte(near0hardware(l)) == h.owner {
				seen[h.address] = true
			}
		}
		return !slices.ContainsFunc(many(500), func(a netip.Addr) bool { return !seen[a] })
	}
	awaitUntil(t, "all are announced", announced)
	t.Logf("500 announced: %s", time.Since(start))
	others := func(list []netip.Addr) func() error {
		return func() error { return f.SetFloating(t.Context(), list) }
	}
	timed("500 replaced by others", slack*500*time.Millisecond, others(many(500)), others(many(600)[100:]))
	timed("500 down", slack*200*time.Millisecond, up, down)
	if got := len(onEth0(t)); got != 4 {
		t.Errorf("%d addresses are left", got)
	}
}

func near0hardware(l netlink.Link) []byte { return l.Attrs().HardwareAddr }

// pairAfterKill is a node that was killed while it owned addresses: its successor finds them, behind the gate, also those that float no more.
func pairAfterKill(t *testing.T) {
	n := wired(t)
	dir := t.TempDir()
	first := New(Options{Dir: dir})
	gone := addr("192.168.0.189")
	f, err := first.Pair(t.Context(), PairOptions{Floating: []netip.Addr{vip, vip6, gone}})
	must(t, err)
	must(t, f.Up(t.Context()))
	must(t, f.Renew(after(time.Minute)))
	f.end() // nothing is tidied up
	if !n.answers(t, vip) {
		t.Fatal("the lease of the first is not in force")
	}
	next := paired(t, New(Options{Dir: dir}), vip, vip6)
	expectEth0(t, "192.168.0.188/32", "fd00:1::188/128")
	if n.answers(t, vip) {
		t.Error("what was left is not gated")
	}
	must(t, next.Up(t.Context()))
	must(t, next.Renew(after(time.Minute)))
	next.end()
	heir, err := New(Options{Dir: dir}).Pair(t.Context(), PairOptions{Floating: []netip.Addr{vip, vip6}, Inherit: true})
	must(t, err)
	if !n.answers(t, vip) {
		t.Error("an inherited lease was ended")
	}
	must(t, heir.Down(t.Context()))
	expectEth0(t)
	must(t, heir.Up(t.Context()))
	heir.end()
	// The pair is broken while nothing runs: the addresses are ordinary ones.
	alone := New(Options{Dir: dir})
	must(t, alone.NoPair())
	must(t, alone.Claim(t.Context(), []netip.Addr{vip}))
	must(t, alone.Release(t.Context(), []netip.Addr{vip}))
	expectEth0(t, "192.168.0.188/32")
	if !n.answers(t, vip) {
		t.Error("a node without a pair is gated")
	}
	// Behind the gate as well it is seen that another machine has an address.
	taken, taken6 := addr("192.168.0.190"), addr("fd00:1::190")
	guard(t, taken, taken6)
	n.give(t, "192.168.0.190/32")
	n.give(t, "fd00:1::190/128")
	if list := appliance.ErrorsOf(alone.Claim(t.Context(), []netip.Addr{taken, taken6})); len(list) != 2 || list[0].Kind != appliance.Conflict {
		t.Errorf("%v", list)
	}
}

// madeWhileServing makes a pair of a node that serves, and breaks it: its clients notice neither.
func madeWhileServing(t *testing.T) {
	n := wired(t)
	h := newHost(t)
	must(t, h.Claim(t.Context(), []netip.Addr{vip}))
	server, err := net.ListenPacket("udp4", "192.168.0.188:7007")
	must(t, err)
	var client net.Conn
	n.within(t, func() { client, err = net.Dial("udp4", "192.168.0.188:7007") })
	must(t, err)
	enough, lost := make(chan struct{}), make(chan int)
	go func() {
		defer func() { _ = client.Close() }()
		sent, came, text := 0, 0, make([]byte, 4)
		for ; ; sent++ {
			select {
			case <-enough:
				lost <- sent - came
				return
			default:
			}
			_, _ = client.Write(text)
			_ = server.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, _, err := server.ReadFrom(text); err == nil {
				came++
			}
		}
	}()
	f, err := h.Pair(t.Context(), PairOptions{Floating: []netip.Addr{vip}, Owned: time.Minute})
	must(t, err)
	f.none(t, appliance.LeaseRebuilt)
	must(t, f.Renew(after(time.Minute)))
	must(t, f.Close())
	close(enough)
	if count := <-lost; count != 0 {
		t.Errorf("%d datagrams are lost", count)
	}
	must(t, server.Close())
	must(t, h.Release(t.Context(), nil))
	expectEth0(t)
}

// endsWithoutTrace counts what is open before and after.
func endsWithoutTrace(t *testing.T) {
	wired(t)
	h := newHost(t)
	open := func() (descriptors, routines int) {
		list, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		return len(list), runtime.NumGoroutine()
	}
	turn := func() {
		f, err := h.Pair(t.Context(), PairOptions{Floating: []netip.Addr{vip, vip6}})
		must(t, err)
		f.AskWitness(addr("192.168.0.1"))
		f.await(t, appliance.WitnessAnswered)
		must(t, f.Close())
		must(t, f.Close())
	}
	turn()
	descriptors, routines := open()
	for range 10 {
		turn()
	}
	if now, running := open(); now > descriptors || running > routines {
		t.Errorf("%d descriptors and %d goroutines, before %d and %d", now, running, descriptors, routines)
	}
}

// pairWithoutIPv6 is a node whose interface has IPv6 switched off: the others' addresses go up all the same.
func pairWithoutIPv6(t *testing.T) {
	n := wired(t)
	f := paired(t, newHost(t), vip, vip6)
	must(t, os.WriteFile("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", []byte("1"), 0o644))
	err := f.Up(t.Context())
	if list := appliance.ErrorsOf(err); len(list) != 1 || list[0].Kind != appliance.Unsupported || list[0].Field != vip6.String() {
		t.Errorf("%v", err)
	}
	must(t, f.Renew(after(time.Minute)))
	if !n.answers(t, vip) {
		t.Error("the IPv4 address is not up")
	}
	must(t, f.Down(t.Context()))
}

func setWhileUp(t *testing.T) {
	n := wired(t)
	f := paired(t, newHost(t), vip)
	must(t, f.Up(t.Context()))
	must(t, f.Renew(after(time.Minute)))
	other := addr("192.168.0.189")
	must(t, f.SetFloating(t.Context(), []netip.Addr{vip6, other}))
	expectEth0(t, "192.168.0.189/32", "fd00:1::188/128")
	if !n.answers(t, other) {
		t.Error("the new address does not answer")
	}
	n.give(t, "192.168.0.188/32")
	err := f.SetFloating(t.Context(), []netip.Addr{vip6, other, vip})
	if list := appliance.ErrorsOf(err); len(list) != 1 || list[0].Kind != appliance.Conflict || !strings.Contains(list[0].Text(), n.hardware) {
		t.Errorf("%v", err)
	}
	if err := f.SetFloating(t.Context(), []netip.Addr{addr("172.16.0.1")}); appliance.KindOf(err) != appliance.Invalid {
		t.Errorf("%v", err)
	}
	expectEth0(t, "192.168.0.189/32", "fd00:1::188/128")
	must(t, f.Drop())
	if n.answers(t, other) {
		t.Error("the new address is not gated")
	}
	must(t, f.Down(t.Context()))
	must(t, f.SetFloating(t.Context(), []netip.Addr{vip, vip6})) // the peer has them: nobody is asked
	expectEth0(t)
}

func pairWithoutTheRight(t *testing.T) {
	wired(t)
	drop(t, unix.CAP_NET_ADMIN)
	_, err := newHost(t).Pair(t.Context(), PairOptions{Floating: []netip.Addr{vip}})
	list := appliance.ErrorsOf(err)
	if len(list) != 1 || list[0].Kind != appliance.Denied || !strings.Contains(list[0].Message, "CAP_NET_ADMIN") || list[0].Hint == "" {
		t.Errorf("%v", err)
	}
	must(t, newHost(t).NoPair())
}

// linkLosesAndFinds pulls a cable, and shuts the interface, which makes the kernel forget its IPv6 addresses.
func linkLosesAndFinds(t *testing.T) {
	n := wired(t)
	f := paired(t, newHost(t), vip, vip6)
	must(t, f.Up(t.Context()))
	must(t, n.handle.LinkSetDown(n.link))
	if e := f.await(t, appliance.LinkChanged); e.Interface != "eth0" || e.Up || e.At == 0 {
		t.Errorf("%+v", e)
	}
	must(t, n.handle.LinkSetUp(n.link))
	if e := f.await(t, appliance.LinkChanged); e.Interface != "eth0" || !e.Up {
		t.Errorf("%+v", e)
	}
	near, err := netlink.LinkByName("eth0")
	must(t, err)
	must(t, netlink.LinkSetDown(near))
	f.await(t, appliance.LinkChanged)
	must(t, netlink.LinkSetUp(near))
	awaitUntil(t, "the IPv6 address is back", func() bool { return slices.Contains(onEth0(t), "fd00:1::188/128") })
	n.cable(t, "eth9")
	awaitUntil(t, "a new interface is guarded", func() bool { return strings.Contains(ruleset(t), `device "eth9"`) })
	whole := ruleset(t)
	for _, harm := range []string{"flush ruleset", "flush table netdev evenkeel_lease", "flush chain netdev evenkeel_lease arriving"} {
		must(t, exec.Command("nft", harm).Run())
		awaitUntil(t, "without renewals all is back as well after "+harm, func() bool { return ruleset(t) == whole })
	}
}

func rebuiltIsTold(t *testing.T) {
	wired(t)
	f := paired(t, newHost(t), vip)
	for what, call := range map[string]func() error{
		"renewal": func() error { return f.Renew(after(appliance.Lease)) }, "drop": f.Drop, "up": func() error { return f.Up(t.Context()) },
	} {
		must(t, exec.Command("nft", "flush ruleset").Run())
		must(t, call())
		if e := f.await(t, appliance.LeaseRebuilt); e.At == 0 {
			t.Errorf("%s: %+v", what, e)
		}
		if !strings.Contains(ruleset(t), leaseTable) {
			t.Errorf("%s has not rebuilt the table", what)
		}
	}
}
