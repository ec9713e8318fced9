package engine

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"testing"
	"time"
)

// process is what a collector sees and does, without a runtime.
type process struct {
	*collector
	heap     heap
	hurried  uint64
	time     time.Time
	percents []int
	took     time.Duration // a collection
	done     []time.Time
}

func newProcess(allowed int64) *process {
	p := &process{time: time.Unix(1000, 0), took: 5 * time.Millisecond}
	p.collector = &collector{
		allowed: uint64(allowed), read: func() heap { return p.heap }, now: func() time.Time { return p.time },
		permit: func(percent int) { p.percents = append(p.percents, percent) },
		collect: func() {
			p.done = append(p.done, p.time)
			p.time = p.time.Add(p.took)
			p.heap.cycles++
		},
	}
	p.begin()
	return p
}

// pass lets looks go by in each of which so much is allocated.
func (p *process) pass(looks int, allocated uint64) {
	for range looks {
		p.time = p.time.Add(lookForCalm)
		p.heap.allocated += allocated
		p.look(p.hurried)
	}
}

// percent is the runtime's setting.
func percent() uint64 {
	list := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(list)
	return list[0].Value.Uint64()
}

// TestGarbagePilesUpToAnAmount, whatever is alive, and never less than the runtime would allow.
func TestGarbagePilesUpToAnAmount(t *testing.T) {
	p := newProcess(32 << 20)
	for _, alive := range []uint64{3 << 20, 5 << 20, 8 << 20, 9 << 20, 64 << 20, 2 << 30} {
		p.heap.scanned = alive
		p.heap.cycles++
		p.pass(1, 1<<20)
	}
	if want := []int{800, 400, 100}; !slices.Equal(p.percents, want) {
		t.Errorf("%v percent, want %v", p.percents, want) // a heap has 4 MiB at least, 5 are about as much, and 9 about 8
	}
	if len(p.done) != 0 {
		t.Error("collected under load")
	}
}

// TestGarbageIsCollectedWhenItIsQuiet: neither while much is allocated nor while a loop has work, and once.
func TestGarbageIsCollectedWhenItIsQuiet(t *testing.T) {
	p := newProcess(32 << 20)
	p.pass(10, 1<<20)
	for range 10 {
		p.hurried += calmHurries + 1
		p.pass(1, 0)
	}
	p.pass(calmLooks-1, 0)
	if len(p.done) != 0 {
		t.Fatal("collected while the processor was needed")
	}
	p.pass(1, 0)
	if len(p.done) != 1 {
		t.Fatal("not collected when it was quiet")
	}
	p.pass(100, leastGarbage/200)
	if len(p.done) != 1 {
		t.Error("collected again for little")
	}
}

// TestCollectionsRestInProportionToTheirLength, so that they take no more than half a percent of the time.
func TestCollectionsRestInProportionToTheirLength(t *testing.T) {
	for _, took := range []time.Duration{time.Millisecond, 40 * time.Millisecond} {
		p := newProcess(32 << 20)
		p.took = took
		p.pass(1000, calmAllocated)
		rest := max(leastRest, restFactor*took)
		for i := 1; i < len(p.done); i++ {
			if d := p.done[i].Sub(p.done[i-1]); d < rest || d > rest+2*time.Second {
				t.Errorf("a collection of %v, the next %v later", took, d)
			}
		}
		if len(p.done) < 3 {
			t.Errorf("%d collections in 100 s of a trickle", len(p.done))
		}
	}
}

// TestWhatEndedIsCollectedInTheEnd, though nothing was allocated since.
func TestWhatEndedIsCollectedInTheEnd(t *testing.T) {
	p := newProcess(32 << 20)
	p.pass(int(longest/lookForCalm)-1, 0)
	if len(p.done) != 0 {
		t.Fatal("collected for nothing")
	}
	p.pass(1, 0)
	if len(p.done) != 1 {
		t.Fatal("not collected")
	}
}

// TestGarbageIsAShareOfTheMachine: a small one does not lose its memory to it, and what is not known decides nothing.
func TestGarbageIsAShareOfTheMachine(t *testing.T) {
	for memory, want := range map[uint64]int64{0: 0, 1 << 30: 16 << 20, 2 << 30: 32 << 20, 64 << 30: 32 << 20, math.MaxUint64: 32 << 20} {
		if got := Garbage(memory); got != want {
			t.Errorf("%d of %d, want %d", got, memory, want)
		}
	}
}

// TestTheRuntimesSettingIsGivenBack when an engine ends, and its memory limit is never touched.
func TestTheRuntimesSettingIsGivenBack(t *testing.T) {
	before, limit := percent(), debug.SetMemoryLimit(-1)
	r := start(t, Options{Loops: 1, Garbage: 32 << 20})
	until(t, "the engine's setting", func() bool { return percent() > before })
	if debug.SetMemoryLimit(-1) != limit {
		t.Error("the limit of memory is another")
	}
	r.stop()
	if now := percent(); now != before {
		t.Errorf("%d percent, there were %d", now, before)
	}
}
