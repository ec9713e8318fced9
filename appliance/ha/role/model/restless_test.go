package model

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"evenkeel/appliance/ha/role"
)

// restless is a pair whose processes do not run again and again, each about every two seconds, for least and seldom much longer, but never longer than most.
func restless(seed uint64, least, most, length time.Duration) Schedule {
	r := rand.New(rand.NewPCG(seed, 0x7374616c))
	s := Schedule{
		Seed: seed, Witness: true, Dedicated: true, Shared: true, Length: length,
		Rate: [2]float64{0.999, 1.001}, Offset: [2]time.Duration{time.Hour, 900 * time.Hour},
	}
	for node := range s.Offset {
		for at := settle; at < length; {
			at += 100*time.Millisecond + time.Duration(r.ExpFloat64()*float64(2*time.Second))
			d := min(time.Duration(float64(least)*math.Pow(1-r.Float64(), -1/2.5)), most)
			s.Faults = append(s.Faults, Fault{Ill: Freeze, Node: node, At: at, Until: at + d})
			at += d
		}
	}
	return s
}

// TestShortStallsMakeNoFailover on a machine that is too busy to run the processes at once.
func TestShortStallsMakeNoFailover(t *testing.T) {
	for seed := uint64(1); seed <= 10; seed++ {
		w := newSim(restless(seed, 20*time.Millisecond, 90*time.Millisecond, 30*time.Second), role.Step)
		w.run(w.schedule.Length)
		if w.watch.broken != "" || w.watch.changes != 0 {
			t.Errorf("seed %d: %d changes of owner, %s", seed, w.watch.changes, w.watch.broken)
		}
	}
}

// TestTakeoverTimesOfARestlessPair kills the owner of a pair whose heartbeats had gaps until then.
func TestTakeoverTimesOfARestlessPair(t *testing.T) {
	const runs = 100
	times := make([]time.Duration, 0, runs)
	for seed := uint64(1); seed <= runs; seed++ {
		at := 4*time.Second + time.Duration(seed*7919%8000)*time.Millisecond
		s := restless(seed, 20*time.Millisecond, 600*time.Millisecond, at)
		s.Faults = slices.DeleteFunc(s.Faults, func(f Fault) bool { return f.Until > at })
		before := newSim(s, role.Step)
		before.run(at)
		owner := before.watch.owner - 1
		s.Faults = append(s.Faults, Fault{Ill: Kill, Node: owner, At: at})
		w := newSim(s, role.Step)
		w.run(at + time.Second)
		took := w.watch.gained[1-owner] - at
		if w.watch.broken != "" || took <= 0 {
			t.Fatalf("seed %d: taken after %s, %s", seed, took, w.watch.broken)
		}
		times = append(times, took)
	}
	slices.Sort(times)
	p50, p95, worst := times[runs/2], times[runs*95/100], times[runs-1]
	t.Logf("killed after gaps: p50 %s, p95 %s, worst %s", p50.Round(100*time.Microsecond), p95.Round(100*time.Microsecond), worst.Round(100*time.Microsecond))
	if p95 > 250*time.Millisecond || worst > 400*time.Millisecond {
		t.Error("slower than the goal")
	}
}
