// Package queue is the line in which clients wait for a free place on a server: pure, without clocks and loops. Whoever comes first is served first, but nobody waits
// behind somebody who waits for something else: a place on one server goes to the first of those who wait for that one and of those who take any.
package queue

import (
	"container/list"
	"slices"
	"sync"
	"sync/atomic"
)

// Queue is the line of one service; S names a server, and its zero value any of them. The zero Queue is ready. Its methods are safe for concurrent use; the lock is
// held for a few instructions, but for Sift, which looks at everybody.
type Queue[S comparable] struct {
	waiting atomic.Int64
	anyone  atomic.Int64 // of waiting, those that take any server

	mu    sync.Mutex
	lines map[S]*list.List // of *Ticket, the first in front; none is empty
	last  uint64
}

// Ticket is somebody's place in a line. It belongs to one queue, and is in it at most once.
type Ticket[S comparable] struct {
	Own    S   // the server that is waited for; the zero value: any
	Tried  []S // servers that are not wanted
	Holder any // the caller's own
	number uint64
	at     *list.Element // nil: not in the line
	line   S             // in which it stands
}

// Waiting returns how many wait. It costs one atomic load.
func (q *Queue[S]) Waiting() int64 { return q.waiting.Load() }

// Ahead tells whether somebody waits who may want a place on s, so that a newcomer may not have it.
func (q *Queue[S]) Ahead(s S) bool {
	if q.waiting.Load() == 0 {
		return false
	}
	if q.anyone.Load() > 0 {
		return true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lines[s] != nil
}

// Join puts a ticket at the end of its line; one that was in a line before returns to its old place among the others. False: as many as limit wait already; who
// was in before is let in all the same. Whoever joined must look once more for a free place: one may have become free before the ticket was seen.
func (q *Queue[S]) Join(t *Ticket[S], limit int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.number == 0 {
		if q.waiting.Load() >= limit {
			return false
		}
		q.last++
		t.number = q.last
	}
	if q.lines == nil {
		q.lines = map[S]*list.List{}
	}
	l := q.lines[t.Own]
	if l == nil {
		l = list.New()
		q.lines[t.Own] = l
	}
	t.line, t.at = t.Own, insert(l, t)
	var all S
	if q.waiting.Add(1); t.line == all {
		q.anyone.Add(1)
	}
	return true
}

// insert puts a ticket behind those with a lower number: newcomers come to the end, those who return near the front.
func insert[S comparable](l *list.List, t *Ticket[S]) *list.Element {
	if back := l.Back(); back == nil || back.Value.(*Ticket[S]).number < t.number {
		return l.PushBack(t)
	}
	e := l.Front()
	for e.Value.(*Ticket[S]).number < t.number {
		e = e.Next()
	}
	return l.InsertBefore(t, e)
}

// Leave takes a ticket out; false: it is not in the line.
func (q *Queue[S]) Leave(t *Ticket[S]) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.at == nil {
		return false
	}
	q.remove(t)
	return true
}

func (q *Queue[S]) remove(t *Ticket[S]) {
	l := q.lines[t.line]
	if l.Remove(t.at); l.Len() == 0 {
		delete(q.lines, t.line)
	}
	t.at = nil
	var all S
	if q.waiting.Add(-1); t.line == all {
		q.anyone.Add(-1)
	}
}

// Offer takes the first who wants a place on s out of the line, if take says that there is one: those who wait for that server when own, those who take any when anyone.
// take is called at most once, and only when somebody wants the place. Nil: nobody does, or there is none.
func (q *Queue[S]) Offer(s S, own, anyone bool, take func() bool) *Ticket[S] {
	if q.waiting.Load() == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var first *Ticket[S]
	if l := q.lines[s]; own && l != nil {
		first = l.Front().Value.(*Ticket[S])
	}
	var all S
	if l := q.lines[all]; anyone && l != nil {
		for e := l.Front(); e != nil; e = e.Next() {
			t := e.Value.(*Ticket[S])
			if first != nil && first.number < t.number {
				break
			}
			if !slices.Contains(t.Tried, s) {
				first = t
				break
			}
		}
	}
	if first == nil || !take() {
		return nil
	}
	q.remove(first)
	return first
}

// Sift takes out everybody of whom hopeless is true, and returns them in the order in which they came.
func (q *Queue[S]) Sift(hopeless func(*Ticket[S]) bool) []*Ticket[S] {
	if q.waiting.Load() == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []*Ticket[S]
	for _, l := range q.lines {
		for e := l.Front(); e != nil; e = e.Next() {
			if t := e.Value.(*Ticket[S]); hopeless(t) {
				out = append(out, t)
			}
		}
	}
	for _, t := range out {
		q.remove(t)
	}
	slices.SortFunc(out, func(a, b *Ticket[S]) int { return int(int64(a.number) - int64(b.number)) })
	return out
}
