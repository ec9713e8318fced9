package host

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"evenkeel/appliance"
)

// neighboursFollow takes addresses from another machine: the client's table follows.
func neighboursFollow(t *testing.T) {
	n := wired(t)
	own := near0(t)
	n.run(t, "ip", "neigh", "replace", "192.168.0.188", "lladdr", "02:00:00:00:00:77", "dev", "peer0", "nud", "reachable")
	n.run(t, "ip", "neigh", "replace", "fd00:1::188", "lladdr", "02:00:00:00:00:77", "dev", "peer0", "nud", "reachable")
	f := paired(t, newHost(t), vip, vip6)
	must(t, f.Up(t.Context()))
	table := func() int {
		return strings.Count(n.run(t, "ip", "neigh", "show", "dev", "peer0"), "188 lladdr "+net.HardwareAddr(own.hardware).String())
	}
	heard := n.capture(t)
	v := f.view.Load()
	v.announce(0)
	v.probe() // which leaves on the same way behind it
	awaitUntil(t, "the probe leaves", func() bool { return heard.has(arp(own.hardware, netip.IPv4Unspecified(), vip)) })
	if got := table(); got != 0 || heard.has(arp(own.hardware, vip, vip)) || heard.has(arpAnnouncement(own.hardware, vip)) || heard.has(advertise(own.hardware, vip6)) {
		t.Errorf("announced without the lease: %d neighbours follow", got)
	}
	must(t, f.Renew(after(time.Minute)))
	f.Announce(0)
	awaitUntil(t, "both neighbours follow", func() bool { return table() == 2 })
	awaitUntil(t, "both are told in each form", func() bool {
		return heard.has(arp(own.hardware, vip, vip)) && heard.has(arpAnnouncement(own.hardware, vip)) && heard.has(advertise(own.hardware, vip6))
	})
}

// has tells whether a frame was captured.
func (c *capture) has(frame []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.frames, func(f captured) bool { return bytes.HasPrefix(f.frame, frame) })
}

func witnessAnswers(t *testing.T) {
	n := wired(t)
	f := paired(t, newHost(t), vip)
	if list := f.Gateways(); len(list) != 0 {
		t.Errorf("%v", list)
	}
	expect := func(a string) {
		t.Helper()
		e := f.await(t, appliance.WitnessAnswered)
		if e.Address != addr(a) || e.Hardware != n.hardware || e.Interface != "eth0" || clock(bootTime)-e.At > 30*time.Second || e.At == 0 {
			t.Errorf("%+v", e)
		}
	}
	for range 3 { // to all, to the one that answered, to it again
		f.AskWitness(addr("192.168.0.1"))
		expect("192.168.0.1")
		f.AskWitness(addr("fd00:1::1"))
		expect("fd00:1::1")
	}
	f.AskWitness(addr("192.168.0.77")) // nobody
	f.AskWitness(addr("203.0.113.1"))  // in no network
	f.none(t, appliance.WitnessAnswered)
	near, err := netlink.LinkByName("eth0")
	must(t, err)
	must(t, netlink.RouteAdd(&netlink.Route{Gw: net.IPv4(192, 168, 0, 1), LinkIndex: near.Attrs().Index}))
	awaitUntil(t, "the gateway is known", func() bool { return slices.Equal(f.Gateways(), []netip.Addr{addr("192.168.0.1")}) })
	f.AskWitness(netip.Addr{})
	expect("192.168.0.1")
	must(t, exec.Command("ip", "-6", "route", "add", "default", "via", "fd00:1::1", "dev", "eth0").Run())
	awaitUntil(t, "both gateways are known", func() bool { return len(f.Gateways()) == 2 })
	f.AskWitness(netip.Addr{})
	got := []string{f.await(t, appliance.WitnessAnswered).Address.String(), f.await(t, appliance.WitnessAnswered).Address.String()}
	if slices.Sort(got); !slices.Equal(got, []string{"192.168.0.1", "fd00:1::1"}) {
		t.Errorf("%v", got)
	}
	must(t, n.handle.LinkSetDown(n.link))
	f.AskWitness(addr("192.168.0.1"))
	f.none(t, appliance.WitnessAnswered)
}

// oldAnswersAreOld holds when an answer waits in the socket: it is told as of when it came. The kernel needs a moment to begin to note the time of packets.
func oldAnswersAreOld(t *testing.T) {
	n := wired(t)
	e, err := listen(near0(t))
	must(t, err)
	told := make(chan heard)
	asker := addr("192.168.0.1")
	go e.run(func(h heard) {
		if h.address != asker { // the other end tries its own addresses
			return
		}
		select {
		case told <- h:
		case <-t.Context().Done():
		}
	})
	t.Cleanup(func() { _ = e.file.Close() })
	ends := rawPair(t, n)
	question := arp(n.far().hardware, asker, vip)
	must(t, send(ends.far, question))
	<-told // and now e waits to tell the next
	for range 10 {
		must(t, send(ends.far, question))
		must(t, send(ends.far, question))
		arrived := clock(bootTime)
		awaitUntil(t, "both wait", func() bool { return clock(bootTime)-arrived > 200*time.Millisecond })
		<-told // was read at once
		h := <-told
		if h.at != 0 && h.at <= arrived && arrived-h.at < 100*time.Millisecond {
			return
		}
		t.Logf("it came at %s, and is told as of %s", arrived, h.at)
	}
	t.Error("what waits is told as new")
}

