package appliance

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
)

// withPool is a service whose rule leads to a named pool.
func withPool(edit ...func(front, pool *VirtualService)) Config {
	front, pool := NewService(HTTP), NewService(HTTP)
	front.ID, front.Label, front.Address, front.Ports = "front", "Front", netip.MustParseAddr("10.0.0.1"), Ports{{80, 80}}
	front.Rules = []Rule{{ID: "rule", Label: "R", Then: []RuleAction{{Kind: DoPool, Pool: "pool"}}}}
	pool.ID, pool.Label, pool.PoolOnly = "pool", "Images", true
	pool.RealServers = []RealServer{NewRealServer()}
	pool.RealServers[0].ID, pool.RealServers[0].Label, pool.RealServers[0].Address, pool.RealServers[0].Port = "s1", "A", "10.0.0.9", 8080
	for _, e := range edit {
		e(&front, &pool)
	}
	c := Config{Cluster: Cluster{VirtualServices: []VirtualService{front, pool}}}
	c.Cluster.Normalize()
	return c
}

func TestANamedPoolHasNoAddressAndSaysSo(t *testing.T) {
	for name, c := range map[string]struct {
		edit        func(front, pool *VirtualService)
		field, want string
	}{
		"a pool": {func(_, _ *VirtualService) {}, "", ""},
		"in TCP Mode": {func(f, p *VirtualService) {
			f.Protocol, p.Protocol = TCP, TCP
			f.Fallback.Kind, p.Fallback.Kind = FallbackNone, FallbackNone
		}, "", ""},
		"address":    {func(_, p *VirtualService) { p.Address = netip.MustParseAddr("10.0.0.2") }, "[Images].address", "no address of its own"},
		"ports":      {func(_, p *VirtualService) { p.Ports = Ports{{81, 81}} }, "[Images].ports", "no ports of its own"},
		"no address": {func(_, p *VirtualService) { p.PoolOnly = false }, "[Images].address", "is missing"},
		"no port":    {func(_, p *VirtualService) { p.RealServers[0].Port = 0 }, "[Images].real_servers[0].port", "write the server's"},
		"rules": {func(f, p *VirtualService) {
			p.Rules, f.Rules = f.Rules, nil
			p.Rules[0].Then[0].Kind = DoDeny
			p.Rules[0].Then[0].Status = 403
		}, "[Images].rules", "no rules"},
		"cookie": {func(_, p *VirtualService) { p.Persistence.Kind = PersistCookie }, "[Images].persistence.kind", "source IP"},
		"by proxies": {func(_, p *VirtualService) {
			p.ProxyProtocol.In, p.ProxyProtocol.Trusted = true, Networks{netip.MustParsePrefix("10.0.0.0/8")}
		}, "[Images].proxy_protocol.in", "whose a connection is"},
		"transparent":  {func(_, p *VirtualService) { p.SourceAddress.Transparent = true }, "[Images].source_address", "no clients of its own"},
		"another mode": {func(f, _ *VirtualService) { f.Protocol, f.Fallback.Kind = TCP, FallbackNone }, "[Front].rules[0].then[0].pool", "is in HTTP Mode"},
		"a circle":     {func(_, p *VirtualService) { p.RealServers[0].Address, p.RealServers[0].Port = "10.0.0.1", 80 }, "[Front].real_servers", "run in a circle"},
		"no circle, off": {func(f, p *VirtualService) {
			p.RealServers[0].Address, p.RealServers[0].Port = "10.0.0.1", 80
			f.Rules[0].Disabled = true
		}, "", ""},
		"two of one name": {func(f, p *VirtualService) { p.Label = "front" }, "label", "already a service"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Validate(withPool(c.edit), Site{})
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			for _, e := range ErrorsOf(err) {
				if strings.Contains(e.Field, c.field) && strings.Contains(e.Text(), c.want) {
					return
				}
			}
			t.Errorf("%v, want %q at %s", err, c.want, c.field)
		})
	}
}

// TestRulesOfTwoServicesMayLeadToEachOthersPools: who is led to a pool meets its servers, not its rules.
func TestRulesOfTwoServicesMayLeadToEachOthersPools(t *testing.T) {
	c := withPool(func(f, p *VirtualService) {
		p.PoolOnly, p.Address, p.Ports = false, netip.MustParseAddr("10.0.0.2"), Ports{{80, 80}}
		p.Rules = []Rule{{ID: "back", Label: "R", Then: []RuleAction{{Kind: DoPool, Pool: "front"}}}}
	})
	if err := Validate(c, Site{}); err != nil {
		t.Error(err)
	}
}

func TestANamedPoolIsKeptAndTold(t *testing.T) {
	c := withPool()
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var got Config
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	pool := got.Cluster.Service("pool")
	if !pool.PoolOnly || pool.Address.IsValid() || pool.Ports != nil || Hash(pool) != Hash(c.Cluster.Service("pool")) {
		t.Errorf("%+v", pool)
	}
	if a, p := pool.Place(); a != "pool" || p != "–" || pool.HostPort() != "pool" {
		t.Errorf("%s %s", a, p)
	}
	served := c.Clone()
	s := served.Cluster.Service("pool")
	s.PoolOnly, s.Address, s.Ports = false, netip.MustParseAddr("10.0.0.2"), Ports{{80, 80}}
	plan := Diff(served, c)
	if len(plan.Changes) != 1 || plan.Changes[0].Effect != Ends || len(plan.Changes[0].Fields) != 3 {
		t.Errorf("%+v", plan.Changes)
	}
	if front := c.Cluster.Service("front"); front.HostPort() != "10.0.0.1:80" {
		t.Error(front.HostPort())
	}
}
