package role

import (
	"time"

	"evenkeel/appliance"
)

// Config is what a step needs to know beside the state. It may differ from one step to the next (settings were applied); both nodes have the
// same values but for Priority, First and Primary. The zero value of a field stands for its default.
type Config struct {
	Interval time.Duration // between two heartbeats; zero: 10 ms
	Lease    time.Duration // how long the kernel lets a node own the addresses without a renewal; zero: appliance.Lease, and ten intervals at least
	Dead     time.Duration // silence after which the peer counts as gone; zero, and everything below the lease: the lease
	Start    time.Duration // silence after a start before the node decides alone; zero: 500 ms with a witness, 3 s without
	Alone    time.Duration // of silence until an owner begins to tell a longer lease, and twice as long until it uses it; zero: 5 s
	Calm     time.Duration // without a stall until the machine no longer counts as restless; zero: 1 min
	Switch   time.Duration // how long requests in flight may take to finish in a planned switch; zero: 5 s
	Witness  bool          // a witness is configured
	Failback bool          // the Primary takes the addresses back when it is well again
	Primary  bool          // this node has the role Primary; only Failback looks at it
	Bare     bool          // this node's kernel or rights enforce no lease: it owns no floating address, unless the peer is bare as well
	Holds    bool          // bare, but the addresses are on it from the time before the pair: it goes on owning them, and hands them to nobody who is not bare
	Priority uint8         // the larger one wins, after the operator's choice and health
	First    bool          // this node wins the last tie (the smaller node id): exactly one of the two has it
}

const (
	margin       = 20 * time.Millisecond  // ε: drift of two clocks over a lease, granularity of the kernel's timers, the step itself
	stall        = 60 * time.Millisecond  // a longer time without any event: the node was not running, and what it believes is old
	brief        = 250 * time.Millisecond // after a longer one even the last looks begin anew
	often        = 2                      // stalls, each within …
	oftenWithin  = 3 * time.Second        // … of the one before: the machine is restless, …
	restlessLife = time.Second            // … and a lease on its echo lives for so long
	pause        = 25 * time.Millisecond  // the same between two probes
	mute         = 10 * time.Millisecond  // after a stall, answers of the witness may have waited in the socket for so long
	hurry        = 40 * time.Millisecond  // an echo of this age: heartbeats are sent with every tick, so that loss does not end a lease …
	hurryUntil   = 300 * time.Millisecond // … unless the peer has been silent for so long
	loneAfter    = 50 * time.Millisecond  // of silence on all sides
	probeEvery   = 8 * time.Millisecond   // at least, between two rounds of probes: ticks of 10 ms that come a little early count
	probeBurst   = 5                      // questions in a round, so that loss does not hide an owner
	probeRounds  = 4                      // unanswered ones when the owner's last datagram is just as old as the patience, and knew this node able
	probeWary    = 20                     // in every other case: a lease on the witness's word must have ended while nobody answered
	probeLost    = 4                      // rounds that a pause between two of them makes worthless: their answers may be lost
	probeLong    = 560 * time.Millisecond // and for so long, if it may be the long one of an owner that has been alone for long
	drifts       = time.Second            // what is known of the peer's sending times by an echo that is older is not used
	insistPause  = 30 * time.Millisecond  // the rounds of one who looks are not further apart
	insistFor    = 25 * time.Millisecond  // and after so long it should have heard an answer
	solo         = 100 * time.Millisecond // the life of a lease on the witness's word, from the question; its answer is a proof for as long
	soloLong     = 500 * time.Millisecond // the same for an owner that has been alone (Config.Alone) and has told it for twice as long as a peer relies on what it was told
	askSlow      = time.Second            // the witness, while the pair is well
	askSolo      = 20 * time.Millisecond  // while the node's right depends on it
	askBurst     = 4                      // questions when an answer is overdue
	askOverdue   = 30 * time.Millisecond  //
	askWoken     = 50 * time.Millisecond  // after a stall, the last looks wait for the witness's word for so long
	askGivenUp   = 2 * time.Second        // a witness that is silent for so long is asked only every askRare
	askRare      = 100 * time.Millisecond // and one that owes an answer while the pair is well
	answerLasts  = 3 * time.Second        // for what the node says of itself in datagrams
	giveLasts    = 2 * time.Second        // a node that gave the addresses away does not want them back for so long
	wishLasts    = 3 * time.Second        // after the limit of the switch
	claimLasts   = 500 * time.Millisecond // after the limit of the switch, for a peer that does not claim what it is given
	longestLease = 10 * time.Second       // that a peer is believed to have
	sickLasts    = 2 * time.Second        // after a failure of the kernel (no right, no address)
	wellFor      = 10 * time.Second       // health before an automatic failback
	renewSooner  = 40 * time.Millisecond  // a renewal that wins less is not worth its system call …
	renewUrgent  = 60 * time.Millisecond  // … unless so little is left
	renewLeast   = 2 * time.Millisecond   //
	askedAnew    = 100 * time.Millisecond // announcing again because another owner was seen, at most so often
	gapTimes     = 2                      // the patience is at least so many of the longest recent gaps between datagrams …
	gapMore      = 10 * time.Millisecond  // … and at most so much longer than without any
	gapUsual     = 15 * time.Millisecond  // a longer gap shows that answers may be late or lost, too …
	gapRound     = 10 * time.Millisecond  // … and so much more of it asks for one more round of probes …
	gapRounds    = 6                      // … up to so many
	gapForgotten = 1024                   // datagrams after which a long gap has lost two thirds of its weight
)

func (c Config) orDefault() Config {
	if c.Lease == 0 {
		c.Lease = max(appliance.Lease, 10*c.Interval)
	}
	c.Dead = max(c.Dead, c.Lease)
	if c.Start == 0 {
		c.Start = 3 * time.Second
		if c.Witness {
			c.Start = 500 * time.Millisecond
		}
	}
	if c.Alone == 0 {
		c.Alone = 5 * time.Second
	}
	if c.Calm == 0 {
		c.Calm = time.Minute
	}
	if c.Switch == 0 {
		c.Switch = 5 * time.Second
	}
	return c
}

// fresh is the age until which an echo is a proof.
func (c Config) fresh() time.Duration { return c.Lease * 2 / 3 }

// wary is the age of an echo at which the witness is asked, in case it is needed.
func (c Config) wary() time.Duration { return c.Lease / 3 }

// FirstLease is for how long a node that was alone owns the addresses of a new pair from the event Founded on: the caller has put that lease in force.
func FirstLease(c Config) time.Duration { return 2 * c.orDefault().Lease }
