package appliance

import (
	"net/netip"
	"time"
)

// KernelEventKind says what the machine tells the pair.
type KernelEventKind string

// The kinds of event.
const (
	WitnessAnswered KernelEventKind = "witness_answered" // who was asked lives
	OwnerSeen       KernelEventKind = "owner_seen"       // another machine claims a floating address
	RivalSeen       KernelEventKind = "rival_seen"       // another machine probes for a floating address, as a node does before it takes it
	LinkChanged     KernelEventKind = "link_changed"     // an interface got or lost its carrier
	LeaseRebuilt    KernelEventKind = "lease_rebuilt"    // somebody removed the lease's rules; they are back
)

// KernelEvent is one observation of the machine. Only the fields that its kind names are set.
type KernelEvent struct {
	Kind      KernelEventKind
	At        time.Duration // when the kernel had it, not when it was read, on its CLOCK_BOOTTIME: what waited while the process was frozen is told as old; 0: not known
	Address   netip.Addr    // of the witness, or the floating one
	Hardware  string        // of the witness or of the other owner, never one of this machine; as in "02:42:ac:11:00:02"
	Interface string
	Up        bool // LinkChanged: it has a carrier
}
