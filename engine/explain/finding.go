package explain

import (
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
)

// Finding is what one loop says about a dry query.
type Finding struct {
	Config    *appliance.VirtualService // whose servers were chosen among: the service that listens, or the one that a rule led to
	Choice    wire.Choice
	Served    bool  // Choice is one
	Waits     bool  // the client waits in the queue for a place
	Ahead     int64 // so many wait already
	Desperate bool  // fewer servers are healthy than there must be: health does not count
	Memory    Memory
	Seats     []Seat // of Config's servers, in order
}

// Memory is what is known of a returning client.
type Memory struct {
	Named     string // id of the server that its entry or cookie leads to; empty: there is none
	Returns   bool   // it would get that server again
	Sealed    bool   // the cookie that it brings is good
	Renew     bool   // and it gets a fresh one
	Keyed     bool   // the choice is written to the entry of Key
	Key       string
	Known     bool // there is an entry of Key
	Age       time.Duration
	Remaining time.Duration
}

// Seat is one real server as a loop sees it.
type Seat struct {
	Health  appliance.ServerHealth
	Down    bool
	Found   bool   // its name has an address
	Agent   string // what its agent says; empty: it is not asked
	Held    bool   // the agent keeps clients away
	Advised bool   // the agent has another part than the whole of the weight count
	Full    bool   // as many connections as it may have
	Usable  bool   // for new clients
	Open    int64
	Percent int // of its weight that counts now
	Pace    time.Duration
}

// ID returns the id of the server that is chosen, "fallback", or nothing.
func (f *Finding) ID() string {
	if !f.Served {
		return ""
	}
	return f.Choice.Server.ID
}

// gives tells whether the answer gives the client a cookie of ours.
func (f *Finding) gives() bool {
	if !f.Served || f.Choice.Fallback || !f.Config.Persistence.Kind.Sealed() {
		return false
	}
	if f.Choice.Reason == wire.ByPersistence {
		return f.Memory.Renew || !f.Memory.Sealed
	}
	return f.Choice.Reason == wire.ByScheduler && !f.Memory.Returns
}

// writes tells whether the choice is written to the table.
func (f *Finding) writes() bool {
	return f.Served && !f.Choice.Fallback && f.Memory.Keyed && f.Choice.Reason == wire.ByScheduler && !f.Memory.Returns
}
