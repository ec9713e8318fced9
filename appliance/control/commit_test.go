package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"evenkeel/appliance"
)

func TestCommitIsSavedAndNotRunning(t *testing.T) {
	b := newBench(t)
	ticks, stop := b.Watch()
	defer stop()
	done := b.commit(imaging)
	if done.Revision.Number != 1 || done.Revision.Summary != "First configuration" || done.Revision.Origin != anna() || done.Revision.Outcome != appliance.Pending {
		t.Errorf("revision %+v", done.Revision)
	}
	if len(b.Saved().Config.Cluster.VirtualServices) != 2 || len(b.Running().Config.Cluster.VirtualServices) != 0 || b.Pending().Count() != 2 {
		t.Errorf("saved %v, running %v", b.Saved(), b.Running())
	}
	select {
	case <-ticks:
	default:
		t.Error("nobody was told")
	}
	audit, err := b.store.AuditEntries(t.Context(), 0, 10)
	if err != nil || len(audit) != 1 || audit[0].Action != "commit" || audit[0].Origin != anna() {
		t.Errorf("audit %+v %v", audit, err)
	}
}

func TestCommitGivesIDsOnceAndKeepsThem(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.commit(func(c *appliance.Config) error {
		s := service("GIVEN", appliance.TCP, "10.0.0.12", 104)
		s.ID = "id7" // the next id but one would be the same
		c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, s, service("NEW", appliance.TCP, "10.0.0.13", 104))
		c.Cluster.Scripts = []appliance.Script{{Label: "probe", Body: "#!/bin/sh\n"}}
		return nil
	})
	c := b.Saved().Config
	ids := []string{c.Cluster.Scripts[0].ID}
	for _, s := range c.Cluster.VirtualServices {
		ids = append(ids, s.Label+"="+s.ID)
		for _, r := range s.RealServers {
			ids = append(ids, r.ID)
		}
	}
	if got, want := strings.Join(ids, " "), "id8 GIVEN=id7 HL7=id1 id2 id3 NEW=id6 WEB=id4 id5"; got != want {
		t.Errorf("ids %s, want %s", got, want)
	}
}

func TestCommitWithoutDifferenceMakesNoRevision(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	done := b.commit(change("HL7", func(s *appliance.VirtualService) { s.Label = " HL7 " }))
	if !done.Unchanged || done.Revision.Number != 1 {
		t.Errorf("%+v", done)
	}
	b.wantOutcomes(appliance.Pending)
}

func TestCommitOfBothLinesIsARevisionOfEach(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	done := b.commit(func(c *appliance.Config) error {
		c.Local.Hostname = "lb1"
		return change("HL7", func(s *appliance.VirtualService) { s.Scheduler = appliance.RoundRobin })(c)
	})
	s := b.Saved()
	if done.Revision.Line != appliance.ClusterLine || s.Revision.Number != 2 || s.LocalRevision.Number != 1 {
		t.Errorf("%+v", s)
	}
	if !strings.Contains(s.LocalRevision.Summary, "lb1") || strings.Contains(s.Revision.Summary, "lb1") {
		t.Errorf("summaries %q and %q", s.Revision.Summary, s.LocalRevision.Summary)
	}
	if done := b.commit(func(c *appliance.Config) error { c.Local.Hostname = "lb2"; return nil }); done.Revision.Line != appliance.LocalLine || b.Saved().Revision.Number != 2 {
		t.Errorf("%+v", done)
	}
	b.apply()
	if r := b.Running(); r.LocalRevision.Number != 2 || r.LocalRevision.Outcome != appliance.Applied {
		t.Errorf("running %+v", r.LocalRevision)
	}
}

