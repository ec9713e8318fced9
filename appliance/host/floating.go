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
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"evenkeel/appliance"
)

// PairOptions says how the machine's part of a pair begins. Every field may be zero.
type PairOptions struct {
	Floating []netip.Addr // the addresses of virtual services; those that were the machine's own before, loopback and unspecified do not float
	Inherit  bool         // a lease in force goes on: its owner hands over to this process. False: it ends

	// Owned is for a node that was alone until now and serves on these addresses: they live for so long from the first moment of the rules on, without a gap, and they
	// count as up. Zero: they are gated until Renew.
	Owned time.Duration
}

// Floating is what a node of a pair does to the machine: the lease, the addresses that it gates, and who else is on the wire. While there is one, Claim and Release of
// its Host must not be called. Addresses that were put on are remembered as those of Claim are; what an earlier process left is gated before anything else. Methods are
// safe for concurrent use; Renew, Drop, Announce, AskWitness, Probe, Gateways wait for nothing but the kernel.
type Floating struct {
	host   *Host
	gate   gate
	lease  *lease
	events chan appliance.KernelEvent
	desk   *desk
	rounds chan int // of announcements

	stop   context.CancelFunc
	once   sync.Once // of the end
	group  sync.WaitGroup
	routes *os.File // the kernel's news about interfaces, addresses and routes

	looking sync.Mutex           // held while view is renewed
	view    atomic.Pointer[view] // never nil after Pair

	mu     sync.Mutex // held while addresses are put on and taken off; guards what follows
	kernel *placing
	places map[netip.Addr]string // on which interface each floating address belongs
	up     bool
}

// Pair begins to guard floating addresses: nothing passes from or to them until Renew. Errors are appliance.Errors: Denied without CAP_NET_ADMIN and CAP_NET_RAW,
// Unsupported on kernels before 5.16, Invalid for an address as in Check.
func (h *Host) Pair(ctx context.Context, options PairOptions) (*Floating, error) {
	if err := mayGuard(); err != nil {
		return nil, err
	}
	f := &Floating{host: h, events: make(chan appliance.KernelEvent, 256), rounds: make(chan int, 1), places: map[netip.Addr]string{}}
	f.desk = newDesk(f)
	f.view.Store(&view{})
	running, stop := context.WithCancel(context.Background())
	f.stop = stop
	if err := f.begin(ctx, running, options); err != nil {
		f.end()
		return nil, err
	}
	return f, nil
}

func (f *Floating) begin(ctx, running context.Context, options PairOptions) (err error) {
	if f.lease, err = newLease(f.gate.mend); err != nil {
		return leaseError("guard floating addresses", release(), err)
	}
	if f.kernel, err = newPlacing(); err != nil {
		return internal("open netlink", err)
	}
	if f.routes, err = subscribe(); err != nil {
		return internal("watch the network", err)
	}
	if err := f.settle(ctx, options); err != nil {
		return err
	}
	for _, run := range []func(context.Context){f.watch, f.announcer} {
		f.group.Go(func() { run(running) })
	}
	return nil
}

// settle makes the rules, with the lease that the options want.
func (f *Floating) settle(ctx context.Context, options PairOptions) error {
	if options.Owned > 0 { // the table is made for it; it holds no addresses yet
		if err := f.Renew(clock(bootTime) + options.Owned); err != nil {
			return err
		}
	}
	if err := f.SetFloating(ctx, options.Floating); err != nil {
		return err
	}
	switch {
	case options.Owned > 0:
		return f.Up(ctx)
	case options.Inherit:
		return nil
	}
	return f.Drop()
}

// NoPair removes the rules that a process left which was in a pair and was killed: without them nothing would reach the addresses of a node that is in none any more.
func (h *Host) NoPair() error {
	if err := (&gate{}).remove(); err != nil && !errors.Is(err, unix.EPERM) && leaseError("", "", err).Kind != appliance.Unsupported {
		return leaseError("remove the lease", release(), err)
	}
	return nil // without the right or the kernel for it there can be none
}

// mayGuard tells whether this process has the rights.
func mayGuard() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return internal("read capabilities", err)
	}
	const needed = 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW
	if sets[0].Effective&needed != needed {
		return leaseError("guard floating addresses", release(), unix.EPERM)
	}
	return nil
}

