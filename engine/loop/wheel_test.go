package loop

import (
	"testing"
	"time"

	"evenkeel/engine/wire"

	"pgregory.net/rapid"
)

func TestTimersFireOnceNeverEarlyAndAtMostATickLate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := wire.Time(rapid.Int64Range(1, int64(400*time.Hour)).Draw(t, "start"))
		w := &wheel{now: int64(now) / int64(tick)}
		conns := make([]*Conn, 8)
		want := map[*Conn]wire.Time{}
		for i := range conns {
			conns[i] = &Conn{}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			c := conns[rapid.IntRange(0, len(conns)-1).Draw(t, "conn")]
			switch rapid.IntRange(0, 5).Draw(t, "do") {
			case 0: // off, by the core
				c.deadline = 0
				delete(want, c)
			case 1: // off, for good
				w.remove(c)
				c.deadline = 0
				delete(want, c)
			default:
				scale := rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, time.Minute, time.Hour, 100 * time.Hour}).Draw(t, "scale")
				c.deadline = now.Add(time.Duration(rapid.Int64Range(0, int64(5*scale)).Draw(t, "after")))
				w.set(c)
				want[c] = c.deadline
			}
			step := rapid.SampledFrom([]time.Duration{0, tick, time.Second, time.Minute, 3 * time.Hour, 300 * time.Hour}).Draw(t, "step")
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(step)).Draw(t, "pass")))
			w.advance(now, func(c *Conn) {
				at, due := want[c]
				if !due || at > now {
					t.Fatalf("fired at %v, due %v (%v)", now, at, due)
				}
				delete(want, c)
			})
			for _, at := range want {
				if now.Sub(at) > tick {
					t.Fatalf("%v late", now.Sub(at))
				}
			}
			next, found := w.next()
			for _, at := range want {
				if !found || wire.Time(next*int64(tick)).Sub(at) > 2*tick {
					t.Fatalf("sleeps until %d (%v) though a timer is due at %v", next, found, at)
				}
			}
		}
	})
}

func TestSettingATimerLaterCostsNoMove(t *testing.T) {
	w := &wheel{}
	c := &Conn{deadline: wire.Time(time.Second)}
	w.set(c)
	due := c.due
	c.deadline = wire.Time(time.Minute)
	w.set(c)
	if c.due != due {
		t.Error("the connection was moved")
	}
	fired := wire.Time(0)
	for now := wire.Time(0); now < wire.Time(2*time.Minute) && fired == 0; now = now.Add(tick) {
		w.advance(now, func(*Conn) { fired = now })
	}
	if fired != wire.Time(time.Minute) {
		t.Errorf("fired at %v", time.Duration(fired))
	}
}

func TestATimerMayBeSetWhileAnotherFires(t *testing.T) {
	w := &wheel{}
	a, b := &Conn{deadline: wire.Time(tick)}, &Conn{deadline: wire.Time(tick)}
	w.set(a)
	w.set(b)
	fired := 0
	for now := wire.Time(0); now < wire.Time(time.Second); now = now.Add(tick) {
		w.advance(now, func(c *Conn) {
			fired++
			w.remove(a)
			w.remove(b)
			c.deadline = now.Add(tick)
			w.set(c)
		})
	}
	if fired < 90 || fired > 100 {
		t.Errorf("fired %d times", fired)
	}
}
