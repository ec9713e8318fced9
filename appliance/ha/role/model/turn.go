package model

import (
	"fmt"
	"time"

	"evenkeel/appliance"
	"evenkeel/appliance/ha/role"
)

// fate is what happens to the heartbeat of a turn.
type fate uint8

const (
	delivered fate = iota
	lost
	late    // it comes two turns later, after newer ones
	latest  // it comes after eight turns
	doubled // it comes, and once more two turns later
)

// play is the turn of one node: what has come, a tick, a heartbeat.
func (x *explorer) play(w *world, f fate) {
	i := int(w.turn)
	p := &w.places[i]
	switch {
	case p.dead:
		p.mails, p.asked, p.answered, p.rivaled, p.witnessed, p.raising = 0, false, false, false, false, false
	case p.frozen:
		p.witnessed = p.witnessed || p.asked && w.witness(i)
		p.asked = false
	default:
		x.live(w, i, f)
	}
	w.shift()
}

func (w *world) witness(i int) bool {
	return !w.places[i].isolated && !w.places[i].numb && !w.places[i].unseen
}

func (x *explorer) live(w *world, i int, f fate) {
	p := &w.places[i]
	if p.state.At == 0 {
		x.give(w, i, role.Event{Kind: role.Start, Yes: !p.unfit})
	}
	if p.state.Fit == p.unfit {
		x.give(w, i, role.Event{Kind: role.Health, Yes: !p.unfit})
	}
	x.read(w, i)
	if p.raising {
		p.raising, p.up = false, true
		x.give(w, i, role.Event{Kind: role.Raised})
	}
	if p.answered {
		p.answered = false
		x.give(w, i, role.Event{Kind: role.OwnerSeen})
	}
	if p.rivaled {
		p.rivaled = false
		x.give(w, i, role.Event{Kind: role.RivalSeen})
	}
	if p.witnessed || p.asked && w.witness(i) {
		x.give(w, i, role.Event{Kind: role.WitnessAnswered})
	}
	p.asked, p.witnessed = false, false
	x.give(w, i, role.Event{Kind: role.Tick})
	x.send(w, i, f)
}

// read gives the mail that has come to the machine.
func (x *explorer) read(w *world, i int) {
	p := &w.places[i]
	mail, n := p.mail, p.mails
	p.mails = 0
	p.mail = [3]letter{}
	for _, l := range mail[:n] {
		if l.turns > 1 {
			l.turns--
			p.post(l)
			continue
		}
		if l.sent <= p.heard {
			continue
		}
		p.heard = l.sent
		x.give(w, i, role.Event{Kind: role.Heard, Beat: role.Beat{Boot: 1, Echo: l.echo, Sent: l.known(), Says: l.says, Choice: uint32(l.choice), Lease: l.life}})
	}
}

// known is when a letter was sent, if what it echoes tells that.
func (l *letter) known() time.Duration {
	if l.echo == 0 {
		return 0
	}
	return l.sent
}

// life is what a letter says of the lease: one of four, so that situations meet.
func life(lease time.Duration) time.Duration {
	for _, usual := range []time.Duration{appliance.Lease, role.FirstLease(config(0)), long} {
		if lease <= usual {
			return usual
		}
	}
	return time.Second
}

// post puts a letter into the mail of a node; when there is no room the newest of the others makes room.
func (p *place) post(l letter) {
	if int(p.mails) == len(p.mail) {
		p.mails--
	}
	p.mail[p.mails] = l
	p.mails++
}

func (x *explorer) send(w *world, i int, f fate) {
	if f == lost || w.cut[1-i] || !w.reaches(i) {
		return
	}
	p := &w.places[i]
	b := p.state.Says(config(i), now)
	l := letter{says: b.Says, choice: uint8(b.Choice), sent: now + 1, echo: p.heard, turns: 1, life: life(b.Lease)}
	to := &w.places[1-i]
	switch f {
	case late:
		l.turns = 3
	case latest:
		l.turns = 9
	case doubled:
		copied := l
		copied.turns = 3
		to.post(copied)
	}
	to.post(l)
}

// give is a step and what follows from it.
func (x *explorer) give(w *world, i int, e role.Event) {
	e.At = now
	p := &w.places[i]
	var do []role.Action
	p.state, do = x.step(x.config(i), p.state, e)
	for _, a := range do {
		x.obey(w, i, a)
	}
}

func (x *explorer) obey(w *world, i int, a role.Action) {
	p, other := &w.places[i], &w.places[1-i]
	switch a.Do {
	case role.Renew:
		if a.Until > now {
			p.lease = a.Until
			x.owning(w, i)
			x.give(w, i, role.Event{Kind: role.Renewed})
		}
	case role.Drop:
		p.lease = 0
		x.give(w, i, role.Event{Kind: role.Dropped})
	case role.Up:
		p.raising = true
	case role.Down:
		p.up, p.raising = false, false
	case role.AskWitness:
		p.asked = true
	case role.Probe:
		if w.reaches(i) {
			p.answered = p.answered || other.owns() && w.reaches(1-i)
			other.rivaled = !other.dead
		}
	case role.Tell:
		if a.Record.Code == role.WishedByFailback { // a switch that the settings want
			w.faults++
		}
	case role.HandOver:
		x.give(w, i, role.Event{Kind: role.Drained})
	}
}

// owning judges a node that has just been given a lease.
func (x *explorer) owning(w *world, i int) {
	p := &w.places[i]
	if !p.owns() {
		return
	}
	if other := &w.places[1-i]; other.owns() {
		x.broken = fmt.Sprintf("I1: node %d owns, and the lease of node %d goes on for %s", i, 1-i, other.lease-now)
	}
	if w.owner == uint8(i+1) {
		return
	}
	if w.owner != 0 {
		if w.changes++; w.changes > w.faults {
			x.broken = fmt.Sprintf("I3: change %d of owner, to node %d, after %d faults", w.changes, i, w.faults)
		}
	}
	w.owner = uint8(i + 1)
}
