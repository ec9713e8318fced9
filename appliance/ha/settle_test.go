package ha

import (
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/appliance/ha/role"
)

func TestWhatIsPendingAfterAChangeOfRolesIsADifferenceOnlyWhenItLasts(t *testing.T) {
	const says, lost = "The nodes are reconnecting: their roles changed a moment ago.", "no connection on TCP 7778"
	pending, differs, same := appliance.SyncStatus{Pending: true, Sentence: lost}, appliance.SyncStatus{Sentence: "revision 3 here, 2 there"}, appliance.SyncStatus{InSync: true, Sentence: "in sync"}
	for _, c := range []struct {
		name    string
		of      appliance.SyncStatus
		contact bool
		since   time.Duration
		want    appliance.SyncStatus
	}{
		{"at once", pending, true, 0, appliance.SyncStatus{Pending: true, Sentence: says}},
		{"a moment later", pending, true, settleTime - 1, appliance.SyncStatus{Pending: true, Sentence: says}},
		{"lasting", pending, true, settleTime, appliance.SyncStatus{Sentence: lost}},
		{"without a peer that could connect", pending, false, 0, appliance.SyncStatus{Sentence: lost}},
		{"what differs is known", differs, true, 0, differs},
		{"the same", same, true, 0, same},
	} {
		if got := settled(c.of, c.contact, c.since); got != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// TestRolesAreSettlingFromTheirLastChangeOn: with the loop's own clock as a number, through a switch, and no longer.
func TestRolesAreSettlingFromTheirLastChangeOn(t *testing.T) {
	n := &Node{news: make(chan appliance.Activity, 1)}
	n.seen.Store(&snapshot{})
	l := &loop{n: n, facts: &facts{}, witness: witness{settings: &appliance.Heartbeat{}}}
	show := func(now time.Duration, phase role.Phase, peer appliance.Activity) time.Duration {
		l.state.Phase, l.peer.State = phase, peer
		l.show(now)
		return n.seen.Load().turned
	}
	for _, c := range []struct {
		now   time.Duration
		phase role.Phase
		peer  appliance.Activity
		want  time.Duration
	}{
		{10 * time.Second, role.Passive, appliance.Active, 10 * time.Second},
		{20 * time.Second, role.Passive, appliance.Active, 10 * time.Second},
		{30 * time.Second, role.Passive, appliance.HandingOn, 30 * time.Second},
		{31 * time.Second, role.Active, appliance.HandingOn, 31 * time.Second},
		{32 * time.Second, role.Active, appliance.Passive, 32 * time.Second},
		{60 * time.Second, role.Active, appliance.Passive, 32 * time.Second},
	} {
		if got := show(c.now, c.phase, c.peer); got != c.want {
			t.Errorf("at %v: turned at %v, not %v", c.now, got, c.want)
		}
	}
}
