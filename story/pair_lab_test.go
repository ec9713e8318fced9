package story

import (
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

// chosen tells whether a row of that name is wanted.
func chosen(name string) bool {
	return regexp.MustCompile(os.Getenv("EVENKEEL_FAULT")).MatchString(name)
}

// seed is where everything that the laboratory draws begins; the trial's number is the other half.
func seed() uint64 {
	n, err := strconv.ParseUint(os.Getenv("EVENKEEL_SEED"), 10, 64)
	if err != nil {
		return 1
	}
	return n
}

// manyAddresses are what happens to an owner of five hundred addresses more: its death, and a planned switch.
func manyAddresses() (list []fault) {
	for _, f := range deaths() {
		if f.name == "kill -9" || f.name == "planned switch" {
			f.name, f.full, f.short = f.name+", 500 addresses", 20, 1
			list = append(list, f)
		}
	}
	return list
}

// adverts are the times between keepalived's, in seconds.
var adverts = []string{"1", "0.1"}

// wanted are those of a list that are tried.
func wanted(list []fault) []fault {
	return slices.DeleteFunc(list, func(f fault) bool { return laboratory(f) == 0 || !chosen(f.name) })
}

// TestPairLivesThroughFaults tries every fault on one pair, over and over: what holds at any time is asserted, and what takes time is a figure of the report.
func TestPairLivesThroughFaults(t *testing.T) {
	if list := wanted(faults()); len(list) > 0 {
		t.Run("ours", func(t *testing.T) { lay(t).pairUp().all(list) })
	}
	if list := wanted(clocks()); len(list) > 0 {
		t.Run("clocks", func(t *testing.T) { lay(t).withClocks().pairUp().strangeClocks(list) })
	}
	if list := wanted(snapshots(nil)); len(list) > 0 {
		t.Run("snapshots", func(t *testing.T) {
			c := lay(t).pairUp()
			c.all(wanted(snapshots(c.album())))
		})
	}
	if list := wanted(manyAddresses()); len(list) > 0 {
		t.Run("many addresses", func(t *testing.T) { lay(t).pairUp().crowded(list) })
	}
	if !wholeLaboratory() {
		return
	}
	if list := wanted(patient()); len(list) > 0 {
		t.Run("patient", func(t *testing.T) { lay(t).pairUp().all(list) })
	}
	for _, advert := range adverts {
		if list := slices.DeleteFunc(rivalFaults(), func(r rivalFault) bool { return !chosen(r.row(advert)) }); len(list) > 0 {
			t.Run("keepalived "+advert, func(t *testing.T) { lay(t).rivals(advert, list) })
		}
	}
}

// rowNames are those of the report, in its order.
func rowNames() (list []string) {
	for _, f := range slices.Concat(faults(), patient(), clocks(), snapshots(nil), manyAddresses(), []fault{breaking()}) {
		list = append(list, f.name)
	}
	for _, advert := range adverts {
		for _, r := range rivalFaults() {
			list = append(list, r.row(advert))
		}
	}
	return list
}

// all tries everything.
func (c *couple) all(list []fault) {
	c.t.Helper()
	rough := true
	for _, f := range list {
		if f.disks && c.diskless {
			continue
		}
		if wholeLaboratory() && rough {
			pause(c.t, rest)
		}
		rough = f.rough
		record(c.t, c.trials(f.shortened(), laboratory(f)))
	}
}

// rest is how long a pair needs to forget that its heartbeats had gaps, which make it more patient.
const rest = 6 * time.Second

// quiet waits, where figures are wanted, until a node no longer counts its machine as one that stands still again and again: its lease is longer then. Freezes that are tried
// close to each other would make it one.
func (c *couple) quiet(f fault) {
	c.t.Helper()
	if !wholeLaboratory() {
		return
	}
	if f.freezes && f.lasts < time.Second {
		pause(c.t, time.Second)
	}
	eventually(c.t, 2*time.Minute, "both machines are calm", func() bool { return !c.restless() })
}

// outlives tells whether nothing must happen in a time in which every machine stands still now and then: that nothing did counts nevertheless.
func (f fault) outlives() bool { return f.moves == stays && f.lasts >= time.Minute }

// trials tries a fault so often. Among the other tests, which leave the nodes little time, what happened once too often is tried again, and must not happen again. A trial in which the machine stood still shows only whether there were two owners, and is tried again.
func (c *couple) trials(f fault, runs int) faultRow {
	c.t.Helper()
	one := newRow(f.name)
	for again := runs + 2; runs > 0; runs-- {
		c.quiet(f)
		result := c.try(f, len(one.Gaps))
		if result.stood > stoodStill && !(f.outlives() && result.bad == nil) {
			one.Still++
			c.t.Logf("%s: the machine stood still for %v: %v, outage %v", f.name, result.stood, result.verdict, short(result.gap))
			if result.overlap != 0 && !f.blind {
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
			c.t.Errorf("%s, trial %d: %s", f.name, len(one.Gaps), b)
		}
	}
	return one
}
