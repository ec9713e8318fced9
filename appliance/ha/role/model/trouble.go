package model

import (
	"time"

	"evenkeel/appliance/ha/role"
)

// begin is the beginning of a fault.
func (w *sim) begin(f Fault) {
	n := w.nodes[f.Node]
	before := w.fit(f.Node)
	n.active[f.Ill]++
	w.watch.changed(w, f, true)
	switch f.Ill {
	case Kill, PowerCut:
		n.alive = false
		if f.Ill == PowerCut {
			n.lease, n.up = 0, false
		}
	case Freeze:
		if w.rng.IntN(2) == 0 {
			n.aiming = true
		} else {
			n.frozen = true
		}
	case Loss:
		w.level = max(w.level, f.Level)
	case Leave:
		w.command(f.Node, role.Leave)
	case ToActive:
		w.command(f.Node, role.MakeActive)
		n.active[f.Ill]--
	case ToPassive:
		w.command(f.Node, role.MakePassive)
		n.active[f.Ill]--
	case Vouch:
		w.order(f.Node, role.Event{Kind: role.MakeActive, Yes: true})
	case LinkDown, Unhealthy:
		w.health(f.Node, before)
	}
}

// end is its end.
func (w *sim) end(f Fault) {
	if f.Ill == ToActive || f.Ill == ToPassive {
		return
	}
	n := w.nodes[f.Node]
	before := w.fit(f.Node)
	n.active[f.Ill]--
	w.watch.changed(w, f, false)
	switch f.Ill {
	case Kill, PowerCut, Leave:
		w.queue.push(happening{at: w.now, what: restarts, node: f.Node})
	case Freeze:
		w.wake(n, f.Node)
	case Loss:
		if !w.any(Loss) {
			w.level = 0
		}
	case LinkDown, Unhealthy:
		w.health(f.Node, before)
	}
}

func (w *sim) command(i int, kind role.Kind) { w.order(i, role.Event{Kind: kind}) }

func (w *sim) order(i int, e role.Event) {
	if n := w.nodes[i]; n.alive && !n.frozen {
		w.give(n, i, e)
	}
}

// health tells the process what has changed, a little later.
func (w *sim) health(i int, before bool) {
	if now := w.fit(i); now != before {
		w.queue.push(happening{at: w.now + w.random(20*time.Millisecond), what: health, node: i, life: w.nodes[i].life, yes: now})
	}
}
