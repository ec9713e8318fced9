package loop

import "sync/atomic"

// connectionCost is what a connection costs beside its buffers: about 3 KiB in the kernel, and the structures here.
const connectionCost = 4 << 10

// Hold implements wire.Loop.
func (l *Loop) Hold(n int) { l.held += n }

// weigh publishes what connections hold, once a turn and only when it differs.
func (l *Loop) weigh() {
	if now := uint64(max(0, l.held+l.buffers.used+l.conns*connectionCost+l.piped*pipeSize)); now != l.stats.Held { // this loop alone writes it
		atomic.StoreUint64(&l.stats.Held, now)
	}
}

// Overfull has the listeners wait, or go on: the process has no memory for more clients. It is called on the loop.
func (l *Loop) Overfull(yes bool) {
	if l.overfull != yes {
		l.overfull = yes
		l.updateListeners()
	}
}
