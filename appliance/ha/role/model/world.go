package model

import (
	"time"

	"evenkeel/appliance/ha/role"
)

// grid is the time between the turns of the two nodes; each has every second turn.
const grid = 10 * time.Millisecond

// now is the time of every turn: after it all times are moved back by one grid, so that equal situations are equal values.
const now = time.Hour

// letter is a heartbeat on its way.
type letter struct {
	says   role.Says
	life   time.Duration // of the lease: as usual, of a new pair, of an owner that has been alone for long, or of a restless machine
	choice uint8
	turns  uint8 // of the receiver until it comes
	sent   time.Duration
	echo   time.Duration
}

// place is a node on the grid. Everything that it awaits comes at its next turn.
type place struct {
	state     role.State
	heard     time.Duration
	lease     time.Duration
	up        bool // the kernel's: addresses are on
	raising   bool
	asked     bool // the witness
	answered  bool // somebody answered for the addresses
	rivaled   bool // the other was seen probing
	dead      bool
	off       bool // dead for good: it has no power any more
	frozen    bool
	isolated  bool // nothing comes in or goes out
	dumb      bool // nothing of it reaches the other
	numb      bool // nothing reaches it
	unseen    bool // the witness does not answer it
	unfit     bool
	mail      [3]letter // on its way to this node, or waiting in its socket while it is frozen; the oldest first
	mails     uint8
	witnessed bool // an answer is waiting
}

// world is one situation of the pair, at the beginning of a turn.
type world struct {
	places  [2]place
	cut     [2]bool // heartbeats to that node are lost
	turn    uint8
	left    uint8 // faults that may still happen
	faults  uint8 // that have happened, and returns that count like one
	owner   uint8 // the last one, plus one
	changes uint8
	stands  bool // machines may stand still again and again
}

func (p *place) owns() bool { return p.up && now < p.lease }

// reaches tells whether something of node i reaches the other.
func (w *world) reaches(i int) bool {
	return !w.places[0].isolated && !w.places[1].isolated && !w.places[i].dumb && !w.places[1-i].numb
}

// newWorld is a pair whose processes start at the same time.
func newWorld(faults int) world {
	var w world
	for i := range w.places {
		w.places[i].state.Phase = role.Starting
	}
	w.left = uint8(faults)
	return w
}

// found lets the first node be one that was alone until now.
func (w *world) found() {
	p := &w.places[0]
	p.up, p.lease, w.owner = true, now+role.FirstLease(config(0)), 1
	p.state, _ = role.Step(config(0), role.State{}, role.Event{Kind: role.Founded, Yes: true, At: now})
}

// config is the same for every world of an exploration but for the failback.
func config(i int) role.Config {
	return role.Config{Witness: true, First: i == 0, Primary: i == 0, Switch: 200 * time.Millisecond, Alone: 400 * time.Millisecond}
}

// explorer is what the turns of all worlds share.
type explorer struct {
	step     Stepper
	failback bool
	broken   string
}

func (x *explorer) config(i int) role.Config {
	c := config(i)
	c.Failback = x.failback
	return c
}

// shift moves every time of the world one grid back. Ages at which the machine no longer looks are made equal, so that situations meet.
func (w *world) shift() {
	long := long
	if w.stands {
		long = longer
	}
	for i := range w.places {
		p := &w.places[i]
		back(&p.lease, 0)
		for k := range p.mails {
			back(&p.mail[k].sent, long)
			back(&p.mail[k].echo, long)
		}
		back(&p.heard, long+1) // older than what waits in the mail
		s := &p.state
		for _, t := range [...]*time.Duration{&s.At, &s.Since, &s.Until, &s.Heard, &s.Said, &s.Echoed, &s.Due, &s.Held, &s.Probed, &s.Asking, &s.AskedMe, &s.Longer, &s.Rival, &s.Ready} {
			back(t, long)
		}
		for _, t := range [...]*time.Duration{&s.Wish, &s.Give, &s.Limit, &s.Sick, &s.Mute} {
			back(t, 0)
		}
		s.Stalled = 0 // whether a machine is restless is the adversary's move
		if s.Stalls < stands {
			s.Stalls = 0
		} else {
			s.Stalled = now
		}
		back(&s.Lone, 900*time.Millisecond)
		back(&s.Looked, 600*time.Millisecond)
		back(&s.Asked, 1100*time.Millisecond)
		back(&s.Answered, 3100*time.Millisecond)
		s.Gap = s.Gap.Truncate(grid)                                      // a gap is forgotten faster than in the machine: less patience is the harder case
		s.Announce, s.Round, s.Began, s.Well, s.Peer.Echo = 0, 0, 0, 0, 0 // for the neighbours and the timeline
	}
	w.turn = 1 - w.turn
}

// long is an age beyond which most times mean the same.
const long = 500 * time.Millisecond

// longer is the same where a restless machine's lease may be in force.
const longer = 1100 * time.Millisecond

// stands are more stalls than make a machine restless.
const stands = 100

func back(t *time.Duration, oldest time.Duration) {
	if *t != 0 {
		*t = max(*t-grid, now-oldest)
	}
}
