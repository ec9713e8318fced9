package stats

import (
	"sync/atomic"
	"time"

	"evenkeel/engine/wire"
)

// Pace is a moving average of how long a server takes to answer. One loop calls Add; anybody may ask. The zero value is ready.
type Pace struct {
	average atomic.Int64 // ns
	at      atomic.Int64 // when the last answer came
}

// part is how much of the average a new answer is: one of so many.
const part = 8

// PaceLasts is how long an average counts without a further answer. Behind it the average is halved for each such time, so that a server that was slow is tried again.
const PaceLasts = 10 * time.Second

// Add counts one answer.
func (p *Pace) Add(now wire.Time, took time.Duration) {
	last := p.average.Load()
	if last == 0 {
		p.average.Store(max(int64(took), 1))
	} else {
		p.average.Store(max(last+(int64(took)-last)/part, 1))
	}
	p.at.Store(int64(now))
}

// PaceOf returns the average over the loops in ns, 0 when nothing is known: of the loops that had an answer lately, else of the one that had the last.
func PaceOf(now wire.Time, n int, of func(int) *Pace) int64 {
	var sum, known, last, at int64
	for i := range n {
		p := of(i)
		average, when := p.average.Load(), p.at.Load()
		if average == 0 {
			continue
		}
		if now.Sub(wire.Time(when)) <= PaceLasts {
			sum, known = sum+average, known+1
		}
		if when > at {
			last, at = average, when
		}
	}
	if known > 0 {
		return sum / known
	}
	return last >> min(max(now.Sub(wire.Time(at)), 0)/PaceLasts, 40)
}
