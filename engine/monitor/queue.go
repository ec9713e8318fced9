package monitor

import (
	"slices"
	"time"
)

// beat is how far apart the moments are at which probes begin, so that one turn of the scheduler begins many. A probe begins half of it early or late at most.
const beat = 20 * time.Millisecond

// outside is the index of an entry that is not queued.
const outside = -1

// idleWait is how long the scheduler sleeps when nothing is queued.
const idleWait = time.Hour

// queue holds entries by the beat at which their next probe begins. Beats are counted from the epoch; to put an entry in and to take one out costs the same however
// many there are.
type queue struct {
	epoch time.Time
	beats map[int64][]*entry
	order []int64    // the keys of beats, the earliest first
	spare [][]*entry // lists of beats that are past
}

// beatAt returns the beat that is under way, or was last.
func (q *queue) beatAt(t time.Time) int64 {
	d := t.Sub(q.epoch)
	if d < 0 {
		return int64((d - beat + 1) / beat)
	}
	return int64(d / beat)
}

// nearest returns the beat next to a time.
func (q *queue) nearest(t time.Time) int64 { return q.beatAt(t.Add(beat / 2)) }

// put queues e at a beat and tells whether nothing is earlier.
func (q *queue) put(e *entry, at int64) bool {
	list, known := q.beats[at]
	if !known {
		i, _ := slices.BinarySearch(q.order, at)
		q.order = slices.Insert(q.order, i, at)
		if n := len(q.spare); n > 0 {
			list, q.spare = q.spare[n-1], q.spare[:n-1]
		}
	}
	e.beat, e.index = at, len(list)
	q.beats[at] = append(list, e)
	return at == q.order[0]
}

// remove takes e out; nothing happens to one that is outside.
func (q *queue) remove(e *entry) {
	if e.index == outside {
		return
	}
	list := q.beats[e.beat]
	n := len(list) - 1
	list[e.index] = list[n]
	list[e.index].index = e.index
	list[n] = nil
	q.beats[e.beat], e.index = list[:n], outside
}

// take returns an entry whose beat has come and takes it out; nil, and how long none will be due.
func (q *queue) take(now time.Time) (*entry, time.Duration) {
	for len(q.order) > 0 {
		at := q.order[0]
		list := q.beats[at]
		if n := len(list); n > 0 {
			if wait := q.epoch.Add(time.Duration(at) * beat).Sub(now); wait > 0 {
				return nil, wait
			}
			e := list[n-1]
			q.remove(e)
			return e, 0
		}
		q.order = slices.Delete(q.order, 0, 1)
		delete(q.beats, at)
		q.spare = append(q.spare, list)
	}
	return nil, idleWait
}
