package ha

import (
	"context"
	"net"
	"net/netip"
	"time"

	"evenkeel/appliance"
	"evenkeel/appliance/ha/beat"
	"evenkeel/appliance/ha/role"
)

const (
	moving   = 5 * time.Second        // the most that putting up or taking off the addresses may take
	staleAge = 100 * time.Millisecond // what the kernel saw longer ago was seen before a pause of this process
)

// configure looks at facts and settings, and tells the machine what has changed.
func (l *loop) configure() {
	f, h := l.n.facts.Load(), l.n.settings.Load()
	if h.Witness == appliance.WitnessGateway && !l.memory.Gateway && len(l.n.kernel.Gateways()) > 0 {
		l.memory.Gateway = true
		l.remember()
	}
	m := &l.n.o.Membership
	l.witness.configure(l, h)
	l.config = role.Config{
		Interval: time.Duration(h.Interval), Dead: time.Duration(h.Dead), Witness: l.witness.configured(h, l.memory.Gateway), Failback: h.Failback,
		Primary: m.Self.Role == appliance.Primary, Priority: f.Priority, First: l.me.Self < l.me.Peer,
		Bare: l.n.o.Kernel == nil, Holds: l.n.o.Kernel == nil && l.n.o.Founder && !l.let,
	}
	before := l.facts
	l.facts = f
	if l.tableSpeaks() {
		l.config.Witness = true // and its answers are not passed on: it stays passive
	}
	if before != f {
		l.examine()
	}
}

// tableSpeaks tells whether the peer is silent here but alive on the connection of the table: then a passive node has no reason to take over.
func (l *loop) tableSpeaks() bool {
	return l.n.o.TableAlive != nil && !l.state.Owner() && bootTime()-l.heardAt > l.wary() && l.n.o.TableAlive()
}

// give gives the machine an event and does what it decides. What the kernel says to that is given before it returns.
func (l *loop) give(e role.Event) {
	l.step(e)
	for len(l.answers) > 0 {
		answer := l.answers[0]
		l.answers = append(l.answers[:0], l.answers[1:]...)
		l.step(answer)
	}
	l.followDrain()
	if l.state.Choice != l.memory.Choice {
		l.memory.Choice = l.state.Choice
		l.remember()
	}
	if l.sendNow {
		l.sendNow = false
		l.send()
	}
}

func (l *loop) step(e role.Event) {
	e.At = bootTime()
	before := l.state.Activity()
	var do []role.Action
	l.state, do = role.Step(l.config, l.state, e)
	for i := range do {
		l.perform(&do[i])
	}
	if l.state.Activity() != before {
		l.nextShow = 0
	}
}

func (l *loop) perform(a *role.Action) {
	switch a.Do {
	case role.Renew:
		l.renew(a.Until)
	case role.Drop:
		l.answer(l.drop(), role.Dropped, role.DropFailed)
	case role.Up:
		l.up()
	case role.Down:
		l.down()
	case role.AskWitness:
		l.witness.ask(l, int(a.Times))
	case role.Probe:
		for range a.Times {
			l.n.kernel.Probe()
		}
	case role.Announce:
		round := int(a.Round)
		l.hand(func() { l.n.kernel.Announce(round) })
	case role.Send:
		l.sendNow = true
	case role.HandOver:
		l.startDrain(a.Until)
	case role.Tell:
		l.tell(a.Record)
	}
}

// renew asks for nothing that is over.
func (l *loop) renew(until time.Duration) {
	if until <= bootTime() {
		l.answers = append(l.answers, role.Event{Kind: role.RenewFailed})
		return
	}
	l.answer(l.n.kernel.Renew(until), role.Renewed, role.RenewFailed)
}

func (l *loop) answer(err error, fine, failed role.Kind) {
	e := role.Event{Kind: fine}
	if err != nil {
		e.Kind = failed
		l.complain("lease refused by the kernel", err)
	}
	l.answers = append(l.answers, e)
}

// hand gives the hands a job; one that finds no room is not done, and told so.
func (l *loop) hand(job func()) bool {
	select {
	case l.n.hands <- job:
		return true
	default:
		return false
	}
}

// up puts the addresses on their interfaces beside the loop. Only the answer to the newest Up counts: a Down may have followed an older one.
func (l *loop) up() {
	l.raising++
	turn, n := l.raising, l.n
	raised := func(kind role.Kind) {
		n.insist(l.ctx, func(l *loop) {
			if turn == l.raising {
				l.give(role.Event{Kind: kind})
			}
		})
	}
	if !l.hand(func() {
		if err := within(moving, n.kernel.Up); err != nil {
			n.o.Logger.Error("floating addresses not put on their interfaces", "err", err)
			raised(role.RaiseFailed)
			return
		}
		raised(role.Raised)
	}) {
		l.answers = append(l.answers, role.Event{Kind: role.RaiseFailed})
	}
}

func (l *loop) down() {
	l.raising++
	n := l.n
	if !l.hand(func() {
		if err := within(moving, n.kernel.Down); err != nil {
			n.o.Logger.Error("floating addresses not taken off their interfaces; without a lease they are silent", "err", err)
		}
	}) {
		n.o.Logger.Error("floating addresses stay on their interfaces; without a lease they are silent")
	}
}

// within calls f with a limit; it does not end with the node, whose last act may be to take the addresses off.
func within(limit time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return f(ctx)
}

