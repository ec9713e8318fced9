package ha

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"evenkeel/appliance"
	"evenkeel/appliance/ha/beat"
	"evenkeel/appliance/ha/role"
)

const wordLasts = 3 * time.Second // an answer, for the page and for the peer

// wary is the silence after which an owner asks the witness node for its word, and claimAfter that after which the other one does: later, so that the owner comes
// first and stays the owner.
func (l *loop) wary() time.Duration       { return l.lease() / 3 }
func (l *loop) claimAfter() time.Duration { return l.lease() * 2 / 3 }

// lease is how long one lives, as the machine says.
func (l *loop) lease() time.Duration { return l.state.Says(l.config, bootTime()).Lease }

// witness is who tells a dead peer from a cut wire, as this node asks it.
type witness struct {
	settings *appliance.Heartbeat // that the rest was made for
	askers   []*asker             // of witness nodes
	sequence uint64               // of the newest question to any of them: it goes on when settings change, because a witness answers nothing twice
	at       time.Duration        // of the last answer
	owed     time.Duration        // since the first question behind that; zero: nobody was asked since
}

// asker asks one witness node.
type asker struct {
	*beat.Asker
	address netip.AddrPort
	raw     unix.RawSockaddrAny
	size    uintptr
	claims  bool // the newest question did
}

// configure makes what the settings need, when they have changed.
func (w *witness) configure(l *loop, h *appliance.Heartbeat) {
	if w.settings == h {
		return
	}
	w.settings, w.askers = h, nil
	if h.Witness != appliance.WitnessNode || l.n.witness == nil {
		return
	}
	for _, a := range h.Asked {
		one := &asker{Asker: beat.NewAsker(l.me, l.n.witness), address: netip.AddrPortFrom(a.Unmap(), l.n.witnessPort())}
		one.size = rawAddress(&one.raw, one.address)
		w.askers = append(w.askers, one)
	}
}

// configured tells whether anybody is to be asked. A default gateway that was never there cannot be: the probes decide alone.
func (w *witness) configured(h *appliance.Heartbeat, gateway bool) bool {
	switch h.Witness {
	case appliance.WitnessNone:
		return false
	case appliance.WitnessGateway:
		return gateway
	}
	return true
}

// ask asks everybody so many times.
func (w *witness) ask(l *loop, times int) {
	if w.owed == 0 {
		w.owed = bootTime()
	}
	for range times {
		switch w.settings.Witness {
		case appliance.WitnessGateway:
			l.n.kernel.AskWitness(netip.Addr{})
		case appliance.WitnessAddresses:
			for _, a := range w.settings.Asked {
				l.n.kernel.AskWitness(a)
			}
		case appliance.WitnessNode:
			for _, one := range w.askers {
				w.question(l, one)
			}
		}
	}
}

// question goes out on the first path whose family fits.
func (w *witness) question(l *loop, one *asker) {
	w.sequence++
	one.claims = l.state.Owner() || bootTime()-l.heardAt > l.claimAfter()
	b := beat.Beat{Sequence: w.sequence, Claim: one.claims, Says: uint16(l.state.Says(l.config, bootTime()).Says)}
	question := one.Ask(l.out, &b)
	for _, p := range l.paths {
		if p.socket != nil && p.Local.Addr().Is4() == one.address.Addr().Is4() {
			p.socket.sendTo(question, &one.raw, one.size)
			return
		}
	}
}

// hear checks an answer of a witness node.
func (w *witness) hear(l *loop, b []byte, from netip.AddrPort, into *beat.Beat) {
	for _, one := range w.askers {
		if one.address != from {
			continue
		}
		switch reason := l.n.refused.Count(one.Read(b, true, into)); {
		case reason != beat.OK:
			l.refused++
		case into.Granted:
			w.word(l, one)
		}
		return
	}
	l.n.refused.Count(beat.Source)
	l.refused++
}

// word takes the witness's word. While a node that owns nothing has not claimed yet, an answer only says that the witness lives; it must not serve to take over.
func (w *witness) word(l *loop, one *asker) {
	if !one.claims && bootTime()-l.heardAt > l.wary() {
		return
	}
	w.pass(l)
}

// answered takes the answer of a gateway or of another address, if it was asked.
func (w *witness) answered(l *loop, a netip.Addr) {
	switch w.settings.Witness {
	case appliance.WitnessGateway:
		w.pass(l)
	case appliance.WitnessAddresses:
		for _, asked := range w.settings.Asked {
			if asked == a.WithZone("") {
				w.pass(l)
				return
			}
		}
	}
}

// pass tells the machine, unless the table's connection proves that there is nothing to take over.
func (w *witness) pass(l *loop) {
	w.at, w.owed, l.cut.off = bootTime(), 0, false
	if !l.tableSpeaks() {
		l.give(role.Event{Kind: role.WitnessAnswered})
	}
}

// answers tells whether the witness has answered lately.
func (w *witness) answers(l *loop, now time.Duration) bool {
	lasts := wordLasts
	if l.cut.since != 0 {
		lasts = wordInDoubt
	}
	return l.config.Witness && w.at != 0 && now-w.at <= lasts
}

// renumber begins the questions of another epoch.
func (w *witness) renumber(l *loop) {
	for _, one := range w.askers {
		one.Renumber(l.me.Boot, l.me.Nonce)
	}
}
