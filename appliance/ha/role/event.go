package role

import "time"

// Kind is a kind of event.
type Kind uint8

// The kinds. After an action that names an event as its answer, the caller gives that event before any other.
const (
	Start           Kind = iota // the first event; Yes: healthy; Choice: the last one known from before the start
	Founded                     // as Start, of a node that was alone until now and serves on the addresses: it owns them, and its peer owns nothing
	Tick                        // time passes; at least every 10 ms, better every 5 ms
	Heard                       // an authentic datagram of the peer that is newer than every one before; Beat
	WitnessAnswered             //
	OwnerSeen                   // another machine has answered for a floating address, or has used it; Hardware
	RivalSeen                   // another machine probes for a floating address, as a node does before it takes it
	Renewed                     // the kernel has accepted the lease
	RenewFailed                 // it has not, or it was too late for it
	Rebuilt                     // the kernel's table had vanished, and was made anew by the renewal
	Dropped                     // the lease has ended
	DropFailed                  // the kernel refused to end it: it ends by itself
	Raised                      // the addresses are on their interfaces
	RaiseFailed                 //
	Drained                     // nothing is in flight any more
	Health                      // Yes: the service interfaces have a link, the engine serves, and the lease's rights are there
	MakeActive                  // the operator wants this node to have the addresses; Yes: even without witness, because the peer is off
	MakePassive                 // the operator wants the peer to have them
	Leave                       // the process ends: as MakePassive, and nothing is taken any more
)

// Event is something that has happened.
type Event struct {
	Kind     Kind
	Yes      bool
	Choice   uint32
	At       time.Duration // the own clock (CLOCK_BOOTTIME), read when the event is given to Step and not when its cause came about
	Beat     Beat
	Hardware uint64 // the hardware address of the other machine, zero if it is not known
}

// Do is a kind of action.
type Do uint8

// The kinds.
const (
	Renew      Do = iota // let the addresses live until Until by the own clock: read the clock, and do nothing if it has passed; answer: Renewed, RenewFailed or Rebuilt
	Drop                 // end the lease at once; answer: Dropped or DropFailed
	Up                   // put the addresses on their interfaces, beside the loop; answer, later: Raised or RaiseFailed
	Down                 // take them off, beside the loop and after an Up that is under way
	AskWitness           // Times questions
	Probe                // Times questions for a floating address on each service interface
	Announce             // the addresses are here; Round
	Send                 // a datagram now, beside the rhythm, with what State.Says says after this step
	HandOver             // let requests in flight finish until Until; answer, later: Drained
	Resume               // the switch is off: go on as before
	Tell                 // Record is for the timeline
)

// Action is something to do, in the order of the list.
type Action struct {
	Do     Do
	Times  uint8
	Round  uint8
	Until  time.Duration
	Record Record
}
