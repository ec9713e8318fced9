package ha

import (
	"time"

	"evenkeel/appliance/ha/role"
)

// cut tells whether the network of the services is cut here although every link has its carrier: this node's witness has become silent, while the peer, which is heard
// by another way, says that its own answers. While all is well the witness is asked once a second only. In doubt, both nodes ask theirs as often as it takes to know
// within a moment. Doubt begins when heartbeats come no more by the interface of a service, when an answer is late, or when the peer says that its own is.
type cut struct {
	since  time.Duration // doubt; zero: there is none
	asked  time.Duration // the witness, because of that
	missed time.Duration // since then the peer has said that its witness does not answer; zero: it does
	off    bool          // it is cut here
}

const (
	cutAfter    = 4 * time.Second         // without doubt, the witness must be silent for so long: it is asked some thirty times by then, so that loss does not look like a cut
	cutSoon     = 120 * time.Millisecond  // in doubt, because it is asked as often in that time
	doubtAfter  = 60 * time.Millisecond   // without a heartbeat on a path of the services
	doubtLasts  = 2 * time.Second         // what is silent for longer says nothing new
	doubtAsks   = 20 * time.Millisecond   // between two questions
	doubtHurry  = 10 * time.Millisecond   // between two rounds of them, while the answer is overdue
	doubtBurst  = 4                       // questions in such a round
	doubtLate   = 30 * time.Millisecond   // after so long it is
	wordDue     = 1060 * time.Millisecond // between two answers, while the machine asks once a second
	wordInDoubt = 100 * time.Millisecond  // an answer, for the peer that wants to know whether it is this node that is cut off
	cutForgets  = time.Second             // without a word of the peer, who is cut off cannot be told, and the witness decides alone
)

// suspect asks the witness as often as doubt wants it, and looks whether the answer is there.
func (l *loop) suspect(now time.Duration) {
	c := &l.cut
	if !l.doubtful(now) {
		c.since = 0
		return
	}
	if c.since == 0 {
		c.since = now
	}
	every, times := doubtAsks, 1
	if now-max(l.witness.at, c.since-doubtLate) > doubtLate {
		every, times = doubtHurry, doubtBurst
	}
	if now-c.asked >= every {
		c.asked = now
		l.witness.ask(l, times)
	}
	if off := l.cutOff(now); off != c.off {
		c.off = off
		l.examine()
	}
}

// doubtful tells whether something has just fallen silent, while the peer is heard.
func (l *loop) doubtful(now time.Duration) bool {
	late := now - l.witness.at - wordDue
	switch {
	case !l.config.Witness || l.witness.at == 0 || now-l.heardAt >= l.wary():
		return false
	case late > 0 && late < doubtLasts:
		return true
	case l.cut.missed != 0 && now-l.cut.missed < doubtLasts:
		return true
	}
	return l.quietPath(now)
}

// quietPath tells whether heartbeats have just ceased on the interface of a service.
func (l *loop) quietPath(now time.Duration) bool {
	for _, p := range l.paths {
		silent := now - p.heard
		if p.heard == 0 || silent <= doubtAfter || silent > doubtLasts {
			continue
		}
		for _, name := range l.n.kernel.Places() {
			if name == p.Interface {
				return true
			}
		}
	}
	return false
}

// peerSays takes in whether the peer's witness answers it.
func (c *cut) peerSays(answers bool, now time.Duration) {
	switch {
	case answers:
		c.missed = 0
	case c.missed == 0:
		c.missed = now
	}
}

// cutOff tells whether the services are cut off here and not at the peer. Who was stays so until its witness answers.
func (l *loop) cutOff(now time.Duration) bool {
	at, owed, peer, heard := l.witness.at, l.witness.owed, &l.peer, now-l.heardAt
	switch {
	case !l.config.Witness || at == 0 || heard >= cutForgets:
		return false
	case l.cut.off:
		return true
	case heard >= l.wary() || !role.Says(peer.Says).Has(role.Able):
		return false
	}
	return owed != 0 && now-owed > cutAfter || peer.Witness && l.cut.since > at && now-l.cut.since > cutSoon
}
