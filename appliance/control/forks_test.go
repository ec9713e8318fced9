package control

import (
	"strings"
	"testing"

	"evenkeel/appliance"
)

// TestForkIsToldUntilAnAdministratorHasSeenIt forks twice: the alarm outlives a restart, ends with the last of them that is kept or discarded, and the content stays as long as it is wanted.
func TestForkIsToldUntilAnAdministratorHasSeenIt(t *testing.T) {
	a, b := newPair(t)
	a.commit(imaging)
	a.apply()
	_, err := give(t, a, b, 1)
	b.must(err)
	for i, port := range []uint16{7001, 7002} {
		b.SetWriter(func() (bool, string, string) { return true, "", "" })
		b.commit(change("HL7", func(s *appliance.VirtualService) { s.Ports = appliance.Ports{{First: port, Last: port}} }))
		b.SetWriter(isPassive)
		b.now = b.now.Add(1)
		_, err = give(t, a, b, uint64(2+i), func(s *appliance.Shared) { s.From = "lb1" })
		b.must(err)
	}
	b.wantAlerts(codeForked)
	b.restart()
	b.SetWriter(isPassive)
	b.must(b.Boot(t.Context()))
	b.wantAlerts(codeForked)
	list := b.Forks()
	if len(list) != 2 {
		t.Fatalf("%+v", list)
	}
	if s := b.Alerts()[0].Sentence; !strings.Contains(s, "Revision 2, made on this node, was set aside on "+list[0].Since.Format("2 January 2006 at 15:04 UTC")+": lb1 had gone on without it") {
		t.Error(s)
	}
	b.must(b.KeepFork(t.Context(), anna(), list[0].ID))
	b.wantAlerts(codeForked)
	b.must(b.DiscardFork(t.Context(), anna(), list[1].ID))
	b.wantAlerts()
	if left := b.Forks(); len(left) != 1 || !left[0].Seen || len(b.state().Forks) > 0 {
		t.Fatalf("%+v", left)
	}
	_, plan, err := b.Fork(t.Context(), list[0].ID)
	b.must(err)
	if !strings.Contains(plan.Summary(), "7002") {
		t.Errorf("%+v", plan)
	}
	_, _, err = b.Fork(t.Context(), list[1].ID)
	wantKind(t, err, appliance.NotFound)
	wantKind(t, b.DiscardFork(t.Context(), anna(), list[1].ID), appliance.NotFound)
	b.restart()
	b.must(b.Boot(t.Context()))
	b.wantAlerts()
}
