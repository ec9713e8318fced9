package role

// seek is a step of a node that owns nothing.
func (m *machine) seek() {
	if m.contact() {
		m.elect()
		return
	}
	if m.s.Claiming {
		m.quit()
	}
	m.look()
}

// quit gives up what would have led to owning.
func (m *machine) quit() {
	if m.s.Phase != Taking && !m.s.Claiming {
		return
	}
	if m.s.Phase == Taking {
		m.s.Phase = Passive
	}
	m.s.Claiming, m.s.Since, m.s.Rounds, m.s.Began = false, 0, 0, 0
	m.act(Action{Do: Send})
	m.lower()
}

// elect decides between two nodes that hear each other. Whoever claims takes the addresses only when the other has heard the claim and answers
// that it neither owns, nor claims, nor takes.
func (m *machine) elect() {
	if m.s.Phase == Taking {
		m.s.Phase, m.s.Claiming = Passive, true
	}
	if m.s.Phase == Starting && m.said(Settled) {
		m.s.Phase = Passive
	}
	m.failback()
	if !m.wants() {
		m.quit()
		return
	}
	if !m.s.Claiming {
		m.s.Claiming, m.s.Since, m.s.Began = true, m.now, m.now
		m.act(Action{Do: Send})
	}
	m.raise()
	if m.s.Addresses == On && m.s.Echoed > m.s.Since && !m.s.Peer.Says.Any(Owns|Claims|Takes) {
		code := Elected
		if m.said(Gives) {
			code = Given
		}
		m.become(m.s.Echoed+m.s.lease(), Record{Code: code})
	}
}

// wants tells whether the node claims the addresses.
func (m *machine) wants() bool {
	switch {
	case m.s.Until != 0, m.s.Leaving, m.said(Takes), m.said(Owns) && !m.said(Hands):
		return false
	}
	return m.ahead()
}

