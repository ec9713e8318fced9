// Package realtime lets a goroutine run in front of everything on the machine that has no such priority: what decides within milliseconds must not wait behind a busy
// neighbour. Whoever asks for it does little and waits in the kernel, not in Go's poller: that one has threads of ordinary priority.
package realtime

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// The priorities in use, 1 to 99; the larger one runs first.
const (
	Watcher   = 30 // looks at how late the others are
	Heartbeat = 20 // decides who owns the floating addresses
	Neighbour = 19 // reads what other machines say of them, who may say very much
)

// Lock keeps the goroutine on a thread of its own for good, which ends with it, and asks for a priority (SCHED_RR, sched(7)); threads that it makes do not inherit that.
// An error says that there is none, for want of CAP_SYS_NICE; the thread is locked all the same.
func Lock(priority uint32) error {
	runtime.LockOSThread()
	return unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: priority, Flags: unix.SCHED_FLAG_RESET_ON_FORK}, 0)
}
