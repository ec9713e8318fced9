package appliance_test

import (
	"net/netip"
	"testing"

	"evenkeel/appliance"
)

func TestNodesOfAPairAreToldApart(t *testing.T) {
	for _, try := range [][4]string{
		{"lb1", "lb2", "lb1", "lb2"}, {"vm", "vm", "vm (10.0.0.1)", "vm (10.0.0.2)"}, {"lb1", "", "lb1", "10.0.0.2"}, {"", "", "10.0.0.1", "10.0.0.2"},
	} {
		m := appliance.Membership{
			Self: appliance.Node{Name: try[0], Address: netip.MustParseAddr("10.0.0.1")}, Peer: appliance.Node{Name: try[1], Address: netip.MustParseAddr("10.0.0.2")},
		}
		got := m.Distinct()
		if got.Self.Name != try[2] || got.Peer.Name != try[3] || m.Self.Name != try[0] || got.Distinct().Self.Name != try[2] {
			t.Errorf("%q and %q: %q and %q", try[0], try[1], got.Self.Name, got.Peer.Name)
		}
	}
}
