package engine

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How garbage is collected. By itself the runtime collects when the heap has doubled: with an appliance of few megabytes after every 70 TLS handshakes, which leave
// 57 KB each, and that is a tenth of their cost. So garbage may pile up to a fixed amount, and goes when nobody needs the processor.
const (
	mostGarbage   = 32 << 20 // with 64 MiB nothing is gained any more
	garbageShare  = 64       // of a machine's memory: 16 MiB of 1 GiB
	leastGarbage  = 1 << 20  // less is not worth a collection
	smallestHeap  = 4 << 20  // the runtime's own least size of a heap, at 100 percent
	runtimeShare  = 100      // percent of what is alive that the runtime allows as garbage by itself
	lookForCalm   = 100 * time.Millisecond
	calmLooks     = 3         // so many calm looks in a row: it is quiet
	calmAllocated = 128 << 10 // bytes between two looks of a calm process
	calmHurries   = 8         // turns of loops that found work without sleeping, between two looks
	leastRest     = time.Second
	restFactor    = 200         // a collection is followed by so many times its length of rest: half a percent of the time is spent on them
	longest       = time.Minute // what connections that ended let go of cannot be counted: in calm it is collected after that long
)

// Garbage returns how much garbage may pile up on a machine, or in a container, with that many bytes of memory: what Options.Garbage should be.
func Garbage(memory uint64) int64 { return int64(min(mostGarbage, memory/garbageShare)) }

// heap is what the runtime tells about its own.
type heap struct {
	allocated uint64 // bytes since the start of the process
	scanned   uint64 // what was alive at the last collection, with stacks and globals
	cycles    uint64 // collections
}

// collector decides how much garbage may pile up, and collects what there is when it is quiet. A limit that was set for the process (GOMEMLIMIT) holds as always: the runtime
// keeps to it whatever the percentage is.
type collector struct {
	allowed uint64 // bytes of garbage
	read    func() heap
	permit  func(percent int) // lets so much garbage pile up, in percent of what is alive
	collect func()            // at once, and gives the memory back to the system; returns when that is done
	now     func() time.Time

	percent   int
	last      heap
	collected uint64 // what had been allocated when the last collection was seen
	hurries   uint64
	calm      int
	seen      time.Time // when that was
	rested    time.Time // when the next collection may be
}

// newCollector returns one that acts on this process, and lets that much garbage pile up from now on.
func newCollector(allowed int64) *collector {
	c := &collector{
		allowed: uint64(allowed), read: newHeapReader(), permit: func(percent int) { debug.SetGCPercent(percent) }, collect: debug.FreeOSMemory, now: time.Now,
	}
	c.begin()
	return c
}

// begin allows the garbage before anything has been collected.
func (c *collector) begin() {
	c.seen = c.now()
	c.allow(c.share(0))
}

// share is the percentage that allows the garbage when so much is alive; never less than the runtime's.
func (c *collector) share(alive uint64) int {
	return int(max(runtimeShare, c.allowed*100/max(alive, smallestHeap)))
}

// allow changes the percentage, unless it is about the same: each change stops the world for some microseconds.
func (c *collector) allow(percent int) {
	if d := percent - c.percent; max(d, -d)*4 > c.percent {
		c.percent = percent
		c.permit(percent)
	}
}

// look is called every lookForCalm with what the loops have counted: turns that found work without sleeping.
func (c *collector) look(hurries uint64) {
	h, now := c.read(), c.now()
	if h.cycles != c.last.cycles {
		c.collected, c.seen = h.allocated, now
		c.allow(c.share(h.scanned))
	}
	if h.allocated-c.last.allocated <= calmAllocated && hurries-c.hurries <= calmHurries {
		c.calm++
	} else {
		c.calm = 0
	}
	c.last, c.hurries = h, hurries
	if c.calm >= calmLooks && !now.Before(c.rested) && c.worth(h, now) {
		c.collect()
		over := c.now()
		c.rested = over.Add(max(leastRest, restFactor*over.Sub(now)))
	}
}

// worth tells whether there may be much to collect: a quarter of what is alive was allocated since the last time, or that is long ago.
func (c *collector) worth(h heap, now time.Time) bool {
	return h.allocated-c.collected >= max(leastGarbage, h.scanned/4) || now.Sub(c.seen) >= longest
}

// newHeapReader returns what reads the runtime's figures: it takes some microseconds and stops nothing.
func newHeapReader() func() heap {
	list := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}, {Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"},
	}
	return func() heap {
		metrics.Read(list)
		n := func(i int) uint64 { return list[i].Value.Uint64() }
		return heap{allocated: n(0), cycles: n(1), scanned: n(2) + n(3) + n(4)}
	}
}

// runCollector looks until the context ends, and leaves the process as it was.
func (e *Engine) runCollector(ctx context.Context) {
	if e.options.Garbage <= 0 {
		return
	}
	before := debug.SetGCPercent(runtimeShare)
	defer func() { debug.SetGCPercent(before) }()
	c := newCollector(e.options.Garbage)
	look := time.NewTicker(lookForCalm)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			c.look(e.hurries())
		}
	}
}

// hurries counts the turns of all loops that found work without sleeping.
func (e *Engine) hurries() (n uint64) {
	for _, l := range e.lanes {
		s := l.loop.Stats()
		n += s.Turns - min(s.Turns, s.Waits)
	}
	return n
}
