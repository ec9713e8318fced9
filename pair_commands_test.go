package main

import (
	"testing"

	"evenkeel/appliance"
)

func TestPassiveNodeIsNotInSyncWithAnActiveOneThatRunsSomethingElse(t *testing.T) {
	told := appliance.SyncStatus{InSync: true, Sentence: "in sync, revision 1"}
	s := appliance.PairStatus{Self: appliance.NodeStatus{State: appliance.Passive, Revision: 1, Hash: "aa"}, Peer: appliance.NodeStatus{Name: "lb1", State: appliance.Active, Revision: 2, Hash: "bb"}}
	if got := byHeartbeats(told, s); got.InSync || got.Sentence != "lb1 runs revision 2, this node revision 1." {
		t.Errorf("%+v", got)
	}
	s.Peer.Hash = "aa"
	if got := byHeartbeats(told, s); got != told {
		t.Errorf("%+v", got)
	}
	s.Peer.Hash, s.Peer.State, s.Self.State = "bb", appliance.Passive, appliance.Active // the sender knows better
	if got := byHeartbeats(told, s); got != told {
		t.Errorf("%+v", got)
	}
}
