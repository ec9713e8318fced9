package bench

import (
	"fmt"
	"math/bits"
	"time"
)

// histogram counts durations in buckets of 1/32 of a power of two nanoseconds, so a quantile is right to 3 %.
type histogram struct {
	buckets [64 * 32]int64
	n       int64
}

func (h *histogram) add(d time.Duration) {
	h.n++
	h.buckets[bucket(uint64(max(d, 32)))]++
}

func bucket(v uint64) int {
	top := bits.Len64(v) - 1
	return top*32 + int(v>>(top-5))&31
}

// quantile returns the lower bound of the bucket that holds it, in microseconds.
func (h *histogram) quantile(q float64) float64 {
	left := int64(q * float64(h.n))
	for i, n := range h.buckets {
		if left -= n; left < 0 {
			top, part := i/32, i%32
			return float64(uint64(32+part)<<(max(top, 5)-5)) / 1e3
		}
	}
	return 0
}

// openLoop sends requests at a fixed rate over 64 connections, whether or not the answers come, and returns how long each took since it was due, so that a
// contender that stalls is charged for the requests that would have come meanwhile; and the contender's CPU in µs for each. It counts every request that was due
// during the measurement, however late its answer comes: a stall at the end costs as much as one in the middle.
func (f *arena) openLoop(port, rate int) (*histogram, float64, error) {
	const connections = 64
	h, free := &histogram{}, make([]*peer, 0, connections)
	var begin time.Time
	a := &asker{}
	a.free = func(_ *load, p *peer) { free = append(free, p) }
	a.timed = func(due time.Time) {
		if !due.Before(begin) {
			h.add(time.Since(due))
		}
	}
	if err := f.clients(connections, port, a.act); err != nil {
		return nil, 0, err
	}
	all := func() bool { return len(free) == connections }
	if err := f.load.until("connections", 5*time.Second, all); err != nil {
		return nil, 0, err
	}
	gap, due := time.Second/time.Duration(rate), time.Now()
	send := func(end time.Time) bool {
		for now := time.Now(); due.Before(now) && due.Before(end) && len(free) > 0; due = due.Add(gap) {
			p := free[len(free)-1]
			free = free[:len(free)-1]
			p.due = due
			a.ask(p)
		}
		return !due.Before(end)
	}
	begin = due.Add(f.pace.warm)
	for !send(begin) {
		f.load.turn(0)
	}
	used := f.current.cpu()
	begin = time.Now() // nothing was due meanwhile: to read that takes up to a millisecond, the longer the more threads the contender has
	due = begin
	end := begin.Add(f.pace.length)
	for limit := end.Add(5 * time.Second); !send(end); f.load.turn(0) {
		if time.Now().After(limit) {
			return nil, 0, fmt.Errorf("%d requests per second are too many: %d answers, %d clients were not served", rate, h.n, f.load.failed)
		}
	}
	if err := f.load.until("last answers", 5*time.Second, all); err != nil {
		return nil, 0, err
	}
	return h, perUnit(f.current.cpu()-used, h.n), f.dropClients()
}

// most returns how many requests per second the current contender can serve.
func (f *arena) most(port int) (int, error) {
	a := &asker{}
	if err := f.clients(64, port, a.act); err != nil {
		return 0, err
	}
	f.load.during(f.pace.warm)
	before := f.load.done
	f.load.during(f.pace.length)
	return int(float64(f.load.done-before) / f.pace.length.Seconds()), f.dropClients()
}
