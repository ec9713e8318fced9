package model

import (
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"evenkeel/appliance/ha/role"
)

// unplanned are the faults whose takeover is measured.
var unplanned = []Ill{Kill, PowerCut, Freeze, LinkDown, Blackhole, Numb}

// calm is when the pair has long decided.
const calm = 300 * time.Millisecond

// single is a schedule with one fault of the owner, at a moment that the seed chooses.
func single(seed uint64, ill Ill, owner int) Schedule {
	s := NewSchedule(seed)
	s.Witness, s.Loss, s.Started, s.Faults = true, 0, [2]time.Duration{}, nil
	at := calm + time.Duration(seed*7919%20000)*time.Microsecond
	s.Faults = []Fault{{Ill: ill, Node: owner, At: at}}
	if ill == Freeze {
		s.Faults[0].Until = at + 600*time.Millisecond
	}
	s.Length = at + 800*time.Millisecond
	return s
}

// takeover measures from the fault to the lease of the other node.
func takeover(t *testing.T, seed uint64, ill Ill) time.Duration {
	w := newSim(single(seed, ill, 0), role.Step)
	w.run(calm)
	if w.watch.owner == 2 { // the other is the owner by its priority
		w = newSim(single(seed, ill, 1), role.Step)
		w.run(calm)
	}
	owner := w.watch.owner - 1
	w.run(w.schedule.Length)
	gained := w.watch.gained[1-owner] - max(w.schedule.Faults[0].At, w.watch.froze)
	if w.watch.broken != "" || w.watch.changes != 1 || gained <= 0 {
		t.Errorf("%s, seed %d: %d changes, %s %s", names[ill], seed, w.watch.changes, gained, w.watch.broken)
	}
	return gained
}

// TestTakeoverTimes measures a thousand of each fault, in virtual time, against the goals of the pair.
func TestTakeoverTimes(t *testing.T) {
	const runs = 1000
	for _, ill := range unplanned {
		times := make([]time.Duration, runs)
		var wg sync.WaitGroup
		for part := range runtime.GOMAXPROCS(0) {
			wg.Go(func() {
				for i := part; i < runs; i += runtime.GOMAXPROCS(0) {
					times[i] = takeover(t, uint64(i+1), ill)
				}
			})
		}
		wg.Wait()
		slices.Sort(times)
		p50, p99, worst := times[runs/2], times[runs*99/100], times[runs-1]
		t.Logf("%-10s p50 %s, p99 %s, worst %s", names[ill], p50.Round(100*time.Microsecond), p99.Round(100*time.Microsecond), worst.Round(100*time.Microsecond))
		if p99 > 250*time.Millisecond || worst > 400*time.Millisecond {
			t.Errorf("%s: slower than the goal", names[ill])
		}
	}
}

// TestPlannedSwitchGap measures how long nobody owns the addresses when the operator switches.
func TestPlannedSwitchGap(t *testing.T) {
	var gaps []time.Duration
	for seed := uint64(1); seed <= 200; seed++ {
		w := newSim(single(seed, ToPassive, 0), role.Step)
		w.run(calm)
		if w.watch.owner == 2 {
			w = newSim(single(seed, ToPassive, 1), role.Step)
			w.run(calm)
		}
		owner := w.watch.owner - 1
		w.run(w.schedule.Length)
		if w.watch.broken != "" || w.watch.changes != 1 || w.watch.owner == owner+1 {
			t.Fatalf("seed %d: %d changes %s", seed, w.watch.changes, w.watch.broken)
		}
		gaps = append(gaps, w.watch.gained[1-owner]-w.watch.dropped[owner])
	}
	slices.Sort(gaps)
	p50, worst := gaps[len(gaps)/2], gaps[len(gaps)-1]
	t.Logf("planned switch: nobody owns the addresses for p50 %s, worst %s", p50, worst)
	if worst > 10*time.Millisecond {
		t.Error("longer than the goal")
	}
}

// TestLossMakesNoFailover runs a pair without any fault but loss; EVENKEEL_LOSS_SECONDS makes it longer (86400 is the goal of the pair).
func TestLossMakesNoFailover(t *testing.T) {
	seconds := number(t, "EVENKEEL_LOSS_SECONDS", 120)
	var wg sync.WaitGroup
	for i, loss := range []float64{0.1, 0.2, 0.3} {
		wg.Go(func() {
			s := Schedule{Seed: uint64(i + 1), Witness: true, Dedicated: true, Loss: loss, Rate: [2]float64{0.99, 1.01}, Offset: [2]time.Duration{time.Hour, 900 * time.Hour}}
			w := newSim(s, role.Step)
			w.watch.records = map[role.Code]int{}
			w.run(time.Duration(seconds) * time.Second)
			if w.watch.broken != "" || w.watch.changes != 0 || w.watch.records[role.PeerSilent] != 0 {
				t.Errorf("%.0f %% loss: %d changes, %v, %s", 100*loss, w.watch.changes, w.watch.records, w.watch.broken)
			}
			t.Logf("%.0f %% loss for %d s: no failover; %d times the witness was needed, %d leases ended",
				100*loss, seconds, w.watch.records[role.Solo], w.watch.records[role.LeaseLost]+w.watch.records[role.LeaseYielded])
		})
	}
	wg.Wait()
}
