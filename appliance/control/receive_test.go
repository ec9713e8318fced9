package control

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"evenkeel/appliance"
)

// newPair returns the control of an active node and of a passive one; both have the same users.
func newPair(t *testing.T) (active, passive *bench) {
	t.Helper()
	active, passive = newBench(t), newBench(t)
	active.must(active.store.CreateOperator(t.Context(), anna(), "loadbalancer", appliance.Administrator, "hash"))
	active.must(active.store.SetSecret(t.Context(), "cookie_key", make([]byte, 32)))
	active.SetWriter(func() (bool, string, string) { return true, "", "" })
	passive.SetWriter(isPassive)
	return active, passive
}

func isPassive() (bool, string, string) { return false, "lb1", "https://10.0.0.1:9443/lbadmin/" }

var from = appliance.Origin{Operator: "system", Via: "pair", Why: "from lb1"}

// give sends what the other lacks, after a change.
func give(t *testing.T, a, b *bench, sequence uint64, change ...func(*appliance.Shared)) (appliance.Taken, error) {
	t.Helper()
	state, err := b.SharedState(t.Context())
	b.must(err)
	shared, err := a.Shared(t.Context(), state)
	a.must(err)
	raw, err := json.Marshal(shared) // as it travels
	a.must(err)
	var given appliance.Shared
	a.must(json.Unmarshal(raw, &given))
	for _, f := range change {
		f(&given)
	}
	return b.Receive(t.Context(), from, "pair/a", sequence, given)
}

func (b *bench) state() appliance.SharedState {
	b.t.Helper()
	s, err := b.SharedState(b.t.Context())
	b.must(err)
	return s
}

func wantSame(t *testing.T, a, b *bench) {
	t.Helper()
	ours, theirs := a.state(), b.state()
	ours.Forks, theirs.Forks = nil, nil // each node's own
	if d := cmp.Diff(ours, theirs); d != "" {
		t.Fatal(d)
	}
	if d := cmp.Diff(a.Running().Config.Cluster, b.Running().Config.Cluster, cmp.Comparer(func(x, y netip.Addr) bool { return x == y }), cmp.Comparer(func(x, y netip.AddrPort) bool { return x == y })); d != "" {
		t.Fatal(d)
	}
	if appliance.Hash(b.engine.running.Cluster) != appliance.Hash(b.Running().Config.Cluster) {
		t.Fatal("the engine runs something else")
	}
}

func TestReceiveTakesTheLineWithItsNumbersAndRunsWhatRuns(t *testing.T) {
	a, b := newPair(t)
	a.commit(imaging)
	a.apply()
	a.commit(change("HL7", func(s *appliance.VirtualService) { s.Ports = appliance.Ports{{First: 7777, Last: 7777}} }))
	_, err := a.Act(t.Context(), ben(), []Act{{Service: "id1", Server: "id2", State: appliance.Drain}})
	a.must(err)
	taken, err := give(t, a, b, 1)
	b.must(err)
	wantSame(t, a, b)
	if !taken.State.Same(a.state()) || len(taken.Aside) > 0 {
		t.Errorf("%+v", taken)
	}
	if b.Running().Revision.Number != 3 || b.Saved().Revision.Number != 4 || b.engine.running.Cluster.VirtualServices[0].RealServers[0].State != appliance.Drain {
		t.Errorf("running %d, saved %d", b.Running().Revision.Number, b.Saved().Revision.Number)
	}
	b.wantOutcomes(appliance.Pending, appliance.Applied, appliance.Pending, appliance.Applied)
	if r := b.Running().Revision; r.Origin.Operator != "ben" || !r.At.Equal(a.Running().Revision.At) {
		t.Errorf("%+v", r)
	}
	a.apply() // the mark travels too
	_, err = give(t, a, b, 2)
	b.must(err)
	wantSame(t, a, b)
	b.wantOutcomes(appliance.Applied, appliance.Applied)
	if len(b.Pending().Changes) > 0 {
		t.Error("something is pending on the passive node")
	}
	b.restart()
	b.must(b.Boot(t.Context()))
	b.SetWriter(isPassive)
	wantSame(t, a, b)
}

