package host

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"evenkeel/appliance"
)

// TestLeaseInNamespace runs each of these as a process of its own in a fresh network namespace.
func TestLeaseInNamespace(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		if os.Getenv("EVENKEEL_TEST_REQUIRE") == "all" {
			t.Fatal("nft is not installed")
		}
		t.Skip("nft is not installed")
	}
	inNamespace(t, map[string]func(*testing.T){
		"GatesEverything":     gatesEverything,
		"EndsOnTime":          endsOnTime,
		"RenewalLosesNothing": renewalLosesNothing,
		"EndsWhileFrozen":     endsWhileFrozen,
		"IsRebuilt":           leaseIsRebuilt,
		"IsNotLonger":         leaseIsNotLonger,
		"LeftOverTable":       leftOverTable,
		"NewInterface":        newInterface,
		"BehindABridge":       behindABridge,
		"PortsOfBridges":      portsOfBridges,
	})
}

// guard makes a gate for the addresses and its lease.
func guard(t *testing.T, list ...netip.Addr) (*gate, *lease) {
	t.Helper()
	g := &gate{}
	must(t, g.set(list))
	l, err := newLease(g.mend)
	must(t, err)
	t.Cleanup(func() { _ = l.close() })
	return g, l
}

// after is a reading of the clock that has yet to come.
func after(d time.Duration) time.Duration { return clock(bootTime) + d }

func (l *lease) mustRenew(t *testing.T, life time.Duration) {
	t.Helper()
	if rebuilt, err := l.renew(after(life)); err != nil || rebuilt {
		t.Fatal(rebuilt, err)
	}
}

// gatesEverything sends one frame of each sort in both directions: without the lease none passes, with it all do, and what is of other addresses always does.
func gatesEverything(t *testing.T) {
	n := wired(t)
	_, l := guard(t, vip, vip6)
	client, client6 := addr("192.168.0.1"), addr("fd00:1::1")
	own, own6 := addr("192.168.0.10"), addr("fd00:1::10")
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 9}
	sorts := []struct {
		name  string
		frame []byte
		free  bool // it concerns no floating address
	}{
		{"from IPv4", datagram(mac, vip, client), false},
		{"to IPv4", datagram(mac, client, vip), false},
		{"from IPv6", datagram(mac, vip6, client6), false},
		{"to IPv6", datagram(mac, client6, vip6), false},
		{"ARP for", arp(mac, client, vip), false},
		{"ARP by", arp(mac, vip, client), false},
		{"gratuitous ARP", arp(mac, vip, vip), false},
		{"solicitation for", discovery(mac, client6, addr("ff02::1:ff00:188"), solicitation, 0, vip6, nil), false},
		{"solicitation by", discovery(mac, vip6, addr("ff02::1:ff00:1"), solicitation, 0, client6, nil), false},
		{"advertisement", discovery(mac, own6, addr("ff02::1"), advertisement, 0x20, vip6, nil), false},
		{"other IPv4", datagram(mac, own, client), true},
		{"other IPv6", datagram(mac, own6, client6), true},
		{"other ARP", arp(mac, own, client), true},
		{"other solicitation", discovery(mac, own6, addr("ff02::1:ff00:1"), solicitation, 0, client6, nil), true},
	}
	outs := rawPair(t, n)
	for _, way := range []struct {
		name   string
		passes func(frame []byte) bool
	}{
		{"leaving", func(frame []byte) bool { return outs.leaves(t, frame) }},
		{"arriving", func(frame []byte) bool { return outs.arrives(t, frame) }},
	} {
		for _, s := range sorts {
			_, err := l.end()
			must(t, err)
			if got := way.passes(s.frame); got != s.free {
				t.Errorf("%s %s without the lease: passes %v", way.name, s.name, got)
			}
			l.mustRenew(t, 10*time.Second)
			if !way.passes(s.frame) {
				t.Errorf("%s %s is dropped under the lease", way.name, s.name)
			}
		}
	}
	_, err := l.end()
	must(t, err)
	for _, probe := range [][]byte{arp(mac, netip.IPv4Unspecified(), vip), solicit(mac, vip6)} {
		if !outs.leaves(t, probe) {
			t.Error("a probe does not leave")
		}
		if outs.arrives(t, probe) {
			t.Error("a probe reaches the kernel, which would answer")
		}
	}
}

