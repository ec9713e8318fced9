package model

import (
	"math/rand/v2"
	"time"

	"evenkeel/appliance/ha/role"
)

// simNode is a node with what the simulation knows of it beside.
type simNode struct {
	node
	clock   func(time.Duration) time.Duration
	life    uint64 // counts processes; zero: none has run
	alive   bool
	frozen  bool
	aiming  bool           // it is to be frozen between a step and what it has to do
	pending []role.Action  // that it was to do when it froze
	inbox   []happening    // what has come since then
	active  [Vouch + 1]int // faults of it that are under way
	last    time.Duration  // the last reading of its clock
}

// sim is one run.
type sim struct {
	schedule Schedule
	step     Stepper
	rng      *rand.Rand
	now      time.Duration
	queue    queue
	nodes    [2]*simNode
	watch    watch
	level    float64 // of the worst fault Loss
	trace    func(now time.Duration, node int, r role.Record)
}

// The rhythms of a node, by its own clock.
const (
	tickEvery = 5 * time.Millisecond
	beatEvery = 10 * time.Millisecond
	inboxSize = 400 // what a socket keeps
)

// newSim prepares a run; nothing has started yet.
func newSim(s Schedule, step Stepper) *sim {
	w := &sim{schedule: s, step: step, rng: rand.New(rand.NewPCG(s.Seed, 0x77696e64))}
	for i := range w.nodes {
		offset, rate := s.Offset[i], s.Rate[i]
		n := &simNode{clock: func(t time.Duration) time.Duration { return offset + time.Duration(float64(t)*rate) }}
		n.config = role.Config{Witness: s.Witness, Primary: i == 0, First: i == 0, Failback: s.Failback, Priority: s.Priority[i], Switch: 300 * time.Millisecond, Alone: s.Alone, Calm: s.Calm}
		if s.Founder && i == 0 {
			n.up, n.lease, w.watch.owner = true, n.clock(s.Length), 1
		}
		w.nodes[i] = n
		w.queue.push(happening{at: s.Started[i] + time.Duration(i)*time.Microsecond, what: restarts, node: i})
	}
	for i, f := range s.Faults {
		w.queue.push(happening{at: f.At, what: begins, node: f.Node, fault: i})
		if f.Until != 0 {
			w.queue.push(happening{at: f.Until, what: ends, node: f.Node, fault: i})
		}
	}
	w.queue.push(happening{at: 0, what: audits})
	return w
}

// run goes on until then, or until an invariant breaks.
func (w *sim) run(until time.Duration) {
	for w.watch.broken == "" && len(w.queue.heap) > 0 {
		if w.queue.entries[w.queue.heap[0]].at > until {
			w.now = until
			return
		}
		h := w.queue.pop()
		w.now = max(w.now, h.at)
		w.happen(h)
	}
}

func (w *sim) happen(h happening) {
	n := w.nodes[h.node]
	switch h.what {
	case begins:
		w.begin(w.schedule.Faults[h.fault])
	case ends:
		w.end(w.schedule.Faults[h.fault])
	case restarts:
		w.boot(n, h.node)
	case wakes:
		w.wake(n, h.node)
	case audits:
		w.audit()
		w.queue.push(happening{at: w.now + 10*time.Millisecond, what: audits})
	case question:
		w.questioned(n, h.node)
	default:
		if !n.alive || h.life != 0 && h.life != n.life {
			return
		}
		w.rhythm(h)
		if n.frozen {
			if h.what != ticks && h.what != beats && len(n.inbox) < inboxSize {
				n.inbox = append(n.inbox, h)
			}
			return
		}
		w.meet(n, h)
	}
}

// rhythm keeps ticks and heartbeats coming, frozen or not.
func (w *sim) rhythm(h happening) {
	switch h.what {
	case ticks:
		h.at = w.now + tickEvery + time.Duration(w.rng.Int64N(int64(time.Millisecond)))
	case beats:
		h.at = w.now + beatEvery
	default:
		return
	}
	w.queue.push(h)
}

// meet gives a happening to a process that runs.
func (w *sim) meet(n *simNode, h happening) {
	switch h.what {
	case ticks:
		w.give(n, h.node, role.Event{Kind: role.Tick})
	case beats:
		w.send(n, h.node)
	case arrives:
		if e, ok := n.hears(h.sent); ok {
			w.give(n, h.node, e)
		}
	case answer, announced:
		w.give(n, h.node, role.Event{Kind: role.OwnerSeen, Hardware: 1})
	case rivals:
		w.give(n, h.node, role.Event{Kind: role.RivalSeen})
	case witnessed:
		w.give(n, h.node, role.Event{Kind: role.WitnessAnswered})
	case raised:
		n.up = true
		w.watch.owning(w, h.node)
		w.give(n, h.node, role.Event{Kind: role.Raised})
	case drained:
		w.give(n, h.node, role.Event{Kind: role.Drained})
	case health:
		w.give(n, h.node, role.Event{Kind: role.Health, Yes: h.yes})
	}
}

