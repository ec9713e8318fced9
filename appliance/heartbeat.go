package appliance

import (
	"net/netip"
	"reflect"
	"slices"
	"time"
)

// Heartbeat says how the nodes of a pair watch each other. It is the same on both. The zero value stands for the defaults.
type Heartbeat struct {
	Interval Duration     `json:"interval"`                    // between two datagrams on each path
	Dead     Duration     `json:"dead_time"`                   // silence after which the peer counts as gone; never below the lease
	Witness  WitnessKind  `json:"witness"`                     // who tells a dead peer from a cut wire
	Asked    []netip.Addr `json:"witness_addresses,omitempty"` // with addresses and node: who is asked; any answer counts
	Failback bool         `json:"automatic_failback"`          // the Primary takes the addresses back when it is well again
}

// WitnessKind says who is asked whether this node is still connected.
type WitnessKind string

// The kinds of witness.
const (
	WitnessGateway   WitnessKind = "gateway"   // the default gateway, by ARP or neighbour discovery
	WitnessAddresses WitnessKind = "addresses" // other machines on the networks of the nodes, in the same way
	WitnessNode      WitnessKind = "node"      // a third appliance in its witness mode, by authentic datagrams
	WitnessNone      WitnessKind = "none"      // nobody: the probes for the floating addresses decide alone
)

// Valid tells whether w is one of the kinds.
func (w WitnessKind) Valid() bool {
	return w == WitnessGateway || w == WitnessAddresses || w == WitnessNode || w == WitnessNone
}

// Lease is how long the kernel lets a node own the addresses without a renewal.
const Lease = 150 * time.Millisecond

const mostWitnesses = 8

// NewHeartbeat returns the defaults.
func NewHeartbeat() Heartbeat {
	return Heartbeat{Interval: Duration(10 * time.Millisecond), Dead: Duration(Lease), Witness: WitnessGateway}
}

// OrDefault is what counts: the defaults for the zero value, which is how a configuration that nobody changed stores them.
func (h Heartbeat) OrDefault() Heartbeat {
	if h.isZero() {
		return NewHeartbeat()
	}
	return h
}

func (h Heartbeat) isZero() bool { return reflect.ValueOf(h).IsZero() }

func (h *Heartbeat) normalize() {
	h.Asked = slices.Clone(h.Asked)
	for i, a := range h.Asked {
		h.Asked[i] = a.Unmap()
	}
	slices.SortFunc(h.Asked, netip.Addr.Compare)
	if h.Asked = slices.Compact(h.Asked); len(h.Asked) == 0 {
		h.Asked = nil
	}
	if reflect.DeepEqual(*h, NewHeartbeat()) {
		*h = Heartbeat{}
	}
}

// heartbeat checks how the pair watches itself.
func (v *validation) heartbeat(stored Heartbeat) {
	h := stored.OrDefault()
	v.oneOf("heartbeat.witness", h.Witness.Valid(), string(h.Witness))
	v.lasts("heartbeat.interval", h.Interval, 5*time.Millisecond, 50*time.Millisecond)
	v.lasts("heartbeat.dead_time", h.Dead, Lease, 10*time.Second)
	if h.Dead < 3*h.Interval {
		v.refuse("heartbeat.dead_time", "At least three intervals: a single lost datagram must not make a takeover.")
	}
	named := h.Witness == WitnessAddresses || h.Witness == WitnessNode
	switch {
	case named && len(h.Asked) == 0:
		v.refuse("heartbeat.witness_addresses", "Name at least one address that is asked.")
	case len(h.Asked) > mostWitnesses:
		v.refuse("heartbeat.witness_addresses", "At most %d addresses.", mostWitnesses)
	}
	for _, a := range h.Asked {
		if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a.Zone() != "" {
			v.refuse("heartbeat.witness_addresses", "%s is not the address of another machine.", a)
		}
	}
}
