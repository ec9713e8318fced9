package role

// command is what the operator wants, or the end of the process.
func (m *machine) command(e Event) {
	switch {
	case e.Kind == Leave:
		m.s.Leaving = true
		if m.s.Owner() {
			m.leave()
		}
		m.quit()
	case e.Kind == MakePassive && m.s.Phase == Active:
		if m.able() {
			m.hand(HandsByCommand)
		}
	case e.Kind == MakePassive, m.s.Owner():
		m.tell(Record{Code: AlreadySo})
	case !m.s.Fine(m.now) && !(m.s.Bare && e.Yes && !m.contact()):
		m.tell(Record{Code: m.unless(RefusedUnhealthy, RefusedBare)})
	case e.Yes && !m.contact():
		m.s.Forced = true
		m.tell(Record{Code: Forced, Lasted: m.since(m.s.Heard)})
	case !m.contact():
		m.tell(Record{Code: RefusedNoContact, Lasted: m.since(m.s.Echoed)})
	default:
		m.wish(WishedByCommand)
	}
}

// unless is the code of a node that is not healthy; a bare one has its own.
func (m *machine) unless(unhealthy, bare Code) Code {
	if m.s.Bare {
		return bare
	}
	return unhealthy
}

// wish asks the peer for the addresses.
func (m *machine) wish(why Code) {
	m.s.Wish, m.s.Give = m.now+m.c.Switch+wishLasts, 0
	m.s.Choice = max(m.s.Choice, m.s.Peer.Choice) + 1
	m.tell(Record{Code: why})
	m.act(Action{Do: Send})
}

// able tells whether the peer could have the addresses, and says why not.
func (m *machine) able() bool {
	switch {
	case m.holds():
		m.tell(Record{Code: RefusedHolds})
	case !m.contact():
		m.tell(Record{Code: RefusedDeaf, Lasted: m.since(m.s.Echoed)})
	case m.said(Bare) && !m.c.Bare:
		m.tell(Record{Code: RefusedPeerBare})
	case !m.said(Healthy):
		m.tell(Record{Code: RefusedPeer})
	case m.s.Peer.Says.Any(Owns | Gives):
		m.tell(Record{Code: RefusedGives})
	default:
		return true
	}
	return false
}

// leave hands the addresses on before the process ends, at once if nobody is there to take them.
func (m *machine) leave() {
	if m.s.Phase != Active {
		return
	}
	if m.contact() && m.said(Healthy) && !m.said(Owns) {
		m.hand(HandsLeaving)
		return
	}
	m.release(Record{Code: Left})
}

// hand begins a planned switch.
func (m *machine) hand(why Code) {
	m.s.Phase, m.s.Drained, m.s.Limit, m.s.Began = Handing, false, m.now+m.c.Switch, m.now
	m.s.Give = m.s.Limit + giveLasts
	m.tell(Record{Code: why, Lasted: m.c.Switch})
	m.act(Action{Do: HandOver, Until: m.s.Limit})
	m.act(Action{Do: Send})
}

// holds tells whether the addresses would stay on here, for anybody to see, although the peer has them.
func (m *machine) holds() bool { return m.c.Holds && !m.said(Bare) }

// wished obeys a wish of the peer's operator.
func (m *machine) wished() {
	if m.s.Phase == Active && !m.holds() && m.contact() && m.said(Wishes|Healthy) && !m.s.Peer.Says.Any(Owns|Gives) {
		m.hand(HandsByWish)
	}
}

// handing goes on with a planned switch: it ends with the last request, at its limit, or because the peer is no longer able.
func (m *machine) handing() bool {
	if off := m.off(); off.Code != "" {
		if m.s.Leaving {
			m.release(Record{Code: Left})
			return true
		}
		m.s.Phase, m.s.Drained, m.s.Began, m.s.Give = Active, false, 0, 0
		m.tell(off)
		m.act(Action{Do: Resume})
		m.act(Action{Do: Send})
		return false
	}
	if !m.said(Claims|Prepared) || !m.s.Drained && m.now < m.s.Limit {
		return false
	}
	code := HandsNow
	if !m.s.Drained {
		code = HandsAtLimit
	}
	m.s.Give = m.now + giveLasts
	m.tell(Record{Code: code, Lasted: m.since(m.s.Began)})
	m.s.Phase, m.s.Announce = Releasing, 0
	m.act(Action{Do: Drop})
	return true
}

// off says why a planned switch is called off; no code: it is not.
func (m *machine) off() Record {
	switch {
	case !m.contact():
		return Record{Code: SwitchOff, Lasted: m.since(m.s.Echoed)}
	case !m.said(Healthy):
		return Record{Code: SwitchOffPeer}
	case m.now >= m.s.Limit+claimLasts:
		return Record{Code: SwitchOffLate, Lasted: m.since(m.s.Began)}
	}
	return Record{}
}

// failback wishes for the Primary what its operator has set.
func (m *machine) failback() {
	if !m.c.Failback || !m.c.Primary || !m.said(Owns|Healthy) || m.said(Wishes) || m.said(Hands) || m.now < m.s.Wish {
		return
	}
	if m.fine() && m.now-m.s.Well >= wellFor {
		m.s.Well = m.now
		m.wish(WishedByFailback)
	}
}
