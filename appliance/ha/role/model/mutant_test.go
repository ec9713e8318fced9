package model

import (
	"slices"
	"testing"

	"evenkeel/appliance"
	"evenkeel/appliance/ha/role"
)

// mutants are machines with one rule broken.
var mutants = []struct {
	name  string
	moves []string // for the explorer; nil: its turns are too long for what happens
	from  Beginning
	step  Stepper
}{
	{"counts the lease from the arrival of an echo", few, Settled, func(c role.Config, s role.State, e role.Event) (role.State, []role.Action) {
		if e.Kind == role.Heard && e.Beat.Echo != 0 {
			e.Beat.Echo = e.At - 1
		}
		return role.Step(c, s, e)
	}},
	{"renews without an echo", few, Settled, func(c role.Config, s role.State, e role.Event) (role.State, []role.Action) {
		if s.Owner() && s.Echoed > s.Since {
			s.Echoed = e.At - 1
		}
		return role.Step(c, s, e)
	}},
	{"takes without a probe", few, Settled, func(c role.Config, s role.State, e role.Event) (role.State, []role.Action) {
		s, do := role.Step(c, s, e)
		return s, slices.DeleteFunc(do, func(a role.Action) bool { return a.Do == role.Probe })
	}},
	{"stays the owner when its lease has ended", few, Settled, func(c role.Config, s role.State, e role.Event) (role.State, []role.Action) {
		if s.Phase == role.Active {
			s.Until = max(s.Until, e.At+1)
		}
		return role.Step(c, s, e)
	}},
	{"takes before the peer's lease has ended", few, Settled, func(c role.Config, s role.State, e role.Event) (role.State, []role.Action) {
		if s.Heard != 0 && !s.Owner() {
			s.Held, s.Need = min(s.Held, s.Heard), min(s.Need, 1)
		}
		return role.Step(c, s, e)
	}},
	{"keeps the addresses although the peer hears neither it nor its answers", few, Settled, func(c role.Config, s role.State, e role.Event) (role.State, []role.Action) {
		if e.Beat.Says &^= role.Able; e.Kind == role.RivalSeen && s.Owner() {
			e.Kind = role.Tick
		}
		return role.Step(c, s, e)
	}},
	{"relies for ever on what the peer said of its lease", nil, Settled, func(c role.Config, s role.State, e role.Event) (role.State, []role.Action) {
		if s.Said != 0 && !s.Owner() {
			s.Said = e.At
		}
		return role.Step(c, s, e)
	}},
	{"does not believe that a lease may be longer than usual", nil, Settled, func(c role.Config, s role.State, e role.Event) (role.State, []role.Action) {
		e.Beat.Lease = min(e.Beat.Lease, appliance.Lease)
		return role.Step(c, s, e)
	}},
	{"uses a longer lease before the peer has heard of it", []string{"isolate", "restless"}, Calm, func(c role.Config, s role.State, e role.Event) (role.State, []role.Action) {
		if s.Longer != 0 {
			s.Longer = 1
		}
		return role.Step(c, s, e)
	}},
	{"takes what the peer still owns", []string{"kill", "restart", "unhealthy", "healthy"}, Settled, func(c role.Config, s role.State, e role.Event) (role.State, []role.Action) {
		e.Beat.Says &^= role.Owns
		return role.Step(c, s, e)
	}},
}

// few moves reach further in the same number of situations.
var few = []string{"isolate", "cut", "mend", "dumb", "freeze", "wake", "wake, the clock first"}

// TestBrokenMachinesAreFound shows that simulation and explorer can fail: each breaks an invariant of every mutant.
func TestBrokenMachinesAreFound(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			seed := uint64(1)
			var r Result
			for ; seed <= 3000 && r.Broken == ""; seed++ {
				r = Run(NewSchedule(seed), m.step, nil)
			}
			if r.Broken == "" && m.from == Settled {
				t.Error("the simulation does not find it")
			}
			if m.moves == nil {
				t.Logf("simulation, seed %d: %s", seed-1, r.Broken)
				return
			}
			e := Explore(Limits{Faults: 2, States: 1_500_000, Depth: 200, Moves: m.moves, From: m.from}, m.step)
			if e.Broken == "" {
				t.Error("the explorer does not find it")
			}
			t.Logf("simulation, seed %d: %s; explorer, %d situations, %d turns: %s %q", seed-1, r.Broken, e.States, e.Depth, e.Broken, e.Path)
		})
	}
}
