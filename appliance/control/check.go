package control

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"evenkeel/appliance"
)

// check validates the whole, and if it is valid asks the engine and the host. Every complaint is returned at once, at its field.
// The host is asked about addresses that old did not have: a cable that is unplugged today must not keep the operator from editing another service.
func (c *Control) check(ctx context.Context, config, old appliance.Config) error {
	if err := appliance.Validate(config, c.site); err != nil {
		return ofTheEdit(appliance.ErrorsOf(err), config, old)
	}
	var found appliance.Errors
	if c.engine != nil {
		if err := c.engine.Check(ctx, config); err != nil {
			found = append(found, atFields(config, ours("check with the engine", err))...)
		}
	}
	if c.host != nil {
		found = append(found, c.checkAddresses(ctx, config, addresses(old))...)
		found = append(found, c.checkDivert(ctx, config, old)...)
	}
	if len(found) == 0 {
		return nil
	}
	return found
}

// ofTheEdit leaves out what a clash says at the services that the edit did not change, as long as anything remains: a clash is told at both.
func ofTheEdit(list appliance.Errors, config, old appliance.Config) appliance.Errors {
	own := slices.DeleteFunc(slices.Clone(list), func(e *appliance.Error) bool {
		fresh, before := config.Cluster.Service(e.Subject), old.Cluster.Service(e.Subject)
		return e.Kind == appliance.Conflict && fresh != nil && before != nil && appliance.Hash(fresh) == appliance.Hash(before)
	})
	if len(own) == 0 {
		return list
	}
	return own
}

func (c *Control) checkAddresses(ctx context.Context, config appliance.Config, known []netip.Addr) appliance.Errors {
	fresh := slices.DeleteFunc(addresses(config), func(a netip.Addr) bool { return slices.Contains(known, a) })
	if len(fresh) == 0 {
		return nil
	}
	whole := c.host.Check(ctx, fresh)
	if whole == nil {
		return nil
	}
	var found appliance.Errors
	for _, a := range fresh {
		if err := c.host.Check(ctx, []netip.Addr{a}); err != nil {
			found = append(found, atAddress(config, a, ours("check the address", err))...)
		}
	}
	if len(found) == 0 { // only all of them together are refused
		return appliance.ErrorsOf(ours("check the addresses", whole))
	}
	return found
}

// addresses returns the distinct addresses of the services, sorted.
func addresses(config appliance.Config) []netip.Addr {
	out := make([]netip.Addr, 0, len(config.Cluster.VirtualServices))
	for i := range config.Cluster.VirtualServices {
		if a := config.Cluster.VirtualServices[i].Address; a.IsValid() { // a pool has none
			out = append(out, a)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// atAddress puts the host's complaint at the field of each service that uses the address.
func atAddress(config appliance.Config, a netip.Addr, err error) appliance.Errors {
	var out appliance.Errors
	for i := range config.Cluster.VirtualServices {
		s := &config.Cluster.VirtualServices[i]
		if s.Address != a {
			continue
		}
		for _, e := range appliance.ErrorsOf(err) {
			at := *e
			at.Subject, at.Field = s.ID, "virtual_services["+s.Label+"].address"
			out = append(out, &at)
		}
	}
	return out
}

// atFields completes the paths of fields that are given relative to the service that Subject names.
func atFields(config appliance.Config, err error) appliance.Errors {
	list := slices.Clone(appliance.ErrorsOf(err))
	for i, e := range list {
		s := config.Cluster.Service(e.Subject)
		if s == nil || e.Field == "" || strings.HasPrefix(e.Field, "virtual_services[") {
			continue
		}
		at := *e
		at.Field = "virtual_services[" + s.Label + "]." + e.Field
		list[i] = &at
	}
	return list
}
