package ha

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// TestBusyProgramDoesNotHoldTheHeartbeatUp lets as many goroutines run as the program has places for. One quiet attempt in three is enough: the machine of a test
// may stand still by itself.
func TestBusyProgramDoesNotHoldTheHeartbeatUp(t *testing.T) {
	const most = 30 * time.Millisecond
	c := newCouple(t, nil)
	c.settle(t)
	if c.left.seen.Load().unfair {
		t.Skip("no right to a real-time priority")
	}
	var stop atomic.Bool
	defer stop.Store(true)
	for range runtime.GOMAXPROCS(0) - 2*spare {
		go spin(&stop)
	}
	for attempt := range 3 {
		for _, h := range []*half{c.left, c.right} {
			h.post(func(l *loop) { l.late = 0 })
		}
		before := c.left.seen.Load().state.At
		until(t, "a second has passed", func() bool { return c.left.seen.Load().state.At > before+time.Second })
		late := max(c.left.seen.Load().late, c.right.seen.Load().late)
		t.Logf("attempt %d: at most %v late", attempt, late)
		if late < most {
			return
		}
	}
	t.Errorf("each time more than %v late", most)
}

func spin(stop *atomic.Bool) {
	for !stop.Load() {
	}
}