// Close ends the watch and removes the rules; nothing else may be called then. The addresses stay as they are: unless the node shall keep them for good, call Down first.
func (f *Floating) Close() error {
	f.once.Do(f.end)
	if err := f.gate.remove(); err != nil {
		return leaseError("remove the lease", release(), err)
	}
	return nil
}

// Leave ends the watch; the rules and the addresses are the process's that takes over.
func (f *Floating) Leave() { f.end() }

// end stops what runs and closes what is open.
func (f *Floating) end() {
	f.stop()
	if f.routes != nil {
		_ = f.routes.Close()
	}
	f.looking.Lock()
	v := f.view.Swap(&view{closed: true})
	f.looking.Unlock()
	for _, e := range v.ears {
		_ = e.file.Close()
	}
	f.group.Wait()
	if f.lease != nil {
		_ = f.lease.close()
	}
	f.gate.close()
	if f.kernel != nil {
		f.kernel.close()
	}
}

// Places returns on which interface each floating address belongs, whether or not it is there now. It waits for nothing.
func (f *Floating) Places() map[netip.Addr]string { return maps.Clone(f.view.Load().floating) }

// Events returns what the machine observes. When nobody reads, what is new is lost.
func (f *Floating) Events() <-chan appliance.KernelEvent { return f.events }

func (f *Floating) tell(e appliance.KernelEvent) {
	select {
	case f.events <- e:
	default:
	}
}

// Renew lets the floating addresses live until a reading of CLOCK_BOOTTIME (and for up to one tick of the kernel, 10 ms, more); it never makes a life shorter. It takes some 50 µs.
// When the thread or the kernel came to it later than that, the life is not longer for it, and an error says if it is over.
// When somebody removed the rules they are made again, which is told as an event.
func (f *Floating) Renew(until time.Duration) error {
	return f.leased("renew lease", func() (bool, error) { return f.lease.renew(until) })
}

// Drop ends the lease at once.
func (f *Floating) Drop() error { return f.leased("drop lease", f.lease.end) }

func (f *Floating) leased(op string, change func() (bool, error)) error {
	rebuilt, err := change()
	if rebuilt && f.view.Load().doors != nil {
		f.tell(appliance.KernelEvent{Kind: appliance.LeaseRebuilt, At: clock(bootTime)})
	}
	if err != nil {
		return leaseError(op, release(), err)
	}
	return nil
}

// gated makes sure that the gate is there.
func (f *Floating) gated() error {
	whole, err := f.gate.whole()
	if err == nil && !whole {
		f.tell(appliance.KernelEvent{Kind: appliance.LeaseRebuilt, At: clock(bootTime)})
		err = f.gate.mend()
	}
	if err != nil {
		return leaseError("guard floating addresses", release(), err)
	}
	return nil
}

// SetFloating replaces the floating addresses, at any time, all or nothing. While they are up, what is new is put on after asking the network whether somebody has it
// (which takes up to half a second), and what is no more is taken off behind the gate. Errors are appliance.Errors as those of Claim.
func (f *Floating) SetFloating(ctx context.Context, list []netip.Addr) error {
	h := f.host
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.recall(); err != nil {
		return unavailable("set floating addresses", err)
	}
	s, err := look(ctx)
	if err != nil {
		return err
	}
	places, err := s.floats(list, h.ours)
	if err != nil {
		return err
	}
	if err := f.unclaimed(ctx, s, places); err != nil {
		return err
	}
	earlier := h.ours
	all := maps.Clone(earlier)
	maps.Copy(all, places)
	if err := h.remember(all); err != nil {
		return unavailable("set floating addresses", err)
	}
	left, err := f.exchange(s, earlier, places)
	if forgotten := h.remember(left); forgotten != nil {
		err = errors.Join(err, unavailable("set floating addresses", forgotten))
	}
	f.refresh()
	return err
}

// floats returns on which interface each address of the list belongs that floats.
func (s *scene) floats(list []netip.Addr, o ours) (map[netip.Addr]string, error) {
	others := *s // without what was put on here
	others.present = maps.Clone(s.present)
	for a, name := range o {
		others.present[a] = slices.DeleteFunc(slices.Clone(s.present[a]), func(p assigned) bool { return p == assigned{name, a.BitLen()} })
		if len(others.present[a]) == 0 {
			delete(others.present, a)
		}
	}
	missing, err := others.missing(list)
	if err != nil {
		return nil, err
	}
	places := map[netip.Addr]string{}
	for name, part := range missing {
		for _, a := range part {
			places[a] = name
		}
	}
	return places, nil
}