func TestReceiveRefusesWhatAFormWouldRefuse(t *testing.T) {
	a, b := newPair(t)
	a.commit(imaging)
	a.apply()
	_, err := give(t, a, b, 1)
	b.must(err)
	a.commit(change("HL7", func(s *appliance.VirtualService) { s.Scheduler = appliance.RoundRobin }))
	a.apply()
	before := b.state()
	// edited gives the newest revision another content, with the right hash.
	edited := func(from, to string) func(*appliance.Shared) {
		return func(g *appliance.Shared) {
			last := &g.Revisions[len(g.Revisions)-1]
			text := strings.ReplaceAll(string(last.Content), from, to)
			if text == string(last.Content) {
				t.Fatalf("nothing to replace in %s", text)
			}
			last.Content = json.RawMessage(text)
			last.Revision.Hash = appliance.Hash(last.Content)
			g.Saved.Hash, g.Running.Hash = last.Revision.Hash, last.Revision.Hash
		}
	}
	newest := func(f func(*appliance.Revision)) func(*appliance.Shared) {
		return func(g *appliance.Shared) { f(&g.Revisions[len(g.Revisions)-1].Revision) }
	}
	for name, try := range map[string]struct {
		change func(*appliance.Shared)
		kind   appliance.Kind
		text   string
	}{
		"loopback server":         {edited("10.0.1.1", "127.0.0.1"), appliance.Invalid, ""},
		"loopback by name":        {edited("10.0.1.1", "localhost"), appliance.Invalid, ""},
		"address of no network":   {edited("10.0.0.10", "192.168.7.7"), appliance.Invalid, "is in no network of this appliance"},
		"no port":                 {edited("6667", "0"), appliance.Invalid, ""},
		"own listener":            {edited("6667", "9443"), appliance.Conflict, "the WebUI"},
		"unknown field":           {edited(`"settings":{`, `"settings":{"shell":"/bin/sh",`), appliance.Invalid, "shell"},
		"unknown field below":     {edited(`"label":"HL7"`, `"label":"HL7","exec":"x"`), appliance.Invalid, "exec"},
		"field that stands twice": {edited(`"settings":{`, `"Settings":{},"settings":{`), appliance.Invalid, "twice"},
		"control characters":      {edited(`"label":"HL7"`, `"label":"HL7\u001b[2J"`), appliance.Invalid, ""},
		"script that is none":     {edited(`"settings":{`, `"scripts":[{"id":"x","label":"../../etc/cron.d/x","body":"rm"}],"settings":{`), appliance.Invalid, ""},
		"another hash":            {newest(func(r *appliance.Revision) { r.Hash = appliance.Hash(7) }), appliance.Invalid, "not what its hash says"},
		"another line":            {newest(func(r *appliance.Revision) { r.Line = appliance.LocalLine }), appliance.Invalid, ""},
		"number before":           {newest(func(r *appliance.Revision) { r.Number = 1 }), appliance.Invalid, ""},
		"number beyond":           {newest(func(r *appliance.Revision) { r.Number = 99 }), appliance.Invalid, ""},
		"outcome":                 {newest(func(r *appliance.Revision) { r.Outcome = "owned" }), appliance.Invalid, ""},
		"name for a terminal":     {newest(func(r *appliance.Revision) { r.Origin.Operator = "\x1b[2Jroot" }), appliance.Invalid, ""},
		"endless summary":         {newest(func(r *appliance.Revision) { r.Summary = strings.Repeat("x", 1<<20) }), appliance.Invalid, ""},
		"time":                    {newest(func(r *appliance.Revision) { r.At = r.At.AddDate(5000, 0, 0) }), appliance.Invalid, ""},
		"common is unknown":       {func(g *appliance.Shared) { g.Common.Hash = appliance.Hash(7) }, appliance.Stale, "not here"},
		"running is unknown":      {func(g *appliance.Shared) { g.Running = appliance.RevisionID{Number: 1, Hash: appliance.Hash(7)} }, appliance.Stale, ""},
		"nothing but a number":    {func(g *appliance.Shared) { g.Revisions = nil }, appliance.Stale, ""},
		"secret of the node":      {func(g *appliance.Shared) { g.Belongings.Secrets["node_key"] = []byte("x") }, appliance.Invalid, "do not share"},
		"no administrator":        {func(g *appliance.Shared) { g.Belongings.Operators[0].Role = appliance.Viewer }, appliance.Conflict, "administrator"},
		"role":                    {func(g *appliance.Shared) { g.Belongings.Operators[0].Role = "root" }, appliance.Invalid, ""},
		"user for a terminal":     {func(g *appliance.Shared) { g.Belongings.Operators[0].Name = "a\x07" }, appliance.Invalid, ""},
	} {
		t.Run(name, func(t *testing.T) {
			taken, err := give(t, a, b, 2, try.change)
			wantKind(t, err, try.kind)
			if !strings.Contains(err.Error(), try.text) || taken.State.Saved.Number != 0 {
				t.Errorf("%v; %+v", err, taken)
			}
			if d := cmp.Diff(before, b.state()); d != "" {
				t.Error(d)
			}
		})
	}
	_, err = give(t, a, b, 1)
	wantKind(t, err, appliance.Stale) // the sequence came before
	_, err = give(t, a, b, 2)
	b.must(err) // nothing of all that stands in the way
	wantSame(t, a, b)
}