func TestCommitRefusesWholeAndAtFields(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.engine.check = func(c appliance.Config) error {
		if s := named(&c, "HL7"); s.Ports.Contains(22) {
			return &appliance.Error{Kind: appliance.Conflict, Subject: s.ID, Field: "ports", Message: "Port 22 is in use by sshd."}
		}
		return nil
	}
	for name, test := range map[string]struct {
		edit   Edit
		fields []string
	}{
		"validation": {func(c *appliance.Config) error {
			named(c, "HL7").Ports, named(c, "WEB").RealServers[0].Weight = nil, -1
			return nil
		}, []string{"virtual_services[HL7].ports", "virtual_services[WEB].real_servers[0].weight"}},
		"own port": {change("WEB", func(s *appliance.VirtualService) { s.Ports = appliance.Ports{{First: 9443, Last: 9443}} }), []string{"virtual_services[WEB].ports"}},
		"engine and host": {func(c *appliance.Config) error {
			named(c, "HL7").Ports = appliance.Ports{{First: 22, Last: 22}}
			c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, service("FAR", appliance.TCP, "172.16.0.1", 80))
			return nil
		}, []string{"virtual_services[HL7].ports", "virtual_services[FAR].address"}},
	} {
		t.Run(name, func(t *testing.T) {
			for try, f := range map[string]func() error{
				"commit": func() error { _, err := b.Commit(t.Context(), anna(), nil, test.edit); return err },
				"try":    func() error { _, err := b.Try(t.Context(), nil, test.edit); return err },
			} {
				var fields []string
				for _, e := range appliance.ErrorsOf(f()) {
					fields = append(fields, e.Field)
				}
				if !slices.Equal(fields, test.fields) {
					t.Errorf("%s is refused at %q, want %q", try, fields, test.fields)
				}
			}
		})
	}
	b.wantOutcomes(appliance.Pending)
}

func TestAddressThatIsSavedIsNotAskedForAgain(t *testing.T) {
	b := newBench(t)
	b.must(b.store.Close())
	b.open()
	b.Control.host = nil // the network that held it was there once
	b.must(b.Boot(t.Context()))
	b.commit(func(c *appliance.Config) error {
		c.Cluster.VirtualServices = []appliance.VirtualService{service("FAR", appliance.TCP, "172.16.0.1", 80)}
		return imaging(c)
	})
	b.Control.host = b.host
	b.commit(change("HL7", func(s *appliance.VirtualService) { s.RealServers[0].Weight = 50 }))
}

func TestEditsErrorComesBack(t *testing.T) {
	b := newBench(t)
	refusal := appliance.Refuse("label", "no")
	_, err := b.Commit(t.Context(), anna(), nil, func(*appliance.Config) error { return refusal })
	if !errors.Is(err, refusal) {
		t.Errorf("%v", err)
	}
	_, err = b.Commit(t.Context(), anna(), nil, func(*appliance.Config) error { return errors.New("defect") })
	wantKind(t, err, appliance.Internal)
}

func TestTrySavesNothing(t *testing.T) {
	b := newBench(t)
	done, err := b.Try(t.Context(), nil, imaging)
	if err != nil || done.Unchanged || done.Plan.Count() != 2 || len(done.Config.Cluster.VirtualServices) != 2 || done.Revision.Number != 0 {
		t.Errorf("%+v %v", done, err)
	}
	if len(b.Saved().Config.Cluster.VirtualServices) != 0 {
		t.Error("saved")
	}
	b.wantOutcomes()
}

func TestEditCannotReachWhatIsSaved(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	before := appliance.Hash(b.Saved().Config)
	_, err := b.Commit(t.Context(), anna(), nil, func(c *appliance.Config) error {
		named(c, "HL7").RealServers[0].Weight = 1
		named(c, "WEB").Ports[0].First = 1
		return errors.New("changed my mind")
	})
	if err == nil || appliance.Hash(b.Saved().Config) != before {
		t.Errorf("%v", err)
	}
}

func TestFullDiskSavesNothing(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	before := b.Saved()
	b.store.fail = diskFull
	_, err := b.Commit(t.Context(), anna(), nil, change("HL7", func(s *appliance.VirtualService) { s.Scheduler = appliance.RoundRobin }))
	wantKind(t, err, appliance.Unavailable)
	if b.Saved().Revision != before.Revision {
		t.Errorf("saved %+v", b.Saved().Revision)
	}
	b.store.fail = nil
	b.commit(change("HL7", func(s *appliance.VirtualService) { s.Scheduler = appliance.RoundRobin }))
}

