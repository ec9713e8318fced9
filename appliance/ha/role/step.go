package role

import (
	"slices"
	"time"
)

// Step is the role machine: what the node is after the event, and what it has to do. It is a pure function. Events carry the time; a time before
// that of the last event counts as the same moment.
func Step(c Config, s State, e Event) (State, []Action) {
	if s.At == 0 && e.Kind != Start && e.Kind != Founded {
		return s, nil
	}
	m := machine{c: c.orDefault(), s: s, now: max(e.At, s.At, 1)}
	m.retry = e.Kind == RenewFailed
	m.woke(e)
	m.lengthen()
	m.expire()
	m.bare()
	m.handle(e)
	m.bare()
	m.expire()
	switch {
	case m.s.Phase == Releasing:
	case m.s.Owner():
		m.own()
	default:
		m.seek()
	}
	m.lone()
	m.ask()
	m.announce()
	m.ready()
	if e.Kind == Tick {
		m.hurry()
	}
	m.s.At = m.now
	return m.s, m.do
}

// machine is one step under way.
type machine struct {
	c   Config
	s   State
	now time.Duration
	do  []Action

	retry bool // a renewal has just failed: the next one is for the next step
}

func (m *machine) act(a Action) { m.do = append(m.do, a) }

func (m *machine) tell(r Record) {
	r.At = m.now
	m.act(Action{Do: Tell, Record: r})
}

// once records what is not recorded again before it has been over.
func (m *machine) once(what Told, r Record) {
	if m.s.Told&what == 0 {
		m.s.Told |= what
		m.tell(r)
	}
}

// bare tells a node that enforces no lease from one that owns as well as its peer does: a pair of two shares who is active, and no addresses. The operator
// may vouch that the peer is off: then a bare node is active, without addresses, until it is heard again.
func (m *machine) bare() {
	m.s.Bare = m.c.Bare && !m.c.Holds && !m.s.Forced && !(m.s.Heard != 0 && m.said(Bare))
}

// lengthen notes that a lease lives longer from now on, by the settings or because the machine is restless.
func (m *machine) lengthen() {
	life := m.c.Lease
	if m.s.Restless() {
		life = max(life, restlessLife)
	}
	if m.s.Lease != 0 && life > m.s.Lease {
		m.s.Short, m.s.Longer = m.s.lease(), m.now
	}
	m.s.Lease = life
}

// hurry speaks more often while the peer's echo is late.
func (m *machine) hurry() {
	if m.s.Echoed == 0 || m.now-m.s.Echoed <= max(hurry, m.c.wary()-mute) || m.now-m.s.Heard > hurryUntil {
		return
	}
	if !slices.ContainsFunc(m.do, func(a Action) bool { return a.Do == Send }) {
		m.act(Action{Do: Send})
	}
}

// ready keeps how long the node has been able to take over without a break.
func (m *machine) ready() {
	switch {
	case !m.s.able(m.c, m.now):
		m.s.Ready = 0
	case m.s.Ready == 0:
		m.s.Ready = m.now
	}
}

func (m *machine) since(t time.Duration) time.Duration {
	if t == 0 {
		return 0
	}
	return m.now - t
}

func (m *machine) patience() time.Duration { return m.s.Patience(m.c) }
func (m *machine) contact() bool           { return m.s.Contact(m.c, m.now) }
func (m *machine) fine() bool              { return m.s.Fine(m.now) && !m.s.Leaving }
func (m *machine) said(what Says) bool     { return m.s.Peer.Says.Has(what) }

