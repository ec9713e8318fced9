package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Ill is a kind of fault.
type Ill uint8

// The kinds. Node is whose fault it is; for the cuts of one direction, who is no longer heard.
const (
	Kill      Ill = iota // the process dies; its kernel goes on; a new one starts at the end
	PowerCut             // everything of the node is gone; it boots at the end
	Freeze               // the process does not run until the end
	LinkDown             // the interface of the services has no link, and the node notices
	Blackhole            // nothing comes in or goes out, on any interface, and the links are up
	Numb                 // nothing comes in, on any interface; what goes out arrives
	Heartbeat            // the heartbeat's own path is cut
	Deaf                 // the other node does not hear this one: heartbeats one way are lost on every path, and answers to its probes too
	Services             // the two do not reach each other on the services' network; both reach their witness
	Witness              // the witness does not answer this node
	NoWitness            // it answers nobody
	Loss                 // up to half of everything is lost
	Jitter               // datagrams take up to 40 ms, and overtake each other
	Refused              // the kernel refuses renewals
	Unhealthy            // the node says so for other reasons than a link
	Stranger             // a third machine answers for the addresses
	ToActive             // the operator's commands
	ToPassive            //
	Leave                // the process ends in good order, and a new one starts at the end
	ills                 // so many are drawn
	Vouch                // the operator says to this node that the other is off, which is true: it has no power any more
)

var names = [Vouch + 1]string{
	"kill", "power cut", "freeze", "link down", "blackhole", "hears nothing", "heartbeat cut", "not heard", "services cut", "no witness here", "no witness", "loss", "jitter",
	"renewals refused", "unhealthy", "stranger", "make active", "make passive", "leave", "", "vouch",
}

// Fault is one fault of a schedule.
type Fault struct {
	Ill   Ill
	Node  int
	At    time.Duration
	Until time.Duration // zero: for good
	Level float64       // Loss
}

func (f Fault) String() string {
	return fmt.Sprintf("%s of node %d from %s until %s (%.2f)", names[f.Ill], f.Node, f.At, f.Until, f.Level)
}

func (f Fault) cut() bool { return f.Ill == Heartbeat || f.Ill == Deaf || f.Ill == Services }

// Schedule is what happens in one run. It follows from the seed alone.
type Schedule struct {
	Seed      uint64
	Witness   bool
	Dedicated bool    // heartbeats have a path of their own
	Shared    bool    // heartbeats go over the services' network
	Failback  bool    // automatic failback is on: node 0 has the role Primary
	Founder   bool    // node 0 serves on the addresses, and the pair is made with it; otherwise two nodes of a pair start
	Loss      float64 // all the time
	Offset    [2]time.Duration
	Rate      [2]float64 // of each node's clock, against the world's
	Started   [2]time.Duration
	Priority  [2]uint8
	Alone     time.Duration // see role.Config; zero: as usual
	Calm      time.Duration // see role.Config; zero: as usual
	Length    time.Duration
	Faults    []Fault
}

const (
	apart  = 300 * time.Millisecond // between the beginnings of two faults
	settle = 1500 * time.Millisecond
)

// NewSchedule draws one.
func NewSchedule(seed uint64) Schedule {
	r := rand.New(rand.NewPCG(seed, 0x6b65656c))
	s := Schedule{Seed: seed, Witness: r.IntN(5) > 0, Dedicated: r.IntN(5) > 0, Founder: seed%5 == 0, Failback: seed%9 == 4}
	s.Shared = !s.Dedicated || r.IntN(2) == 0
	if r.IntN(3) == 0 {
		s.Loss = 0.3 * r.Float64()
	}
	for i := range s.Offset {
		s.Offset[i] = time.Hour + time.Duration(r.Int64N(int64(1000*time.Hour)))
		s.Rate[i] = 0.99 + 0.02*r.Float64()
		s.Priority[i] = uint8(r.IntN(2))
		if r.IntN(3) == 0 {
			s.Started[i] = time.Duration(r.Int64N(int64(2 * time.Second)))
		}
	}
	if r.IntN(3) > 0 {
		s.Alone = 300*time.Millisecond + time.Duration(r.Int64N(int64(700*time.Millisecond)))
	}
	at := settle
	for range 1 + r.IntN(4) {
		at += apart + time.Duration(r.Int64N(int64(1200*time.Millisecond)))
		f := s.draw(r, at)
		if f.At != 0 {
			s.Faults = append(s.Faults, f)
		}
		if f.Until > at && r.IntN(3) > 0 { // most faults end before the next begins
			at = f.Until
		}
	}
	if seed%7 == 3 {
		at = s.vouch(r, at+apart)
	}
	if s.Witness && s.Dedicated && seed%11 == 6 {
		at = s.estrange(r)
	}
	if seed%13 == 5 {
		at = s.stutter(r, at+time.Second)
	}
	s.Length = at + 2*time.Second
	if s.Failback {
		s.Length += 12 * time.Second
	}
	return s
}