// endsOnTime measures when the kernel stops answering after the last renewal.
func endsOnTime(t *testing.T) {
	n := wired(t)
	l := near0(t)
	must(t, netlink.AddrAdd(nil, single(vip, l.index)))
	_, lease := guard(t, vip)
	asker := rawPair(t, n).far
	number := uint32(0)
	answers := func(wait time.Duration) bool {
		number++ // each question in another's name: a late answer belongs to an earlier one
		name := net.HardwareAddr(binary.BigEndian.AppendUint32([]byte{2, 1}, number))
		must(t, send(asker, arp(name, addr("192.168.0.1"), vip)))
		return hears(t, asker, wait, func(frame []byte) bool {
			a, owner := arpOwner(frame)
			return a == vip && bytes.Equal(owner, l.hardware) && bytes.Equal(frame[:6], name)
		})
	}
	for _, life := range []time.Duration{100 * time.Millisecond, 150 * time.Millisecond, 500 * time.Millisecond} {
		last := time.Duration(0)
		for try := 0; try < 60 && last < life*9/10; try++ { // a busy machine asks too seldom
			lease.mustRenew(t, life)
			for start := time.Now(); time.Since(start) < life+100*time.Millisecond; {
				if asked := time.Since(start); answers(2 * time.Millisecond) {
					last = max(last, asked)
				}
			}
		}
		t.Logf("a lease of %s: the last answer was to a question after %s", life, last)
		if last < life/2 || last > life+12*time.Millisecond {
			t.Errorf("a lease of %s ends after %s", life, last)
		}
	}
	awaitUntil(t, "an answer under the lease", func() bool {
		lease.mustRenew(t, 10*time.Second)
		return answers(time.Second)
	})
	_, err := lease.end()
	must(t, err)
	if answers(20 * time.Millisecond) {
		t.Error("an answer after the end")
	}
}

// renewalLosesNothing sends questions and answers one after the other during two seconds of renewals, a thousand per second: none of either may be lost.
func renewalLosesNothing(t *testing.T) {
	n := wired(t)
	must(t, netlink.AddrAdd(nil, single(vip, near0(t).index)))
	_, lease := guard(t, vip)
	lease.mustRenew(t, 10*time.Second)
	server, err := net.ListenPacket("udp4", "192.168.0.188:7007")
	must(t, err)
	defer func() { _ = server.Close() }()
	var client net.Conn
	n.within(t, func() { client, err = net.Dial("udp4", "192.168.0.188:7007") })
	must(t, err)
	defer func() { _ = client.Close() }()
	var worst, total time.Duration
	renewals, sent := 0, 0
	next := time.Now()
	text := make([]byte, 4)
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		if now := time.Now(); !now.Before(next) {
			lease.mustRenew(t, time.Minute)
			took := time.Since(now)
			worst, total, renewals, next = max(worst, took), total+took, renewals+1, now.Add(time.Millisecond)
		}
		binary.BigEndian.PutUint32(text, uint32(sent))
		_, err := client.Write(text)
		must(t, err)
		sent++
		must(t, server.SetReadDeadline(time.Now().Add(20*time.Second)))
		count, from, err := server.ReadFrom(text)
		if err != nil || count != 4 || binary.BigEndian.Uint32(text) != uint32(sent-1) {
			t.Fatalf("datagram %d is lost after %d renewals: %v", sent, renewals, err)
		}
		_, err = server.WriteTo(text, from)
		must(t, err)
		must(t, client.SetReadDeadline(time.Now().Add(20*time.Second)))
		if _, err = client.Read(text); err != nil {
			t.Fatalf("answer %d is lost after %d renewals: %v", sent, renewals, err)
		}
	}
	t.Logf("%d renewals of %s on average, %s at worst; %d questions and answers passed", renewals, total/time.Duration(renewals), worst, sent)
	if allocated := testing.AllocsPerRun(10, func() { _, _ = lease.renew(after(appliance.Lease)) }); allocated > 0 {
		t.Errorf("a renewal allocates %v times", allocated)
	}
}

