package stats

import (
	"slices"
	"sort"
	"sync/atomic"
	"time"

	"evenkeel/engine/wire"
)

// Ages tells when the oldest of the open connections began, to the second, without keeping a list of them: it counts how many began in each second.
// One loop calls Add and Remove; anybody may ask Oldest. The zero value is ready.
type Ages struct {
	seconds []second // ascending; the first is not empty unless it is the only one
	empty   int      // how many of them count nothing
	oldest  atomic.Int64
}

type second struct {
	at   wire.Time
	open int
}

func whole(t wire.Time) wire.Time { return t - t%wire.Time(time.Second) }

// Add notes a connection that begins now; times never run backwards.
func (a *Ages) Add(now wire.Time) {
	at, n := whole(now), len(a.seconds)
	if n == 0 || a.seconds[n-1].at != at {
		if a.empty > n/2 {
			a.seconds = slices.DeleteFunc(a.seconds, func(s second) bool { return s.open == 0 })
			a.empty = 0
		}
		a.seconds = append(a.seconds, second{at, 1})
		a.publish()
		return
	}
	last := &a.seconds[n-1]
	if last.open++; last.open == 1 {
		a.empty--
		a.publish()
	}
}

// Remove notes the end of a connection that began at that time.
func (a *Ages) Remove(began wire.Time) {
	at := whole(began)
	i := len(a.seconds) - 1
	if i < 0 || a.seconds[i].at != at {
		i = sort.Search(len(a.seconds), func(i int) bool { return a.seconds[i].at >= at })
	}
	if i == len(a.seconds) || a.seconds[i].at != at || a.seconds[i].open == 0 {
		return
	}
	if a.seconds[i].open--; a.seconds[i].open == 0 {
		a.empty++
		a.shorten()
	}
}

// shorten drops what is empty at the beginning, but for one: the next connection often begins in the same second.
func (a *Ages) shorten() {
	first := 0
	for first < len(a.seconds)-1 && a.seconds[first].open == 0 {
		first++
	}
	a.seconds = slices.Delete(a.seconds, 0, first)
	a.empty -= first
	a.publish()
}

func (a *Ages) publish() {
	at := wire.Time(0)
	if len(a.seconds) > 0 && a.seconds[0].open > 0 {
		at = a.seconds[0].at
	}
	if a.oldest.Load() != int64(at) {
		a.oldest.Store(int64(at))
	}
}

// Oldest returns the beginning of the oldest open connection, zero when there is none.
func (a *Ages) Oldest() wire.Time { return wire.Time(a.oldest.Load()) }
