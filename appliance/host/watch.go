package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"evenkeel/appliance"
)

// view is what the pair knows of the machine's network at one moment. It is never changed.
type view struct {
	closed   bool
	ears     map[string]*ear // by interface
	doors    []door
	hardware map[[6]byte]bool // of this machine
	floating map[netip.Addr]string
	own      []Network // addresses that questions are asked from
	gateways []gateway
	carrier  map[string]bool
}

// gateway is a default route's.
type gateway struct {
	address netip.Addr
	link    string
}

// subscribe opens the kernel's news of interfaces, addresses and routes.
func subscribe() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	const groups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("bind netlink: %w", err)
	}
	return os.NewFile(uintptr(fd), "news of the network"), nil
}

// The rhythm of the watch.
const (
	settle = 5 * time.Millisecond // for how long news are collected
	review = time.Second          // how often the gate is looked at when there are none
)

// watch keeps the view and the gate true until ctx ends.
func (f *Floating) watch(ctx context.Context) {
	news := make([]byte, 64<<10)
	f.refresh() // what happened before the first news
	for {
		changed, err := f.listen(news, review)
		for deadline := time.Now().Add(4 * settle); err == nil && changed && time.Now().Before(deadline); {
			if more, failed := f.listen(news, settle); failed != nil || !more {
				break
			}
		}
		switch {
		case ctx.Err() != nil || errors.Is(err, os.ErrClosed):
			return
		case changed:
			f.refresh()
		default:
			f.review()
		}
	}
}

// listen reads one piece of news. Too many at once are lost, which is news as well.
func (f *Floating) listen(news []byte, wait time.Duration) (bool, error) {
	if err := f.routes.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return false, err
	}
	_, err := f.routes.Read(news)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, nil
	case errors.Is(err, os.ErrClosed):
		return false, err
	}
	return true, nil
}

func (f *Floating) review() {
	if err := f.gated(); err != nil {
		f.host.log.Error("floating addresses not guarded", "error", err)
	}
}

// refresh looks at the machine, guards interfaces that are new, puts lost addresses back and tells what changed.
func (f *Floating) refresh() {
	f.looking.Lock()
	defer f.looking.Unlock()
	before := f.view.Load()
	if before.closed {
		return
	}
	after, s, err := f.look()
	if err != nil {
		f.host.log.Error("network not looked at", "error", err)
		return
	}
	if !slices.Equal(before.doors, after.doors) {
		if err := f.gate.mend(); err != nil {
			f.host.log.Error("interfaces not guarded", "error", err)
		}
	}
	f.listenOn(before, after, s)
	f.view.Store(after)
	f.compare(before.carrier, after.carrier)
	if len(f.mended(s)) > 0 {
		f.Announce(0)
	}
}

// compare tells which interfaces got or lost their carriers; those that are gone have none.
func (f *Floating) compare(before, after map[string]bool) {
	changed := func(name string, up bool) {
		f.tell(appliance.KernelEvent{Kind: appliance.LinkChanged, At: clock(bootTime), Interface: name, Up: up})
	}
	if before == nil {
		return
	}
	for name, up := range after {
		if was, known := before[name]; was != up || !known {
			changed(name, up)
		}
	}
	for name := range before {
		if _, there := after[name]; !there {
			changed(name, false)
		}
	}
}

// look reads all but the ears.
func (f *Floating) look() (*view, *scene, error) {
	f.mu.Lock() // first: a look at hundreds of addresses would hold up those who put them on
	floating := maps.Clone(f.places)
	f.mu.Unlock()
	s, err := look(context.Background())
	if err != nil {
		return nil, nil, err
	}
	doors, err := openings()
	if err != nil {
		return nil, nil, err
	}
	v := &view{doors: doors, ears: map[string]*ear{}, hardware: map[[6]byte]bool{}, floating: floating, carrier: map[string]bool{}}
	names, err := v.links(doors)
	if err != nil {
		return nil, nil, err
	}
	for a, list := range s.present {
		for _, p := range list {
			if !a.IsLoopback() && p.bits < a.BitLen() {
				v.own = append(v.own, Network{p.link, netip.PrefixFrom(a, p.bits)})
			}
		}
	}
	slices.SortFunc(v.own, func(a, b Network) int { return a.Prefix.Addr().Compare(b.Prefix.Addr()) })
	v.gateways, err = gateways(names)
	return v, s, err
}

// links notes carriers and hardware addresses, and returns the names of interfaces.
func (v *view) links(doors []door) (map[int]string, error) {
	list, err := dump(netlink.LinkList)
	if err != nil {
		return nil, err
	}
	names := map[int]string{}
	for _, l := range list {
		a := l.Attrs()
		names[a.Index] = a.Name
		if len(a.HardwareAddr) == 6 && a.Flags&net.FlagLoopback == 0 {
			v.hardware[[6]byte(a.HardwareAddr)] = true
		}
		if slices.Contains(doors, door{a.Name, a.Index}) {
			v.carrier[a.Name] = a.RawFlags&unix.IFF_RUNNING != 0 && a.RawFlags&unix.IFF_UP != 0
		}
	}
	return names, nil
}

// gateways returns the best default route's of each family.
func gateways(names map[int]string) ([]gateway, error) {
	var out []gateway
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		if _, err := os.Stat("/proc/sys/net/ipv6"); family == unix.AF_INET6 && err != nil { // switched off for the whole machine
			continue
		}
		routes, err := dump(func() ([]netlink.Route, error) { return netlink.RouteList(nil, family) })
		if err != nil {
			return nil, err
		}
		var best *netlink.Route
		for i, r := range routes {
			if isDefault(r) && (best == nil || r.Priority < best.Priority) {
				best = &routes[i]
			}
		}
		if best == nil {
			continue
		}
		hops := []*netlink.NexthopInfo{{LinkIndex: best.LinkIndex, Gw: best.Gw}}
		for _, hop := range append(hops, best.MultiPath...) {
			if a, ok := netip.AddrFromSlice(hop.Gw); ok {
				out = append(out, gateway{a.Unmap(), names[hop.LinkIndex]})
			}
		}
	}
	return out, nil
}

func isDefault(r netlink.Route) bool {
	if r.Type != unix.RTN_UNICAST {
		return false
	}
	if r.Dst == nil {
		return true
	}
	ones, _ := r.Dst.Mask.Size()
	return ones == 0 && r.Dst.IP.IsUnspecified()
}

// listenOn keeps the ears that still fit, opens those that are missing and closes the others.
func (f *Floating) listenOn(before, after *view, s *scene) {
	for _, d := range after.doors {
		l := s.links[d.Name]
		if l.hardware == nil {
			continue
		}
		if e := before.ears[d.Name]; e != nil && e.link.index == l.index && slices.Equal(e.link.hardware, l.hardware) {
			after.ears[d.Name] = e
			continue
		}
		e, err := listen(l)
		if err != nil {
			f.host.log.Warn("neighbours cannot be heard", "interface", d.Name, "error", err)
			continue
		}
		after.ears[d.Name] = e
		f.group.Go(func() { e.run(f.desk.understand) })
	}
	for name, e := range before.ears {
		if after.ears[name] != e {
			_ = e.file.Close()
		}
	}
}
