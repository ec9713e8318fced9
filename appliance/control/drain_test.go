package control

import (
	"testing"
	"time"

	"evenkeel/appliance"
)

func TestADrainWithATimeLimitEndsInHaltAndNotBefore(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.apply()
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	b.Control.now = func() time.Time { return now }
	acts := drain("id2")
	acts[0].Limit = 30 * time.Minute
	b.act(acts)
	state := func() appliance.RealServer { c := b.Running().Config; return *server(&c, acts[0]) }
	if r := state(); r.State != appliance.Drain || !r.DrainUntil.Equal(now.Add(30*time.Minute)) {
		t.Fatalf("%+v", r)
	}
	if wait := b.endDrains(t.Context()); wait != 30*time.Minute || state().State != appliance.Drain {
		t.Errorf("wait %s, %s", wait, state().State)
	}
	now = now.Add(30 * time.Minute)
	b.endDrains(t.Context())
	if r := state(); r.State != appliance.Halt || !r.DrainUntil.IsZero() {
		t.Errorf("after the limit: %+v", r)
	}
	if o := b.Running().Revision.Origin; o.Operator != "system" || o.Why == "" {
		t.Errorf("the revision does not say who: %+v", o)
	}
	b.act([]Act{{Service: acts[0].Service, Server: acts[0].Server, State: appliance.Online}})
	if wait := b.endDrains(t.Context()); wait != 24*time.Hour || state().State != appliance.Online {
		t.Errorf("online again: wait %s, %s", wait, state().State)
	}
}

func TestOnlyADrainHasATimeLimit(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.apply()
	for _, a := range []Act{{State: appliance.Halt, Limit: time.Minute}, {State: appliance.Drain, Limit: -1}, {State: appliance.Drain, Limit: longestDrain + 1}} {
		a.Service, a.Server = drain("id2")[0].Service, drain("id2")[0].Server
		_, err := b.Act(t.Context(), anna(), []Act{a})
		wantKind(t, err, appliance.Invalid)
	}
}
