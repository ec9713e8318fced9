package role

import "time"

// own is a step of a node that owns the addresses.
func (m *machine) own() {
	if m.rival() || m.unfit() {
		return
	}
	m.wished()
	if m.s.Phase == Handing && m.handing() {
		return
	}
	m.renew()
}

// become makes the node the owner, with a lease until then.
func (m *machine) become(until time.Duration, why Record) {
	why.Taken = m.since(m.s.Began)
	m.s.Phase, m.s.Claiming, m.s.Lonely, m.s.Failed = Active, false, false, 0
	m.s.Wish, m.s.Give, m.s.Drained, m.s.Began = 0, 0, false, 0
	m.s.Until, m.s.Round, m.s.Announce = until, 0, m.now
	m.s.Told &^= toldOwner | toldUnfit
	m.act(Action{Do: Renew, Until: until})
	m.act(Action{Do: Send})
	m.tell(why)
}

// renew asks the kernel for more life if there is a proof that allows it. The life is counted from the proof, not from now.
func (m *machine) renew() {
	until := m.proof()
	wins, left := until-m.s.Until, m.s.Until-m.now
	if m.retry {
		return
	}
	if wins >= renewSooner || wins >= renewLeast && (left < renewUrgent || m.s.Failed > 0) {
		m.s.Until = until
		m.act(Action{Do: Renew, Until: until})
	}
}

// proof tells until when the node may own the addresses by what it knows; zero: it knows nothing.
func (m *machine) proof() time.Duration {
	if m.s.Echoed > m.s.Since && m.contact() {
		m.s.Told &^= toldSolo
		return m.s.Echoed + m.s.lease()
	}
	if m.deaf() && m.said(Able) && !m.said(Owns) {
		m.once(toldDeaf, Record{Code: PeerDeaf, Lasted: m.since(m.s.Echoed)})
		return 0
	}
	asked := m.now
	if !m.c.Witness && !m.s.Fine(m.now) {
		return 0
	}
	life := m.solo()
	if m.c.Witness && !m.s.Forced {
		if asked = m.s.Answered; asked == 0 || m.now-asked > life {
			return 0
		}
	}
	m.once(toldSolo, Record{Code: Solo, Lasted: m.since(m.s.Echoed)})
	return asked + life
}

// solo is the life of a lease on the witness's word. One that lets the node survive that its machine stands still is not used before every peer that can take over
// knows of it (it has echoed what told it), or knows that it knows nothing.
func (m *machine) solo() time.Duration {
	if m.s.Lone != 0 && (m.s.Echoed > m.s.Lone || m.now-m.s.Lone > 2*m.c.Alone) {
		return soloLong
	}
	return solo
}

// lone notes since when this node has been telling the long lease: its machine is restless, or it is an owner whose peer has been silent for long.
func (m *machine) lone() {
	switch {
	case !m.s.Restless() && (!m.s.Owner() || m.now-max(m.s.Heard, m.s.Since) <= m.c.Alone):
		m.s.Lone = 0
	case m.s.Lone == 0:
		m.s.Lone = m.now
	}
}

// deaf tells whether the peer is heard and does not hear this node.
func (m *machine) deaf() bool {
	return m.now-m.s.Heard <= m.c.wary()+mute && m.s.Heard-m.s.Echoed > m.c.wary()
}

// renewFailed gives the kernel a second chance; then the node is of no use as an owner.
func (m *machine) renewFailed() {
	if !m.s.Owner() {
		return
	}
	if m.s.Failed++; m.s.Failed < 2 {
		m.tell(Record{Code: RenewRefused})
		return
	}
	m.s.Sick = m.now + sickLasts
	m.release(Record{Code: RenewGaveUp})
}

func (m *machine) raiseFailed() {
	if m.s.Addresses != Rising {
		return
	}
	m.s.Addresses, m.s.Sick = Off, m.now+sickLasts
	m.tell(Record{Code: AddressesRefused})
	m.quit()
	m.act(Action{Do: Down})
}

// release ends the lease at once; the peer may have the addresses.
func (m *machine) release(why Record) {
	m.tell(why)
	if m.s.Phase == Handing {
		m.act(Action{Do: Resume})
	}
	m.s.Phase, m.s.Drained, m.s.Announce = Releasing, false, 0
	m.act(Action{Do: Drop})
}

// unfit lets a healthy peer have the addresses when this node is not healthy.
func (m *machine) unfit() bool {
	if m.s.Fine(m.now) || !m.contact() || !m.said(Healthy) || m.s.Peer.Says.Any(Owns|Gives) {
		return false
	}
	m.s.Give = m.now + giveLasts
	m.release(Record{Code: m.unless(GaveUnhealthy, GaveBare)})
	return true
}

// rival is what happens when the peer says that it owns the addresses as well. One of them lets go at once: the lesser of the total order, or, when
// the peer cannot be told because it does not hear, this one.
func (m *machine) rival() bool {
	if !m.said(Owns|Settled) || m.now-m.s.Heard > m.c.fresh() {
		m.s.Rival = 0
		m.s.Told &^= toldRival
		return false
	}
	if m.s.Rival == 0 {
		m.s.Rival = m.now
	}
	wins := m.ahead()
	switch {
	case m.contact() && wins:
		if m.s.Told&toldRival == 0 {
			m.s.Round, m.s.Announce = 0, m.now
		}
		m.once(toldRival, Record{Code: RivalLoses})
		return false
	case m.contact():
		m.release(Record{Code: RivalWins})
		return true
	case m.now-m.s.Rival > m.c.fresh():
		m.release(Record{Code: RivalDeaf, Lasted: m.since(m.s.Echoed)})
		return true
	}
	return false
}

// announce tells the neighbours in a rhythm that slows down.
func (m *machine) announce() {
	if !m.s.Owner() || m.s.Phase == Releasing || m.s.Announce == 0 || m.now < m.s.Announce {
		return
	}
	m.act(Action{Do: Announce, Round: m.s.Round})
	if int(m.s.Round) >= len(rhythm) {
		m.s.Announce = 0
		return
	}
	m.s.Announce += rhythm[m.s.Round]
	m.s.Round++
}

// rhythm is the time between one announcement and the next: at 0, 50, 100, 200, 500 ms, 1 s, 5 s and 60 s.
var rhythm = [...]time.Duration{
	50 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond, 500 * time.Millisecond, 4 * time.Second, 55 * time.Second,
}

// ownerSeen: another machine uses a floating address. Before the peer's time is over that says nothing: its kernel answers until its lease ends.
func (m *machine) ownerSeen(e Event) {
	switch {
	case m.s.Phase == Taking:
		m.once(toldOwner, Record{Code: OwnerAnswers, Hardware: e.Hardware, Lasted: m.since(m.s.Heard)})
		m.quit()
		m.wait()
	case m.s.Phase == Active || m.s.Phase == Handing:
		if m.s.Announce != 0 && m.s.Announce-m.now < askedAnew {
			return
		}
		if !m.said(Owns) {
			m.tell(Record{Code: OwnerSeenHere, Hardware: e.Hardware})
		}
		m.s.Round, m.s.Announce = 0, m.now+askedAnew/2
	}
}