func TestActiveNodeTakesNothing(t *testing.T) {
	a, b := newPair(t)
	a.commit(imaging)
	b.SetWriter(func() (bool, string, string) { return true, "", "" })
	_, err := give(t, a, b, 1)
	wantKind(t, err, appliance.Conflict)
	lone := newBench(t)
	_, err = give(t, a, lone, 1)
	wantKind(t, err, appliance.Conflict)
}

func TestForkIsSetAsideAndTold(t *testing.T) {
	a, b := newPair(t)
	a.commit(imaging)
	a.apply()
	_, err := give(t, a, b, 1)
	b.must(err)
	b.SetWriter(func() (bool, string, string) { return true, "", "" }) // b was active for a while, and a did not hear of it
	for _, port := range []uint16{7001, 7002} {
		b.commit(change("HL7", func(s *appliance.VirtualService) { s.Ports = appliance.Ports{{First: port, Last: port}} }))
	}
	b.apply()
	b.SetWriter(isPassive)
	a.commit(change("WEB", func(s *appliance.VirtualService) { s.Scheduler = appliance.RoundRobin }))
	a.apply()
	taken, err := give(t, a, b, 2)
	b.must(err)
	wantSame(t, a, b)
	if !slices.Equal(taken.Aside, []int64{2, 3}) {
		t.Errorf("set aside: %v", taken.Aside)
	}
	b.wantAlerts(codeForked)
	list := b.Forks()
	if len(list) != 1 || list[0].First != 2 || list[0].Last != 3 || list[0].Revisions[1].Outcome != appliance.Applied || list[0].Seen {
		t.Fatalf("%+v", list)
	}
	fork, plan, err := b.Fork(t.Context(), list[0].ID)
	b.must(err)
	if fork.ID != list[0].ID || !strings.Contains(plan.Summary(), "7002") {
		t.Errorf("%+v", plan)
	}
	if told := b.state().Forks; len(told) != 1 || told[0].ID != fork.ID || told[0].Revisions != nil {
		t.Errorf("the other node is told %+v", told)
	}
	// One that is only ahead is a fork too: the other node went on without it.
	b.SetWriter(func() (bool, string, string) { return true, "", "" })
	b.commit(change("HL7", func(s *appliance.VirtualService) { s.Ports = appliance.Ports{{First: 7003, Last: 7003}} }))
	b.SetWriter(isPassive)
	taken, err = give(t, a, b, 3)
	b.must(err)
	wantSame(t, a, b)
	if !slices.Equal(taken.Aside, []int64{3}) {
		t.Errorf("set aside: %v", taken.Aside)
	}
}

func TestFirstSettingsOfAPairReplaceTheLineWithoutAnAlarm(t *testing.T) {
	a, b := newPair(t)
	a.commit(imaging)
	a.apply()
	b.SetWriter(func() (bool, string, string) { return true, "", "" })
	b.commit(func(c *appliance.Config) error { c.Cluster.Settings.ApplyAtOnce = true; return nil })
	b.SetWriter(isPassive)
	taken, err := give(t, a, b, 1)
	b.must(err)
	wantSame(t, a, b)
	if !slices.Equal(taken.Aside, []int64{1}) {
		t.Errorf("set aside: %v", taken.Aside)
	}
	b.wantAlerts()
}