// woke finds out that the node was not running: what it believes of others is old then, and datagrams may be waiting unread.
func (m *machine) woke(e Event) {
	gap := m.now - m.s.At
	if e.Kind == Start || e.Kind == Founded {
		return
	}
	m.calm()
	if m.s.Phase == Taking && gap > pause {
		m.relook()
	}
	if gap <= stall {
		return
	}
	m.s.Asked, m.s.Answered, m.s.Mute = 0, 0, m.now+mute
	m.stood(gap)
	switch {
	case m.s.Owner():
	case m.s.Phase == Taking && gap <= brief:
		m.s.Need = probeWary
	case gap <= brief:
		m.quit()
		m.s.Due = max(m.s.Due, m.now+stall)
	default:
		m.quit()
		m.s.Due = max(m.s.Due, m.now+m.c.Dead+margin)
	}
}

// stood counts how often the machine has stood still.
func (m *machine) stood(gap time.Duration) {
	if m.s.Restless() {
		m.s.Stalled = m.now
		return
	}
	if m.s.Stalls++; m.s.Stalled == 0 || m.now-m.s.Stalled-gap > oftenWithin {
		m.s.Stalls = 1
	}
	m.s.Stalled = m.now
	m.tell(Record{Code: Woke, Lasted: gap})
	if m.s.Restless() {
		m.tell(Record{Code: Restless, Lasted: restlessLife})
	}
}

// calm forgets that the machine was restless.
func (m *machine) calm() {
	if m.s.Restless() && m.now-m.s.Stalled > m.c.Calm {
		m.tell(Record{Code: Calm, Lasted: m.since(m.s.Stalled)})
		m.s.Stalls, m.s.Stalled = 0, 0
	}
}

// relook takes back the last rounds of probes: while the node did not run, answers may have been lost. What was unanswered before that stays so.
func (m *machine) relook() {
	if m.s.Rounds <= probeLost {
		m.s.Looked = m.now
	}
	m.s.Rounds = max(min(m.s.Rounds, m.s.Need), probeLost) - probeLost
}

// wait lets the peer have its whole time again.
func (m *machine) wait() { m.s.Due = max(m.s.Due, m.now+m.patience()) }

// expire obeys the clock: a lease that has ended is gone, whatever was planned with it.
func (m *machine) expire() {
	if m.s.Until == 0 || m.now < m.s.Until {
		return
	}
	m.s.Until = 0
	switch m.s.Phase {
	case Releasing:
		m.passive()
	case Active, Handing:
		why := LeaseLost
		if m.s.Told&toldDeaf != 0 {
			why = LeaseYielded
		}
		m.tell(Record{Code: why, Lasted: m.since(m.s.Echoed)})
		m.passive()
	}
}

// passive is what follows when the lease is gone.
func (m *machine) passive() {
	if m.s.Phase == Handing {
		m.act(Action{Do: Resume})
	}
	m.s.Phase, m.s.Claiming, m.s.Since, m.s.Announce, m.s.Rival, m.s.Drained = Passive, false, 0, 0, 0, false
	m.s.Told &^= toldRival | toldDeaf | toldSolo
	m.wait()
	m.act(Action{Do: Send})
	m.lower()
}

func (m *machine) lower() {
	if m.s.Addresses != Off {
		m.s.Addresses = Off
		m.act(Action{Do: Down})
	}
}

func (m *machine) raise() {
	if m.s.Addresses == Off {
		m.s.Addresses = Rising
		m.act(Action{Do: Up})
	}
}

func (m *machine) handle(e Event) {
	switch e.Kind {
	case Start:
		m.start(e)
	case Founded:
		m.found(e)
	case Heard:
		m.heard(e.Beat)
	case WitnessAnswered:
		if m.now >= m.s.Mute && m.s.Asked != 0 {
			m.s.Answered = m.s.Asked
		}
	case OwnerSeen:
		m.ownerSeen(e)
	case RivalSeen:
		m.rivalSeen()
	case Health:
		m.health(e.Yes)
	case MakeActive, MakePassive, Leave:
		m.command(e)
	case Drained:
		m.s.Drained = m.s.Phase == Handing
	default:
		m.answered(e)
	}
}

