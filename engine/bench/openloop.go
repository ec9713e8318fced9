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
// contender that stalls is charged for the requests that would have come meanwhile; and the contender's CPU in µs for each.
func (f *arena) openLoop(port, rate int) (*histogram, float64, error) {
	const connections = 64
	h, free := &histogram{}, make([]*peer, 0, connections)
	measuring := false
	a := &asker{now: time.Now}
	a.free = func(_ *load, p *peer) { free = append(free, p) }
	a.timed = func(d time.Duration) {
		if measuring {
			h.add(d)
		}
	}
	if err := f.clients(connections, port, a.act); err != nil {
		return nil, 0, err
	}
	if err := f.load.until("connections", 5*time.Second, func() bool { return len(free) == connections }); err != nil {
		return nil, 0, err
	}
	gap := time.Second / time.Duration(rate)
	start := time.Now()
	begin, end := start.Add(f.options.Warm), start.Add(f.options.Warm+f.options.Length)
	var used time.Duration
	for due := start; ; {
		now := time.Now()
		if !measuring && now.After(begin) {
			measuring, used = true, f.current.cpu()
		}
		if now.After(end) {
			break
		}
		for ; due.Before(now) && len(free) > 0; due = due.Add(gap) {
			p := free[len(free)-1]
			free = free[:len(free)-1]
			p.due = due
			a.ask(p)
		}
		f.load.turn(0)
	}
	cpu := perUnit(f.current.cpu()-used, h.n)
	a.timed = nil
	if err := f.load.until("last answers", 5*time.Second, func() bool { return len(free) == connections }); err != nil {
		return nil, 0, err
	}
	if h.n < int64(float64(rate)*f.options.Length.Seconds()*0.9) {
		return nil, 0, fmt.Errorf("only %d answers at %d requests per second", h.n, rate)
	}
	return h, cpu, f.dropClients()
}

// most returns how many requests per second the current contender can serve.
func (f *arena) most(port int) (int, error) {
	a := &asker{}
	if err := f.clients(64, port, a.act); err != nil {
		return 0, err
	}
	f.load.during(f.options.Warm)
	before := f.load.done
	f.load.during(f.options.Length)
	return int(float64(f.load.done-before) / f.options.Length.Seconds()), f.dropClients()
}
