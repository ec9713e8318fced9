package monitor

import (
	"context"
	"hash/fnv"
	"math"
	"net/netip"
	"sync"
	"time"

	"evenkeel/appliance"
)

// stagger is how far apart the first probes of servers that came together are, on average.
const stagger = time.Millisecond

// stretch is how much wider than the first probes their second ones are apart, at most.
const stretch = 4

// Run probes until the context ends, then waits for the probes under way and returns nil.
func (m *Monitor) Run(ctx context.Context) error {
	var probes sync.WaitGroup
	defer probes.Wait()
	if m.knocks = openKnocker(m); m.knocks != nil {
		probes.Go(func() { m.knocks.run(ctx) })
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(m.launch(ctx, &probes))
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-m.wake:
		}
	}
}

// launch starts what is due and returns how long nothing will be.
func (m *Monitor) launch(ctx context.Context, probes *sync.WaitGroup) time.Duration {
	for ctx.Err() == nil {
		knocks, wait := m.begin(ctx, probes)
		if len(knocks) > 0 {
			m.knocks.try(ctx, knocks)
			continue
		}
		if m.knocks != nil {
			wait = min(wait, m.knocks.late(ctx))
		}
		return wait
	}
	return 0
}

// begin starts the goroutines of what is due and returns a handful of knocks, or how long nothing will be due.
func (m *Monitor) begin(ctx context.Context, probes *sync.WaitGroup) (knocks []knock, wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if m.knocks != nil {
		knocks = m.knocks.handful[:0]
	}
	for m.busy < MaxProbes && len(knocks) < handful {
		e, wait := m.queue.take(now)
		if e == nil {
			return knocks, wait
		}
		m.busy++
		if to, ok := m.suits(e); ok {
			knocks = append(knocks, knock{entry: e, to: to})
			continue
		}
		probing, cancel := context.WithCancel(ctx)
		e.cancel = cancel
		probes.Go(func() { m.once(probing, cancel, e) })
	}
	return knocks, idleWait
}

// once is the goroutine of one probe of e. Its slot is free only after the connection was closed politely; the result counts before.
func (m *Monitor) once(ctx context.Context, cancel context.CancelFunc, e *entry) {
	defer cancel()
	a := m.attempt(e.prepared)
	if m.resolve != nil {
		a.at = func(context.Context) (netip.Addr, error) { return m.resolve(e.id, e.prepared.host) }
	}
	p, o := a.probe(ctx)
	m.finish(ctx, e, p, o)
	a.end(ctx)
	m.mu.Lock()
	m.busy--
	m.mu.Unlock()
	m.nudge()
}

// finish counts a result, unless e was replaced or the probe was cancelled meanwhile, and plans the next probe.
func (m *Monitor) finish(ctx context.Context, e *entry, p appliance.Probe, o outcome) {
	m.mu.Lock()
	if e.detached {
		m.mu.Unlock()
		return
	}
	if ctx.Err() == nil {
		m.count(e, p, o)
	}
	e.cancel = nil
	first := m.again(e, p.At)
	m.mu.Unlock()
	if first { // the scheduler sleeps until another time
		m.nudge()
	}
	m.tell()
}

// settle is finish for knocks, which have no context of their own; it frees their slots. It tells whether the scheduler may sleep for too long.
func (m *Monitor) settle(ctx context.Context, list []knock) (sooner bool) {
	if len(list) == 0 {
		return false
	}
	m.mu.Lock()
	sooner = m.busy >= MaxProbes
	m.busy -= len(list)
	counts := ctx.Err() == nil
	for i := range list {
		e := list[i].entry
		if e.detached {
			continue
		}
		if counts {
			p, o := m.result(&list[i])
			m.count(e, p, o)
		}
		if m.again(e, list[i].began) {
			sooner = true
		}
	}
	told := len(m.news) == 0
	m.mu.Unlock()
	if !told {
		m.tell()
	}
	return sooner
}

// again queues e for its next probe and tells whether nothing is earlier. It begins in a later beat, however short the interval is.
func (m *Monitor) again(e *entry, began time.Time) bool {
	now := m.now()
	e.plan(began, now)
	return m.queue.put(e, max(m.queue.nearest(e.next), m.queue.beatAt(now)+1))
}