// kernelSays passes on what the machine has seen.
func (l *loop) kernelSays(e appliance.KernelEvent) {
	old := e.At != 0 && bootTime()-e.At > staleAge
	switch e.Kind {
	case appliance.WitnessAnswered:
		if !old {
			l.witness.answered(l, e.Address)
		}
	case appliance.OwnerSeen:
		if !old {
			l.give(role.Event{Kind: role.OwnerSeen, Hardware: hardware(e.Hardware)})
		}
	case appliance.RivalSeen:
		if !old {
			l.give(role.Event{Kind: role.RivalSeen})
		}
	case appliance.LinkChanged:
		l.link(e.Interface, e.Up)
	case appliance.LeaseRebuilt:
		l.give(role.Event{Kind: role.Rebuilt})
	}
}

// hardware is an address of six octets as a number; zero when it is none.
func hardware(text string) (n uint64) {
	mac, err := net.ParseMAC(text)
	if err != nil || len(mac) != 6 {
		return 0
	}
	for _, b := range mac {
		n = n<<8 | uint64(b)
	}
	return n
}

// datagram looks at what came on a path; what is not authentic changes nothing.
func (l *loop) datagram(p *path, b []byte, from netip.AddrPort, into *beat.Beat) {
	if beat.KindOf(b) == beat.Answer {
		l.witness.hear(l, b, from, into)
		return
	}
	switch reason := l.reader.Read(b, from, p.peer, into); reason {
	case beat.OK:
		l.heard(p, into)
	case beat.Clone:
		l.seenClone()
		l.refused++
	default:
		l.refused++
	}
}

// heard takes in an authentic datagram of the peer.
func (l *loop) heard(p *path, b *beat.Beat) {
	now := bootTime()
	p.took(b, now, time.Duration(l.n.settings.Load().Interval))
	if b.Boot == l.peer.Boot && b.Sequence <= l.peer.Sequence {
		return // it came on another path before, or was overtaken
	}
	sent := l.sentWhen(b.Echo)
	if sent != 0 {
		l.measure(now - sent - b.Echo.Age)
	}
	if b.Echo.Boot > l.me.Boot || b.Echo.Boot == l.me.Boot && b.Echo.Sequence > l.sequence {
		l.behind(b.Echo.Boot)
	}
	if b.State != l.peer.State {
		l.nextShow = 0
	}
	l.peer, l.heardAt = *b, now
	l.cut.peerSays(b.Witness, now)
	earliest := l.earliest(sent, b.Echo.Age)
	l.decisions.hear(l, &b.Decision, b.Boot, underWay(now, earliest))
	l.give(role.Event{Kind: role.Heard, Beat: role.Beat{
		Boot: b.Boot, Echo: sent, Sent: earliest, Says: role.Says(b.Says) & role.All, Priority: b.Priority, Choice: b.Choice, Lease: b.Life,
	}})
	l.keys.hear(l, b)
}

// earliest is when a datagram was sent at the earliest, by the own clock: the peer had held for so long what it echoes, which was sent then.
func (l *loop) earliest(sent, held time.Duration) time.Duration {
	if sent == 0 {
		return 0
	}
	return sent + held
}

// underWay is for how long at most a datagram travelled that came now; zero when it is not known when it was sent.
func underWay(now, earliest time.Duration) time.Duration {
	if earliest == 0 {
		return 0
	}
	return max(now-earliest, 1)
}

// measure smooths the round trip.
func (l *loop) measure(round time.Duration) {
	switch {
	case round < 0: // the peer's clock ran while it held the datagram; ours did not
	case l.round == 0:
		l.round = round
	default:
		l.round += (round - l.round) / 8
	}
}

// sentWhen is when the echoed datagram was sent, by the own clock; zero when it was of another life, or too long ago.
func (l *loop) sentWhen(e beat.Echo) time.Duration {
	if s := &l.sentAt[e.Sequence%sentKept]; e.Boot == l.me.Boot && s.sequence == e.Sequence {
		return s.at
	}
	return 0
}

// send sends a datagram on every path, stamped with what the machine says now.
func (l *loop) send() {
	now := bootTime()
	l.sequence++
	says := l.state.Says(l.config, now)
	b := beat.Beat{
		Kind: beat.Heartbeat, Cluster: l.me.Cluster, Node: l.me.Self, Boot: l.me.Boot, Nonce: l.me.Nonce, Sequence: l.sequence,
		State: l.state.Activity(), Says: uint16(says.Says), Priority: says.Priority, Choice: says.Choice, Life: says.Lease,
		Witness: l.witness.answers(l, now), Release: l.facts.release, Lease: max(l.state.Until-now, 0),
		Revision: l.facts.Revision, Hash: l.facts.hash, Digest: l.facts.Digest, Decision: l.decisions.next(now),
	}
	if l.peer.Boot != 0 {
		b.Echo = beat.Echo{Boot: l.peer.Boot, Sequence: l.peer.Sequence, Age: now - l.heardAt}
	}
	l.keys.write(&b)
	l.keys.sealWith(l.sequence)
	l.sentAt[l.sequence%sentKept] = sentTime{l.sequence, now}
	for _, p := range l.paths {
		if p.socket != nil {
			b.Path = p.number
			p.socket.send(beat.Seal(l.out, &b, l.keys.ring))
		}
	}
}