// vouch ends a schedule with a node that loses its power for good, and an operator who says so to the other, whose witness may be silent.
func (s *Schedule) vouch(r *rand.Rand, at time.Duration) time.Duration {
	node := r.IntN(2)
	s.Faults = append(s.Faults, Fault{Ill: PowerCut, Node: 1 - node, At: at})
	if s.Witness && r.IntN(2) == 0 {
		s.Faults = append(s.Faults, Fault{Ill: NoWitness, Node: node, At: at + time.Duration(r.Int64N(int64(apart)))})
	}
	at += time.Duration(r.Int64N(int64(settle)))
	s.Faults = append(s.Faults, Fault{Ill: Vouch, Node: node, At: at})
	return at
}

// estrange is a schedule of its own: two nodes do not hear each other for so long that the owner may use its longer lease, and then one is cut off or gone.
func (s *Schedule) estrange(r *rand.Rand) time.Duration {
	s.Shared = false
	at := settle + time.Duration(r.Int64N(int64(apart)))
	alone := s.Alone
	if alone == 0 {
		alone = 5 * time.Second
	}
	s.Faults = []Fault{{Ill: Heartbeat, At: at, Until: at + 5*alone + settle}}
	at += 2*alone + time.Duration(r.Int64N(int64(2*alone)))
	ills := []Ill{Kill, PowerCut, Freeze, LinkDown, Blackhole, Numb}
	f := Fault{Ill: ills[r.IntN(len(ills))], Node: r.IntN(2), At: at, Until: at + time.Duration(r.Int64N(int64(2*time.Second)))}
	s.Faults = append(s.Faults, f)
	return max(f.Until, s.Faults[0].Until)
}

// stutter lets the machine of a node, or of both, stand still again and again until then, beside the other faults.
func (s *Schedule) stutter(r *rand.Rand, until time.Duration) time.Duration {
	if r.IntN(3) > 0 {
		s.Calm = 500*time.Millisecond + time.Duration(r.Int64N(int64(time.Second)))
	}
	only := r.IntN(3) // or both
	for node := range s.Offset {
		for at := time.Duration(r.Int64N(int64(settle))); at < until && only != node; {
			d := 20*time.Millisecond + time.Duration(r.Int64N(int64(350*time.Millisecond)))
			s.Faults = append(s.Faults, Fault{Ill: Freeze, Node: node, At: at, Until: at + d})
			at += d + 20*time.Millisecond + time.Duration(r.Int64N(int64(600*time.Millisecond)))
		}
	}
	return until
}

// draw makes a fault that may come with those that are there; it gives up after some tries.
func (s *Schedule) draw(r *rand.Rand, at time.Duration) Fault {
	for range 20 {
		f := Fault{Ill: Ill(r.IntN(int(ills))), Node: r.IntN(2), At: at}
		least, most := 50*time.Millisecond, 3*time.Second
		if f.Ill == Freeze && r.IntN(20) == 0 {
			most = time.Minute
		}
		f.Until = at + time.Duration(float64(least)*math.Pow(float64(most)/float64(least), r.Float64()))
		if f.Ill == Loss {
			f.Level = 0.5 * r.Float64()
		}
		if r.IntN(10) == 0 && f.Ill != ToActive && f.Ill != ToPassive {
			f.Until = 0
		}
		if s.fits(f) {
			return f
		}
	}
	return Fault{}
}

// fits leaves out what package role does not promise.
func (s *Schedule) fits(f Fault) bool {
	switch {
	case f.Ill == Heartbeat && !s.Dedicated, f.Ill == Services && (!s.Dedicated || !s.Witness):
		return false
	case !s.Witness && (f.Ill == Blackhole || f.Ill == Numb || f.Ill == Witness || f.Ill == NoWitness):
		return false
	}
	for _, other := range s.Faults {
		if !f.cut() || !other.cut() {
			continue
		}
		if other.Until == 0 || other.Until+settle > f.At {
			return false
		}
	}
	return true
}
