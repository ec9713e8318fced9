package ha

import "testing"

func TestNodesAreCalledByTheirNewNames(t *testing.T) {
	c := newCouple(t, nil)
	c.settle(t)
	c.right.Name("lb2", "lb1")
	if s := c.right.Status(); s.Self.Name != "lb2" || s.Peer.Name != "lb1" || s.Sentence != "lb1 is active and owns the floating addresses; lb2 is passive and ready to take them." {
		t.Errorf("%q, %q: %s", s.Self.Name, s.Peer.Name, s.Sentence)
	}
	if err := c.left.RestartHeartbeat(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the timeline has the new name", func() bool { return codes(c.right.Node)["lb1 paths_reopened"] == 1 })
}