// probeSeesOwner asks for the addresses while nobody, the neighbour, or this node itself has them.
func probeSeesOwner(t *testing.T) {
	n := wired(t)
	f := paired(t, newHost(t), vip, vip6)
	f.Probe()
	f.none(t, appliance.OwnerSeen)
	must(t, f.Up(t.Context())) // as after a kill, or right before the lease
	f.Probe()
	f.none(t, appliance.OwnerSeen)
	must(t, f.Renew(after(time.Minute)))
	f.Probe()
	f.none(t, appliance.OwnerSeen)
	must(t, f.Down(t.Context()))
	n.give(t, "192.168.0.188/32")
	n.give(t, "fd00:1::188/128")
	seen := map[netip.Addr]bool{}
	awaitUntil(t, "both owners are seen", func() bool { // as a candidate does, some times
		f.Probe()
		select {
		case e := <-f.Events():
			if e.Kind == appliance.OwnerSeen && (e.Hardware != n.hardware || e.Interface != "eth0" || e.At == 0) {
				t.Errorf("%+v", e)
			}
			seen[e.Address] = true
		case <-time.After(10 * time.Millisecond):
		}
		return seen[vip] && seen[vip6]
	})
}

// moment waits until the same claim is told again.
func moment(t *testing.T) {
	t.Helper()
	start := time.Now()
	awaitUntil(t, "a moment", func() bool { return time.Since(start) > 2*tellEvery })
}

// thirdMachine claims an address that this node owns; another candidate's probe claims nothing, and is answered under the lease alone.
func thirdMachine(t *testing.T) {
	n := wired(t)
	f := paired(t, newHost(t), vip, vip6)
	must(t, f.Up(t.Context()))
	must(t, f.Renew(after(time.Minute)))
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 7}
	ends := rawPair(t, n)
	probes := [][]byte{arp(mac, netip.IPv4Unspecified(), vip), solicit(mac, vip6)}
	answered := func(i int) bool {
		must(t, send(ends.far, probes[i]))
		return hears(t, ends.far, 1000*time.Millisecond, func(frame []byte) bool {
			h, ok := understand(frame, [6]byte{})
			return ok && h.owner == [6]byte(near0(t).hardware) && (h.address == vip || h.address == vip6)
		})
	}
	for i := range probes {
		awaitUntil(t, "the owner answers a candidate's probe", func() bool { return answered(i) })
	}
	for len(f.Events()) > 0 {
		if e := <-f.Events(); e.Kind == appliance.OwnerSeen || e.Kind == appliance.RivalSeen && e.Hardware != mac.String() {
			t.Errorf("a probe is told as %+v", e)
		}
	}
	for i, a := range []netip.Addr{vip, vip6} {
		moment(t)
		must(t, send(ends.far, probes[i]))
		for e := f.await(t, appliance.RivalSeen); e.Address != a; e = f.await(t, appliance.RivalSeen) {
			if e.Hardware != mac.String() || e.At == 0 {
				t.Errorf("%+v", e)
			}
		}
	}
	must(t, f.Drop())
	hears(t, ends.far, 20*time.Millisecond, func([]byte) bool { return false }) // what was said before
	for i := range probes {
		if answered(i) {
			t.Errorf("probe %d of a candidate is answered without the lease", i)
		}
	}
	for _, frame := range [][]byte{
		arp(mac, vip, addr("192.168.0.1")), arpAnnouncement(mac, vip), advertise(mac, vip6),
		discovery(mac, vip6, addr("ff02::1:ff00:1"), solicitation, 0, addr("fd00:1::1"), nil),
	} {
		for _, renewed := range []bool{false, true} {
			if renewed {
				must(t, f.Renew(after(time.Minute)))
			}
			moment(t)
			must(t, send(ends.far, frame))
			if e := f.await(t, appliance.OwnerSeen); e.Hardware != mac.String() || e.Address != vip && e.Address != vip6 {
				t.Errorf("%+v of %x", e, frame)
			}
			must(t, f.Drop())
		}
	}
}

func TestFloodOfClaimsIsToldInPart(t *testing.T) {
	d := newDesk(&Floating{})
	start, passed := clock(bootTime), 0
	for i := range 100_000 {
		if d.fresh(told{vip, [6]byte(binary.BigEndian.AppendUint32([]byte{2, 1}, uint32(i))), false}) {
			passed++
		}
	}
	took := clock(bootTime) - start
	if most := mostTold + 1 + int(took/tellAll); passed < mostTold || passed > most {
		t.Errorf("%d claims of 100,000 are told within %s, not %d to %d", passed, took, mostTold, most)
	}
	if len(d.told) > mostTold {
		t.Errorf("%d are remembered", len(d.told))
	}
}

func FuzzUnderstand(f *testing.F) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 7}
	for _, frame := range [][]byte{arp(mac, vip, vip), arpAnnouncement(mac, vip), advertise(mac, vip6), solicit(mac, vip6), solicitFrom(mac, vip6, vip6), datagram(mac, vip6, vip6)} {
		f.Add(frame)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, ok := understand(frame, [6]byte{2, 0, 0, 0, 0, 7})
		if ok && (!h.address.IsValid() || h.address.IsUnspecified() && h.address.Is4()) {
			t.Errorf("%+v", h)
		}
	})
}

func FuzzReceived(f *testing.F) {
	f.Add(make([]byte, 32))
	f.Fuzz(func(t *testing.T, control []byte) {
		if at := received(control); at < 0 || at > clock(bootTime) {
			t.Errorf("%s", at)
		}
	})
}
