package story

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"
)

// laboratory says how much is tried: EVENKEEL_LAB=full the whole table with its figures, a number that part in a hundred of it; else each fault once or twice, for what holds at any time.
// EVENKEEL_FAULT, a regular expression, chooses faults by name.
func laboratory(f fault) (runs int) {
	switch text := os.Getenv("EVENKEEL_LAB"); text {
	case "":
		return f.short
	case "full":
		return f.full
	default:
		percent, err := strconv.Atoi(text)
		if err != nil {
			return 0
		}
		return max(1, f.full*percent/100)
	}
}

func wholeLaboratory() bool { return os.Getenv("EVENKEEL_LAB") != "" }

// shortest keeps the time down where figures do not count.
func (f fault) shortened() fault {
	if !wholeLaboratory() {
		f.lasts = min(f.lasts, 2100*time.Millisecond)
	}
	return f
}

// TestPairLivesThroughFaults tries every fault on one pair, over and over: what holds at any time is asserted, and what takes time is a figure of the report.
func TestPairLivesThroughFaults(t *testing.T) {
	var rows []faultRow
	t.Run("ours", func(t *testing.T) { rows = lay(t).pairUp().all() })
	t.Run("many addresses", func(t *testing.T) { rows = append(rows, lay(t).pairUp().crowded()) })
	if !wholeLaboratory() {
		return
	}
	runs := laboratory(fault{full: 20})
	for _, advert := range []string{"1", "0.1"} {
		t.Run("keepalived "+advert, func(t *testing.T) { rows = append(rows, lay(t).rivals(advert, runs)...) })
	}
	if os.Getenv("EVENKEEL_FAULT") == "" {
		report(t, rows)
	}
}

// all tries everything.
func (c *couple) all() (rows []faultRow) {
	c.t.Helper()
	chosen := regexp.MustCompile(os.Getenv("EVENKEEL_FAULT"))
	for _, f := range faults() {
		runs := laboratory(f)
		if runs == 0 || f.disks && c.diskless || !chosen.MatchString(f.name) {
			continue
		}
		if wholeLaboratory() {
			pause(c.t, rest)
		}
		one := c.trials(f.shortened(), runs)
		c.t.Log(one)
		rows = append(rows, one)
	}
	return rows
}

// rest is how long a pair needs to forget that its heartbeats had gaps, which make it more patient.
const rest = 15 * time.Second

// trials tries a fault so often. Among the other tests, which leave the nodes little time, what happened once too often is tried again, and must not happen again. A trial in which the machine stood still shows only whether there were two owners, and is tried again.
func (c *couple) trials(f fault, runs int) faultRow {
	c.t.Helper()
	one := faultRow{fault: f.name}
	for again := runs + 2; runs > 0; runs-- {
		result := c.try(f, len(one.gaps))
		if result.stood > stoodStill {
			one.still++
			c.t.Logf("%s: the machine stood still for %v: %v, outage %v", f.name, result.stood, result.verdict, short(result.gap))
			if result.overlap != 0 {
				c.t.Errorf("%s: %q", f.name, result.bad)
			}
			if again--; again >= 0 {
				runs++
			}
			continue
		}
		if result.bad != nil && result.overlap == 0 && again > 0 && !wholeLaboratory() {
			c.t.Logf("%s is tried again: %q", f.name, result.bad)
			runs, again = runs+1, 0
			continue
		}
		one.add(result)
		for _, b := range result.bad {
			c.t.Errorf("%s, trial %d: %s", f.name, len(one.gaps), b)
		}
	}
	return one
}

// faultRow is a fault's line in the report.
type faultRow struct {
	fault   string
	gaps    []time.Duration
	wrong   time.Duration // the worst of all trials, as are the rest
	changes int
	overlap time.Duration
	refused int
	bad     int // trials in which something did not hold
	still   int // trials that do not count, because the machine stood still
}

func (r *faultRow) add(t tally) {
	r.gaps = append(r.gaps, t.gap)
	r.wrong, r.changes, r.overlap, r.refused = max(r.wrong, t.wrong), max(r.changes, t.changes), max(r.overlap, t.overlap), r.refused+t.refused
	if t.bad != nil {
		r.bad++
	}
}

// at is the time that a part of the trials did not exceed.
func (r faultRow) at(percent int) time.Duration {
	if len(r.gaps) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(r.gaps))
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)]
}

func (r faultRow) String() string {
	return fmt.Sprintf("%-36s %3d trials, outage p50 %v p99 %v worst %v, changes <= %d, both %v, neighbours wrong %v, refused %d",
		r.fault, len(r.gaps), short(r.at(50)), short(r.at(99)), short(r.at(100)), r.changes, r.overlap, short(r.wrong), r.refused)
}

func short(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
