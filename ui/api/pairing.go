package api

import (
	"context"
	"net/netip"

	"evenkeel/appliance"
)

// PairView is what can be asked of the pair.
type PairView interface {
	// Status is what is observed now; Paired is false for an appliance that is alone.
	Status() appliance.PairStatus
	// Timeline lists what both nodes decided, the newest first.
	Timeline() []appliance.PairEvent
	// OwnKey is the fingerprint of this node's SSH host key, which the other node's operator compares; empty: it has none yet.
	OwnKey() string
	// PeerKey asks another appliance for the fingerprint of its SSH host key. Nothing secret is sent. Errors: unavailable.
	PeerKey(ctx context.Context, at netip.AddrPort) (string, error)
	// Differences is what would change here if this node ran what the peer runs. Errors: not_found without a pair, unavailable when the peer does not answer.
	Differences(ctx context.Context) (appliance.Plan, error)
}

// PairMaker makes and breaks the pair. It records in the audit what it did and what it refused. Fields of a refusal are those of PairWish.
// Each step is reported when it begins and again, with the same code, when it is done.
type PairMaker interface {
	Pair(ctx context.Context, o appliance.Origin, w appliance.PairWish, report func(appliance.PairStep)) error
	Break(ctx context.Context, o appliance.Origin, report func(appliance.PairStep)) (appliance.PairBroken, error)
	// MakePrimary ends the pair of a Secondary whose Primary is gone, so that it is alone, with the services, and can be the Primary of the next pair.
	MakePrimary(ctx context.Context, o appliance.Origin) error
	// Dismiss ends what is said of a pair that the other node broke. Errors: not_found when nothing is said.
	Dismiss(ctx context.Context, o appliance.Origin) error
}

// PairSwitch moves what a pair has. It records in the audit what it did and what it refused, and returns when it is done.
type PairSwitch interface {
	// Activate lets this node, or the peer, own the floating addresses: a planned switch.
	Activate(ctx context.Context, o appliance.Origin, peer bool) error
	// ActivateAlone lets this node own them without its witness: the peer is off, as the operator has made sure.
	ActivateAlone(ctx context.Context, o appliance.Origin) error
	// RestartHeartbeat restarts it on both nodes.
	RestartHeartbeat(ctx context.Context, o appliance.Origin) error
	// RotateKey begins a change of the heartbeat's key.
	RotateKey(ctx context.Context, o appliance.Origin) error
	// Drill switches to the peer and back, and measures both.
	Drill(ctx context.Context, o appliance.Origin) (appliance.PairDrill, error)
}

// Pair is all of it.
type Pair interface {
	PairView
	PairMaker
	PairSwitch
}