func TestCommitThatFailedLateIsTakenOver(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.store.fail = func(string) error { // the disk kept it and said that it had not
		b.store.fail = nil
		c := b.Saved().Config.Clone()
		named(&c, "HL7").Scheduler = appliance.RoundRobin
		_, err := b.store.Store.Append(t.Context(), []appliance.NewRevision{{Line: appliance.ClusterLine, Content: encode(c.Cluster), At: b.now, Outcome: appliance.Pending}})
		b.must(err)
		return errors.New("input/output error")
	}
	_, err := b.Commit(t.Context(), anna(), nil, change("HL7", func(s *appliance.VirtualService) { s.Scheduler = appliance.RoundRobin }))
	wantKind(t, err, appliance.Internal)
	if s := b.Saved(); s.Revision.Number != 2 || named(&s.Config, "HL7").Scheduler != appliance.RoundRobin {
		t.Errorf("saved %+v", s.Revision)
	}
}

func baseOf(b *bench, label string) Base {
	c := b.Saved().Config
	s := named(&c, label)
	return Base{Object: "virtual_service", ID: s.ID, Hash: appliance.Hash(s)}
}

func TestTwoAdministratorsOnDifferentObjectsBothSucceed(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	forAnna, forBen := []Base{baseOf(b, "HL7")}, []Base{baseOf(b, "WEB")}
	_, err := b.Commit(t.Context(), anna(), forAnna, change("HL7", func(s *appliance.VirtualService) { s.Scheduler = appliance.RoundRobin }))
	b.must(err)
	_, err = b.Commit(t.Context(), ben(), forBen, change("WEB", func(s *appliance.VirtualService) { s.Limits.MaxConnections = 7 }))
	b.must(err)
	c := b.Saved().Config
	if named(&c, "HL7").Scheduler != appliance.RoundRobin || named(&c, "WEB").Limits.MaxConnections != 7 {
		t.Error("one of the two is lost")
	}
}

func TestTwoAdministratorsOnOneObjectOneIsTold(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	base := []Base{baseOf(b, "HL7")}
	_, err := b.Commit(t.Context(), ben(), base, change("HL7", func(s *appliance.VirtualService) { s.RealServers[0].Weight = 50 }))
	b.must(err)
	b.commit(change("WEB", func(s *appliance.VirtualService) { s.Limits.MaxConnections = 7 }))
	for _, f := range []func([]Base, Edit) error{
		func(bases []Base, e Edit) error { _, err := b.Commit(t.Context(), anna(), bases, e); return err },
		func(bases []Base, e Edit) error { _, err := b.Try(t.Context(), bases, e); return err },
	} {
		err = f(base, change("HL7", func(s *appliance.VirtualService) { s.RealServers[0].Weight = 10 }))
		wantKind(t, err, appliance.Stale)
		var stale *StaleError
		if !errors.As(err, &stale) || stale.By.Number != 2 || !strings.HasPrefix(stale.Err.Message, "ben changed this") {
			t.Fatalf("%+v", err)
		}
		if got, want := stale.Changed.Summary(), "HL7: weight of Corepoint1 100 → 50"; got != want {
			t.Errorf("difference %q, want %q", got, want)
		}
		var theirs appliance.VirtualService
		if err := json.Unmarshal(stale.Theirs, &theirs); err != nil || theirs.RealServers[0].Weight != 50 {
			t.Errorf("theirs %s %v", stale.Theirs, err)
		}
	}
	b.wantOutcomes(appliance.Pending, appliance.Pending, appliance.Pending)
}

