package control

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"evenkeel/appliance"
)

func TestApplyClaimsThenAppliesThenReleases(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.calls = nil
	r := b.apply()
	if r.Outcome != appliance.Applied || r.AppliedAt.IsZero() || b.Running().Revision.Number != 1 || !b.Pending().Empty() {
		t.Errorf("%+v", r)
	}
	b.commit(change("HL7", func(s *appliance.VirtualService) { s.Address = netip.MustParseAddr("10.0.0.20") }))
	b.apply()
	want := []string{"claim 10.0.0.10", "claim 10.0.0.11", "engine", "claim 10.0.0.20", "engine", "release 10.0.0.10"}
	if !slices.Equal(b.calls, want) {
		t.Errorf("order %q, want %q", b.calls, want)
	}
	b.wantOutcomes(appliance.Applied, appliance.Applied)
	audit, err := b.store.AuditEntries(t.Context(), 0, 1)
	if err != nil || audit[0].Action != "apply" || audit[0].Outcome != "done" || !strings.Contains(audit[0].Detail, "10.0.0.20") {
		t.Errorf("audit %+v %v", audit, err)
	}
}

func TestApplyKeepsOldRevisionWhenEngineRefuses(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.apply()
	b.commit(change("HL7", func(s *appliance.VirtualService) { s.Address = netip.MustParseAddr("10.0.0.20") }))
	b.engine.refuse = func(c appliance.Config) error {
		return &appliance.Error{Kind: appliance.Conflict, Subject: named(&c, "HL7").ID, Field: "ports", Message: "Port 6667 is in use by mirth (process 7).", Hint: "Stop it."}
	}
	b.calls = nil
	r, err := b.Apply(t.Context(), anna())
	wantKind(t, err, appliance.Conflict)
	if appliance.ErrorsOf(err)[0].Field != "virtual_services[HL7].ports" || r.Outcome != appliance.Failed || r.Reason != "Port 6667 is in use by mirth (process 7)." {
		t.Errorf("%+v %v", r, err)
	}
	if b.Running().Revision.Number != 1 || named(&b.engine.running, "HL7").Address != netip.MustParseAddr("10.0.0.10") || len(b.Pending().Changes) != 1 {
		t.Error("the old revision does not run on")
	}
	if want := []string{"claim 10.0.0.20", "release 10.0.0.20"}; !slices.Equal(b.calls, want) {
		t.Errorf("host: %q, want %q", b.calls, want)
	}
	b.wantOutcomes(appliance.Failed, appliance.Applied)
	b.wantAlerts("apply_failed")
	b.engine.refuse = nil
	b.apply()
	b.wantOutcomes(appliance.Applied, appliance.Applied)
	b.wantAlerts()
}

func TestApplyKeepsOldRevisionWhenAddressIsTaken(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.host.taken = netip.MustParseAddr("10.0.0.11")
	_, err := b.Apply(t.Context(), anna())
	wantKind(t, err, appliance.Conflict)
	if e := appliance.ErrorsOf(err)[0]; e.Field != "virtual_services[WEB].address" || e.Subject != "id4" {
		t.Errorf("%+v", e)
	}
	if len(b.host.owned) != 0 || len(b.engine.running.Cluster.VirtualServices) != 0 {
		t.Errorf("half done: %v", b.host.owned)
	}
	b.wantOutcomes(appliance.Failed)
}

func TestReadersDoNotWaitForApply(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	in, out := make(chan struct{}), make(chan struct{})
	b.engine.refuse = func(appliance.Config) error { close(in); <-out; return nil }
	ended := make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { _, err := b.Apply(ctx, anna()); ended <- err }()
	<-in
	cancel() // the browser was closed: the apply goes on
	if b.Saved().Revision.Number != 1 || b.Running().Revision.Number != 0 || b.Pending().Empty() || len(b.Alerts()) != 0 {
		t.Error("readers see half of an apply")
	}
	if _, err := b.Revisions(t.Context(), 0, 10); err != nil {
		t.Error(err)
	}
	short, cancelShort := context.WithCancel(t.Context())
	cancelShort()
	_, err := b.Commit(short, ben(), nil, imaging)
	wantKind(t, err, appliance.Unavailable)
	close(out)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	b.wantOutcomes(appliance.Applied)
}

