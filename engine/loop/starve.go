package loop

import (
	"sync/atomic"
	"syscall"
	"time"

	"evenkeel/engine/wire"

	"golang.org/x/sys/unix"
)

// starvation is the state of a loop that ran out of descriptors: it accepts nothing for a while, and the clients wait in the kernel's queue.
// The reserve lets those who were accepted last still reach a server.
type starvation struct {
	at      wire.Time // when to try again; zero: accepting
	said    bool      // that accepting is paused; the end is said when a client was accepted
	reserve [reserved]int32
	held    int
}

const (
	reserved   = 4
	starveTime = 200 * time.Millisecond
)

// starve pauses accepting.
func (l *Loop) starve(errno syscall.Errno) {
	if !l.starved.said {
		l.starved.said = true
		count(&l.stats.Starved)
		l.log.Warn("accepting paused, no descriptors left", "connections", l.conns, "error", errno.Error())
	}
	first := l.starved.at == 0
	l.starved.at = l.now.Add(starveTime)
	if first {
		atomic.StoreUint64(&l.stats.Waiting, 1)
		l.updateListeners()
	}
}

func (l *Loop) updateListeners() {
	for _, n := range l.listeners {
		n.update()
	}
}

// retry accepts again when the time has come and there are descriptors, one beside the reserve at least.
func (s *starvation) retry(l *Loop) {
	if s.at == 0 || l.now < s.at {
		return
	}
	if !s.refill() || !s.spare(l.ceiling) {
		s.at = l.now.Add(starveTime)
		return
	}
	s.at = 0
	atomic.StoreUint64(&l.stats.Waiting, 0)
	l.updateListeners()
}

// refill fills the reserve; false: there were not enough descriptors.
func (s *starvation) refill() bool {
	for s.held < reserved {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return false
		}
		s.reserve[s.held] = int32(fd)
		s.held++
	}
	return true
}

// spare tells whether there is a descriptor beside the reserve, below the ceiling if there is one.
func (s *starvation) spare(ceiling int32) bool {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		sysClose(int32(fd))
	}
	return err == nil && (ceiling == 0 || int32(fd) < ceiling)
}

// over notes that a client was accepted, and nothing was missing for it.
func (s *starvation) over(l *Loop) {
	s.said = false
	l.log.Info("accepting again", "connections", l.conns)
}

// lend gives one descriptor of the reserve back to the process.
func (s *starvation) lend() bool {
	if s.held == 0 {
		return false
	}
	s.held--
	sysClose(s.reserve[s.held])
	return true
}

func (s *starvation) release() {
	for s.lend() {
	}
}
