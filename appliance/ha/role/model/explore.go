package model

import (
	"fmt"
	"hash/maphash"
	"slices"

	"evenkeel/appliance/ha/role"
)

// move is what the adversary does before a turn.
type move struct {
	name  string
	costs bool
	can   func(w *world, p *place, i int) bool
	do    func(x *explorer, w *world, p *place, i int)
	fate  fate
}

// moves are all of them. What begins a fault costs one of the faults that are left; what ends it is free.
var moves = []move{
	{name: "nothing"},
	{name: "heartbeat lost", costs: true, fate: lost},
	{name: "heartbeat late", costs: true, fate: late},
	{name: "heartbeat very late", costs: true, fate: latest},
	{name: "heartbeat doubled", costs: true, fate: doubled},
	{
		name: "freeze", costs: true, can: func(_ *world, p *place, _ int) bool { return !p.dead && !p.frozen },
		do: func(_ *explorer, _ *world, p *place, _ int) { p.frozen = true },
	},
	{name: "wake", can: func(_ *world, p *place, _ int) bool { return p.frozen }, do: func(_ *explorer, _ *world, p *place, _ int) { p.frozen = false }},
	{
		name: "wake, the clock first", can: func(_ *world, p *place, _ int) bool { return p.frozen },
		do: func(x *explorer, w *world, p *place, i int) {
			p.frozen = false
			x.give(w, i, role.Event{Kind: role.Tick})
		},
	},
	{
		name: "restless", can: func(w *world, p *place, i int) bool { return w.stands && speaks(w, p, i) && p.state.Stalls == 0 },
		do: func(_ *explorer, _ *world, p *place, _ int) { p.state.Stalls, p.state.Stalled = stands, now },
	},
	{
		name: "calm", can: func(_ *world, p *place, _ int) bool { return p.state.Stalls == stands },
		do: func(_ *explorer, _ *world, p *place, _ int) { p.state.Stalls, p.state.Stalled = 0, 0 },
	},
	{
		name: "kill", costs: true, can: func(_ *world, p *place, _ int) bool { return !p.dead },
		do: func(_ *explorer, _ *world, p *place, _ int) { p.dead, p.frozen = true, false },
	},
	{
		name: "restart", can: func(_ *world, p *place, _ int) bool { return p.dead && !p.off },
		do: func(_ *explorer, w *world, p *place, i int) {
			p.dead, p.state, p.heard = false, role.State{}, 0
			w.unknown(i)
		},
	},
	{
		name: "isolate", costs: true, can: func(w *world, p *place, _ int) bool { return !p.isolated && (!(w.cut[0] && w.cut[1]) || w.long()) },
		do: func(_ *explorer, _ *world, p *place, _ int) { p.isolated = true },
	},
	{name: "connect", can: func(_ *world, p *place, _ int) bool { return p.isolated }, do: func(_ *explorer, _ *world, p *place, _ int) { p.isolated = false }},
	{
		name: "cut", costs: true, can: func(w *world, _ *place, i int) bool { return !w.cut[i] && !w.parted() },
		do: func(_ *explorer, w *world, _ *place, i int) { w.cut[i] = true },
	},
	{name: "mend", can: func(w *world, _ *place, i int) bool { return w.cut[i] }, do: func(_ *explorer, w *world, _ *place, i int) { w.cut[i] = false }},
	{
		name: "dumb", costs: true, can: func(w *world, _ *place, _ int) bool { return !w.parted() && !w.cut[0] && !w.cut[1] },
		do: func(_ *explorer, _ *world, p *place, _ int) { p.dumb = true },
	},
	{name: "heard again", can: func(_ *world, p *place, _ int) bool { return p.dumb }, do: func(_ *explorer, _ *world, p *place, _ int) { p.dumb = false }},
	{
		name: "numb", costs: true, can: func(w *world, _ *place, _ int) bool { return !w.parted() && !w.cut[0] && !w.cut[1] },
		do: func(_ *explorer, _ *world, p *place, _ int) { p.numb = true },
	},
	{name: "hears again", can: func(_ *world, p *place, _ int) bool { return p.numb }, do: func(_ *explorer, _ *world, p *place, _ int) { p.numb = false }},
	{
		name: "witness silent", costs: true, can: func(_ *world, p *place, _ int) bool { return !p.unseen },
		do: func(_ *explorer, _ *world, p *place, _ int) { p.unseen = true },
	},
	{name: "witness back", can: func(_ *world, p *place, _ int) bool { return p.unseen }, do: func(_ *explorer, _ *world, p *place, _ int) { p.unseen = false }},
	{
		name: "unhealthy", costs: true, can: func(_ *world, p *place, _ int) bool { return !p.unfit },
		do: func(_ *explorer, _ *world, p *place, _ int) { p.unfit = true },
	},
	{name: "make active", costs: true, can: speaks, do: command(role.MakeActive)},
	{
		name: "vouch that the other is off", costs: true, can: func(w *world, p *place, i int) bool {
			return speaks(w, p, i) && w.places[1-i].dead && !w.places[1-i].off
		},
		do: func(x *explorer, w *world, _ *place, i int) {
			other := &w.places[1-i]
			other.off, other.up, other.lease = true, false, 0
			x.give(w, i, role.Event{Kind: role.MakeActive, Yes: true})
		},
	},
	{name: "make passive", costs: true, can: speaks, do: command(role.MakePassive)},
	{name: "healthy", can: func(_ *world, p *place, _ int) bool { return p.unfit }, do: func(_ *explorer, _ *world, p *place, _ int) { p.unfit = false }},
}

