package engine

import "slices"

// first keeps the first n of what it is shown, in an order, and counts all. It never holds more than twice as many.
type first[T any] struct {
	n     int
	order func(a, b T) int
	list  []T
	total int
}

func (f *first[T]) add(v T) {
	f.total++
	if f.list = append(f.list, v); len(f.list) >= 2*f.n+64 {
		f.cut()
	}
}

func (f *first[T]) cut() {
	slices.SortStableFunc(f.list, f.order)
	f.list = f.list[:min(len(f.list), f.n)]
}

// from returns what stands behind the first offset.
func (f *first[T]) from(offset int) []T {
	f.cut()
	return f.list[min(offset, len(f.list)):]
}
