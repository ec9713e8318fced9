package control

import (
	"net/netip"
	"testing"

	"evenkeel/appliance"
)

func TestRenewAppliesWhatRunsAndLeavesWhatIsSaved(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.apply()
	b.commit(change("HL7", func(s *appliance.VirtualService) { s.Address = netip.MustParseAddr("10.0.0.20") }))
	applied := b.engine.applied
	if err := b.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b.engine.applied != applied+1 || named(&b.engine.running, "HL7").Address != netip.MustParseAddr("10.0.0.10") || len(b.Pending().Changes) != 1 {
		t.Errorf("applied %d times, HL7 at %s, %d pending", b.engine.applied-applied, named(&b.engine.running, "HL7").Address, len(b.Pending().Changes))
	}
	b.engine.refuse = func(appliance.Config) error { return &appliance.Error{Kind: appliance.Unavailable, Message: "No."} }
	wantKind(t, b.Renew(t.Context()), appliance.Unavailable)
}
