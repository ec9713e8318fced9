package model

import (
	"time"

	"evenkeel/appliance/ha/role"
)

// Stepper is the machine under test: role.Step, or one that is broken on purpose.
type Stepper func(role.Config, role.State, role.Event) (role.State, []role.Action)

// datagram is a heartbeat on its way. Sequences are left out: the sending time, which is unique, stands for the sequence, and what is echoed is
// the sending time of the receiver's own datagram.
type datagram struct {
	beat     role.Beat
	sent     time.Duration // by the sender's clock
	echo     time.Duration // the newest that the sender has heard, by the receiver's clock
	echoBoot uint64        // in that boot of the receiver
	held     time.Duration // for how long the sender had heard that
}

// node is one appliance: the process with its machine, and the kernel below it.
type node struct {
	config role.Config
	state  role.State
	boot   uint64
	heard  time.Duration // the newest datagram of the peer: its sending time …
	of     uint64        // … and its boot
	lease  time.Duration // the kernel's: ends then, by the node's clock
	up     bool          // the kernel's: addresses are on
}

// owns tells whether the kernel lets the addresses live.
func (n *node) owns(now time.Duration) bool { return n.up && now < n.lease }

// says makes the datagram that is sent now.
func (n *node) says(now time.Duration) datagram {
	b := n.state.Says(n.config, now)
	b.Boot = n.boot
	return datagram{beat: b, sent: now, echo: n.heard, echoBoot: n.of, held: now - n.state.Heard}
}

// hears tells whether a datagram is given to the machine, as what.
func (n *node) hears(d datagram) (role.Event, bool) {
	if d.beat.Boot < n.of || d.beat.Boot == n.of && d.sent <= n.heard {
		return role.Event{}, false
	}
	n.of, n.heard = d.beat.Boot, d.sent
	e := role.Event{Kind: role.Heard, Beat: d.beat}
	if d.echoBoot == n.boot {
		e.Beat.Echo, e.Beat.Sent = d.echo, d.echo+d.held
	}
	return e, true
}

// restart is a new process on the same kernel.
func (n *node) restart() {
	n.boot++
	n.state, n.heard, n.of = role.State{}, 0, 0
}
