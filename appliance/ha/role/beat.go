package role

import "time"

// Beat is what the machine needs of a datagram. State.Says makes the own one; a received one is given to Step by the event Heard.
type Beat struct {
	Boot     uint64        // the sender's boot epoch
	Echo     time.Duration // received ones only: when this node, in this boot, sent the newest of its datagrams that the peer had heard; by the own clock; zero: none
	Sent     time.Duration // received ones only: the earliest moment at which it can have been sent, by the own clock: Echo, and how long the peer had held that when it sent this; zero: not known
	Says     Says
	Priority uint8
	Choice   uint32        // how many operator's choices the sender knows of, if the last was for it
	Lease    time.Duration // how long the sender lets a lease live, and its lease may last
}

// Says is a set of statements. The bits are those of the datagram.
type Says uint16

// The statements.
const (
	Owns     Says = 1 << iota // a lease of the sender's may be in force
	Claims                    // nobody owns the addresses, and the sender takes them as soon as the other yields
	Takes                     // the sender hears nobody, and is about to take the addresses
	Hands                     // it owns them, and lets requests in flight finish before it gives them away
	Gives                     // it wants the other to have them
	Wishes                    // its operator wants it to have them
	Healthy                   // its service interfaces and its engine are well
	Able                      // it would take over if the other fell silent: healthy, and its witness answers
	Settled                   // it has decided at least once since its start
	Prepared                  // the addresses are on its interfaces, so that it can take them at once
	Bare                      // nothing enforces a lease on its machine: it cannot own the addresses
)

// All is every statement that this version knows: a decoder masks others away.
const All = Bare<<1 - 1

// Has tells whether all of them are among s.
func (s Says) Has(what Says) bool { return s&what == what }

// Any tells whether one of them is among s.
func (s Says) Any(what Says) bool { return s&what != 0 }

func (s Says) with(yes bool, what Says) Says {
	if yes {
		return s | what
	}
	return s
}
