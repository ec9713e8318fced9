package story

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// attempt is one request of the prober: a connection of its own, and the first bytes of an answer.
type attempt struct {
	at   time.Time
	good bool
	took time.Duration

	refused bool // by a reset: somebody answered, and did not serve
	cut     bool // it had come about, and its request was never answered, not even late
}

// probing asks a web service a thousand times a second, each time by a connection of its own, so that what one client lives through can be told to the millisecond.
type probing struct {
	stop chan time.Duration // for how long those that are late are waited for then
	done chan []attempt

	served chan struct{} // closed at the first answer
}

// patience is how long an attempt may take: a lost SYN is sent again after a second, and that is not what is measured. A connection that has come about is waited for all the
// same, up to lastPatience: it tells whether it was cut off, or slow.
const (
	patience     = 150 * time.Millisecond
	lastPatience = 3 * time.Second
)

// probe begins to ask, from the client's namespace.
func (f *field) probe(to string) *probing {
	f.t.Helper()
	return f.probeEvery(to, time.Millisecond)
}

// probeEvery asks as often as is said, where the laboratory has other things to do.
func (f *field) probeEvery(to string, every time.Duration) *probing {
	f.t.Helper()
	return f.probeFor(to, every, patience)
}

// probeFor has a patience of its own for each attempt.
func (f *field) probeFor(to string, every, patience time.Duration) *probing {
	f.t.Helper()
	p := &probing{stop: make(chan time.Duration, 1), done: make(chan []attempt, 1), served: make(chan struct{})}
	ready := make(chan error, 1)
	go func() {
		ready <- inside(f.client, func() {
			ready <- nil
			p.done <- ask(netip.MustParseAddrPort(to), every, patience, p.stop, sync.OnceFunc(func() { close(p.served) }))
		})
	}()
	if err := <-ready; err != nil {
		f.t.Fatal(err)
	}
	return p
}

// end returns what was seen, in the order of asking. Whatever is late then counts as cut.
func (p *probing) end() []attempt { return p.finish(0) }

// endPatiently waits for those that are late, to tell who is cut.
func (p *probing) endPatiently() []attempt { return p.finish(lastPatience) }

func (p *probing) finish(wait time.Duration) []attempt {
	p.stop <- wait
	return <-p.done
}

// inquiry is an attempt under way.
type inquiry struct {
	fd   int
	at   time.Time
	sent bool
	late int // its place among the attempts, when its patience is over; 0: it is not

	refused bool
}

// ask runs on a thread in the client's namespace.
func ask(to netip.AddrPort, every, patience time.Duration, stop <-chan time.Duration, served func()) (out []attempt) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil
	}
	defer unix.Close(poll)
	open, late := map[int32]*inquiry{}, 0
	finish := func(q *inquiry, good bool) {
		switch {
		case q.late > 0:
			out[q.late-1].cut = !good
			late--
		case good:
			served()
			fallthrough
		default:
			out = append(out, attempt{q.at, good, time.Since(q.at), q.refused, q.sent && !good})
		}
		_ = unix.SetsockoptLinger(q.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) // no TIME_WAIT: there are not so many ports
		unix.Close(q.fd)
		delete(open, int32(q.fd))
	}
	expire := func(now time.Time) {
		for _, q := range open {
			switch age := now.Sub(q.at); {
			case age > patience && q.sent && q.late == 0:
				out = append(out, attempt{at: q.at, took: age})
				q.late = len(out)
				late++
			case age > patience && !q.sent, age > lastPatience:
				finish(q, false)
			}
		}
	}
	next := time.Now()
	for {
		select {
		case wait := <-stop:
			expire(time.Now())
			for end := time.Now().Add(wait); late > 0 && time.Now().Before(end); {
				await(poll, open, finish)
			}
			for _, q := range open {
				if q.late == 0 { // undecided: not counted
					unix.Close(q.fd)
					continue
				}
				finish(q, false)
			}
			slices.SortFunc(out, func(a, b attempt) int { return a.at.Compare(b.at) })
			return out
		default:
		}
		if now := time.Now(); !now.Before(next) {
			next = next.Add(every)
			if now.Sub(next) > 50*time.Millisecond+every {
				next = now // the machine was busy: what was missed is missed
			}
			begin(poll, to, open, now)
			expire(now)
		}
		await(poll, open, finish)
	}
}

// begin opens a connection.
func begin(poll int, to netip.AddrPort, open map[int32]*inquiry, now time.Time) {
	family, at := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()})
	if to.Addr().Is4() {
		family, at = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	_ = unix.Connect(fd, at)
	_ = unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLET, Fd: int32(fd)})
	open[int32(fd)] = &inquiry{fd: fd, at: now}
}

// await looks what has come, for at most a millisecond.
func await(poll int, open map[int32]*inquiry, finish func(*inquiry, bool)) {
	var events [64]unix.EpollEvent
	n, _ := unix.EpollWait(poll, events[:], 1)
	for _, e := range events[:max(n, 0)] {
		q := open[e.Fd]
		if q == nil {
			continue
		}
		if !q.sent && e.Events&unix.EPOLLOUT != 0 {
			if failed, _ := unix.GetsockoptInt(q.fd, unix.SOL_SOCKET, unix.SO_ERROR); failed != 0 {
				q.refused = unix.Errno(failed) == unix.ECONNREFUSED || unix.Errno(failed) == unix.ECONNRESET
				finish(q, false)
				continue
			}
			_, err := unix.Write(q.fd, []byte("GET /probe HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n"))
			q.sent = err == nil
		}
		if e.Events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			var b [16]byte
			n, err := unix.Read(q.fd, b[:])
			q.refused = err == unix.ECONNRESET || err == unix.ECONNREFUSED
			if n > 0 || e.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
				finish(q, n >= 12 && string(b[:12]) == "HTTP/1.1 200")
			}
		}
	}
}

// outage returns the longest time between two attempts that were answered with one in between that was not, of those made since a moment, and how many attempts failed.
// Where none failed the prober itself paused, or its machine did.
func outage(list []attempt, since time.Time) (gap time.Duration, failed int) {
	last, missed := since, false
	for _, a := range list {
		if a.at.Before(since) {
			continue
		}
		if !a.good {
			failed++
			missed = true
			gap = max(gap, a.at.Sub(last))
			continue
		}
		if missed {
			gap = max(gap, a.at.Sub(last))
		}
		last, missed = a.at, false
	}
	return gap, failed
}

func TestOutageIsTheLongestTimeWithoutAnAnswer(t *testing.T) {
	t0 := time.Unix(1000, 0)
	at := func(ms int, good bool) attempt {
		return attempt{at: t0.Add(time.Duration(ms) * time.Millisecond), good: good}
	}
	for name, c := range map[string]struct {
		list []attempt
		want time.Duration
	}{
		"none":             {[]attempt{at(1, true), at(2, true), at(3, true)}, 0},
		"a pause":          {[]attempt{at(1, true), at(90, true), at(91, false), at(92, true)}, 2 * time.Millisecond},
		"one":              {[]attempt{at(1, true), at(2, false), at(30, false), at(40, true), at(41, true)}, 39 * time.Millisecond},
		"from the moment":  {[]attempt{at(20, false), at(40, true)}, 40 * time.Millisecond},
		"until the end":    {[]attempt{at(1, true), at(90, false)}, 89 * time.Millisecond},
		"before it, never": {[]attempt{at(-50, false), at(1, true)}, 0},
	} {
		if got, _ := outage(c.list, t0); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