func TestPassiveNodeIsReadOnlyButForItsOwnPart(t *testing.T) {
	a, b := newPair(t)
	a.commit(imaging)
	a.apply()
	a.commit(change("HL7", func(s *appliance.VirtualService) { s.Ports = appliance.Ports{{First: 7777, Last: 7777}} })) // pending
	_, err := give(t, a, b, 1)
	b.must(err)
	before := b.state()
	for name, do := range map[string]func() error{
		"commit": func() error {
			_, err := b.Commit(t.Context(), anna(), nil, change("WEB", func(s *appliance.VirtualService) { s.Label = "X" }))
			return err
		},
		"try": func() error {
			_, err := b.Try(t.Context(), nil, change("WEB", func(s *appliance.VirtualService) { s.Label = "X" }))
			return err
		},
		"act": func() error {
			_, err := b.Act(t.Context(), anna(), []Act{{Service: "id1", Server: "id2", State: appliance.Halt}})
			return err
		},
		"apply":    func() error { _, err := b.Apply(t.Context(), anna()); return err },
		"rollback": func() error { _, err := b.Rollback(t.Context(), anna(), 1); return err },
		"discard":  func() error { _, err := b.Discard(t.Context(), anna()); return err },
		"replace":  func() error { _, err := b.Replace(t.Context(), anna(), appliance.Config{}); return err },
	} {
		err := do()
		wantKind(t, err, appliance.Conflict)
		if e := appliance.ErrorsOf(err)[0]; !strings.Contains(e.Text(), "lb1") || !strings.Contains(e.Hint, "https://10.0.0.1:9443/lbadmin/") {
			t.Errorf("%s: %v %s", name, err, e.Hint)
		}
	}
	if d := cmp.Diff(before, b.state()); d != "" {
		t.Fatal(d)
	}
	b.commit(func(c *appliance.Config) error { c.Local.Hostname = "lb2"; return nil })
	b.apply()
	if d := cmp.Diff(before, b.state()); d != "" {
		t.Fatal(d)
	}
	if v := b.view.Load(); b.engine.running.Local.Hostname != "lb2" || v.running.localHash != v.saved.localHash || v.running.clusterHash == v.saved.clusterHash {
		t.Error("the local line was not applied alone")
	}
	b.commit(func(c *appliance.Config) error { c.Local.Hostname = "lb3"; return nil })
	_, err = b.Discard(t.Context(), anna())
	b.must(err)
	if b.Saved().Config.Local.Hostname != "lb2" {
		t.Error("the local line was not discarded alone")
	}
	a.apply()
	_, err = give(t, a, b, 2)
	b.must(err)
	wantSame(t, a, b)
	if b.Saved().Config.Local.Hostname != "lb2" || a.Saved().Config.Local.Hostname != "" {
		t.Error("the local line travelled")
	}
}

func TestSettingsThatCannotRunHereAreKeptAndTold(t *testing.T) {
	a, b := newPair(t)
	a.commit(imaging)
	a.apply()
	_, err := give(t, a, b, 1)
	b.must(err)
	a.commit(change("HL7", func(s *appliance.VirtualService) { s.Ports = appliance.Ports{{First: 7777, Last: 7777}} }))
	a.apply()
	b.engine.refuse = func(appliance.Config) error {
		return &appliance.Error{Kind: appliance.Conflict, Message: "Port 7777 is taken."}
	}
	taken, err := give(t, a, b, 2)
	wantKind(t, err, appliance.Conflict)
	if taken.State.Saved.Number != 2 || taken.State.Running.Number != 1 || taken.State.Same(a.state()) {
		t.Errorf("%+v", taken)
	}
	b.wantAlerts(codeApplyFailed)
	b.wantOutcomes(appliance.Failed, appliance.Applied)
	b.engine.refuse = nil
	_, err = give(t, a, b, 3)
	b.must(err)
	wantSame(t, a, b)
	b.wantAlerts()
}

func TestReceiveThatTheDiskRefusesChangesNothing(t *testing.T) {
	a, b := newPair(t)
	a.commit(imaging)
	a.apply()
	before := b.state()
	b.Control.store = fullStore{b.store}
	_, err := give(t, a, b, 1)
	wantKind(t, err, appliance.Unavailable)
	b.Control.store = b.store
	if d := cmp.Diff(before, b.state()); d != "" {
		t.Error(d)
	}
	_, err = give(t, a, b, 1)
	b.must(err)
	wantSame(t, a, b)
}

type fullStore struct{ *failingStore }

func (fullStore) TakeShared(context.Context, string, uint64, appliance.Shared, ...appliance.AuditEntry) ([]int64, error) {
	return nil, diskFull("")
}

func TestLeaveGivesUpTheServicesOfEitherNode(t *testing.T) {
	a, b := newPair(t)
	a.commit(imaging)
	a.apply()
	_, err := give(t, a, b, 1)
	b.must(err)
	b.must(b.Leave(t.Context(), from))
	b.must(b.Leave(t.Context(), from))
	if len(b.engine.running.Cluster.VirtualServices) > 0 || len(b.host.owned) > 0 || b.Running().Revision.Number != 2 {
		t.Errorf("%+v %v", b.Running().Revision, b.host.owned)
	}
	b.SetWriter(func() (bool, string, string) { return true, "", "" })
	_, err = b.Rollback(t.Context(), anna(), 1)
	b.must(err)
	b.apply()
	if len(b.engine.running.Cluster.VirtualServices) != 2 {
		t.Error("the services are lost")
	}
}