// read is a reading of the node's clock: strictly increasing.
func (n *simNode) read(now time.Duration) time.Duration {
	n.last = max(n.clock(now), n.last+1)
	return n.last
}

// give is one step and what follows from it.
func (w *sim) give(n *simNode, i int, e role.Event) {
	e.At = n.read(w.now)
	var do []role.Action
	n.state, do = w.step(n.config, n.state, e)
	if n.aiming && len(do) > 0 {
		n.aiming, n.frozen = false, true
		w.watch.froze = w.now
		n.pending = append(n.pending, do...)
		return
	}
	w.perform(n, i, do)
}

func (w *sim) perform(n *simNode, i int, do []role.Action) {
	for k, a := range do {
		if n.frozen { // by an answer that was given meanwhile
			n.pending = append(n.pending, do[k:]...)
			return
		}
		w.obey(n, i, a)
	}
}

// obey does one action.
func (w *sim) obey(n *simNode, i int, a role.Action) {
	switch a.Do {
	case role.Renew:
		w.renew(n, i, a.Until)
	case role.Drop:
		n.lease = 0
		w.watch.dropped[i] = w.now
		w.give(n, i, role.Event{Kind: role.Dropped})
	case role.Up:
		w.later(i, raised, time.Millisecond+w.random(40*time.Millisecond))
	case role.Down:
		n.up = false
		w.forget(i)
	case role.AskWitness:
		for range a.Times {
			if w.witnessAnswers(i) && w.passes() && w.passes() {
				w.later(i, witnessed, 2*w.near())
			}
		}
	case role.Probe:
		for range a.Times {
			w.probe(i)
		}
	case role.Announce:
		if n.owns(n.clock(w.now)) && w.services(i, 1-i) && w.passes() {
			w.later(1-i, announced, w.delay())
		}
	case role.Send:
		w.send(n, i)
	case role.HandOver:
		w.later(i, drained, w.random(500*time.Millisecond))
	case role.Tell:
		w.watch.told(w, a.Record)
		if w.trace != nil {
			w.trace(w.now, i, a.Record)
		}
	}
}

func (w *sim) random(d time.Duration) time.Duration { return time.Duration(w.rng.Int64N(int64(d))) }

// later is something that comes to the process that runs now.
func (w *sim) later(i int, what what, after time.Duration) {
	w.queue.push(happening{at: w.now + after, what: what, node: i, life: w.nodes[i].life})
}

// forget takes back an Up that is under way.
func (w *sim) forget(i int) {
	for _, slot := range w.queue.heap {
		if h := &w.queue.entries[slot]; h.what == raised && h.node == i {
			h.what, h.life = drained, 1<<63
		}
	}
	for k := range w.nodes[i].inbox {
		if w.nodes[i].inbox[k].what == raised {
			w.nodes[i].inbox[k].what = drained
		}
	}
}

// renew is the kernel's side: life counts from now, so that the caller has to look at the clock.
func (w *sim) renew(n *simNode, i int, until time.Duration) {
	now := n.clock(w.now)
	if n.active[Refused] > 0 || until <= now {
		w.give(n, i, role.Event{Kind: role.RenewFailed})
		return
	}
	n.lease = now + (until - now)
	w.watch.owning(w, i)
	w.give(n, i, role.Event{Kind: role.Renewed})
}

// boot starts a process.
func (w *sim) boot(n *simNode, i int) {
	if n.active[Kill]+n.active[PowerCut]+n.active[Leave] > 0 {
		return
	}
	n.restart()
	n.life++
	n.alive, n.frozen, n.aiming, n.pending, n.inbox = true, n.active[Freeze] > 0, false, nil, nil
	start := role.Event{Kind: role.Start, Yes: w.fit(i)}
	if w.schedule.Founder && i == 0 && n.life == 1 {
		start.Kind = role.Founded
		n.lease = n.clock(w.now) + role.FirstLease(n.config)
	}
	w.later(i, ticks, time.Millisecond)
	w.later(i, beats, w.random(beatEvery))
	if n.frozen {
		n.frozen = false // it freezes right after its first step
		w.give(n, i, start)
		n.frozen = true
		return
	}
	w.give(n, i, start)
}

// wake lets a frozen process go on: first what it was about to do, then, in one order or the other, its clock and what has waited.
func (w *sim) wake(n *simNode, i int) {
	if !n.alive || n.active[Freeze] > 0 {
		return
	}
	n.frozen, n.aiming = false, false
	pending, inbox := n.pending, n.inbox
	n.pending, n.inbox = nil, nil
	w.perform(n, i, pending)
	if w.rng.IntN(2) == 0 {
		w.give(n, i, role.Event{Kind: role.Tick})
	}
	for _, h := range inbox {
		w.meet(n, h)
	}
}

func (w *sim) fit(i int) bool { return w.nodes[i].active[LinkDown]+w.nodes[i].active[Unhealthy] == 0 }