// unclaimed asks, while the addresses are up, who has those that are new.
func (f *Floating) unclaimed(ctx context.Context, s *scene, places map[netip.Addr]string) error {
	f.mu.Lock()
	added := map[string][]netip.Addr{}
	for a, name := range places {
		if f.up && f.places[a] == "" {
			added[name] = append(added[name], a)
		}
	}
	f.mu.Unlock()
	if len(added) == 0 {
		return nil
	}
	return f.host.free(ctx, s, added)
}

// exchange makes places the floating addresses. The gate holds those of earlier as well until they are off. It returns what is ours then.
func (f *Floating) exchange(s *scene, earlier ours, places map[netip.Addr]string) (ours, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := f.host
	both := slices.Collect(maps.Keys(h.ours))
	if err := f.gate.set(both); err != nil {
		return h.ours, leaseError("guard floating addresses", release(), err)
	}
	f.places = places
	var failed appliance.Errors
	if f.up {
		failed = f.raise()
	}
	left := ours(maps.Clone(places))
	for a, name := range earlier {
		if places[a] == name {
			continue
		}
		if e := h.drop(s, a, name); e != nil {
			failed = append(failed, e)
			left[a] = name
		}
	}
	if len(left) < len(both) {
		if err := f.gate.set(slices.Collect(maps.Keys(left))); err != nil {
			return left, leaseError("guard floating addresses", release(), err)
		}
	}
	if len(failed) > 0 {
		return left, failed
	}
	return left, nil
}

// Up puts every floating address on its interface; they stay gated until Renew. What is there already stays. An interface that is gone or has no IPv6 makes an error, and
// the others' addresses are put on all the same.
func (f *Floating) Up(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := f.gated(); err != nil {
		return err
	}
	f.up = true
	if failed := f.raise(); len(failed) > 0 {
		return failed
	}
	return nil
}

// raise puts on what is missing. The caller holds mu.
func (f *Floating) raise() appliance.Errors {
	var failed appliance.Errors
	refused := func(a placed, err error) {
		failed = append(failed, denied("claim address", "ip addr add %s/%d dev %s", a.address, a.link, err))
	}
	f.kernel.add(f.located(refused), refused)
	return failed
}

// Down drops the lease and takes every floating address off.
func (f *Floating) Down(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	dropped := f.Drop()
	f.up = false
	var failed appliance.Errors
	f.kernel.remove(f.located(func(placed, error) {}), func(a placed, err error) {
		failed = append(failed, denied("release address", "ip addr del %s/%d dev %s", a.address, a.link, err))
	})
	if len(failed) > 0 {
		return errors.Join(dropped, failed)
	}
	return dropped
}

// located returns every floating address with its interface as it is now; those of interfaces that are gone are told to missing. The caller holds mu.
func (f *Floating) located(missing func(placed, error)) []placed {
	index := map[string]int{}
	var out []placed
	for _, a := range slices.SortedFunc(maps.Keys(f.places), netip.Addr.Compare) {
		name := f.places[a]
		if _, known := index[name]; !known {
			index[name] = 0
			if i, err := net.InterfaceByName(name); err == nil {
				index[name] = i.Index
			}
		}
		if index[name] == 0 {
			missing(placed{a, name, 0}, unix.ENODEV)
			continue
		}
		out = append(out, placed{a, name, index[name]})
	}
	return out
}

// mended puts on again what was lost while the addresses were up (an interface that goes down loses its IPv6 addresses), and tells which.
func (f *Floating) mended(s *scene) (lost []netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.up {
		return nil
	}
	for a, name := range f.places {
		if !slices.Contains(s.present[a], assigned{name, a.BitLen()}) && s.links[name].index != 0 {
			lost = append(lost, a)
		}
	}
	if len(lost) > 0 {
		if failed := f.raise(); len(failed) > 0 {
			f.host.log.Warn("floating addresses not put back", "error", fmt.Sprint(failed))
		}
	}
	return lost
}
