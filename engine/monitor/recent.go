package monitor

import (
	"slices"

	"evenkeel/appliance"
)

// recent keeps the last appliance.KeptProbes of what is added. The zero value is empty.
type recent[T any] struct {
	list   []T
	oldest int // in a list that is full
}

// recentOf keeps the last ones of a list, of which the newest is the last.
func recentOf[T any](list []T) recent[T] {
	return recent[T]{list: slices.Clone(list[max(0, len(list)-appliance.KeptProbes):])}
}

// add keeps x, and drops the oldest one when there are too many.
func (r *recent[T]) add(x T) {
	n := len(r.list)
	if n == appliance.KeptProbes {
		r.list[r.oldest] = x
		r.oldest = (r.oldest + 1) % n
		return
	}
	if n == cap(r.list) && 2*n > appliance.KeptProbes {
		r.list = slices.Grow(r.list, appliance.KeptProbes-n)
	}
	r.list = append(r.list, x)
}

// all returns a copy, the newest last.
func (r *recent[T]) all() []T { return slices.Concat(r.list[r.oldest:], r.list[:r.oldest]) }
