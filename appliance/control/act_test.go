package control

import (
	"net/netip"
	"testing"

	"evenkeel/appliance"
)

func drain(server string) []Act {
	return []Act{{Service: "id1", Server: server, State: appliance.Drain}}
}

func (b *bench) act(acts []Act) Committed {
	b.t.Helper()
	done, err := b.Act(b.t.Context(), anna(), acts)
	b.must(err)
	return done
}

func TestActIsOneRevisionWhenNothingIsPending(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.apply()
	weight := 7
	done := b.act([]Act{{Service: "id1", Server: "id2", State: appliance.Drain, Weight: &weight}, {Service: "id4", Server: "id5", State: appliance.Halt}})
	if done.Revision.Number != 2 || done.Revision.Outcome != appliance.Applied || !b.Pending().Empty() {
		t.Errorf("%+v", done.Revision)
	}
	if r := named(&b.engine.running, "HL7").Server("id2"); r.State != appliance.Drain || r.Weight != 7 || named(&b.engine.running, "WEB").Server("id5").State != appliance.Halt {
		t.Errorf("the engine has %+v", r)
	}
	if done := b.act(drain("id2")); !done.Unchanged || done.Revision.Number != 2 {
		t.Errorf("again: %+v", done)
	}
	b.restart()
	b.must(b.Boot(t.Context()))
	if named(&b.engine.running, "HL7").Server("id2").State != appliance.Drain {
		t.Error("forgotten over a restart")
	}
}

func TestDrainChangesOnlyThatWhileOtherEditsAreSavedAndNotApplied(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.apply()
	b.commit(func(c *appliance.Config) error {
		hl7 := named(c, "HL7")
		hl7.Scheduler, hl7.Address, hl7.RealServers[0].Weight = appliance.RoundRobin, netip.MustParseAddr("10.0.0.20"), 30
		hl7.RealServers[1].State = appliance.Halt
		c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, service("NEW", appliance.TCP, "10.0.0.30", 104))
		c.Local.Hostname = "lb1"
		return nil
	})
	ran, pending, saved := b.Running(), b.Pending().Summary(), b.Saved()

	done := b.act(drain("id2"))

	wantRunning := ran.Config.Clone()
	named(&wantRunning, "HL7").RealServers[0].State = appliance.Drain
	wantSaved := saved.Config.Clone()
	named(&wantSaved, "HL7").RealServers[0].State = appliance.Drain
	if appliance.Hash(b.engine.running) != appliance.Hash(wantRunning) || appliance.Hash(b.Running().Config) != appliance.Hash(wantRunning) {
		t.Errorf("more than the drain runs: %s", appliance.Diff(wantRunning, b.engine.running).Summary())
	}
	if appliance.Hash(b.Saved().Config) != appliance.Hash(wantSaved) || appliance.Hash(done.Config) != appliance.Hash(wantSaved) {
		t.Errorf("saved differs: %s", appliance.Diff(wantSaved, b.Saved().Config).Summary())
	}
	if got := b.Pending().Summary(); got != pending {
		t.Errorf("pending was %q and is %q", pending, got)
	}
	if done.Plan.Summary() != "HL7: state of Corepoint1 online → drain" || b.Running().Revision.Number != 3 || b.Saved().Revision.Number != 4 {
		t.Errorf("plan %q, running %d, saved %d", done.Plan.Summary(), b.Running().Revision.Number, b.Saved().Revision.Number)
	}
	b.wantOutcomes(appliance.Pending, appliance.Applied, appliance.Pending, appliance.Applied)
	b.apply()
	if appliance.Hash(b.engine.running) != appliance.Hash(wantSaved) {
		t.Error("the apply after it is not what was saved, with the drain")
	}
	audit, err := b.store.AuditEntries(t.Context(), 0, 2)
	if err != nil || audit[1].Action != "act" || audit[1].Origin != anna() {
		t.Errorf("audit %+v %v", audit, err)
	}
}

func TestActOnServerThatIsOnlySaved(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.apply()
	b.commit(change("HL7", func(s *appliance.VirtualService) {
		s.RealServers = append(s.RealServers, realServer("Corepoint3", "10.0.1.3"))
	}))
	applied := b.engine.applied
	done := b.act(drain("id6"))
	if done.Revision.Number != 3 || done.Revision.Outcome != appliance.Pending || b.engine.applied != applied || b.Running().Revision.Number != 1 {
		t.Errorf("%+v, engine applied %d times", done.Revision, b.engine.applied-applied)
	}
	if done.Plan.Summary() != "HL7: state of Corepoint3 online → drain" {
		t.Errorf("plan %q", done.Plan.Summary())
	}
}

