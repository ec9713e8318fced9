// Package loop drives the contract in package wire: one event loop on one locked thread, raw descriptors, edge-triggered epoll, and io_uring for what is hot where the
// kernel has it. It knows no protocol.
// A Loop owns every connection that it accepted or dialed; all methods of Conn, and those of Loop that do not say otherwise, belong to the loop's own thread:
// other goroutines reach it through Post and Call.
package loop

import (
	"context"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire"

	"golang.org/x/sys/unix"
)

// Options configure a Loop.
type Options struct {
	Log    *slog.Logger // nil: nothing is logged
	Number int          // names the loop in the log; that of 0 says which driver serves
	Driver Driver       // empty: Auto
	// Ceiling is a descriptor number: while an accepted client has it or a higher one, accepting pauses, so that the rest of the process keeps descriptors. Zero: none.
	Ceiling int32
	Epoch   time.Time // when the clock of the loop stood at zero; the zero time: a second ago. Loops with the same epoch have comparable times
}

// Loop is one event loop. It implements wire.Loop.
type Loop struct {
	log       *slog.Logger
	epoch     time.Time
	now       wire.Time
	yielded   wire.Time // see yield
	epoll     int32
	driver    Driver
	uring     *uring // nil: epoll alone
	number    int
	slots     []slot // by descriptor
	gen       uint32
	conns     int
	listeners []*Listener
	stopping  bool
	wheel     wheel
	mail      mailbox
	current   *Conn   // whose core is being told something
	ready     []*Conn // has work that needs no event
	spare     []*Conn // the other half of ready
	tasks     tasks
	fresh     []*Conn // accepted and not yet registered
	freshTurn int     // turns since the oldest of them waits
	buffers   buffers
	pipes     []pipe
	piped     int  // pipes that have bytes in them
	noPipes   bool // tests only: as if there were no descriptors for pipes
	starved   starvation
	held      int  // bytes, as Hold says
	overfull  bool // Accepting was told to wait
	ceiling   int32
	events    [256]unix.EpollEvent
	stats     Stats

	alarms map[any]alarm // by who set it
}

// Stats count what a loop did since its start; read them through Loop.Stats.
type Stats struct {
	Turns    uint64 // times the loop looked for events
	Waits    uint64 // of these, how often it slept
	Accepted uint64
	Dialed   uint64
	Starved  uint64 // times it ran out of descriptors
	Waiting  uint64 // 1 while nothing is accepted for want of descriptors
	Held     uint64 // bytes that connections hold now, and what the kernel needs for them
}

type slot struct {
	conn     *Conn
	listener *Listener

	datagrams *Datagrams
}

const (
	readSize   = wire.KeepLimit
	freshTurns = 8 // a busy loop registers what it accepted after so many turns
)

// Open creates a loop; Run serves it, and closes it at the end. An error is of kind Unavailable (no descriptors) or Unsupported.
func Open(o Options) (*Loop, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Epoch.IsZero() {
		o.Epoch = time.Now().Add(-time.Second)
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, &appliance.Error{Kind: appliance.Unavailable, Op: "create epoll", Err: err}
	}
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		sysClose(int32(epoll))
		return nil, &appliance.Error{Kind: appliance.Unavailable, Op: "create eventfd", Err: err}
	}
	l := &Loop{log: o.Log.With("component", "loop", "loop", o.Number), epoch: o.Epoch, ceiling: o.Ceiling, number: o.Number, epoll: int32(epoll), mail: mailbox{wake: int32(wake)}}
	l.buffers.shared = make([]byte, readSize)
	l.buffers.scratch = make([]byte, 0, 2*readSize)
	l.clock()
	l.wheel.now = int64(l.now) / int64(tick)
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(wake)}
	if errno := sysEpollCtl(l.epoll, unix.EPOLL_CTL_ADD, int32(wake), &event); errno != 0 {
		l.close()
		return nil, &appliance.Error{Kind: appliance.Unavailable, Op: "watch eventfd", Err: errno}
	}
	if err := l.choose(o.Driver); err != nil {
		l.close()
		return nil, err
	}
	l.starved.refill()
	return l, nil
}

