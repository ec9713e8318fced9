package model

import (
	"fmt"
	"time"

	"evenkeel/appliance/ha/role"
)

// watch judges a run.
type watch struct {
	broken  string           // the first invariant that broke
	owner   int              // the last owner, plus one
	changes int              // of owner
	faults  int              // that have begun
	calm    time.Duration    // since then nothing has changed
	gained  [2]time.Duration // when a node became the owner
	froze   time.Duration    // when a process stopped between a step and its actions
	dropped [2]time.Duration // when it let go
	records map[role.Code]int
}

// bound is how long the pair may need after a change until it has an owner, from any state: a start's silence, the patience at its longest and
// the longest looks, and another turn because the first was disturbed.
const bound = 2200 * time.Millisecond

func (a *watch) fail(w *sim, format string, args ...any) {
	if a.broken == "" {
		a.broken = fmt.Sprintf("at %s: ", w.now) + fmt.Sprintf(format, args...)
	}
}

// owning is called whenever a node may have become the owner.
func (a *watch) owning(w *sim, i int) {
	self, other := w.nodes[i], w.nodes[1-i]
	if !self.owns(self.clock(w.now)) {
		return
	}
	if other.owns(other.clock(w.now)) {
		a.fail(w, "I1: node %d owns, and the lease of node %d goes on for %s", i, 1-i, other.lease-other.clock(w.now))
	}
	if a.owner == i+1 {
		return
	}
	a.gained[i] = w.now
	if a.owner != 0 {
		if a.changes++; a.changes > a.faults {
			a.fail(w, "I3: change %d of owner, to node %d, after %d faults", a.changes, i, a.faults)
		}
	}
	a.owner = i + 1
}

// changed is called when a fault begins or ends.
func (a *watch) changed(w *sim, f Fault, begins bool) {
	a.calm = max(a.calm, w.now)
	if f.Ill == Refused || w.any(Refused) {
		a.calm = w.now + 2500*time.Millisecond // what the node itself waits for after such a fault
	}
	if begins || w.any(Deaf) || w.unwell() {
		a.faults++ // the end of a fault counts when a node comes back that does not hear the owner (which must yield), or that is healthier
	}
}

// unwell tells whether a node is not healthy, or does not know yet that it is again.
func (w *sim) unwell() bool {
	for _, n := range w.nodes {
		if n.alive && !n.state.Fit {
			return true
		}
	}
	return w.any(Unhealthy) || w.any(LinkDown)
}

func (a *watch) told(w *sim, r role.Record) {
	if r.Code == role.WishedByFailback { // a switch that its settings want
		a.faults, a.calm = a.faults+1, max(a.calm, w.now)
	}
	if a.records != nil {
		a.records[r.Code]++
	}
}

// audit is the second invariant.
func (w *sim) audit() {
	least := w.watch.calm + bound + max(w.schedule.Started[0], w.schedule.Started[1])
	if !w.schedule.Witness {
		least += 2500 * time.Millisecond // such a node waits longer after its start
	}
	if w.now < least || !w.possible() {
		return
	}
	for _, n := range w.nodes {
		if n.owns(n.clock(w.now)) {
			return
		}
	}
	w.watch.fail(w, "I2: no owner, and nothing has changed since %s", w.watch.calm)
}

// possible tells whether a node is healthy and connected, so that there has to be an owner.
func (w *sim) possible() bool {
	if w.any(Stranger) || w.any(Refused) || w.any(Jitter) || w.level > 0.3 {
		return false
	}
	for i, n := range w.nodes {
		well := n.alive && !n.frozen && !n.aiming && w.fit(i) && n.active[Leave] == 0
		if well && w.linked(i) && (!w.schedule.Witness || n.state.Forced || w.witnessAnswers(i)) {
			return true
		}
	}
	return false
}
