package loop

import (
	"syscall"
	"time"

	"evenkeel/appliance"

	"golang.org/x/sys/unix"
)

// Driver is by what a loop moves bytes.
type Driver string

// The drivers.
const (
	Auto  Driver = "auto" // IOURing where the kernel has it and allows it, otherwise Epoll
	Epoll Driver = "epoll"
	// IOURing needs Linux 6.17: before, nothing bounds what a receive brings of one connection.
	IOURing Driver = "io_uring"
)

// Valid tells whether d is one of the drivers.
func (d Driver) Valid() bool { return d == Auto || d == Epoll || d == IOURing }

// Driver tells which one serves the loop, never Auto; any goroutine may ask.
func (l *Loop) Driver() Driver { return l.driver }

// choose opens the ring if it is wanted. An error is of kind Unsupported: the kernel has no ring for us.
func (l *Loop) choose(d Driver) error {
	l.driver = Epoll
	if d == Epoll {
		return nil
	}
	r, errno := openRing()
	switch {
	case errno == 0:
		l.driver, l.uring = IOURing, &uring{ring: r, inUse: -1, coming: newBatch(), flying: newBatch()}
	case d == IOURing:
		return &appliance.Error{Kind: appliance.Unsupported, Op: "open io_uring", Message: whyNoRing(errno), Hint: "Leave the choice to the appliance: --driver auto.", Err: errno}
	}
	if l.number == 0 {
		if errno != 0 {
			l.log.Info("the network is driven by epoll", "driver", string(l.driver), "reason", whyNoRing(errno))
		} else {
			l.log.Info("the network is driven by io_uring", "driver", string(l.driver))
		}
	}
	return nil
}

func whyNoRing(errno syscall.Errno) string {
	switch errno {
	case unix.EPERM, unix.EACCES:
		return "This system does not allow io_uring (kernel.io_uring_disabled, or a container's policy)."
	case unix.ENOSYS, unix.EINVAL, unix.EOPNOTSUPP:
		return "io_uring as the appliance uses it needs Linux 6.17 or later."
	}
	return "io_uring cannot be opened: " + errno.Error() + "."
}

// closeRing waits until the ring holds no descriptor, and closes it. Every connection was released before.
func (l *Loop) closeRing() {
	u := l.uring
	for until := time.Now().Add(time.Second); u.leaving > 0 && time.Now().Before(until); l.complete() {
		u.wait(10 * time.Millisecond)
	}
	u.close()
	l.uring = nil
}
