package names

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// entry is one watched name; the resolver's mutex guards it.
type entry struct {
	name   string
	answer Answer
	next   time.Time
	pause  time.Duration // behind the last failure; 0: there was none
	index  int           // in the queue, or outside
}

// outside is the index of an entry that is not queued.
const outside = -1

// queue is a heap of entries by the time of their next lookup.
type queue []*entry

// Len is of heap.Interface.
func (q queue) Len() int { return len(q) }

// Less is of heap.Interface.
func (q queue) Less(i, j int) bool { return q[i].next.Before(q[j].next) }

// Swap is of heap.Interface.
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push is of heap.Interface.
func (q *queue) Push(x any) {
	e := x.(*entry)
	e.index = len(*q)
	*q = append(*q, e)
}

// Pop is of heap.Interface.
func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	e.index = outside
	return e
}

func (q *queue) add(e *entry) { heap.Push(q, e) }

func (q *queue) remove(e *entry) {
	if e.index != outside {
		heap.Remove(q, e.index)
	}
}

// Run looks names up until the context ends, then waits for what is under way.
func (r *Resolver) Run(ctx context.Context) {
	var lookups sync.WaitGroup
	defer lookups.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(r.launch(ctx, &lookups))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-r.wake:
		}
	}
}

// launch starts what is due and returns how long nothing will be.
func (r *Resolver) launch(ctx context.Context, lookups *sync.WaitGroup) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for len(r.queue) > 0 && r.asking < mostAsking && ctx.Err() == nil {
		e := r.queue[0]
		if wait := e.next.Sub(now); wait > 0 {
			return wait
		}
		r.queue.remove(e)
		r.asking++
		lookups.Go(func() { r.once(ctx, e) })
	}
	return time.Hour
}

// once is the goroutine of one lookup.
func (r *Resolver) once(ctx context.Context, e *entry) {
	f := r.ask(ctx, e.name)
	r.mu.Lock()
	r.asking--
	changed := ctx.Err() == nil && r.entries[e.name] == e && r.keep(e, f)
	r.mu.Unlock()
	r.nudge()
	if !changed {
		return
	}
	r.telling.Lock()
	defer r.telling.Unlock()
	if r.options.Changed != nil {
		r.options.Changed(e.name)
	}
}

// keep makes what was found the answer, plans the next lookup, and tells whether the answer is another one.
func (r *Resolver) keep(e *entry, f finding) (changed bool) {
	now, before := time.Now(), e.answer
	e.answer = f.after(before, now)
	if f.failure == "" {
		e.pause = 0
		e.next = now.Add(min(max(f.counts, r.options.Shortest), Longest))
	} else {
		e.pause = min(max(2*e.pause, firstPause), longestWait)
		e.next = now.Add(e.pause)
	}
	r.queue.add(e)
	changed = !e.answer.equal(before)
	if changed {
		r.log.Info("name looked up", "name", e.name, "addresses", e.answer.Addresses, "failure", e.answer.Failure, "again_in", e.next.Sub(now).String())
	}
	return changed
}
