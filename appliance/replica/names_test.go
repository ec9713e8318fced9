package replica

import "testing"

// TestNewNameOfANodeIsKnownOnTheOther: the names of a pair are those that the nodes have now, whichever of them got another; two of the same name are told apart.
func TestNewNameOfANodeIsKnownOnTheOther(t *testing.T) {
	a, b := newNodes(t)
	want := func(names string) {
		t.Helper()
		for _, n := range []*node{a, b} {
			until(t, func() bool {
				m, _ := n.members.Current()
				if n == b {
					m.Self, m.Peer = m.Peer, m.Self
				}
				return m.Self.Name+", "+m.Peer.Name == names
			})
		}
	}
	want("lb1, lb2")
	set(a.rig, &a.name, "vm")
	a.commit(add("HL7", 6667)) // whatever it is that wakes the sender
	want("vm, lb2")
	set(b.rig, &b.name, "vm")
	a.commit(add("DICOM", 104))
	want("vm (127.0.0.1), vm (127.0.0.1)")
	a.restart()
	b.restart()
	want("vm (127.0.0.1), vm (127.0.0.1)")
	if m := b.members.known(); m != "vm" {
		t.Errorf("b knows a as %q", m)
	}
}
