package ha

import (
	"context"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"evenkeel/appliance"
	"evenkeel/appliance/ha/beat"
	"evenkeel/appliance/ha/role"
	"evenkeel/appliance/realtime"
)

const (
	tick       = 5 * time.Millisecond   // of the role machine
	shownEvery = 100 * time.Millisecond // the status is at most so old
	flood      = 20                     // refused datagrams in a tick, after which the others are not waited for one by one
	breath     = time.Millisecond       // but in portions of so long
	burst      = 256                    // datagrams of one path before the clock is looked at again
	lateTold   = time.Hour              // the status says so long that the loop came late
	lastWords  = 30 * time.Millisecond  // a node that leaves goes on saying so
	leaveLimit = 8 * time.Second        // and leaves in any case
	keptLease  = time.Minute            // what keeps the addresses without a pair has so long to remove the lease's rules
	sentKept   = 512                    // sequences whose sending time is remembered
	reopened   = 200 * time.Millisecond // between two tries to open a path
)

// loop is the goroutine that owns everything here; nobody else touches it while it runs.
type loop struct {
	n      *Node
	ctx    context.Context
	bell   int
	events <-chan appliance.KernelEvent
	poll   []unix.PollFd
	buffer []byte // for what comes
	out    []byte // for what goes
	filter []bpf.RawInstruction
	unfair error // why there is no real-time priority

	me       beat.Identity
	memory   memory
	reader   *beat.Reader
	keys     keys
	paths    []*path
	witness  witness
	config   role.Config
	state    role.State
	facts    *facts
	answers  []role.Event // of the kernel to Renew and Drop: given before anything else
	sendNow  bool
	sequence uint64
	sentAt   [sentKept]sentTime

	peer      beat.Beat     // its newest datagram
	heardAt   time.Duration // when that came
	round     time.Duration // smoothed
	decisions decisions
	last      *lastTakeover
	drain     drain
	links     links
	cut       cut
	raising   uint64 // counts the times that addresses are put up
	waiting   []waiter
	barred    role.Record
	cloned    time.Duration // the last time that a second machine was seen
	raisedAt  time.Duration // the last time that the epoch was raised while running

	nextTick, nextSend, nextShow time.Duration
	late, lateAt                 time.Duration // the longest that the loop has come too late in the last hour, and when
	let                          bool          // a founder without a lease has had its addresses taken off
	leaving                      time.Duration // since then
	silentAt                     time.Duration // owns nothing and leaves since then
	refused                      int           // datagrams of this tick that were not the peer's
}

type sentTime struct {
	sequence uint64
	at       time.Duration
}

func newLoop(n *Node, m memory, bell int) (*loop, error) {
	l := &loop{n: n, bell: bell, memory: m, buffer: make([]byte, 2*beat.Most), out: make([]byte, beat.Most), me: n.id, links: openLinks(), events: n.kernel.Events()}
	l.me.Boot, l.me.Nonce = m.Epoch, nonce()
	if err := l.keys.open(n.o.Membership.Keys); err != nil {
		return nil, err
	}
	var err error
	if l.filter, err = beat.Filter(l.me.Cluster); err != nil {
		return nil, &appliance.Error{Kind: appliance.Internal, Op: "make socket filter", Err: err}
	}
	l.reader = beat.NewReader(l.me, l.keys.ring)
	n.counters.Store(&l.reader.Counters)
	for i, p := range n.paths {
		l.paths = append(l.paths, newPath(uint8(i), p))
	}
	return l, nil
}

// spare is how many goroutines more may run at a time while a node runs. A thread that comes back from waiting needs a place among them at once; if there is none free,
// the loop waits for a thread of ordinary priority to make one, and comes tens of milliseconds late on a busy machine (measured).
const spare = 3

// run is the loop. The thread ends with it, because a thread of real-time priority is not given back.
func (l *loop) run(ctx context.Context) {
	l.ctx = ctx
	l.unfair = realtime.Lock(realtime.Heartbeat)
	l.open(bootTime())
	l.facts = l.n.facts.Load()
	l.configure()
	first := role.Start
	if l.n.o.Founder {
		first = role.Founded
	}
	l.give(role.Event{Kind: first, Yes: l.fit(), Choice: l.memory.Choice})
	now := bootTime()
	l.nextTick, l.nextSend = now, now
	for !l.over(bootTime()) {
		l.pause()
		l.hear()
		l.read()
		l.beat()
	}
	if l.state.Owner() && l.n.keeps.Load() {
		if err := l.n.kernel.Renew(bootTime() + keptLease); err != nil {
			l.n.o.Logger.Warn("lease not prolonged, clients wait until its rules are removed", "err", err)
		}
	}
}

