package ha

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"evenkeel/appliance"
)

// Port is where heartbeats are heard, over UDP.
const Port = 6694

// Kernel is what a node can do to the machine. No method but Up and Down waits for anything; these two are called beside the loop, one after the other.
type Kernel interface {
	Renew(until time.Duration) error // the floating addresses live until a reading of CLOCK_BOOTTIME; never shortens a life; an error when that is over
	Drop() error                     // they do not live any more
	Up(ctx context.Context) error    // they are on their interfaces
	Down(ctx context.Context) error  // they are off
	Announce(round int)              // the neighbours are told where they are
	AskWitness(a netip.Addr)         // one question; the zero address is the default gateway
	Probe()                          // one question for a floating address on each service interface
	Gateways() []netip.Addr          // the default gateways that are known; empty: nobody can be asked
	Places() map[netip.Addr]string   // on which interface each floating address belongs
	Events() <-chan appliance.KernelEvent
}

// Path is one way between the nodes.
type Path struct {
	Local     netip.AddrPort // on this node; port 0 means Port
	Peer      netip.AddrPort // on the other; port 0 means Port
	Interface string         // for the page; may be empty
}

// Facts are what the rest of the appliance knows and heartbeats carry.
type Facts struct {
	Revision int64    // of the cluster line, running
	Hash     string   // of its content, 32 hexadecimal digits
	Digest   [16]byte // of the persistence table
	Healthy  bool     // the engine serves; whether the interfaces of floating addresses have a link is looked at here
	Priority uint8    // the larger one is active, if nothing else decides
	Version  string   // of the product
}

// Options is what a Node needs. What is not said to be optional is needed.
type Options struct {
	Membership appliance.Membership
	Founder    bool                // the pair was made of this node, which served alone until now and goes on owning the addresses; the machine has them up already
	Dir        string              // folder for what must outlive the process: the epoch, and the timeline
	Paths      []Path              // nil: one, between the two addresses of the membership; at most beat.Paths
	Kernel     Kernel              // nil: this node owns no floating addresses, only settings and tables are shared; if the peer can own them, it is the active one
	Facts      Facts               // the first ones
	Settings   appliance.Heartbeat // the first ones; zero: the defaults

	// TableAlive tells whether the peer was heard on the connection of the persistence table a moment ago. While it says so, silence on UDP 6694 is no reason to take
	// over. It must say no at most 60 ms after the last sign of life, and not wait. nil: there is no such connection.
	TableAlive func() bool
	// Drain lets requests in flight finish and returns nil when there are none left or its time is over; its context ends with the limit, or when the switch is off. nil: nothing has to.
	Drain func(context.Context) error
	// Shut follows Drain as soon as the peer is ready to take the addresses, or at the limit: it lets no more clients in and returns nil when nothing is under way any more. The
	// addresses are let go right after it. nil: nothing has to.
	Shut func(context.Context) error
	// Resume follows every Drain, when clients may come and stay again. nil: nothing to do.
	Resume func()
	// Let takes the addresses of a Founder without a Kernel off this machine; it is called when the peer owns them from now on, as a rule because this node ends. nil: they stay on.
	Let func(context.Context) error
	// SaveKeys replaces the keys of the stored membership, durably. nil: the key cannot be changed.
	SaveKeys func(context.Context, []appliance.HeartbeatKey) error
	// Changed hears what the node does from now on; calls come one after the other, and may skip what was short. nil: nobody asks.
	Changed func(appliance.Activity)
	// Limits are sentences about what this pair cannot promise, as main has found out: rights, kernel. nil: none.
	Limits []string
	// Logger nil: slog.Default.
	Logger *slog.Logger
}

// noKernel is the machine of a pair without floating addresses: who is active is found out all the same, for the settings and the tables.
type noKernel struct{}

func (noKernel) Renew(time.Duration) error            { return nil }
func (noKernel) Drop() error                          { return nil }
func (noKernel) Up(context.Context) error             { return nil }
func (noKernel) Down(context.Context) error           { return nil }
func (noKernel) Announce(int)                         {}
func (noKernel) AskWitness(netip.Addr)                {}
func (noKernel) Probe()                               {}
func (noKernel) Gateways() []netip.Addr               { return nil }
func (noKernel) Places() map[netip.Addr]string        { return nil }
func (noKernel) Events() <-chan appliance.KernelEvent { return nil }
