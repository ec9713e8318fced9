package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"evenkeel/appliance"
)

// Claim puts what is missing of these addresses on the interface whose network holds it, as a single address (/32 or /128), after asking the network whether somebody
// has it already, and announces it. Addresses that are here already, loopback and unspecified are left alone. It is all or nothing. Errors are appliance.Errors, Subject
// and Field being the address as text: Invalid as in Check; Conflict when another machine answers for an address, with its hardware address; Denied without
// CAP_NET_ADMIN, with the command to run as Hint. It takes up to half a second when something is missing.
func (h *Host) Claim(ctx context.Context, list []netip.Addr) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.recall(); err != nil {
		return unavailable("claim addresses", err)
	}
	s, err := look(ctx)
	if err != nil {
		return err
	}
	missing, err := s.missing(list)
	if err != nil || len(missing) == 0 {
		return err
	}
	if err := h.free(ctx, s, missing); err != nil {
		return err
	}
	return h.add(ctx, s, missing)
}

// missing returns which addresses have to be added, by the name of the interface.
func (s *scene) missing(list []netip.Addr) (map[string][]netip.Addr, error) {
	var refused appliance.Errors
	out := map[string][]netip.Addr{}
	for _, a := range list {
		a = a.Unmap()
		n, absent, e := s.place(a)
		switch {
		case e != nil:
			refused = append(refused, e)
		case absent && !slices.Contains(out[n.Interface], a):
			out[n.Interface] = append(out[n.Interface], a)
		}
	}
	if len(refused) > 0 {
		return nil, refused
	}
	return out, nil
}

// free asks the neighbours on each interface for its missing addresses.
func (h *Host) free(ctx context.Context, s *scene, missing map[string][]netip.Addr) error {
	var taken appliance.Errors
	for name, list := range missing {
		owners, err := ask(ctx, s.links[name], list)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && !errors.Is(err, unix.EPERM):
			// An interface without a carrier cannot be asked; the address is wanted all the same.
			h.log.Warn("duplicate addresses not looked for", "interface", name, "error", err)
		}
		for _, a := range list {
			if owner := owners[a]; owner != nil {
				taken = append(taken, &appliance.Error{
					Kind: appliance.Conflict, Op: "claim address", Subject: a.String(), Field: a.String(),
					Message: fmt.Sprintf("%s is already used by another machine on %s, with the hardware address %s.", a, name, owner),
					Hint:    "Choose another address, or take this one off that machine first.",
				})
			}
		}
	}
	if len(taken) > 0 {
		return taken
	}
	return nil
}

// add puts the addresses on their interfaces; when one cannot be added, those before it are taken off again.
func (h *Host) add(ctx context.Context, s *scene, missing map[string][]netip.Addr) error {
	before := maps.Clone(h.ours)
	wanted, intended := maps.Clone(h.ours), maps.Clone(h.ours)
	for name, list := range missing {
		for _, a := range list {
			wanted[a], intended[a] = name, name
		}
	}
	if err := h.remember(intended); err != nil {
		return unavailable("claim addresses", err)
	}
	var failed appliance.Errors
	added := map[string][]netip.Addr{}
	for name, list := range missing {
		for _, a := range list {
			switch err := netlink.AddrAdd(nil, single(a, s.links[name].index)); {
			case err == nil:
				added[name] = append(added[name], a)
			case errors.Is(err, unix.EEXIST): // somebody was faster: it is theirs
				delete(wanted, a)
			default:
				failed = append(failed, denied("claim address", "ip addr add %s/%d dev %s", a, name, err))
			}
		}
	}
	if len(failed) > 0 {
		h.undo(s, added, before)
		return failed
	}
	if err := h.remember(wanted); err != nil {
		return unavailable("claim addresses", err)
	}
	for name, list := range added {
		h.log.Info("addresses added", "interface", name, "addresses", list)
		if err := announce(ctx, s.links[name], list); err != nil {
			h.log.Warn("addresses not announced", "interface", name, "error", err)
		}
	}
	return nil
}