func (m *Monitor) count(e *entry, p appliance.Probe, o outcome) {
	if before := e.streak.health; e.record(p, o) {
		m.news = append(m.news, transition{e.id, e.streak.health})
		m.log.Info("health changed", "server", e.id, "address", e.job.address(), "from", string(before), "to", string(e.streak.health), "sentence", p.Sentence)
	}
	if o.ours {
		m.log.Warn("probe not possible", "server", e.id, "address", e.job.address(), "sentence", p.Sentence)
	}
	for _, w := range e.waiters {
		w <- p
	}
	e.waiters = nil
}

// nudge makes the scheduler look again.
func (m *Monitor) nudge() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// place adds a server, or brings an entry to a changed job. fresh servers begin together.
func (m *Monitor) place(id string, j job, now time.Time, fresh int) {
	old := m.entries[id]
	if old != nil && old.job == j {
		return
	}
	e := newEntry(id, j)
	m.entries[id] = e
	first := m.spread(e, fresh, min(j.interval, time.Second))
	e.next = now.Add(first)
	if old != nil {
		m.detach(old)
		m.inherit(e, old, now)
	}
	if h, known := m.recalled[id]; known && old == nil {
		e.recall(h)
	}
	delete(m.recalled, id)
	if j.unchecked() {
		m.freeze(e, now)
		return
	}
	m.queue.put(e, m.queue.nearest(e.next))
}

// spread returns a part of at most width that depends on the id alone, so that many servers are not all probed in the same moment, and remembers how to
// stretch that part over the interval at the second probe: all of it when many came together.
func (m *Monitor) spread(e *entry, fresh int, width time.Duration) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(e.id))
	// The high bits of FNV hardly differ between ids that differ in their last character; multiplying mixes them.
	phase := float64(h.Sum64()*0x9E3779B97F4A7C15>>11) / (1 << 53)
	width = min(width, time.Duration(min(fresh, math.MaxInt32))*stagger)
	e.shift = -time.Duration((1 - phase) * float64(min(e.job.interval-width, stretch*width)))
	return time.Duration(phase * float64(width))
}

// inherit gives e the history of old, and everything else too when only the cadence differs.
func (m *Monitor) inherit(e, old *entry, now time.Time) {
	e.probes, e.changes, e.waiters = old.probes, old.changes, old.waiters
	if e.job.subject == old.job.subject {
		e.streak, e.since, e.last, e.badSince, e.shift = old.streak, old.since, old.last, old.badSince, 0
		e.next = old.next
		if soon := now.Add(e.job.interval); soon.Before(e.next) {
			e.next = soon
		}
		return
	}
	if old.streak.health != appliance.Unknown {
		e.change(appliance.Unknown, now, "The address or the check was changed.")
		m.news = append(m.news, transition{e.id, appliance.Unknown})
	}
}

// freeze makes a server that is not checked up for good.
func (m *Monitor) freeze(e *entry, now time.Time) {
	e.last = unchecked
	e.next = time.Time{}
	if e.streak.health != appliance.Up {
		e.streak.health = appliance.Up
		e.change(appliance.Up, now, unchecked.sentence())
		m.news = append(m.news, transition{e.id, appliance.Up})
	}
	for _, w := range e.waiters {
		w <- appliance.Probe{At: now, Good: true, Sentence: unchecked.sentence()}
	}
	e.waiters = nil
}

// hasten makes e due now, unless its probe is under way.
func (m *Monitor) hasten(e *entry) {
	if e.index != outside {
		e.next = m.now()
		m.queue.remove(e)
		m.queue.put(e, m.queue.beatAt(e.next))
	}
}

// detach takes e out of the schedule and ends its probe.
func (m *Monitor) detach(e *entry) {
	m.queue.remove(e)
	e.detached = true
	if e.cancel != nil {
		e.cancel()
	}
}

func (m *Monitor) forget(e *entry) {
	m.detach(e)
	delete(m.entries, e.id)
	for _, w := range e.waiters {
		close(w)
	}
	e.waiters = nil
}

// transition is a change of health that is to be told.
type transition struct {
	server string
	health appliance.Health
}

// tell hands news to Options.Changed in the order in which they happened, whoever found them.
func (m *Monitor) tell() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.telling {
		return
	}
	m.telling = true
	for len(m.news) > 0 {
		t := m.news[0]
		m.news = m.news[1:]
		if m.changed != nil {
			m.mu.Unlock()
			m.changed(t.server, t.health)
			m.mu.Lock()
		}
	}
	m.news, m.telling = nil, false
}