// frozenOwner is set in the process that owns the addresses and is stopped.
const frozenOwner = "EVENKEEL_TEST_FROZEN_OWNER"

// endsWhileFrozen stops an owner that has data under way which nobody acknowledges, and whose kernel has forgotten its neighbours: after the lease its kernel says nothing.
func endsWhileFrozen(t *testing.T) {
	if os.Getenv(frozenOwner) != "" {
		beOwner(t)
		return
	}
	n := wired(t)
	hardware := net.HardwareAddr(near0(t).hardware)
	for _, a := range []netip.Addr{vip, vip6} {
		must(t, netlink.AddrAdd(nil, single(a, near0(t).index)))
	}
	guard(t, vip, vip6)
	owner := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLeaseInNamespace$/^EndsWhileFrozen$", "-test.v")
	owner.Env = append(os.Environ(), frozenOwner+"=1")
	owner.Stderr = os.Stderr
	says, err := owner.StdoutPipe()
	must(t, err)
	must(t, owner.Start())
	defer func() { _ = owner.Process.Kill(); _ = owner.Wait() }()
	awaitLine(t, says, "listening")
	clients := n.dial(t, "192.168.0.188:7007", "[fd00:1::188]:7007")
	for _, c := range clients {
		_, err := io.ReadFull(c, make([]byte, 1))
		must(t, err)
	}
	heard := n.capture(t)
	n.run(t, "nft", "add table inet deaf; add chain inet deaf out { type filter hook output priority 0; }; add rule inet deaf out tcp dport 7007 drop")
	awaitUntil(t, "the owner sends", func() bool { return len(heard.from(hardware, time.Time{})) > 10 })
	must(t, owner.Process.Signal(syscall.SIGSTOP))
	awaitUntil(t, "the owner stands", func() bool { return stands(t, owner.Process.Pid) }) // each thread does when its turn has come
	stopped := time.Now()
	must(t, exec.Command("ip", "neigh", "flush", "dev", "eth0").Run())
	n.run(t, "nft", "flush ruleset")
	limit := stopped.Add(appliance.Lease + 12*time.Millisecond)
	awaitUntil(t, "two seconds of silence", func() bool { return time.Since(stopped) > 2*time.Second })
	if late := heard.from(hardware, limit); len(late) > 0 {
		t.Errorf("a frozen owner still sends: %d frames, the first %s after it was stopped: %x", len(late), late[0].at.Sub(stopped), late[0].frame)
	}
	woken := time.Now()
	must(t, owner.Process.Signal(syscall.SIGCONT))
	awaitUntil(t, "the woken owner sends again", func() bool { return len(heard.from(hardware, woken)) > 0 })
}

// stands tells whether every thread of a process is stopped.
func stands(t *testing.T, pid int) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	must(t, err)
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		must(t, err)
		if _, state, _ := strings.Cut(string(text), ") "); !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return len(threads) > 0
}

// beOwner renews the lease and writes to whoever connects.
func beOwner(t *testing.T) {
	l, err := newLease(func() error { return errors.New("the table is gone") })
	must(t, err)
	l.mustRenew(t, appliance.Lease)
	for _, a := range []string{"192.168.0.188:7007", "[fd00:1::188]:7007"} {
		listener, err := net.Listen("tcp", a)
		must(t, err)
		go serveAll(listener)
	}
	_, _ = os.Stdout.WriteString("listening\n")
	for range time.Tick(50 * time.Millisecond) {
		l.mustRenew(t, appliance.Lease)
	}
}

func serveAll(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			for range time.Tick(5 * time.Millisecond) {
				if _, err := c.Write([]byte("x")); err != nil {
					return
				}
			}
		}()
	}
}

