package loop

import (
	"math/bits"
	"time"

	"evenkeel/engine/wire"
)

// tick is the resolution of the wheel.
const tick = 10 * time.Millisecond

// The wheel has one level of 256 slots and three of 64, so it reaches 2^26 ticks, almost eight days; what is later is placed at the end and placed again.
const (
	firstBits  = 8
	levelBits  = 6
	levels     = 4
	wheelSlots = 1<<firstBits + (levels-1)<<levelBits
	reach      = 1<<(firstBits+(levels-1)*levelBits) - 1
	nowhere    = 0 // Conn.place of a connection that is not on the wheel; slot s is place s+1
)

// wheel is a hierarchical timer wheel of connections, linked through Conn itself. Setting a timer later, or turning it off, costs nothing: a connection that
// comes up early is placed again. now is the tick whose slot was last emptied.
type wheel struct {
	now   int64
	heads [wheelSlots]*Conn
	full  [wheelSlots / 64]uint64 // bit s: heads[s] is not empty
}

func tickAfter(t wire.Time) int64 { return (int64(t) + int64(tick) - 1) / int64(tick) }

// set makes c come up at its deadline, never earlier.
func (w *wheel) set(c *Conn) {
	due := max(tickAfter(c.deadline), w.now+1)
	if c.place != nowhere {
		if c.due <= due {
			return
		}
		w.remove(c)
	}
	w.insert(c, due)
}

func (w *wheel) insert(c *Conn, due int64) {
	due = min(due, w.now+reach)
	slot := slotOf(w.now, due)
	c.due, c.place = due, uint16(slot+1)
	c.prev, c.next = nil, w.heads[slot]
	if c.next != nil {
		c.next.prev = c
	}
	w.heads[slot] = c
	w.full[slot/64] |= 1 << (slot % 64)
}

func slotOf(now, due int64) int {
	ahead := due - now
	if ahead < 1<<firstBits {
		return int(due & (1<<firstBits - 1))
	}
	shift, base := firstBits, 1<<firstBits
	for level := 1; level < levels-1 && ahead >= 1<<(shift+levelBits); level++ {
		shift += levelBits
		base += 1 << levelBits
	}
	return base + int(due>>shift&(1<<levelBits-1))
}

func (w *wheel) remove(c *Conn) {
	if c.place == nowhere {
		return
	}
	slot := int(c.place - 1)
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		w.heads[slot] = c.next
		if c.next == nil {
			w.full[slot/64] &^= 1 << (slot % 64)
		}
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.prev, c.next, c.place = nil, nil, nowhere
}

// take empties a slot and returns its list, linked by next.
func (w *wheel) take(slot int) *Conn {
	list := w.heads[slot]
	w.heads[slot] = nil
	w.full[slot/64] &^= 1 << (slot % 64)
	return list
}

// next returns the next tick at which something must be done, and false when the wheel is empty.
func (w *wheel) next() (int64, bool) {
	best, found := int64(0), false
	base, count, shift := 0, 1<<firstBits, 0
	for range levels {
		here := w.now >> shift
		if ahead := w.ahead(base, count, int(here)&(count-1)); ahead > 0 {
			if at := (here + int64(ahead)) << shift; !found || at < best {
				best, found = at, true
			}
		}
		base += count
		if shift == 0 {
			shift = firstBits
		} else {
			shift += levelBits
		}
		count = 1 << levelBits
	}
	return best, found
}

// ahead returns how many slots after here (1 to count) the next full slot of a level stands, or 0.
func (w *wheel) ahead(base, count, here int) int {
	for step := 1; step <= count; {
		slot := base + (here+step)&(count-1)
		word := w.full[slot/64] >> (slot % 64)
		if word == 0 {
			step += 64 - slot%64
			continue
		}
		if skip := bits.TrailingZeros64(word); skip > 0 {
			step += skip
			continue
		}
		return step
	}
	return 0
}

// advance brings the wheel to the time t and calls fire for every connection whose deadline has come. fire may set and remove any timer.
func (w *wheel) advance(t wire.Time, fire func(*Conn)) {
	until := int64(t) / int64(tick)
	for w.now < until {
		at, found := w.next()
		if !found || at > until {
			w.now = until
			return
		}
		w.now = at
		w.cascade(at)
		w.fire(int(at&(1<<firstBits-1)), t, fire)
	}
}

// cascade brings down the slots of the upper levels that begin at this tick, the highest first.
func (w *wheel) cascade(at int64) {
	for level := levels - 1; level > 0; level-- {
		shift := firstBits + (level-1)*levelBits
		if at&(1<<shift-1) != 0 {
			continue
		}
		slot := 1<<firstBits + (level-1)<<levelBits + int(at>>shift&(1<<levelBits-1))
		for c := w.take(slot); c != nil; {
			next := c.next
			c.prev, c.next, c.place = nil, nil, nowhere
			w.insert(c, max(c.due, at))
			c = next
		}
	}
}

func (w *wheel) fire(slot int, t wire.Time, fire func(*Conn)) {
	for w.heads[slot] != nil { // what is placed meanwhile never falls into this slot
		c := w.heads[slot]
		w.remove(c)
		switch {
		case c.deadline == 0:
		case c.deadline > t:
			w.insert(c, max(tickAfter(c.deadline), w.now+1))
		default:
			c.deadline = 0
			fire(c)
		}
	}
}
