package control

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"evenkeel/appliance"
)

func refuseScheduler(s appliance.Scheduler) func(appliance.Config) error {
	return func(c appliance.Config) error {
		if hl7 := named(&c, "HL7"); hl7 != nil && hl7.Scheduler == s {
			return &appliance.Error{Kind: appliance.Conflict, Subject: hl7.ID, Message: "Port 6667 is taken."}
		}
		return nil
	}
}

// threeRevisions: least connections (applied), source hash (applied), round robin (pending), and a restart.
func threeRevisions(t *testing.T) *bench {
	b := newBench(t)
	b.commit(imaging)
	b.apply()
	b.commit(change("HL7", func(s *appliance.VirtualService) { s.Scheduler = appliance.SourceHash }))
	b.apply()
	b.commit(change("HL7", func(s *appliance.VirtualService) { s.Scheduler = appliance.RoundRobin }))
	b.restart()
	return b
}

func TestBootTakesTheNewest(t *testing.T) {
	b := threeRevisions(t)
	b.must(b.Boot(t.Context()))
	if b.Running().Revision.Number != 3 || named(&b.engine.running, "HL7").Scheduler != appliance.RoundRobin || !b.Pending().Empty() {
		t.Errorf("running %+v", b.Running().Revision)
	}
	b.wantOutcomes(appliance.Applied, appliance.Applied, appliance.Applied)
	b.wantAlerts()
}

func TestBootFallsBackToTheNewestThatWasApplied(t *testing.T) {
	b := threeRevisions(t)
	b.engine.refuse = refuseScheduler(appliance.RoundRobin)
	b.must(b.Boot(t.Context()))
	if b.Running().Revision.Number != 2 || b.Saved().Revision.Number != 3 || b.Pending().Summary() == "" {
		t.Errorf("running %d, saved %d", b.Running().Revision.Number, b.Saved().Revision.Number)
	}
	b.wantOutcomes(appliance.Failed, appliance.Applied, appliance.Applied)
	b.wantAlerts("boot_fallback")
	if s := b.Alerts()[0].Sentence; s != "Revision 3 could not be applied at the start; revision 2 runs instead. Port 6667 is taken." {
		t.Error(s)
	}
	b.engine.refuse = nil
	b.apply()
	b.wantAlerts()
}

func TestBootThatFallsBackLeavesOnRecordWhatOnceRan(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.apply()
	b.commit(change("HL7", func(s *appliance.VirtualService) { s.Scheduler = appliance.RoundRobin }))
	b.apply()
	for range 2 { // the second start must come to the same end
		b.restart()
		b.engine.refuse = refuseScheduler(appliance.RoundRobin)
		b.must(b.Boot(t.Context()))
		if b.Running().Revision.Number != 1 || b.Saved().Revision.Number != 2 {
			t.Errorf("running %d, saved %d", b.Running().Revision.Number, b.Saved().Revision.Number)
		}
		b.wantOutcomes(appliance.Applied, appliance.Applied)
		b.wantAlerts("boot_fallback")
	}
}

func TestBootPassesOverContentThatCannotBeRead(t *testing.T) {
	b := threeRevisions(t)
	for _, content := range []string{`{"virtual_services":[{"colour":"red"}]}`, `{"virtual_services":7}`} {
		_, err := b.store.Append(t.Context(), []appliance.NewRevision{{Line: appliance.ClusterLine, Content: []byte(content), At: b.now, Outcome: appliance.Applied}})
		b.must(err)
	}
	b.must(b.Boot(t.Context()))
	if b.Running().Revision.Number != 2 || b.Saved().Revision.Number != 2 {
		t.Errorf("running %d, saved %d", b.Running().Revision.Number, b.Saved().Revision.Number)
	}
	b.wantAlerts("boot_fallback")
	if done := b.commit(change("HL7", func(s *appliance.VirtualService) { s.Limits.MaxConnections = 5 })); done.Revision.Number != 6 {
		t.Errorf("the next revision is %d", done.Revision.Number)
	}
}

func TestBootLeavesOutTheServiceThatIsRefused(t *testing.T) {
	b := threeRevisions(t)
	b.host.taken = netip.MustParseAddr("10.0.0.11")
	b.engine.refuse = refuseScheduler(appliance.SourceHash)
	b.must(b.Boot(t.Context()))
	if s := b.engine.running.Cluster.VirtualServices; len(s) != 1 || s[0].Label != "HL7" {
		t.Errorf("running %+v", s)
	}
	b.wantAlerts("boot_failed")
	if a := b.Alerts()[0].Sentence; a != "Revision 3 runs without WEB, which could not be applied at the start. Another machine answers for 10.0.0.11." {
		t.Error(a)
	}
	if got := b.Pending().Summary(); got != "WEB added" {
		t.Errorf("pending %q", got)
	}
	b.host.taken = netip.Addr{}
	b.apply()
	b.wantAlerts()
}