func TestActOnServerThatOnlyRuns(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.apply()
	b.commit(change("HL7", func(s *appliance.VirtualService) { s.RealServers = s.RealServers[:1] }))
	saved := appliance.Hash(b.Saved().Config)
	b.act(drain("id3"))
	if named(&b.engine.running, "HL7").Server("id3").State != appliance.Drain || appliance.Hash(b.Saved().Config) != saved {
		t.Error("running is not drained, or saved changed")
	}
	b.wantOutcomes(appliance.Pending, appliance.Applied, appliance.Pending, appliance.Applied)
	b.restart()
	b.must(b.Boot(t.Context()))
	if appliance.Hash(b.engine.running) != saved {
		t.Error("the newest revision is not what was saved")
	}
}

func TestActThatMakesSavedAndRunningEqualLeavesNothingPending(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.apply()
	b.commit(change("HL7", func(s *appliance.VirtualService) { s.RealServers[0].State = appliance.Drain }))
	if done := b.act(drain("id2")); done.Revision.Outcome != appliance.Applied || !b.Pending().Empty() || b.Running().Revision != b.Saved().Revision {
		t.Errorf("%+v", done.Revision)
	}
}

func TestActIsRefusedWholeAtFields(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.apply()
	heavy := 1001
	for name, test := range map[string]struct {
		acts []Act
		kind appliance.Kind
	}{
		"none":         {nil, appliance.Invalid},
		"unknown":      {append(drain("id2"), Act{Service: "id1", Server: "id99", State: appliance.Drain}), appliance.NotFound},
		"other's":      {[]Act{{Service: "id4", Server: "id2", State: appliance.Drain}}, appliance.NotFound},
		"nothing said": {[]Act{{Service: "id1", Server: "id2"}}, appliance.Invalid},
		"state":        {[]Act{{Service: "id1", Server: "id2", State: "off"}}, appliance.Invalid},
		"weight":       {[]Act{{Service: "id1", Server: "id2", Weight: &heavy}}, appliance.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.Act(t.Context(), anna(), test.acts)
			wantKind(t, err, test.kind)
		})
	}
	b.wantOutcomes(appliance.Applied)
}

func TestActThatTheEngineRefusesChangesNothing(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.apply()
	b.engine.refuse = func(appliance.Config) error { return &appliance.Error{Kind: appliance.Unavailable, Message: "no"} }
	_, err := b.Act(t.Context(), anna(), drain("id2"))
	wantKind(t, err, appliance.Unavailable)
	if b.Saved().Config.Cluster.VirtualServices[0].RealServers[0].State != appliance.Online {
		t.Error("saved changed")
	}
	b.wantOutcomes(appliance.Applied)
}

func TestActThatCannotBeSavedIsUndone(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.apply()
	b.store.fail = diskFull
	_, err := b.Act(t.Context(), anna(), drain("id2"))
	wantKind(t, err, appliance.Unavailable)
	if named(&b.engine.running, "HL7").Server("id2").State != appliance.Online || b.Running().Revision.Number != 1 {
		t.Error("half done")
	}
}

func TestActWorksWhateverElseIsWrong(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.apply()
	b.site.Listeners = []appliance.Listener{{Address: netip.MustParseAddrPort("0.0.0.0:80"), Name: "the WebUI"}} // moved onto WEB's port
	b.engine.check = func(appliance.Config) error { return &appliance.Error{Kind: appliance.Conflict, Message: "no"} }
	if done := b.act(drain("id2")); done.Revision.Outcome != appliance.Applied {
		t.Errorf("%+v", done)
	}
}

func TestActWarnsWhenTheLastServerIsDrained(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.apply()
	if done := b.act(drain("id2")); len(done.Warnings) != 0 {
		t.Errorf("another serves: %q", done.Warnings)
	}
	if done := b.act(drain("id3")); len(done.Warnings) != 1 || done.Warnings[0] != "Corepoint2 was the last server that takes new clients of HL7: they are turned away now." {
		t.Errorf("%q", done.Warnings)
	}
	if done := b.act(drain("id3")); len(done.Warnings) != 0 {
		t.Errorf("again: %q", done.Warnings)
	}
}