// Run serves the loop on its own thread until the context ends; then every connection and listener is closed at once. An error is of kind Unavailable.
func (l *Loop) Run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stop := context.AfterFunc(ctx, func() { l.Post(func() { l.stopping = true }) })
	defer stop()
	defer l.close()
	if l.uring != nil {
		if errno := l.uring.enable(); errno != 0 {
			return &appliance.Error{Kind: appliance.Unavailable, Op: "enable io_uring", Err: errno}
		}
	}
	for !l.stopping {
		l.guarded()
	}
	return nil
}

// Close frees a loop that was opened and never run.
func (l *Loop) Close() { l.close() }

// Now implements wire.Loop.
func (l *Loop) Now() wire.Time { return l.now }

// Wall turns a time of the loop into that of the calendar; any goroutine may ask.
func (l *Loop) Wall(t wire.Time) time.Time { return l.epoch.Add(time.Duration(t)) }

// Scratch implements wire.Loop.
func (l *Loop) Scratch() []byte { return l.buffers.scratch }

// Stats returns a copy of the counters; any goroutine may ask.
func (l *Loop) Stats() Stats {
	return Stats{
		Turns: atomic.LoadUint64(&l.stats.Turns), Waits: atomic.LoadUint64(&l.stats.Waits), Accepted: atomic.LoadUint64(&l.stats.Accepted),
		Dialed: atomic.LoadUint64(&l.stats.Dialed), Starved: atomic.LoadUint64(&l.stats.Starved), Waiting: atomic.LoadUint64(&l.stats.Waiting),
		Held: atomic.LoadUint64(&l.stats.Held),
	}
}

func count(p *uint64) { atomic.StoreUint64(p, *p+1) }

func (l *Loop) clock() { l.now = wire.Time(time.Since(l.epoch)) }

// turn does everything that is due, then looks for events and handles them.
func (l *Loop) turn() {
	if l.uring != nil { // what a core that panicked left
		l.complete()
	}
	l.mail.run(l.guard)
	l.wheel.advance(l.now, fire)
	l.starved.retry(l)
	l.ring()
	l.runReady()
	l.tasks.run(l)
	if l.uring != nil {
		l.turnRing()
		return
	}
	n := l.wait()
	l.clock()
	for i := range n {
		l.dispatch(&l.events[i])
	}
}

// fire is guarded by itself: the wheel must come to the end of its slot.
func fire(c *Conn) {
	defer c.loop.survive()
	c.loop.current = c
	c.expired()
}

// wait returns the number of events, after sleeping only if there is nothing else to do.
func (l *Loop) wait() int {
	count(&l.stats.Turns)
	l.weigh()
	l.ageFresh()
	n, errno := poll(l.epoll, l.events[:])
	if errno == 0 && n > 0 {
		return n
	}
	if l.isBusy() {
		return 0
	}
	if len(l.fresh) > 0 {
		l.register()
		return 0
	}
	count(&l.stats.Waits)
	l.yield()
	n, errno = waitBlocking(l.epoll, l.events[:], l.patience())
	if errno != 0 { // EINTR: an idle tick
		return 0
	}
	return n
}

// slice is less than the 10 ms after which Go's runtime stops a goroutine that it has not scheduled since.
const slice = 8 * time.Millisecond

// yield has the runtime schedule the loop anew before it sleeps, if it has not for a while. To the runtime a loop that wakes and sleeps all the time is one that runs
// without end: it would be interrupted by a signal, would lose its place while it sleeps, and behind each such loss the runtime looks around every 20 µs for milliseconds
// (runtime.sysmon), which takes 3 to 6 % of a processor as long as there is work.
func (l *Loop) yield() {
	if l.now.Sub(l.yielded) >= slice {
		l.yielded = l.now
		runtime.Gosched()
	}
}

