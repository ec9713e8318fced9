package stats

import (
	"testing"
	"time"

	"evenkeel/engine/wire"

	"pgregory.net/rapid"
)

func TestAgesKnowTheOldest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a Ages
		var open []wire.Time
		now, most := wire.Time(time.Second), 0
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 1500).Draw(t, "ms")) * time.Millisecond)
			if len(open) > 0 && rapid.Bool().Draw(t, "remove") {
				i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
				a.Remove(open[i])
				open = append(open[:i], open[i+1:]...)
			} else {
				a.Add(now)
				open = append(open, now)
			}
			want := wire.Time(0)
			if len(open) > 0 {
				want = whole(open[0])
			}
			if got := a.Oldest(); got != want {
				t.Fatalf("oldest %d, want %d", got, want)
			}
			if most = max(most, len(open)); len(a.seconds) > 2*most+3 {
				t.Fatalf("%d seconds for %d connections", len(a.seconds), most)
			}
		}
	})
}

func TestAgesIgnoreWhatWasNeverAdded(t *testing.T) {
	var a Ages
	a.Remove(wire.Time(5 * time.Second))
	a.Add(wire.Time(7 * time.Second))
	a.Remove(wire.Time(5 * time.Second))
	if a.Oldest() != wire.Time(7*time.Second) {
		t.Fatal(a.Oldest())
	}
}

func TestSumAndLoad(t *testing.T) {
	var c wire.Counters
	Opened(&c)
	Opened(&c)
	Closed(&c)
	c.BytesIn, c.BytesOut, c.Requests, c.Refused = 3, 4, 5, 6
	want := wire.Counters{Open: 2, Total: 4, Requests: 10, Refused: 12, BytesIn: 6, BytesOut: 8}
	if got := Sum(Load(&c), Load(&c)); got != want {
		t.Fatalf("%+v", got)
	}
}

func TestAgesAllocateNothingForEachRequest(t *testing.T) {
	var a Ages
	now := wire.Time(time.Second)
	if n := testing.AllocsPerRun(1000, func() { a.Add(now); a.Remove(now); now = now.Add(time.Second / 10) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestPaceIsTheAverageOfTheLoopsThatHadAnswersLately(t *testing.T) {
	var a, b Pace
	of := func(i int) *Pace { return []*Pace{&a, &b}[i] }
	now := wire.Time(time.Second)
	if got := PaceOf(now, 2, of); got != 0 {
		t.Errorf("%d without an answer", got)
	}
	a.Add(now, 80*time.Millisecond)
	a.Add(now, 160*time.Millisecond)
	b.Add(now, 30*time.Millisecond)
	if got := time.Duration(PaceOf(now, 2, of)); got != 60*time.Millisecond {
		t.Errorf("%s", got)
	}
	now = now.Add(PaceLasts)
	b.Add(now, 30*time.Millisecond)
	now = now.Add(1)
	if got := time.Duration(PaceOf(now, 2, of)); got != 30*time.Millisecond {
		t.Errorf("an old average counts: %s", got)
	}
	if got := time.Duration(PaceOf(now.Add(2*PaceLasts), 2, of)); got != 30*time.Millisecond/4 {
		t.Errorf("what was slow is never tried again: %s", got)
	}
}