// answered hears what the kernel says to an action.
func (m *machine) answered(e Event) {
	switch e.Kind {
	case Rebuilt:
		m.tell(Record{Code: TableRebuilt})
		m.s.Failed = 0
	case Renewed:
		m.s.Failed, m.s.Sick = 0, 0
	case RenewFailed:
		m.renewFailed()
	case Dropped:
		m.s.Until = 0
		if m.s.Phase == Releasing {
			m.passive()
		}
	case DropFailed:
		m.tell(Record{Code: DropRefused, Lasted: m.s.Until - m.now})
	case Raised:
		if m.s.Addresses == Rising {
			m.s.Addresses = On
		}
	case RaiseFailed:
		m.raiseFailed()
	}
}

// start takes nothing for granted: a lease of the process before may be in force.
func (m *machine) start(e Event) {
	m.s = State{At: m.now, Fit: e.Yes, Choice: e.Choice, Until: m.now + max(m.c.Lease, soloLong, restlessLife), Due: m.now + m.c.Start, Well: m.now}
	m.tell(Record{Code: Started, Lasted: m.c.Start})
	if !m.c.Bare { // else nothing of what the process before has left can be ended: it ends by itself
		m.act(Action{Do: Drop})
	}
	m.act(Action{Do: Down})
}

// found goes on owning: the peer, which has just joined, owns nothing and decides nothing alone before Start.
func (m *machine) found(e Event) {
	m.s = State{
		At: m.now, Fit: e.Yes, Choice: e.Choice, Phase: Active, Addresses: On, Since: m.now, Until: m.now + FirstLease(m.c), Due: m.now + m.c.Start, Well: m.now,
	}
	m.tell(Record{Code: PairFounded})
	m.act(Action{Do: Send})
}

func (m *machine) health(fit bool) {
	if fit == m.s.Fit {
		return
	}
	m.s.Fit = fit
	if fit {
		m.s.Well = m.now
		m.s.Told &^= toldUnfit
		m.tell(Record{Code: HealthBack})
		return
	}
	m.tell(Record{Code: HealthGone})
	m.act(Action{Do: Send})
}

// heard takes in what the peer says.
func (m *machine) heard(b Beat) {
	if gap := m.since(m.s.Heard); m.s.Heard != 0 && gap < m.patience() {
		m.s.Gap = max(gap, m.s.Gap-m.s.Gap/gapForgotten)
	}
	before := m.s.Peer
	switch {
	case m.s.Heard == 0:
		m.tell(Record{Code: PeerHeard})
	case m.s.Told&toldSilent != 0:
		m.tell(Record{Code: PeerBack, Lasted: m.since(m.s.Heard)})
	}
	if m.s.Heard != 0 && b.Boot != before.Boot {
		m.tell(Record{Code: PeerRestarted})
	}
	if b.Echo > m.s.Echoed && b.Echo <= m.now {
		m.s.Echoed = b.Echo
	}
	m.s.Said = 0
	if m.now-b.Echo <= drifts { // else the two clocks may have drifted apart since
		m.s.Said = min(b.Sent, m.now)
	}
	b.Echo, b.Sent, b.Lease = 0, 0, min(b.Lease, longestLease)
	m.s.Heard, m.s.Peer, m.s.Lonely, m.s.Forced = m.now, b, false, false
	m.s.Told &^= toldSilent
	if m.contact() {
		m.s.Told &^= toldOwner | toldDeaf | toldMute | toldLeft | toldVacant | toldWitness
	}
	if b.Says.Any(Owns | Claims | Takes) {
		m.s.Due, m.s.Held = 0, m.now+m.patience()
	}
	if b.Says.Has(Owns | Settled) {
		m.s.Give = 0
	}
	owned := before.Says.Has(Owns|Settled) && m.s.Phase != Starting
	if !m.s.Owner() && b.Says.Has(Owns|Settled) && !owned {
		m.quit()
		m.s.Phase = Passive
		m.tell(Record{Code: PeerOwns})
	}
}
