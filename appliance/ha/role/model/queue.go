package model

import "time"

// what is a kind of happening in the simulation.
type what uint8

const (
	ticks what = iota
	beats
	arrives   // a datagram
	question  // a probe reaches the other node
	answer    // an answer to a probe
	rivals    // the other node was seen probing
	witnessed // an answer of the witness
	raised
	drained
	announced
	wakes
	restarts
	begins // a fault
	ends
	audits
	health
)

// happening is an entry of the queue.
type happening struct {
	at    time.Duration // by the world's clock
	order uint64
	what  what
	node  int
	life  uint64   // of the process that it is for; zero: for any
	fault int      // begins, ends
	yes   bool     // health
	sent  datagram // arrives
}

// queue is a binary heap of indexes, so that entries do not move.
type queue struct {
	entries []happening
	free    []int32
	heap    []int32
	order   uint64
}

func (q *queue) less(a, b int32) bool {
	x, y := &q.entries[a], &q.entries[b]
	return x.at < y.at || x.at == y.at && x.order < y.order
}

func (q *queue) push(h happening) {
	q.order++
	h.order = q.order
	var slot int32
	if n := len(q.free); n > 0 {
		slot, q.free = q.free[n-1], q.free[:n-1]
		q.entries[slot] = h
	} else {
		slot = int32(len(q.entries))
		q.entries = append(q.entries, h)
	}
	q.heap = append(q.heap, slot)
	for i := len(q.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !q.less(q.heap[i], q.heap[parent]) {
			return
		}
		q.heap[i], q.heap[parent] = q.heap[parent], q.heap[i]
		i = parent
	}
}

func (q *queue) pop() happening {
	slot := q.heap[0]
	last := len(q.heap) - 1
	q.heap[0] = q.heap[last]
	q.heap = q.heap[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if q.less(q.heap[child], q.heap[least]) {
				least = child
			}
		}
		if least == i {
			break
		}
		q.heap[i], q.heap[least] = q.heap[least], q.heap[i]
		i = least
	}
	q.free = append(q.free, slot)
	return q.entries[slot]
}