func (h *Host) undo(s *scene, added map[string][]netip.Addr, before ours) {
	for name, list := range added {
		for _, a := range list {
			if err := netlink.AddrDel(nil, single(a, s.links[name].index)); err != nil {
				h.log.Error("address not taken off", "interface", name, "address", a, "error", err)
				before[a] = name
			}
		}
	}
	if err := h.remember(before); err != nil {
		h.log.Error("list of added addresses not written", "error", err)
	}
}

// single is an address without a network. The kernel does not look for duplicates, which would leave it unusable for a second: that was done before. As a deprecated
// address (RFC 4862, 5.5.4) an IPv6 one is never chosen as the source of connections that the appliance opens; IPv4 ones are not either, because of their length.
func single(a netip.Addr, index int) *netlink.Addr {
	bits := a.BitLen()
	out := &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(bits, bits)}, LinkIndex: index}
	if a.Is6() {
		out.Flags = unix.IFA_F_NODAD
		out.ValidLft = math.MaxUint32
	}
	return out
}

// denied turns an error of the kernel into one for the operator; command gets the address, its length and the interface.
func denied(op, command string, a netip.Addr, name string, err error) *appliance.Error {
	e := &appliance.Error{Kind: appliance.Internal, Op: op, Subject: a.String(), Field: a.String(), Err: err}
	switch {
	case errors.Is(err, unix.EPERM):
		e.Kind = appliance.Denied
		e.Message = fmt.Sprintf("%s cannot be changed on %s: this process may not configure the network (CAP_NET_ADMIN is missing).", a, name)
		e.Hint = "Run this as root: " + fmt.Sprintf(command, a, a.BitLen(), name)
	case errors.Is(err, unix.ENODEV):
		e.Kind = appliance.Unavailable
		e.Message = fmt.Sprintf("The interface %s is gone.", name)
	case a.Is6() && errors.Is(err, unix.EACCES), errors.Is(err, unix.EOPNOTSUPP):
		e.Kind = appliance.Unsupported
		e.Message = fmt.Sprintf("%s cannot be added: IPv6 is off on %s.", a, name)
	}
	return e
}

func unavailable(op string, err error) error {
	return &appliance.Error{Kind: appliance.Unavailable, Op: op, Err: err, Hint: "Look whether the disk is full or the data folder is writable."}
}

// Release takes off every address that Claim added, in this run or an earlier one, and that is not in keep. Others are never touched. Errors are appliance.Errors,
// Denied without CAP_NET_ADMIN; what could not be taken off is tried again by the next Release.
func (h *Host) Release(ctx context.Context, keep []netip.Addr) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.recall(); err != nil {
		return unavailable("release addresses", err)
	}
	s, err := look(ctx)
	if err != nil {
		return err
	}
	wanted := map[netip.Addr]bool{}
	for _, a := range keep {
		wanted[a.Unmap()] = true
	}
	left := maps.Clone(h.ours)
	var failed appliance.Errors
	for _, a := range slices.SortedFunc(maps.Keys(h.ours), netip.Addr.Compare) {
		if wanted[a] {
			continue
		}
		if e := h.drop(s, a, h.ours[a]); e != nil {
			failed = append(failed, e)
			continue
		}
		delete(left, a)
	}
	if err := h.remember(left); err != nil {
		return unavailable("release addresses", err)
	}
	if len(failed) > 0 {
		return failed
	}
	return nil
}

// drop takes one address off, if it is still there as it was added.
func (h *Host) drop(s *scene, a netip.Addr, name string) *appliance.Error {
	if !slices.Contains(s.present[a], assigned{name, a.BitLen()}) {
		return nil
	}
	err := netlink.AddrDel(nil, single(a, s.links[name].index))
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) && !errors.Is(err, unix.ENODEV) {
		return denied("release address", "ip addr del %s/%d dev %s", a, name, err)
	}
	h.log.Info("address taken off", "interface", name, "address", a)
	return nil
}
