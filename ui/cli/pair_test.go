package cli

import (
	"context"
	"net/netip"
	"time"

	"evenkeel/appliance"
)

// pairing stands for the pair: lb2 at 192.168.0.12 joins whoever knows its key and its password, and says red things.
type pairing struct{ status appliance.PairStatus }

func (f *pairing) Status() appliance.PairStatus {
	if !f.status.Paired {
		return appliance.PairStatus{Sentence: "This appliance is alone."}
	}
	return f.status
}

func (*pairing) Timeline() []appliance.PairEvent {
	return []appliance.PairEvent{{At: time.Date(2026, 3, 1, 12, 0, 0, 7_000_000, time.Local), Node: "lb2", Code: "took_over", Sentence: "lb1 was \x1b[31msilent."}}
}

func (*pairing) OwnKey() string { return "SHA256:own" }

func (*pairing) PeerKey(_ context.Context, at netip.AddrPort) (string, error) {
	if at != netip.MustParseAddrPort("192.168.0.12:22") {
		return "", &appliance.Error{Kind: appliance.Unavailable, Message: "Nobody answers at " + at.String() + "."}
	}
	return "SHA256:peer", nil
}

func (f *pairing) Differences(context.Context) (appliance.Plan, error) {
	if !f.status.Paired {
		return appliance.Plan{}, &appliance.Error{Kind: appliance.NotFound, Message: "This node is in no pair."}
	}
	return appliance.Plan{}, nil
}

func (f *pairing) Pair(_ context.Context, _ appliance.Origin, w appliance.PairWish, report func(appliance.PairStep)) error {
	report(appliance.PairStep{Code: "connect", Sentence: "Connecting to lb2", Done: true})
	report(appliance.PairStep{Code: "sign_in", Sentence: "Signing in"})
	if w.HostKey != "SHA256:peer" || w.Password != "four kind windmills" {
		return &appliance.Error{Kind: appliance.Denied, Field: "password", Message: "lb2 refused the password."}
	}
	report(appliance.PairStep{Code: "sign_in", Sentence: "Signing in", Done: true})
	f.status = appliance.PairStatus{
		Paired: true, Sentence: "lb1 is Active; lb2 stands by.",
		Self:   appliance.NodeStatus{Name: "lb1", Role: appliance.Primary, State: appliance.Active, Address: w.Own, Revision: 142, Version: "1.0"},
		Peer:   appliance.NodeStatus{Name: "lb2", Role: appliance.Secondary, State: appliance.Passive, Address: w.Address.Addr(), Revision: 142, Version: "1.0\x1b[0m"},
		Limits: []string{"No witness is configured."}, Rejected: map[string]uint64{"stranger": 3}, Round: 240 * time.Microsecond,
		Paths:    []appliance.PathStatus{{Interface: "eth0", Local: netip.MustParseAddrPort("192.168.0.11:6694"), Peer: netip.MustParseAddrPort("192.168.0.12:6694"), Alive: true, Received: 900, Lost: 1, Jitter: 80 * time.Microsecond}},
		Floating: []appliance.FloatingAddress{{Address: netip.MustParseAddr("192.168.0.188"), Interface: "eth0", Services: []string{"HL7"}, Here: true}},
		Settings: appliance.SyncStatus{InSync: true, Sentence: "in sync, revision 142"},
	}
	return nil
}

func (f *pairing) Break(_ context.Context, _ appliance.Origin, report func(appliance.PairStep)) (appliance.PairBroken, error) {
	report(appliance.PairStep{Code: "tell", Sentence: "Telling lb2 that the pair ends", Done: true})
	f.status = appliance.PairStatus{}
	return appliance.PairBroken{Keeps: "lb1"}, nil
}

func (*pairing) MakePrimary(context.Context, appliance.Origin) error {
	return &appliance.Error{Kind: appliance.Conflict, Message: "This node is Primary already."}
}

func (f *pairing) Activate(_ context.Context, _ appliance.Origin, peer bool) error {
	f.status.Sentence = map[bool]string{true: "lb2 is Active.", false: "lb1 is Active."}[peer]
	return nil
}

func (f *pairing) Dismiss(context.Context, appliance.Origin) error {
	f.status.Ended = nil
	return nil
}

func (f *pairing) ActivateAlone(context.Context, appliance.Origin) error {
	f.status.Sentence = "lb1 is Active, alone."
	return nil
}

// RestartHeartbeat leaves the peer silent.
func (f *pairing) RestartHeartbeat(context.Context, appliance.Origin) error {
	f.status.Paths = []appliance.PathStatus{f.status.Paths[0]}
	f.status.Paths[0].Alive = false
	return nil
}

func (*pairing) RotateKey(context.Context, appliance.Origin) error { return nil }

func (*pairing) Drill(context.Context, appliance.Origin) (appliance.PairDrill, error) {
	return appliance.PairDrill{There: appliance.Takeover{Took: 4 * time.Millisecond}, Back: appliance.Takeover{Took: 5 * time.Millisecond, Within: 200 * time.Microsecond}, Sentence: "Both switches took less than 6 ms."}, nil
}