func TestBootNeverFailsForABadRevision(t *testing.T) {
	b := threeRevisions(t)
	b.engine.refuse = func(appliance.Config) error { return errors.New("no kernel for this") }
	b.must(b.Boot(t.Context()))
	if b.Running().Revision.Number != 0 || b.Saved().Revision.Number != 3 {
		t.Errorf("running %d, saved %d", b.Running().Revision.Number, b.Saved().Revision.Number)
	}
	b.wantAlerts("boot_failed")
	b.wantOutcomes(appliance.Failed, appliance.Applied, appliance.Applied)
}

func TestBootFailsOnlyWhenTheStoreDoes(t *testing.T) {
	b := threeRevisions(t)
	b.must(b.store.Close())
	if err := b.Boot(t.Context()); err == nil {
		t.Error("booted from a closed store")
	}
}

type restoredStore struct {
	Store
	alert appliance.Alert
}

func (s restoredStore) Restored() (appliance.Alert, bool) { return s.alert, true }

func TestBootTellsOfARestoredStore(t *testing.T) {
	b := threeRevisions(t)
	b.Control.store = restoredStore{b.store, appliance.Alert{Code: "store_restored", Severity: appliance.Critical, Sentence: "The database was damaged."}}
	b.must(b.Boot(t.Context()))
	b.wantAlerts("store_restored")
	b.Raise(appliance.Alert{Code: "a", Severity: appliance.Information})
	b.Raise(appliance.Alert{Code: "b", Severity: appliance.Warning})
	b.Raise(appliance.Alert{Code: "b", Severity: appliance.Warning, Sentence: "renewed"})
	b.wantAlerts("store_restored", "b", "a")
	b.Clear("store_restored")
	b.wantAlerts("b", "a")
}

func TestWatchersGetOneTickForMany(t *testing.T) {
	b := newBench(t)
	ticks, stop := b.Watch()
	b.commit(imaging)
	b.apply()
	<-ticks
	select {
	case <-ticks:
		t.Error("ticks are not coalesced")
	default:
	}
	stop()
	stop()
	b.commit(change("HL7", func(s *appliance.VirtualService) { s.Limits.MaxConnections = 5 }))
	select {
	case <-ticks:
		t.Error("a tick after stop")
	default:
	}
	if b.Status().At.Unix() != 7 {
		t.Error("the status is not the engine's")
	}
}

func TestBootOfManyAppliedRevisionsEnds(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	for i := range 2 * bootTries {
		b.commit(change("HL7", func(s *appliance.VirtualService) { s.Limits.MaxConnections = i + 1 }))
		b.apply()
	}
	b.restart()
	tries := 0
	b.engine.refuse = func(c appliance.Config) error {
		if tries++; len(c.Cluster.VirtualServices) > 0 {
			return &appliance.Error{Kind: appliance.Unavailable, Message: "no"}
		}
		return nil
	}
	b.must(b.Boot(context.Background()))
	if tries != bootTries || !strings.HasPrefix(b.Alerts()[0].Sentence, "No saved configuration") {
		t.Errorf("%d tries, %+v", tries, b.Alerts())
	}
}

func TestFolderAtRestIsEditedAndNothingIsMarked(t *testing.T) {
	b := threeRevisions(t)
	b.Control.engine = nil
	b.must(b.Boot(t.Context()))
	if b.Saved().Revision.Number != 3 || b.Running().Revision.Number != 2 || len(b.Status().Services) != 0 {
		t.Errorf("saved %d, running %d", b.Saved().Revision.Number, b.Running().Revision.Number)
	}
	b.wantOutcomes(appliance.Pending, appliance.Applied, appliance.Applied)
	done := b.commit(func(c *appliance.Config) error { c.Cluster.Settings.ApplyAtOnce = true; return nil })
	if done.Revision.Outcome != appliance.Pending {
		t.Errorf("%+v", done.Revision)
	}
	_, err := b.Apply(t.Context(), anna())
	wantKind(t, err, appliance.Unavailable)
	_, err = b.Act(t.Context(), anna(), drain("id2"))
	wantKind(t, err, appliance.Unavailable)
	b.wantOutcomes(appliance.Pending, appliance.Pending, appliance.Applied, appliance.Applied)
}
