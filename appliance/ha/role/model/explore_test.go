package model

import (
	"strings"
	"testing"
	"time"

	"evenkeel/appliance/ha/role"
)

// TestExplorerVisitsEverySituationOfOneFault ends because there is nothing new: whatever one fault does, at any moment, is visited.
func TestExplorerVisitsEverySituationOfOneFault(t *testing.T) {
	for _, from := range []Beginning{Settled, Started, Founded, Lonely, Parted} {
		explored(t, Limits{Faults: 1, States: 1 << 23, Depth: 1000, From: from}, true)
	}
	explored(t, Limits{Faults: 1, States: 1 << 20, Depth: 1000, Back: true}, true)
}

// TestExplorerFindsNoBrokenInvariant lets up to EVENKEEL_FAULTS faults meet and visits EVENKEEL_STATES situations, from a pair that is well, and as
// many from two nodes that start together, from a pair that has just been made, from an owner that has been alone for long, and from machines that stand still again and again. 10,000,000 take a minute and 2 GiB.
func TestExplorerFindsNoBrokenInvariant(t *testing.T) {
	for _, from := range []Beginning{Settled, Started, Founded, Lonely, Parted, Calm, Restless} {
		explored(t, Limits{Faults: number(t, "EVENKEEL_FAULTS", 2), States: number(t, "EVENKEEL_STATES", 150_000), Depth: 1000, From: from}, false)
	}
	vouched := []string{"kill", "vouch that the other is off", "witness silent", "isolate", "connect", "freeze", "wake"}
	explored(t, Limits{Faults: 3, States: number(t, "EVENKEEL_STATES", 150_000), Depth: 1000, Moves: vouched}, false)
}

func explored(t *testing.T, l Limits, whole bool) {
	t.Helper()
	began := time.Now()
	e := Explore(l, role.Step)
	t.Logf("%d situations to %s (%d turns) with up to %d faults from beginning %d, in %s", e.States, time.Duration(e.Depth)*grid, e.Depth, l.Faults, l.From, time.Since(began).Round(time.Millisecond))
	if e.Broken != "" {
		t.Errorf("%s\n%s", e.Broken, strings.Join(e.Path, "\n"))
	}
	if whole && (e.States >= l.States || e.Depth >= l.Depth) || e.States < 50_000 {
		t.Errorf("the exploration ended early")
	}
}