// close is called after run. What the machine has not given away by then is dropped: the limit for leaving is over.
func (l *loop) close() {
	if l.state.Owner() && !l.n.keeps.Load() {
		if err := l.drop(); err != nil {
			l.n.o.Logger.Warn("lease not ended, it ends by itself", "err", err)
		}
		l.down()
	}
	for _, p := range l.paths {
		p.close()
	}
	for _, w := range l.waiting {
		w.done <- &appliance.Error{Kind: appliance.Unavailable, Op: "ask the pair", Message: "The heartbeat has ended."}
	}
}

// pause waits for a datagram, the bell, or the time.
func (l *loop) pause() {
	l.poll = append(l.poll[:0], unix.PollFd{Fd: int32(l.bell), Events: unix.POLLIN})
	left := min(l.nextTick, l.nextSend) - bootTime()
	if l.refused > flood {
		left = min(left, breath)
	}
	for _, p := range l.paths {
		if p.socket != nil && l.refused <= flood {
			l.poll = append(l.poll, unix.PollFd{Fd: int32(p.socket.fd), Events: unix.POLLIN})
		}
	}
	if left <= 0 {
		return
	}
	timeout := unix.NsecToTimespec(int64(left))
	_, _ = unix.Ppoll(l.poll, &timeout, nil)
}

// hear reads every path until it is empty; under a flood, until it is time to do something else.
func (l *loop) hear() {
	var b beat.Beat
	for _, p := range l.paths {
		if p.socket == nil {
			continue
		}
		for range burst {
			size, from := p.socket.receive(l.buffer)
			if size < 0 {
				break
			}
			l.datagram(p, l.buffer[:size], from, &b)
		}
	}
}

// read takes in what the kernel has told, without anybody in between who could be late, and does what others have asked for. It comes before the tick that decides.
func (l *loop) read() {
	for more := burst; more > 0; more-- {
		select {
		case e, open := <-l.events:
			if !open {
				l.events = nil
				continue
			}
			l.kernelSays(e)
		default:
			more = 0
		}
	}
	if l.poll[0].Revents != 0 {
		var count [8]byte
		_, _ = unix.Read(l.bell, count[:])
	}
	for range len(l.n.notes) {
		note := <-l.n.notes
		note(l)
	}
}

// beat does what the time has come for.
func (l *loop) beat() {
	now := bootTime()
	if now >= l.nextTick {
		if late := now - l.nextTick; late > l.late {
			l.late, l.lateAt = late, now
		}
		l.nextTick = next(l.nextTick, tick, now)
		l.refused /= 2
		l.configure()
		l.open(now)
		l.give(role.Event{Kind: role.Tick})
		l.suspect(now)
	}
	if now >= l.nextSend {
		l.nextSend = next(l.nextSend, time.Duration(l.n.settings.Load().Interval), now)
		l.send()
	}
	l.notice()
	if now >= l.nextShow {
		l.place() // addresses may have been added
		l.show(now)
	}
}

// next is the time after now in a rhythm that goes on where it was, or begins anew after a pause.
func next(before, every, now time.Duration) time.Duration {
	if now-before >= every {
		return now + every
	}
	return before + every
}

// over tells whether the node has left.
func (l *loop) over(now time.Duration) bool {
	if l.leaving == 0 {
		return false
	}
	if l.n.keeps.Load() {
		return true
	}
	if l.state.Owner() && now-l.leaving < leaveLimit {
		l.silentAt = 0
		return false
	}
	if l.silentAt == 0 {
		l.silentAt = now
	}
	return now-l.silentAt >= lastWords
}

// leave begins the end.
func (l *loop) leave() {
	if l.leaving == 0 {
		l.leaving = bootTime()
	}
	if !l.n.keeps.Load() {
		l.give(role.Event{Kind: role.Leave})
	}
}