// long tells whether an owner has been alone for so long that a cut of the heartbeat no longer matters to what comes then.
func (w *world) long() bool { return w.places[0].state.Lone != 0 || w.places[1].state.Lone != 0 }

// parted tells whether something but the heartbeat is kept from the other node: a cut of the heartbeat with it is a limit of the pair.
func (w *world) parted() bool {
	a, b := &w.places[0], &w.places[1]
	return a.isolated || b.isolated || a.dumb || b.dumb || a.numb || b.numb
}

// unknown: what is on its way to the other echoes a boot that has ended.
func (w *world) unknown(i int) {
	p := &w.places[i]
	for k := range p.mails {
		p.mail[k].echo = 0
	}
	w.places[1-i].heard = 0
}

// Exploration is how an exploration went.
type Exploration struct {
	States int // different situations
	Depth  int // turns from the beginning
	Broken string
	Path   []string // what the adversary did until then
}

// Beginning is where an exploration begins.
type Beginning uint8

// The beginnings.
const (
	Settled  Beginning = iota // a pair that is well
	Started                   // two nodes that start together
	Founded                   // a node that was alone and serves, and its new peer
	Lonely                    // an owner whose peer has been dead for long
	Parted                    // an owner and a peer that have not heard each other for long
	Calm                      // a pair that is well, on machines that may come to stand still again and again
	Restless                  // the same, and both have done so
)

// Limits bounds an exploration.
type Limits struct {
	Faults int // that may begin on one path
	States int // stop after so many
	Depth  int // and after so many turns
	From   Beginning
	Back   bool     // automatic failback is on
	Moves  []string // only these; nil: all
}

// node of the search: where it came from, to tell the path.
type origin struct {
	parent int32
	move   uint8
}

// Explore visits every situation that the limits allow, breadth first: the path to a broken invariant is a shortest one.
func Explore(l Limits, step Stepper) Exploration {
	x := &explorer{step: step, failback: l.Back}
	root := newWorld(l.Faults)
	switch l.From {
	case Settled:
		x.settle(&root, 100)
	case Calm, Restless:
		x.settle(&root, 100)
		root.stands = true
		for i := range root.places[:2*(l.From-Calm)] {
			root.places[i].state.Stalls, root.places[i].state.Stalled = stands, now
		}
		x.settle(&root, 200)
	case Founded:
		root.found()
	case Lonely, Parted:
		x.settle(&root, 100)
		if l.From == Lonely {
			root.places[2-root.owner].dead = true
		} else {
			root.cut = [2]bool{true, true}
		}
		x.settle(&root, 200)
	}
	s := search{x: x, seen: newSet(l.States), limit: l.States, moves: chosen(l.Moves), from: []origin{{parent: -1}}}
	front, numbers := []world{root}, []int32{0}
	s.seen.add(maphash.Comparable(s.seen.seed, root))
	for depth := 0; ; depth++ {
		if len(front) == 0 || depth == l.Depth || s.count >= l.States || s.broken != "" {
			return Exploration{States: s.count, Depth: depth, Broken: s.broken, Path: s.path}
		}
		s.next, s.numbers = make([]world, 0, 2*len(front)), make([]int32, 0, 2*len(front))
		for k := range front {
			if s.expand(&front[k], numbers[k]); s.broken != "" || s.count >= l.States {
				break
			}
		}
		front, numbers = s.next, s.numbers
	}
}