// ahead is the total order of the two: whether a lease is enforced, the operator's choice, health, the last choice, priority, node id.
func (m *machine) ahead() bool {
	self, peer := m.s.Says(m.c, m.now), m.s.Peer
	for _, order := range [...]struct{ self, peer int }{
		{flag(!self.Says.Has(Bare)), flag(!peer.Says.Has(Bare))},
		{flag(!self.Says.Has(Gives)), flag(!peer.Says.Has(Gives))},
		{flag(self.Says.Has(Wishes)), flag(peer.Says.Has(Wishes))},
		{flag(self.Says.Has(Healthy)), flag(peer.Says.Has(Healthy))},
		{int(self.Choice), int(peer.Choice)},
		{int(self.Priority), int(peer.Priority)},
	} {
		if order.self != order.peer {
			return order.self > order.peer
		}
	}
	return m.c.First
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// look decides alone, when the peer is silent or does not hear.
func (m *machine) look() {
	if m.now < m.s.Due || m.now < m.s.Held && !m.vacant() || m.s.Leaving || m.s.Until != 0 {
		m.quit()
		return
	}
	switch {
	case m.silent():
		m.once(toldSilent, Record{Code: PeerSilent, Lasted: m.since(m.s.Heard)})
	case m.vacant():
		m.once(toldVacant, Record{Code: PeerVacant, Lasted: m.since(m.s.Echoed)})
	default:
		m.once(toldMute, Record{Code: PeerUnaware, Lasted: m.since(m.s.Echoed)})
	}
	if m.deaf() && m.said(Able) { // taken now, the addresses would have to be left to it again
		m.once(toldLeft, Record{Code: LeftToPeer, Lasted: m.since(m.s.Echoed)})
		m.quit()
		return
	}
	if !m.fine() {
		m.once(toldUnfit, Record{Code: m.unless(StaysUnhealthy, StaysBare)})
		m.quit()
		return
	}
	if !m.witnessed() {
		if m.s.Phase == Taking && m.s.Answered == 0 && m.now < m.s.Mute+askWoken {
			return // it has just been woken, and asks
		}
		m.unwitnessed()
		return
	}
	m.s.Lonely = false
	m.s.Told &^= toldWitness
	if m.s.Phase != Taking {
		m.take()
	}
	m.probe()
}

// vacant tells whether the peer, which does not hear this node, says that it neither owns the addresses nor is able to take them, and said so too
// recently to have done both since: who has become able looks longer than that (known) before it owns.
func (m *machine) vacant() bool {
	return m.s.Said != 0 && m.now-m.s.Said <= m.c.wary()+mute && !m.s.Peer.Says.Any(Owns|Claims|Takes|Able)
}

// silent tells whether nothing comes from the peer; otherwise it is the peer that hears nothing.
func (m *machine) silent() bool { return m.s.Heard == 0 || m.now-m.s.Heard > m.c.fresh() }

func (m *machine) witnessed() bool {
	return !m.c.Witness || m.s.Forced || m.s.Answered != 0 && m.now-m.s.Answered <= solo
}

// unwitnessed stays: a node without peer and witness is more likely the one that is cut off.
func (m *machine) unwitnessed() {
	m.quit()
	if m.now >= max(m.s.Due, m.s.Held)+loneAfter {
		m.s.Lonely = m.silent()
		if m.s.Phase == Starting {
			m.s.Phase = Passive
		}
		m.once(toldWitness, Record{Code: WitnessSilent, Lasted: m.since(m.s.Heard)})
	}
}

// take begins the last looks.
func (m *machine) take() {
	m.s.Phase, m.s.Since, m.s.Began, m.s.Looked, m.s.Rounds, m.s.Probed = Taking, m.now, m.now, m.now, 0, 0
	m.s.Need = probeWary
	if m.vacant() || m.said(Owns) && m.now-m.s.Heard <= m.patience()+2*margin && m.s.Ready != 0 && m.s.Ready <= m.s.Heard {
		m.s.Need = uint8(min(probeRounds+max(0, m.s.Gap-gapUsual)/gapRound, gapRounds))
	}
	m.act(Action{Do: Send})
}

// probe asks for the addresses until nobody has answered often enough.
func (m *machine) probe() {
	if m.s.Told&toldOwner == 0 { // else somebody will probably answer again, and they would go up and down for as long as that lasts
		m.raise()
	}
	if m.s.Probed != 0 && m.now-m.s.Probed < probeEvery {
		return
	}
	if m.s.Told&toldOwner != 0 && m.s.Rounds >= probeRounds { // whoever answered is gone: say so first
		m.s.Told &^= toldOwner
		m.s.Rounds, m.s.Looked, m.s.Need = 0, m.now, probeWary
	}
	if !m.said(Owns) && !m.vacant() { // the few rounds that are enough for one who yields or gives up
		m.s.Need = probeWary
	}
	if m.s.Rounds >= m.s.Need && m.s.Addresses == On && m.known() && m.outlasted() {
		m.become(m.now+solo, m.taken())
		return
	}
	m.s.Probed = m.now
	m.s.Rounds = min(m.s.Rounds+1, probeWary)
	m.act(Action{Do: Probe, Times: probeBurst})
}

// outlasted tells whether the rounds exclude a lease on the witness's word that is a long one; the peer has none if it said so a moment ago.
func (m *machine) outlasted() bool {
	return m.s.Said != 0 && m.now-m.s.Said < m.c.Alone && m.s.Peer.Lease < soloLong || m.vacant() || m.now-m.s.Looked >= probeLong
}

// taken says why nobody else can own the addresses.
func (m *machine) taken() Record {
	if m.vacant() {
		return Record{Code: TookVacant, Lasted: m.since(m.s.Echoed), Count: int(m.s.Rounds)}
	}
	return Record{Code: TookOver, Lasted: m.since(m.s.Heard), Count: int(m.s.Rounds)}
}

// known tells whether an owner that hears this node knows for long enough that it is able to take over, and has let its lease end.
func (m *machine) known() bool {
	if m.vacant() {
		return true
	}
	return m.s.Ready != 0 && (m.s.Ready <= m.s.Heard && m.s.Need < probeWary || m.now-m.s.Ready >= probeWary*probeEvery-margin)
}

// rivalSeen: the other is looking as well. The first goes on, its next probe meets the other if that has been faster.
func (m *machine) rivalSeen() {
	if m.s.Owner() {
		m.insists()
		return
	}
	if m.c.First {
		return
	}
	if m.s.Phase == Taking {
		m.tell(Record{Code: RivalProbes})
	}
	m.quit()
	m.wait()
}

// insists is what an owner does that is asked for its addresses: its kernel has answered. Whoever goes on asking has not heard that and is about to
// take them, so an owner without contact lets go. Others (RFC 5227) leave a second between two questions.
func (m *machine) insists() {
	if m.contact() || m.s.Phase == Releasing {
		m.s.Asking = 0
		return
	}
	if m.s.Asking == 0 || m.now-m.s.AskedMe > insistPause {
		m.s.Asking = m.now
	}
	m.s.AskedMe = m.now
	if m.now-m.s.Asking >= insistFor {
		m.release(Record{Code: RivalInsists, Lasted: m.since(m.s.Heard)})
	}
}

// ask keeps the witness's answer as fresh as it is needed.
func (m *machine) ask() {
	if !m.c.Witness || m.s.Phase == Releasing {
		return
	}
	every, times := askSlow, uint8(1)
	if m.s.Answered == 0 || m.now-m.s.Answered > askSlow+askRare {
		every = askRare
	}
	if m.alone() {
		every = askSolo
		overdue := m.s.Answered == 0 || m.now-m.s.Answered > askOverdue
		switch {
		case m.s.Lonely && m.since(m.s.Heard) > askGivenUp && (m.s.Answered == 0 || m.now-m.s.Answered > askGivenUp):
			every = askRare
		case overdue:
			every, times = 0, askBurst
		}
	}
	if m.s.Asked == 0 || m.now-m.s.Asked >= max(every, probeEvery) {
		m.s.Asked = m.now
		m.act(Action{Do: AskWitness, Times: times})
	}
}

// alone tells whether the witness may have to decide soon.
func (m *machine) alone() bool {
	if m.s.Owner() {
		return m.s.Echoed <= m.s.Since || m.now-m.s.Echoed > m.c.wary()
	}
	return m.now-m.s.Echoed > m.c.wary()
}