func TestApplyAtOnceFollowsTheCommit(t *testing.T) {
	b := newBench(t)
	b.commit(func(c *appliance.Config) error { c.Cluster.Settings.ApplyAtOnce = true; return imaging(c) })
	if b.Running().Revision.Number != 1 {
		t.Fatal("not applied")
	}
	b.engine.refuse = func(appliance.Config) error {
		return &appliance.Error{Kind: appliance.Conflict, Message: "Port 80 is taken."}
	}
	done := b.commit(change("HL7", func(s *appliance.VirtualService) { s.Scheduler = appliance.RoundRobin }))
	if done.Revision.Outcome != appliance.Failed || done.Revision.Reason != "Port 80 is taken." || b.Running().Revision.Number != 1 {
		t.Errorf("%+v", done.Revision)
	}
	b.wantAlerts("apply_failed")
}

func TestApplyThatCannotBeRecordedRunsAndIsTold(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.store.fail = diskFull
	if r := b.apply(); r.Outcome != appliance.Applied || b.Running().Revision.Number != 1 {
		t.Errorf("%+v", r)
	}
	b.wantAlerts("not_recorded")
}

func TestDiscardBringsBackWhatRuns(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.apply()
	if done, err := b.Discard(t.Context(), anna()); err != nil || !done.Unchanged {
		t.Errorf("%+v %v", done, err)
	}
	b.commit(func(c *appliance.Config) error {
		c.Cluster.VirtualServices, c.Local.Hostname = c.Cluster.VirtualServices[:1], "lb9"
		return nil
	})
	b.engine.refuse = func(appliance.Config) error { return &appliance.Error{Kind: appliance.Conflict, Message: "no"} }
	if _, err := b.Apply(t.Context(), anna()); err == nil {
		t.Fatal("applied")
	}
	done, err := b.Discard(t.Context(), ben())
	b.must(err)
	if done.Revision.Number != 3 || done.Revision.Outcome != appliance.Applied || done.Plan.Empty() || !b.Pending().Empty() {
		t.Errorf("%+v", done)
	}
	if r := b.Running(); r.Revision.Number != 3 || appliance.Hash(r.Config) != appliance.Hash(b.Saved().Config) || r.Config.Local.Hostname != "" {
		t.Errorf("%+v", r.Revision)
	}
	b.wantAlerts()
	b.wantOutcomes(appliance.Applied, appliance.Failed, appliance.Applied)
}

func TestRollbackIsANewRevisionWithOldContent(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.commit(func(c *appliance.Config) error {
		c.Local.Hostname = "lb1"
		return change("HL7", func(s *appliance.VirtualService) { s.RealServers[1].Weight = 50 })(c)
	})
	b.must(b.store.CreateOperator(t.Context(), anna(), "carl", appliance.Administrator, "old"))
	b.must(b.store.SetPassword(t.Context(), anna(), "carl", "new"))
	done, err := b.Rollback(t.Context(), anna(), 1)
	b.must(err)
	if done.Revision.Number != 3 || done.Revision.Origin.Why != "back to revision 1" || done.Revision.Summary != "HL7: weight of Corepoint2 50 → 100" {
		t.Errorf("%+v", done.Revision)
	}
	if b.Saved().Config.Local.Hostname != "lb1" {
		t.Error("the local line went back too")
	}
	if hash, _, err := b.store.PasswordHash(t.Context(), "carl"); err != nil || hash != "new" {
		t.Errorf("password %q %v", hash, err)
	}
	first, err := b.Revision(t.Context(), 1)
	b.must(err)
	if first.Revision.Hash != done.Revision.Hash {
		t.Error("the content differs")
	}
	_, err = b.Rollback(t.Context(), anna(), 99)
	wantKind(t, err, appliance.NotFound)
	plan, err := b.Compare(t.Context(), 1, 2)
	if err != nil || plan.Summary() != "HL7: weight of Corepoint2 100 → 50" {
		t.Errorf("%q %v", plan.Summary(), err)
	}
}

func TestRollbackIsCheckedLikeAnyCommit(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.commit(func(c *appliance.Config) error { c.Cluster.VirtualServices = nil; return nil })
	b.engine.check = func(appliance.Config) error {
		return &appliance.Error{Kind: appliance.Conflict, Message: "Port 80 is taken."}
	}
	_, err := b.Rollback(t.Context(), anna(), 1)
	wantKind(t, err, appliance.Conflict)
	b.wantOutcomes(appliance.Applied, appliance.Pending)
}

func TestReplaceIsOneRevision(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	var whole appliance.Config
	b.must(imaging(&whole))
	whole.Cluster.VirtualServices[0].ID = "kept"
	done, err := b.Replace(t.Context(), anna(), whole)
	b.must(err)
	list := done.Config.Cluster.VirtualServices
	if done.Revision.Number != 2 || list[0].ID != "kept" || list[1].ID == "" || list[1].ID == "id4" || whole.Cluster.VirtualServices[1].ID != "" {
		t.Errorf("%+v", done)
	}
}