func leaseIsRebuilt(t *testing.T) {
	wired(t)
	g, l := guard(t, vip, vip6)
	others(t)
	whole := ruleset(t)
	for what, renew := range map[string]func() (bool, error){
		"renewal": func() (bool, error) { return l.renew(after(appliance.Lease)) }, "end": l.end,
	} {
		must(t, exec.Command("nft", "flush ruleset; "+otherTable).Run())
		if rebuilt, err := renew(); err != nil || !rebuilt {
			t.Errorf("%s: %v, %v", what, rebuilt, err)
		}
		if rebuilt, err := renew(); err != nil || rebuilt {
			t.Errorf("%s again: %v, %v", what, rebuilt, err)
		}
		_, err := l.end()
		must(t, err)
		if mended := ruleset(t); mended != whole {
			t.Errorf("%s: %s\nis not\n%s", what, mended, whole)
		}
	}
	must(t, exec.Command("nft", "delete chain netdev evenkeel_lease "+directions[0].chain(door{"eth0", near0(t).index})).Run())
	must(t, g.mend())
	if mended := ruleset(t); mended != whole {
		t.Errorf("%s\nis not\n%s", mended, whole)
	}
	must(t, g.remove())
	must(t, g.remove())
	if left := ruleset(t); strings.Contains(left, leaseTable) || !strings.Contains(left, "table inet other") {
		t.Errorf("left over: %s", left)
	}
}

// leaseIsNotLonger holds a renewal up, while the table is made anew and while the kernel is at it: it ends when it should have, or never begins.
func leaseIsNotLonger(t *testing.T) {
	wired(t)
	g, l := guard(t, vip)
	now, late := time.Hour, time.Duration(0)
	l.now = func() time.Duration { return now }
	l.mend = func() error { now += late; return g.mend() }
	flush := func() { t.Helper(); must(t, exec.Command("nft", "flush ruleset").Run()) }
	lives := func(life string) int { t.Helper(); return strings.Count(ruleset(t), "timeout "+life) }

	late = time.Minute
	flush()
	if rebuilt, err := l.renew(now + late); !rebuilt || !errors.Is(err, errLate) || lives("") > 0 {
		t.Errorf("%v, %v: a lease whose time was over when there was a table: %s", rebuilt, err, ruleset(t))
	}
	flush()
	if rebuilt, err := l.renew(now + time.Hour); !rebuilt || err != nil || lives("59m ") != 1 || lives("") != 1 {
		t.Errorf("%v, %v: a lease of which a minute was over when there was a table: %s", rebuilt, err, ruleset(t))
	}

	stuck := time.Duration(0) // for how long the next answer takes
	readings := 0
	l.now = func() time.Duration {
		if readings++; readings == 2 {
			now += stuck
		}
		return now
	}
	stuck = time.Minute
	if rebuilt, err := l.renew(now + 3*time.Hour); rebuilt || err != nil || lives("2h59m ") != 2 || lives("") != 2 {
		t.Errorf("%v, %v: a lease for which the kernel took a minute: %s", rebuilt, err, ruleset(t))
	}
	readings = 0
	if rebuilt, err := l.renew(now + stuck); rebuilt || !errors.Is(err, errLate) || lives("") > 0 {
		t.Errorf("%v, %v: a lease whose time was over when the kernel had it: %s", rebuilt, err, ruleset(t))
	}
}

// leftOverTable is a process that follows one that was killed: the lease that it left runs out as it would have, and a table of another version is replaced.
func leftOverTable(t *testing.T) {
	wired(t)
	_, l := guard(t, vip, vip6)
	l.mustRenew(t, time.Minute)
	_, _ = guard(t, vip)
	if list := ruleset(t); strings.Count(list, "expires") != 1 || strings.Contains(list, "fd00:1::188") {
		t.Errorf("%s", list)
	}
	must(t, exec.Command("nft", "flush ruleset; add table netdev evenkeel_lease; add set netdev evenkeel_lease ipv4 { type ifname; }").Run())
	_, next := guard(t, vip)
	next.mustRenew(t, time.Minute)
	if list := ruleset(t); strings.Contains(list, "ifname") || !strings.Contains(list, "192.168.0.188") {
		t.Errorf("%s", list)
	}
}

