package beat

// width is how far behind the newest sequence a datagram may be: 640 ms at the default interval.
const width = 64

// Window remembers which datagrams of one sender have come. Epoch and newest sequence are common to all paths, so that what was held back on one path is as old
// there as everywhere; each path has marks of its own, because the same sequence comes once on each. The zero value has seen nothing.
type Window struct {
	boot, nonce uint64
	newest      uint64
	seen        [Paths]uint64 // bit n: newest-n has come on this path
}

// twin tells whether two machines send in one epoch: one is a copy of the other.
func (w *Window) twin(boot, nonce uint64) bool { return boot == w.boot && nonce != w.nonce }

// fresh tells whether the datagram may still come; it changes nothing.
func (w *Window) fresh(boot, sequence uint64, path uint8) bool {
	switch {
	case boot != w.boot:
		return boot > w.boot
	case sequence > w.newest:
		return true
	case w.newest-sequence >= width:
		return false
	}
	return w.seen[path]&(1<<(w.newest-sequence)) == 0
}

// take marks the datagram as come. It must be fresh and authentic.
func (w *Window) take(boot, nonce, sequence uint64, path uint8) {
	if boot != w.boot {
		*w = Window{boot: boot, nonce: nonce, newest: sequence}
	}
	if sequence > w.newest {
		ahead := sequence - w.newest
		for i := range w.seen {
			w.seen[i] <<= ahead // Go shifts everything out when ahead is 64 or more
		}
		w.newest = sequence
	}
	w.seen[path] |= 1 << (w.newest - sequence)
}
