package main

import (
	"context"
	"net/netip"
	"slices"
	"sync"

	"evenkeel/appliance/host"
)

// territory is where the addresses of services go: onto this machine while the appliance is alone, and to whichever node owns them while it is in a pair.
type territory struct {
	*host.Host

	mu       sync.Mutex // held while addresses change; guards what follows
	floating *host.Floating
	absent   bool         // a pair without floating addresses: they are somebody else's business
	list     []netip.Addr // that the services have
}

// Claim makes room for the addresses of the next configuration, beside those of the one that runs.
func (t *territory) Claim(ctx context.Context, list []netip.Addr) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.absent:
		return nil
	case t.floating == nil:
		return t.Host.Claim(ctx, list)
	}
	return t.floating.SetFloating(ctx, union(t.list, list))
}

// Release gives up what the configuration that runs does not need.
func (t *territory) Release(ctx context.Context, keep []netip.Addr) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = slices.Clone(keep)
	switch {
	case t.absent:
		return nil
	case t.floating == nil:
		return t.Host.Release(ctx, keep)
	}
	return t.floating.SetFloating(ctx, keep)
}

// addresses are those that the services have.
func (t *territory) addresses() []netip.Addr {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.list)
}

// join hands the addresses over to a pair; nil: to one that has none. list are those that are behind the lease already.
func (t *territory) join(floating *host.Floating, list ...netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.floating, t.absent = floating, floating == nil
	t.list = union(t.list, list)
}

// any tells whether a service has an address.
func (t *territory) any() bool { return len(t.addresses()) > 0 }

// fixed tells whether there is a pair that moves no address.
func (t *territory) fixed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.absent
}

// let takes the addresses that were put on before a pair without floating addresses off this machine.
func (t *territory) let(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.absent {
		return nil
	}
	return t.Host.Release(ctx, nil)
}

// leave takes the addresses back to this machine alone.
func (t *territory) leave(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.floating, t.absent = nil, false
	return t.Host.Claim(ctx, t.list)
}

func union(a, b []netip.Addr) []netip.Addr {
	out := slices.Concat(a, b)
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}
