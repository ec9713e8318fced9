package model

import "time"

// passes is the fate of one datagram.
func (w *sim) passes() bool {
	p := max(w.schedule.Loss, w.level)
	return p == 0 || w.rng.Float64() >= p
}

func (w *sim) delay() time.Duration {
	d := 100*time.Microsecond + w.random(time.Millisecond)
	if w.any(Jitter) {
		d += w.random(40 * time.Millisecond)
	}
	return d
}

// near is the delay to the witness: it is asked and answers by the kernel and the network card of its machine, without a queue.
func (w *sim) near() time.Duration { return 100*time.Microsecond + w.random(5*time.Millisecond) }

func (w *sim) any(ill Ill) bool { return w.nodes[0].active[ill]+w.nodes[1].active[ill] > 0 }

// linked tells whether a node's interface of the services carries anything.
func (w *sim) linked(i int) bool {
	return w.nodes[i].active[LinkDown]+w.nodes[i].active[Blackhole] == 0
}

// services tells whether something of one node reaches the other on the services' network.
func (w *sim) services(from, to int) bool {
	return w.linked(from) && w.linked(to) && w.nodes[from].active[Deaf]+w.nodes[to].active[Numb] == 0 && !w.any(Services)
}

// dedicated is the same for the heartbeat's own path.
func (w *sim) dedicated(from, to int) bool {
	n := w.nodes
	return n[from].active[Blackhole]+n[to].active[Blackhole]+n[from].active[Deaf]+n[to].active[Numb] == 0 && !w.any(Heartbeat)
}

func (w *sim) witnessAnswers(i int) bool {
	return w.linked(i) && w.nodes[i].active[Witness]+w.nodes[i].active[Numb] == 0 && !w.any(NoWitness)
}

// send sends a heartbeat on every path; some come twice.
func (w *sim) send(n *simNode, i int) {
	if n.frozen || !n.alive {
		return
	}
	d := n.says(n.read(w.now))
	if w.schedule.Dedicated && w.dedicated(i, 1-i) {
		w.carry(1-i, d)
	}
	if w.schedule.Shared && w.services(i, 1-i) {
		w.carry(1-i, d)
	}
}

func (w *sim) carry(to int, d datagram) {
	if w.passes() {
		w.queue.push(happening{at: w.now + w.delay(), what: arrives, node: to, sent: d})
		if w.rng.IntN(50) == 0 {
			w.queue.push(happening{at: w.now + w.delay() + w.random(300*time.Millisecond), what: arrives, node: to, sent: d})
		}
	}
}

// probe asks everybody on the services' network for the addresses.
func (w *sim) probe(i int) {
	if w.services(i, 1-i) && w.passes() {
		w.queue.push(happening{at: w.now + w.delay(), what: question, node: 1 - i})
	}
	if w.any(Stranger) && w.linked(i) && w.nodes[i].active[Numb] == 0 && w.passes() && w.passes() {
		w.later(i, answer, 2*w.delay())
	}
}

// questioned: the kernel answers while it lets the addresses live; the process, if it runs, sees that the other is looking.
func (w *sim) questioned(n *simNode, i int) {
	if n.owns(n.clock(w.now)) && w.services(i, 1-i) && w.passes() && w.nodes[1-i].alive {
		w.later(1-i, answer, w.delay())
	}
	if n.alive {
		w.queue.push(happening{at: w.now, what: rivals, node: i, life: n.life})
	}
}
