package bench

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// watch sees whether a processor stood still: on each a thread that goes before everything else wakes every watchPeriod, and notes if it was late. It knows nothing of
// the contenders, and nothing that they do can make it late but what the kernel does for them at one go.
type watch struct {
	over   atomic.Bool
	ready  sync.WaitGroup
	gone   sync.WaitGroup
	stood  atomic.Bool
	failed atomic.Pointer[error]
}

const (
	watchPeriod = 500 * time.Microsecond
	stoodStill  = time.Millisecond // less than the hundredth of a short round: a longer pause alone decides its 99th percentile
	calmTries   = 5                // of a round, the last of which counts whatever happened
)

// watchProcessors begins to look, and returns when every thread does. stop must be called.
func watchProcessors() *watch {
	w := &watch{}
	for i := range runtime.NumCPU() {
		w.ready.Add(1)
		w.gone.Go(func() { w.run(i) })
	}
	w.ready.Wait()
	return w
}

// run looks after one processor. Its thread ends with it, for it stays locked.
func (w *watch) run(processor int) {
	runtime.LockOSThread()
	err := pin(processor)
	if err == nil {
		err = unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_FIFO, Priority: 1}, 0)
	}
	w.ready.Done()
	if err != nil {
		err = fmt.Errorf("watch processor %d: %w", processor, err)
		w.failed.Store(&err)
		return
	}
	for !w.over.Load() {
		begun, rest := time.Now(), unix.NsecToTimespec(int64(watchPeriod))
		_ = unix.Nanosleep(&rest, nil)
		if time.Since(begun)-watchPeriod >= stoodStill {
			w.stood.Store(true)
		}
	}
}

// stop ends the watch and tells whether every processor went on all the time.
func (w *watch) stop() (calm bool, err error) {
	w.over.Store(true)
	w.gone.Wait()
	if failed := w.failed.Load(); failed != nil {
		return false, *failed
	}
	return !w.stood.Load(), nil
}
