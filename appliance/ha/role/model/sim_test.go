package model

import (
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/appliance/ha/role"
)

// number reads a size of the environment: the tests are small unless asked for more.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestSchedulesKeepTheInvariants follows seeds 1 … n (EVENKEEL_SCHEDULES); EVENKEEL_SEED replays one with its records.
func TestSchedulesKeepTheInvariants(t *testing.T) {
	if seed := number(t, "EVENKEEL_SEED", 0); seed != 0 {
		replay(t, uint64(seed))
		return
	}
	n := number(t, "EVENKEEL_SCHEDULES", 3000)
	var next, changes atomic.Int64
	var broken atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := next.Add(1); seed <= int64(n) && broken.Load() < 10; seed = next.Add(1) {
				r := Run(NewSchedule(uint64(seed)), role.Step, nil)
				changes.Add(int64(r.Changes))
				if r.Broken != "" {
					broken.Add(1)
					t.Errorf("EVENKEEL_SEED=%d: %s", seed, r.Broken)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d schedules, %d changes of owner, in %s", n, changes.Load(), time.Since(began).Round(time.Millisecond))
	if changes.Load() < int64(n)/4 {
		t.Errorf("only %d changes of owner in %d schedules: the faults do not bite", changes.Load(), n)
	}
}

func replay(t *testing.T, seed uint64) {
	s := NewSchedule(seed)
	t.Logf("%+v", s)
	for _, f := range s.Faults {
		t.Log(f)
	}
	r := Run(s, role.Step, func(at time.Duration, node int, r role.Record) {
		t.Logf("%12s node %d %-18s %s", at, node, r.Code, r.Sentence())
	})
	if r.Broken != "" {
		t.Error(r.Broken)
	}
}
