package host

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"evenkeel/appliance"
)

// desk asks and understands, each on the thread of who wants it: the heartbeat asks, an ear has heard. Neither ever waits for the other.
type desk struct {
	floating *Floating
	asked    sync.Map // netip.Addr to *asked

	mu   sync.Mutex // of the ears alone; guards what follows
	told map[told]time.Duration
	full time.Duration // until when as much is told as is allowed
}

// asked is what is known of one who is asked, on one interface.
type asked struct {
	on       string
	hardware atomic.Pointer[net.HardwareAddr] // nil: it has not answered the last question; then everybody is asked
	at       atomic.Int64                     // of the last question, a reading of bootTime
}

// told is what need not be told again right away.
type told struct {
	address netip.Addr
	owner   [6]byte
	probe   bool
}

const (
	answerable = time.Second           // how old a question may be that an answer belongs to
	tellEvery  = 10 * time.Millisecond // how often one claim is told
	tellAll    = 2 * time.Millisecond  // how often claims are told on average, whoever invents them
	mostTold   = 64                    // claims within a moment
)

func newDesk(f *Floating) *desk {
	return &desk{floating: f, told: map[told]time.Duration{}}
}

// AskWitness asks one machine of this node's networks, by ARP or neighbour discovery and from the node's own address, whether it is there; the zero Addr stands for the
// default gateways. An answer comes as an event. Who is in none of the networks is not asked.
func (f *Floating) AskWitness(a netip.Addr) { f.desk.ask(a.Unmap()) }

// Probe asks once on each interface that has floating addresses, for one of each family and in nobody's name (RFC 5227, RFC 4862), who has it. An
// owner comes as an event.
func (f *Floating) Probe() { f.view.Load().probe() }

// Gateways returns who is asked in place of the zero Addr; empty: there is no default route.
func (f *Floating) Gateways() []netip.Addr {
	var out []netip.Addr
	for _, g := range f.view.Load().gateways {
		out = append(out, g.address)
	}
	return out
}

// ask never waits: what cannot be asked now is asked in the next round.
func (d *desk) ask(a netip.Addr) {
	v := d.floating.view.Load()
	if a.IsValid() {
		d.question(v, a, v.toward(a))
		return
	}
	for _, g := range v.gateways {
		d.question(v, g.address, v.from(g.link, g.address))
	}
}

// toward returns the narrowest network that holds a.
func (v *view) toward(a netip.Addr) Network {
	n, _ := narrowest(v.own, a)
	return n
}

// from returns the address on an interface that a is asked from.
func (v *view) from(name string, a netip.Addr) Network {
	here := slices.DeleteFunc(slices.Clone(v.own), func(n Network) bool { return n.Interface != name })
	if n, ok := narrowest(here, a); ok {
		return n
	}
	for _, n := range here { // a gateway that is in no network of the interface
		if n.Prefix.Addr().Is4() == a.Is4() {
			return n
		}
	}
	return Network{}
}

// question goes to the machine alone that answered the last one, otherwise to all.
func (d *desk) question(v *view, a netip.Addr, n Network) {
	e := v.ears[n.Interface]
	if e == nil || !n.Prefix.IsValid() {
		return
	}
	k := d.known(a)
	if k == nil || k.on != n.Interface {
		k = &asked{on: n.Interface}
		d.asked.Store(a, k)
	}
	own, to := n.Prefix.Addr(), k.hardware.Swap(nil)
	k.at.Store(int64(clock(bootTime)))
	switch {
	case a.Is6():
		_ = e.say(solicitFrom(e.link.hardware, own, a))
	case to != nil:
		_ = e.say(arpTo(*to, e.link.hardware, own, a))
	default:
		_ = e.say(arp(e.link.hardware, own, a))
	}
}

// known is what is known of an address; nil: it was never asked.
func (d *desk) known(a netip.Addr) *asked {
	if k, ok := d.asked.Load(a); ok {
		return k.(*asked)
	}
	return nil
}

// probe asks for the first address of each family on each interface.
func (v *view) probe() {
	first := map[string][2]netip.Addr{}
	for a, name := range v.floating {
		pair, i := first[name], 0
		if a.Is6() {
			i = 1
		}
		if !pair[i].IsValid() || a.Less(pair[i]) {
			pair[i] = a
		}
		first[name] = pair
	}
	for name, pair := range first {
		e := v.ears[name]
		if e == nil {
			continue
		}
		if pair[0].IsValid() {
			_ = e.say(arp(e.link.hardware, netip.IPv4Unspecified(), pair[0]))
		}
		if pair[1].IsValid() {
			_ = e.say(solicit(e.link.hardware, pair[1]))
		}
	}
}

// understand takes what an ear has heard: it tells answers of those who were asked, and claims of floating addresses and probes for them by others. An answer of unknown age is none.
func (d *desk) understand(h heard) {
	v := d.floating.view.Load()
	if v.hardware[h.owner] {
		return
	}
	event := appliance.KernelEvent{At: h.at, Address: h.address, Hardware: net.HardwareAddr(h.owner[:]).String(), Interface: h.on.name}
	if k := d.known(h.address); k != nil && h.answer && h.at != 0 && k.on == h.on.name && clock(bootTime)-time.Duration(k.at.Load()) < answerable {
		hardware := net.HardwareAddr(h.owner[:])
		k.hardware.Store(&hardware)
		event.Kind = appliance.WitnessAnswered
		d.floating.tell(event)
	}
	if _, floating := v.floating[h.address]; floating && d.fresh(told{h.address, h.owner, h.probe}) {
		event.Kind = appliance.OwnerSeen
		if h.probe {
			event.Kind = appliance.RivalSeen
		}
		d.floating.tell(event)
	}
}

// fresh tells whether a claim was not told just now, and not too many others were.
func (d *desk) fresh(t told) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := clock(bootTime)
	if last, known := d.told[t]; known && now-last < tellEvery {
		return false
	}
	d.full = max(d.full, now-mostTold*tellAll) + tellAll
	if d.full > now {
		d.full -= tellAll
		return false
	}
	if len(d.told) >= mostTold {
		clear(d.told)
	}
	d.told[t] = now
	return true
}

// Announce tells all neighbours that the floating addresses are here, by gratuitous ARP and unsolicited advertisements. It returns at once. round counts from 0: the
// first three are told in both forms of ARP, later ones in each by turns. Without the lease nothing leaves.
func (f *Floating) Announce(round int) {
	select {
	case f.rounds <- round:
	default: // the round before is still being told
	}
}

func (f *Floating) announcer(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case round := <-f.rounds:
			f.view.Load().announce(round)
		}
	}
}

// announce gives each address its first frame before any of them its second one: with many of them that is when their clients find them.
func (v *view) announce(round int) {
	both := round < 3
	v.say(func(from net.HardwareAddr, a netip.Addr) []byte {
		switch {
		case a.Is6():
			return advertise(from, a)
		case both || round%2 == 0:
			return arp(from, a, a)
		}
		return arpAnnouncement(from, a)
	})
	if both {
		v.say(func(from net.HardwareAddr, a netip.Addr) []byte {
			if a.Is6() {
				return nil
			}
			return arpAnnouncement(from, a)
		})
	}
}

// say sends a frame for each floating address on its interface.
func (v *view) say(frame func(from net.HardwareAddr, a netip.Addr) []byte) {
	for a, name := range v.floating {
		if e := v.ears[name]; e != nil {
			if f := frame(e.link.hardware, a); f != nil {
				_ = e.say(f)
			}
		}
	}
}