// isBusy tells whether the next turn has work that needs no event.
func (l *Loop) isBusy() bool { return len(l.ready) > 0 || len(l.tasks.list) > 0 || l.stopping }

// patience returns for how many milliseconds the loop may sleep, -1 for ever.
func (l *Loop) patience() int {
	at, found := l.wheel.next()
	until := wire.Time(at * int64(tick))
	if l.starved.at != 0 && (!found || l.starved.at < until) {
		until, found = l.starved.at, true
	}
	if l.uring != nil && len(l.uring.late) > 0 && (!found || l.uring.lateAt < until) {
		until, found = l.uring.lateAt, true
	}
	for _, a := range l.alarms {
		if !found || a.at < until {
			until, found = a.at, true
		}
	}
	if !found {
		return -1
	}
	now := wire.Time(time.Since(l.epoch))
	return int(min(max(0, until.Sub(now)+time.Millisecond-1)/time.Millisecond, time.Hour/time.Millisecond))
}

// ageFresh registers what was accepted some turns ago.
func (l *Loop) ageFresh() {
	if len(l.fresh) > 0 {
		if l.freshTurn++; l.freshTurn > freshTurns {
			l.register()
		}
	}
}

// register has the ring receive for what was accepted and is still open, or epoll watch it, which reports at once what happened meanwhile.
func (l *Loop) register() {
	for i, c := range l.fresh {
		l.fresh[i] = nil
		if c.flags&isFresh != 0 {
			c.flags &^= isFresh
			c.watch()
		}
	}
	l.fresh, l.freshTurn = l.fresh[:0], 0
}

func (l *Loop) runReady() {
	if len(l.ready) == 0 {
		return
	}
	list := l.ready
	l.ready = l.spare[:0]
	for i, c := range list {
		list[i] = nil
		c.flags &^= isReady
		c.work(0)
	}
	l.spare = list[:0]
}

func (l *Loop) dispatch(event *unix.EpollEvent) {
	l.current = nil
	if event.Fd == l.mail.wake {
		l.mail.arrived()
		return
	}
	s := &l.slots[event.Fd]
	switch {
	case s.conn != nil && s.conn.gen == uint32(event.Pad):
		if s.conn.flags&isArmed == 0 { // else it came to the ring meanwhile
			s.conn.work(event.Events)
		}
	case s.listener != nil && s.listener.gen == uint32(event.Pad):
		s.listener.accept()
	case s.datagrams != nil && s.datagrams.gen == uint32(event.Pad):
		s.datagrams.arrived()
	}
}

// slot returns the place of a descriptor.
func (l *Loop) slot(fd int32) *slot {
	for int(fd) >= len(l.slots) {
		l.slots = append(l.slots, make([]slot, max(64, len(l.slots)/8))...) // append itself adds a quarter
	}
	return &l.slots[fd]
}

// Connections returns how many connections are open.
func (l *Loop) Connections() int { return l.conns }

// Accepted calls f for every connection that was accepted for a and whose core still runs. f may end any connection.
func (l *Loop) Accepted(a Acceptor, f func(wire.Conn, wire.Core)) {
	for i := range l.slots {
		if c := l.slots[i].conn; c != nil && c.origin != nil && c.origin.acceptor == a && c.flags&isOver == 0 && c.core != nil {
			l.guard(func() { l.current = c; f(c, c.core) })
		}
	}
}

func (l *Loop) close() {
	for len(l.listeners) > 0 {
		l.listeners[0].drop()
	}
	for i := range l.slots {
		if c := l.slots[i].conn; c != nil {
			c.release()
		}
		if d := l.slots[i].datagrams; d != nil {
			d.Drop()
		}
	}
	for _, p := range l.pipes {
		p.close()
	}
	l.pipes = nil
	if l.uring != nil {
		l.closeRing()
	}
	l.starved.release()
	l.mail.close(l.guard)
	sysClose(l.epoll)
}