// chosen are the numbers of the moves with these names.
func chosen(names []string) []uint8 {
	numbers := []uint8{0}
	for k := 1; k < len(moves); k++ {
		if names == nil || slices.Contains(names, moves[k].name) {
			numbers = append(numbers, uint8(k))
		}
	}
	return numbers
}

type search struct {
	x       *explorer
	seen    *set
	limit   int
	moves   []uint8
	count   int
	from    []origin
	next    []world
	numbers []int32
	broken  string
	path    []string
}

// expand plays every move at one situation.
func (s *search) expand(w *world, number int32) {
	for _, k := range s.moves {
		m := &moves[k]
		i := int(w.turn)
		if m.costs && w.left == 0 || m.can != nil && !m.can(w, &w.places[i], i) || m.fate != delivered && !speaks(w, &w.places[i], i) {
			continue
		}
		n := *w
		if m.do != nil {
			m.do(s.x, &n, &n.places[i], i)
		}
		n.pay(m.costs, m.name)
		s.x.play(&n, m.fate)
		s.visit(&n, number, k)
	}
}

// speaks tells whether the node does anything.
func speaks(_ *world, p *place, _ int) bool { return !p.dead && !p.frozen && p.state.At != 0 }

func command(kind role.Kind) func(*explorer, *world, *place, int) {
	return func(x *explorer, w *world, _ *place, i int) { x.give(w, i, role.Event{Kind: kind}) }
}

// pay counts a fault. Its end counts as well when a node comes back that does not hear the owner, which must yield then, or that is healthier.
func (w *world) pay(costs bool, name string) {
	if costs {
		w.left--
		w.faults++
		return
	}
	a, b := &w.places[0], &w.places[1]
	if name != "nothing" && (a.dumb || b.dumb || w.cut[0] || w.cut[1] || a.unfit || b.unfit) {
		w.faults++
	}
}

func (s *search) visit(n *world, parent int32, m uint8) {
	if s.x.broken != "" {
		s.broken = s.x.broken
		s.tell(parent, m)
		return
	}
	if !s.seen.add(maphash.Comparable(s.seen.seed, *n)) {
		return
	}
	s.count++
	if s.count%sampled == 0 && !s.recovers(*n) {
		s.broken = "I2: no owner although nothing happens any more"
		s.tell(parent, m)
		return
	}
	s.from = append(s.from, origin{parent: parent, move: m})
	s.next = append(s.next, *n)
	s.numbers = append(s.numbers, int32(len(s.from)-1))
}

// tell names the way to a situation.
func (s *search) tell(parent int32, m uint8) {
	var path []string
	add := func(m uint8, depth int) {
		if m != 0 {
			path = append(path, fmt.Sprintf("%d turns before: %s", depth, moves[m].name))
		}
	}
	add(m, 0)
	for k, depth := parent, 1; k > 0; k, depth = s.from[k].parent, depth+1 {
		add(s.from[k].move, depth)
	}
	s.path = path
}

// sampled is how many situations there are for one from which the pair is let alone, to see that it finds an owner.
const sampled = 64

// settle lets the world alone for some turns.
func (x *explorer) settle(w *world, turns int) {
	for range turns {
		x.play(w, delivered)
	}
}

// recovers tells whether a pair that is let alone has an owner in the end, if it must.
func (s *search) recovers(w world) bool {
	must := false
	for i := range w.places {
		p := &w.places[i]
		must = must || !p.dead && !p.frozen && !p.unfit && (p.state.Forced || w.witness(i))
	}
	if !must {
		return true
	}
	quiet := &explorer{step: s.x.step, failback: s.x.failback}
	turns := 180
	if w.stands {
		turns = 400
	}
	quiet.settle(&w, turns)
	return w.places[0].owns() || w.places[1].owns()
}