// newInterface holds when interfaces come, change their names, and go.
func newInterface(t *testing.T) {
	n := wired(t)
	g, l := guard(t, vip)
	l.mustRenew(t, time.Minute)
	chains := func() int { return strings.Count(ruleset(t), "hook ") }
	n.cable(t, "eth1")
	must(t, g.mend())
	if got := chains(); got != 4 {
		t.Errorf("%d chains for two interfaces", got)
	}
	eth1, err := netlink.LinkByName("eth1")
	must(t, err)
	must(t, netlink.LinkSetName(eth1, "lan1"))
	must(t, g.mend())
	if list := ruleset(t); chains() != 4 || strings.Contains(list, "eth1") || !strings.Contains(list, "lan1") {
		t.Errorf("after the change of a name: %s", list)
	}
	must(t, netlink.LinkDel(eth1))
	must(t, g.mend())
	if list := ruleset(t); chains() != 2 || strings.Contains(list, "lan1") {
		t.Errorf("after the end of an interface: %s", list)
	}
	if !strings.Contains(ruleset(t), "expires") {
		t.Error("the lease was lost meanwhile")
	}
}

// behindABridge has a floating address on a bridge whose port is the wire.
func behindABridge(t *testing.T) {
	n := wired(t)
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	must(t, netlink.LinkAdd(bridge))
	port, err := netlink.LinkByName("eth0")
	must(t, err)
	must(t, netlink.LinkSetMaster(port, bridge))
	must(t, netlink.LinkSetUp(bridge))
	give(t, bridge, "192.168.3.188/32")
	_, l := guard(t, addr("192.168.3.188"))
	asker := rawPair(t, n).far
	number := byte(0)
	answers := func() bool {
		number++
		name := net.HardwareAddr{2, 1, 0, 0, 0, number}
		must(t, send(asker, arp(name, addr("192.168.3.1"), addr("192.168.3.188"))))
		return hears(t, asker, 50*time.Millisecond, func(frame []byte) bool { return bytes.Equal(frame[:6], name) })
	}
	l.mustRenew(t, time.Minute)
	awaitUntil(t, "the bridge forwards", answers)
	_, err = l.end()
	must(t, err)
	if answers() {
		t.Error("the bridge answers without the lease")
	}
}

// portsOfBridges are left alone: what they carry between other machines is not ours.
func portsOfBridges(t *testing.T) {
	n := wired(t)
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	must(t, netlink.LinkAdd(bridge))
	must(t, netlink.LinkSetMaster(n.cable(t, "port0"), bridge))
	guard(t, vip)
	if list := ruleset(t); strings.Contains(list, "port0") || !strings.Contains(list, "br0") || !strings.Contains(list, "eth0") || strings.Contains(list, `"lo"`) {
		t.Errorf("%s", list)
	}
}

func TestLeaseErrorsSayWhatIsMissing(t *testing.T) {
	for code, kind := range map[unix.Errno]appliance.Kind{unix.EPERM: appliance.Denied, unix.EOPNOTSUPP: appliance.Unsupported, unix.ENOBUFS: appliance.Unavailable} {
		if e := leaseError("guard floating addresses", "5.10.0", code); e.Kind != kind || kind == appliance.Unsupported && !strings.Contains(e.Message, "(5.10.0)") {
			t.Errorf("%v: %+v", code, e)
		}
	}
}

func FuzzVerdictOfTheKernel(f *testing.F) {
	f.Add([]byte{36, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 254, 255, 255, 255})
	f.Fuzz(func(t *testing.T, message []byte) {
		if number, code := verdict(message); len(message) < 20 && (number != 0 || code != 0) {
			t.Errorf("%d, %v of %x", number, code, message)
		}
	})
}
