package role

import (
	"time"

	"evenkeel/appliance"
)

// Phase is what the node does; Activity names it for people.
type Phase uint8

// The phases.
const (
	Starting  Phase = iota // it has not decided anything since its start
	Passive                // it owns nothing
	Taking                 // the peer is silent: last looks before the addresses are taken
	Active                 // it owns the addresses
	Handing                // it owns them until requests in flight are finished
	Releasing              // it has told the kernel to end the lease, and does not know yet that it has ended
)

// Addresses says where the floating addresses stand on this node's interfaces.
type Addresses uint8

// Where they may stand.
const (
	Off    Addresses = iota
	Rising           // they are being put on
	On               // they are on; without a lease the kernel lets nothing of theirs through
)

// State is everything the machine remembers. It is comparable, and its zero value is a node that has not seen the event Start.
// All times are readings of the node's own clock; zero means never.
type State struct {
	Phase     Phase
	Addresses Addresses
	Claiming  bool          // passive: it says that it takes the addresses as soon as the peer yields
	Fit       bool          // what the last event Health said
	Bare      bool          // nothing enforces a lease here, and something may do so at the peer's
	Leaving   bool          // the process ends: it takes nothing any more
	Forced    bool          // the operator vouches that the peer is off: the witness is not needed until the peer is heard again
	Lonely    bool          // it hears neither the peer nor its witness
	Drained   bool          // in Handing: nothing is in flight any more
	Failed    uint8         // renewals that failed one after the other
	Rounds    uint8         // of probes that nobody answered
	Need      uint8         // so many of them are needed
	Round     uint8         // the next announcement
	Stalls    uint8         // so often the machine stood still within a short time; it is restless when that is often
	Told      Told          // what was recorded and is not over yet
	Choice    uint32        // see Beat.Choice
	Peer      Beat          // what the peer said last
	At        time.Duration // of the last event
	Since     time.Duration // since then it has been claiming, taking or owning: only later datagrams prove anything when echoed
	Until     time.Duration // a lease may be in force until then
	Heard     time.Duration // the last datagram of the peer came
	Echoed    time.Duration // when the newest own datagram was sent that the peer is known to have heard
	Said      time.Duration // what the peer said last was sent then, or later; zero: not known
	Held      time.Duration // before that the peer may still own the addresses, or take them, by what it said
	Due       time.Duration // before that this node decides nothing alone, whatever the peer said
	Asked     time.Duration // the witness was asked
	Answered  time.Duration // it was asked what it has answered
	Mute      time.Duration // until then its answers may be old
	Probed    time.Duration // the last round of probes
	Looked    time.Duration // the first of those that nobody answered
	Announce  time.Duration // the next announcement is due
	Lease     time.Duration // how long this node lets a lease on an echo live: what the settings say, or longer on a restless machine
	Stalled   time.Duration // the machine stood still last
	Short     time.Duration // what it was before it became longer …
	Longer    time.Duration // … then
	Lone      time.Duration // since then every datagram tells the long lease, because this owner has heard nobody for long or the machine is restless
	Rival     time.Duration // since then the peer has been saying that it owns the addresses as well
	Asking    time.Duration // since then the other has been asking for the addresses that this node owns …
	AskedMe   time.Duration // … until then
	Wish      time.Duration // until then the operator's wish holds that this node has the addresses
	Give      time.Duration // until then it wants the peer to have them
	Limit     time.Duration // in Handing: then it ends, finished or not
	Sick      time.Duration // until then it counts as unhealthy because the kernel refused something
	Well      time.Duration // since then it has been healthy
	Ready     time.Duration // since then it has been able to take over
	Gap       time.Duration // the longest recent time between two datagrams of the peer
	Began     time.Duration // of the decision that is under way, for the record
}

// Told is a set of records that are not repeated while they stay true.
type Told uint16

const (
	toldSilent Told = 1 << iota
	toldWitness
	toldUnfit
	toldOwner
	toldRival
	toldDeaf
	toldSolo
	toldMute
	toldLeft
	toldVacant
)

// Owner tells whether a lease of this node may be in force.
func (s State) Owner() bool { return s.Phase >= Active }

// Activity names the state for people.
func (s State) Activity() appliance.Activity {
	switch s.Phase {
	case Starting:
		return appliance.Starting
	case Taking:
		return appliance.Taking
	case Active:
		return appliance.Active
	case Handing, Releasing:
		return appliance.HandingOn
	}
	if s.Lonely {
		return appliance.Cut
	}
	return appliance.Passive
}

// Fine tells whether the node may own addresses with good conscience.
func (s State) Fine(now time.Duration) bool { return s.Fit && !s.Bare && now >= s.Sick }

// able tells whether the node would take over if the peer fell silent. What it does not say it does not do at once: the owner relies on it.
func (s State) able(c Config, now time.Duration) bool {
	lasts := answerLasts
	if now-s.Echoed > 2*c.wary() {
		lasts = solo
	}
	return s.Fine(now) && s.Phase != Starting && !s.Leaving && s.Told&toldOwner == 0 &&
		(!c.Witness || s.Forced || s.Answered != 0 && now-s.Answered <= lasts)
}

// Says is what a datagram that is sent now must say. Boot is the caller's; Echo is not part of it (the caller echoes sequences).
func (s State) Says(c Config, now time.Duration) Beat {
	c = c.orDefault()
	var says Says
	says = says.with(now < s.Until || s.Owner(), Owns).
		with(s.Claiming, Claims).
		with(s.Phase == Taking, Takes).
		with(s.Phase == Handing, Hands).
		with(now < s.Give || s.Leaving, Gives).
		with(now < s.Wish, Wishes).
		with(s.Fine(now), Healthy).
		with(s.Ready != 0, Able).
		with(s.Phase != Starting && !(c.Bare && !s.Owner() && now < s.Until), Settled).
		with(s.Addresses == On, Prepared).
		with(c.Bare, Bare)
	lease := max(c.Lease, s.Lease, s.Until-now)
	if s.Lone != 0 {
		lease = max(lease, soloLong)
	}
	return Beat{Says: says, Priority: c.Priority, Choice: s.Choice, Lease: lease}
}

// Patience is the silence after which the peer counts as gone. It adapts to the gaps between datagrams that were seen, and is never below the
// lease that the peer may hold.
func (s State) Patience(c Config) time.Duration {
	c = c.orDefault()
	p := max(c.Dead, s.Peer.Lease) + margin
	return max(p, min(gapTimes*s.Gap, p+gapMore))
}

// Contact tells whether both directions work: the peer has heard something that was sent a moment ago.
func (s State) Contact(c Config, now time.Duration) bool {
	fresh := c.orDefault().fresh()
	if s.Owner() {
		fresh = max(fresh, s.lease()*2/3)
	}
	return s.Echoed != 0 && now-s.Echoed <= fresh
}

// Restless tells whether the machine stands still again and again.
func (s State) Restless() bool { return s.Stalls >= often }

// lease is the life of a lease on the newest echo. A longer one is not used before the peer has heard of it.
func (s State) lease() time.Duration {
	if s.Longer != 0 && s.Echoed <= s.Longer {
		return s.Short
	}
	return s.Lease
}
