package story

import (
	"time"

	"golang.org/x/sys/unix"

	"evenkeel/appliance/realtime"
)

// still measures how long this machine did not run anything, not even what has priority over both nodes: a figure of such a time says nothing of them.
type still struct {
	stop chan struct{}
	done chan time.Duration
}

// stoodStill is how long the machine may stand still in a trial that counts: a lease outlives that.
const stoodStill = 50 * time.Millisecond

func newStill() *still {
	s := &still{stop: make(chan struct{}), done: make(chan time.Duration, 1)}
	go s.measure()
	return s
}

func (s *still) end() time.Duration {
	close(s.stop)
	return <-s.done
}

// measure sleeps in small pieces on a thread of its own, of a higher priority than the nodes' heartbeats, and each time sends itself a datagram: on a busy machine packets
// wait for the kernel's own threads, which have no priority.
func (s *still) measure() {
	_ = realtime.Lock(realtime.Watcher)
	var longest time.Duration
	fd, err := toItself()
	if err != nil {
		s.done <- time.Hour
		return
	}
	defer unix.Close(fd)
	piece, b := unix.NsecToTimespec(int64(2*time.Millisecond)), make([]byte, 1)
	for last := time.Now(); ; {
		select {
		case <-s.stop:
			s.done <- longest
			return
		default:
		}
		_ = unix.Nanosleep(&piece, nil)
		_, _ = unix.Write(fd, b)
		_, _ = unix.Read(fd, b)
		now := time.Now()
		longest, last = max(longest, now.Sub(last)), now
	}
}

// toItself is a socket whose datagrams come back to it, or not within a second.
func toItself() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	var own unix.Sockaddr
	if err == nil {
		own, err = unix.Getsockname(fd)
	}
	if err == nil {
		err = unix.Connect(fd, own)
	}
	if err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1})
	}
	return fd, err
}
