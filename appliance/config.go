package appliance

import (
	"cmp"
	"slices"
)

// Config is everything that operators decide: whole and immutable once committed. It has two lines of revisions.
type Config struct {
	Cluster Cluster `json:"cluster"` // pair-wide, replicated; its revision number stands in the header
	Local   Local   `json:"local"`   // of this node alone, never replicated
}

// Cluster is the part of the configuration that both nodes of a pair share. Lists are sorted by label: equal configurations are equal bytes.
type Cluster struct {
	VirtualServices []VirtualService `json:"virtual_services"`
	Scripts         []Script         `json:"scripts,omitempty"`
	Settings        Settings         `json:"settings"`
	Heartbeat       Heartbeat        `json:"heartbeat,omitzero"` // of the pair; it does nothing while there is none
}

// Settings are the few switches that concern the whole pair.
type Settings struct {
	AllowLoopback bool   `json:"allow_loopback"`          // real servers and checks may use loopback addresses; the demo's setting
	FallbackPage  string `json:"fallback_page,omitempty"` // HTML of the page on port 9081; empty: the built-in one
	ApplyAtOnce   bool   `json:"apply_at_once"`           // a commit is applied without a further click
}

// Local is the part of the configuration that belongs to one node.
type Local struct {
	Hostname   string     `json:"hostname"`             // empty: the operating system's
	Names      []string   `json:"host_names,omitempty"` // further names by which browsers may address the WebUI (Host header)
	TrafficLog TrafficLog `json:"traffic_log,omitzero"` // where the lines of the traffic log go

	// MetricsNetworks may read /metrics without a token: addresses and networks.
	MetricsNetworks []string `json:"metrics_networks,omitempty"`
}

// Script is a health check script; its arguments are VIP, VIP port, RIP, RIP port, and exit status 0 means up.
type Script struct {
	ID    string `json:"id"`
	Label string `json:"label"`
	Body  string `json:"body"` // begins with #! and an interpreter; run without a shell of ours
}

// Clone returns a deep copy.
func (c Config) Clone() Config {
	c.Local.Names = slices.Clone(c.Local.Names)
	c.Local.MetricsNetworks = slices.Clone(c.Local.MetricsNetworks)
	return Config{Cluster: c.Cluster.Clone(), Local: c.Local}
}

// Clone returns a deep copy.
func (c Cluster) Clone() Cluster {
	out := c
	out.Scripts = slices.Clone(c.Scripts)
	out.Heartbeat = c.Heartbeat
	out.Heartbeat.Asked = slices.Clone(c.Heartbeat.Asked)
	out.VirtualServices = slices.Clone(c.VirtualServices)
	for i := range out.VirtualServices {
		out.VirtualServices[i] = out.VirtualServices[i].Clone()
	}
	return out
}

// Service returns a pointer into c to the service with that id, or nil.
func (c *Cluster) Service(id string) *VirtualService {
	for i := range c.VirtualServices {
		if c.VirtualServices[i].ID == id {
			return &c.VirtualServices[i]
		}
	}
	return nil
}

// Script returns a pointer into c to the script with that id, or nil.
func (c *Cluster) Script(id string) *Script {
	for i := range c.Scripts {
		if c.Scripts[i].ID == id {
			return &c.Scripts[i]
		}
	}
	return nil
}

// Normalize brings the configuration into its canonical form: lists sorted, what is derived filled in. Real servers keep the operator's order,
// because failover mode reads it. It never makes an invalid value valid.
func (c *Cluster) Normalize() {
	slices.SortStableFunc(c.VirtualServices, func(a, b VirtualService) int {
		return cmp.Or(cmp.Compare(a.Label, b.Label), cmp.Compare(a.ID, b.ID))
	})
	slices.SortStableFunc(c.Scripts, func(a, b Script) int { return cmp.Or(cmp.Compare(a.Label, b.Label), cmp.Compare(a.ID, b.ID)) })
	for i := range c.VirtualServices {
		c.VirtualServices[i].Normalize()
	}
	c.Heartbeat.normalize()
}
