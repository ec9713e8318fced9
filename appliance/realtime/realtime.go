// Package realtime lets a goroutine run in front of everything on the machine that has no such priority: what decides within milliseconds must not wait behind a busy
// neighbour. Whoever asks for it does little and waits in the kernel, not in Go's poller: that one has threads of ordinary priority.
package realtime

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// The priorities in use, 1 to 99; the larger one runs first.
const (
	Watcher   = 30 // looks at how late the others are
	Heartbeat = 20 // decides who owns the floating addresses
	Neighbour = 19 // reads what other machines say of them, who may say very much
)

// period is how often a thread gets its share of a processor anew, and so the longest that it may come late by its own doing.
const period = 2 * time.Millisecond

// share is what a thread may use of each period, so that those of a node find room on a single processor, which may give away 95 % (sched(7)).
func share(priority uint32) time.Duration {
	switch priority {
	case Heartbeat:
		return period * 2 / 5
	case Neighbour:
		return period / 5
	}
	return period / 20
}

// Lock keeps the goroutine on a thread of its own for good, which ends with it, and asks the kernel for a share of every period in front of everything else
// (SCHED_DEADLINE, sched(7)); threads that it makes do not inherit that. Where there is no room for that, or the process may not use all processors, it gets a priority
// instead (SCHED_RR); with a single processor it only goes before others (nice −20). An error says that there is nothing, for want of CAP_SYS_NICE; the thread is locked
// all the same.
//
// A priority alone has a trap: a goroutine that comes back from the kernel while the garbage collector looks at its stack waits for that by yielding, and yields to nobody
// who comes after it. The collector's thread may wait for another processor then, and on a single one until the kernel intervenes. Measured with a thread that wakes
// every 2 ms, beside some hundred collections: at worst 109 ms late on two processors and 928 ms on one; with a share, 4 ms.
func Lock(priority uint32) error {
	runtime.LockOSThread()
	attr := unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_DEADLINE, Flags: unix.SCHED_FLAG_RESET_ON_FORK,
		Runtime: uint64(share(priority)), Deadline: uint64(period), Period: uint64(period),
	}
	if unix.SchedSetAttr(0, &attr, 0) == nil {
		return nil
	}
	if runtime.NumCPU() == 1 {
		return unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -20)
	}
	return unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: priority, Flags: unix.SCHED_FLAG_RESET_ON_FORK}, 0)
}
