package balance

import (
	"testing"

	"evenkeel/appliance"

	"pgregory.net/rapid"
)

// TestPeekTellsWhatPickChooses holds for every scheduler: however often it is asked, the next choice is the one that was told.
func TestPeekTellsWhatPickChooses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(appliance.Schedulers()).Draw(t, "scheduler")
		p, _ := pool(s, appliance.LoadBalanced, rapid.SliceOfN(rapid.IntRange(0, 300), 1, 5).Draw(t, "weights")...)
		for n := range 50 {
			for i := range p.Seats {
				p.Seats[i].Usable = rapid.Bool().Draw(t, "usable")
				p.Seats[i].Pace = int64(rapid.IntRange(0, 5).Draw(t, "pace"))
			}
			q := client(n)
			told := p.Peek(q)
			for range rapid.IntRange(0, 3).Draw(t, "more") {
				p.Peek(client(n + 7))
			}
			if got := p.Pick(q); got != told {
				t.Fatalf("%s: told %d, chose %d", s, told, got)
			} else if got >= 0 {
				p.Seats[got].Open++
			}
		}
	})
}