func TestBasesOfEveryObject(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.commit(func(c *appliance.Config) error {
		c.Cluster.Scripts = []appliance.Script{{ID: "s1", Label: "probe", Body: "#!/bin/sh\n"}}
		c.Local.Hostname = "lb1"
		return nil
	})
	old := b.Saved().Config
	bases := []Base{
		{Object: "script", ID: "s1", Hash: appliance.Hash(old.Cluster.Scripts[0])},
		{Object: "real_server", ID: "id2", Hash: appliance.Hash(old.Cluster.VirtualServices[0].RealServers[0])},
		{Object: "settings", Hash: appliance.Hash(old.Cluster.Settings)},
		{Object: "local", Hash: appliance.Hash(old.Local)},
		{Object: "cluster", Hash: appliance.Hash(old.Cluster)},
	}
	nothing := func(*appliance.Config) error { return nil }
	if _, err := b.Try(t.Context(), bases, nothing); err != nil {
		t.Fatalf("nothing changed yet: %v", err)
	}
	b.commit(func(c *appliance.Config) error {
		c.Cluster.Scripts[0].Body += "exit 1\n"
		c.Cluster.VirtualServices[0].RealServers[0].Weight = 1
		c.Cluster.Settings.ApplyAtOnce = true
		c.Local.Hostname = "lb2"
		return nil
	})
	for _, base := range bases {
		_, err := b.Try(t.Context(), []Base{base}, nothing)
		var stale *StaleError
		if !errors.As(err, &stale) || stale.Changed.Empty() {
			t.Errorf("%s: %v", base.Object, err)
			continue
		}
		if n := len(stale.Changed.Changes); (base.Object == "cluster") != (n == 3) || base.Object != "cluster" && n != 1 {
			t.Errorf("%s: %d changes", base.Object, n)
		}
	}
	_, err := b.Try(t.Context(), []Base{{Object: "moon", Hash: "x"}}, nothing)
	wantKind(t, err, appliance.Internal)
}

func TestRemovedObjectIsStaleAndUnknownIsNotFound(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	base := baseOf(b, "HL7")
	_, err := b.Commit(t.Context(), ben(), []Base{base}, func(c *appliance.Config) error {
		c.Cluster.VirtualServices = c.Cluster.VirtualServices[1:]
		return nil
	})
	b.must(err)
	_, err = b.Commit(t.Context(), anna(), []Base{base}, func(*appliance.Config) error { return nil })
	var stale *StaleError
	if !errors.As(err, &stale) || stale.Theirs != nil || stale.Changed.Summary() != "HL7 removed" || !strings.HasPrefix(stale.Err.Message, "ben removed this") {
		t.Errorf("%+v", err)
	}
	_, err = b.Commit(t.Context(), anna(), []Base{{Object: "virtual_service", ID: "none", Hash: "abc"}}, func(*appliance.Config) error { return nil })
	wantKind(t, err, appliance.NotFound)
	_, err = b.Commit(t.Context(), anna(), []Base{{Object: "virtual_service", ID: "id4", Hash: "never was"}}, func(*appliance.Config) error { return nil })
	if !errors.As(err, &stale) || !stale.Changed.Empty() || stale.Theirs == nil {
		t.Errorf("a hash that no revision had: %+v", err)
	}
}

func TestManyWritersLoseNothing(t *testing.T) {
	b := newBench(t)
	const writers, each = 6, 10
	b.commit(func(c *appliance.Config) error {
		for w := range writers {
			c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, service(fmt.Sprint("S", w), appliance.TCP, "10.0.0.1", uint16(100+w)))
		}
		return nil
	})
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			label := fmt.Sprint("S", w)
			for i := range each {
				_, err := b.Commit(t.Context(), anna(), []Base{baseOf(b, label)}, change(label, func(s *appliance.VirtualService) { s.Limits.MaxConnections = 100 + i }))
				if err != nil {
					t.Error(err)
				}
				_ = b.Pending()
				if i%3 == 0 {
					if _, err := b.Apply(t.Context(), ben()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	if n := b.Saved().Revision.Number; n != 1+writers*each {
		t.Errorf("newest revision %d, want %d", n, 1+writers*each)
	}
	for _, s := range b.Saved().Config.Cluster.VirtualServices {
		if s.Limits.MaxConnections != 100+each-1 {
			t.Errorf("%s has %d", s.Label, s.Limits.MaxConnections)
		}
	}
}
