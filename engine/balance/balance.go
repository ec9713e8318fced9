// Package balance chooses among the servers of a pool: pure, without locks and, for each choice, without allocation. One Pool belongs to one loop.
package balance

import (
	"evenkeel/appliance"
	"evenkeel/engine/wire"
)

// Whole is the Share of a server that gets all of what its weight says.
const Whole = 256

// Seat is one server as the pickers see it. The caller sets Usable, Open, Share and Pace before each choice; a seat with weight 0 is never chosen.
type Seat struct {
	Weight  int
	Share   int   // of Weight that counts now, in parts of Whole: less for a server that just came
	Open    int64 // connections or requests open on it
	Pace    int64 // moving average of its response time in ns; 0: not known
	Usable  bool
	backup  bool
	key     uint64
	current int64 // of smooth weighted round robin
}

// Pool is the seats of one service, in the operator's order.
type Pool struct {
	Seats     []Seat
	scheduler appliance.Scheduler
	failover  bool
	backups   bool   // some seats are backups
	reserve   bool   // of the choice at hand: no regular seat serves
	load      int64  // bound of a hash in percent of a seat's share; 0: none
	dice      uint64 // state of the random numbers
}

// New returns a pool with one seat for each real server of p; what is known of the seats of old (which may be nil) is taken over by id.
func New(p *appliance.Pool, old *Pool, oldServers []appliance.RealServer) *Pool {
	n := &Pool{
		Seats: make([]Seat, len(p.RealServers)), scheduler: p.Scheduler, failover: p.Mode == appliance.Failover, load: int64(p.HashLoad),
		dice: 0x9e3779b97f4a7c15,
	}
	for i := range p.RealServers {
		r := &p.RealServers[i]
		n.Seats[i] = Seat{Weight: r.Weight, Share: Whole, backup: r.Backup, key: hashString(r.ID)}
		n.backups = n.backups || r.Backup
	}
	if old == nil {
		return n
	}
	n.dice = old.dice
	if old.scheduler != n.scheduler {
		return n
	}
	known := make(map[string]int64, len(oldServers))
	for i := range min(len(old.Seats), len(oldServers)) {
		known[oldServers[i].ID] = old.Seats[i].current
	}
	for i := range n.Seats {
		n.Seats[i].current = known[p.RealServers[i].ID]
	}
	return n
}

// Turn passes over n turns of weighted round robin, and draws other random numbers, so that the pools of several loops do not all begin with the same server.
func (p *Pool) Turn(n int) {
	p.dice = mix(p.dice + uint64(n))
	for i := range p.Seats {
		p.Seats[i].Usable = true
	}
	for range n {
		p.smooth(-1)
	}
}

// Pick returns the index of the seat that serves next, or -1 when none is usable. Backups are chosen among when no other seat is usable.
func (p *Pool) Pick(q *wire.Query) int {
	p.reserve = p.backups && !p.regular()
	switch {
	case p.failover:
		return p.first()
	case p.scheduler == appliance.FirstAvailable:
		return p.first()
	case p.scheduler == appliance.SourceHash:
		return p.hashed(HashAddr(q.Client.Addr()))
	case p.scheduler.ReadsRequest() && q.Key != 0:
		return p.hashed(q.Key)
	case p.scheduler == appliance.RoundRobin:
		return p.smooth(-1)
	case p.scheduler == appliance.RandomOfTwo:
		return p.random()
	case p.scheduler == appliance.FastestResponse:
		return p.fastest()
	}
	return p.least()
}

// Backup tells whether the seat that Pick chose last is a backup.
func (p *Pool) Backup() bool { return p.reserve }

// regular tells whether a seat serves that is no backup.
func (p *Pool) regular() bool {
	p.reserve = false
	for i := range p.Seats {
		if p.serves(i) {
			return true
		}
	}
	return false
}

func (p *Pool) serves(i int) bool {
	s := &p.Seats[i]
	return s.Usable && s.Weight > 0 && s.backup == p.reserve
}

// weight is what counts now.
func (s *Seat) weight() int64 { return int64(s.Weight) * int64(s.Share) }

// against is negative when s is less loaded for its weight than o.
func (s *Seat) against(o *Seat) int64 { return s.Open*o.weight() - o.Open*s.weight() }

// first is failover mode and first available: the operator's order.
func (p *Pool) first() int {
	for i := range p.Seats {
		if p.serves(i) {
			return i
		}
	}
	return -1
}

// least is weighted least connections: the smallest Open/Weight; among equals, as when all are idle, smooth weighted round robin.
func (p *Pool) least() int {
	best, ties := -1, 0
	for i := range p.Seats {
		s := &p.Seats[i]
		if !p.serves(i) {
			continue
		}
		if best < 0 {
			best, ties = i, 1
			continue
		}
		switch d := s.against(&p.Seats[best]); {
		case d < 0:
			best, ties = i, 1
		case d == 0:
			ties++
		}
	}
	if ties < 2 {
		return best
	}
	return p.smooth(best)
}

// smooth is weighted round robin without bursts: every seat gains its weight, the richest serves and pays the sum of the weights.
// With like >= 0 only seats as loaded as that one take part.
func (p *Pool) smooth(like int) int {
	best, sum := -1, int64(0)
	for i := range p.Seats {
		s := &p.Seats[i]
		if !p.serves(i) || like >= 0 && s.against(&p.Seats[like]) != 0 {
			continue
		}
		sum += s.weight()
		if s.current += s.weight(); best < 0 || s.current > p.Seats[best].current {
			best = i
		}
	}
	if best >= 0 {
		p.Seats[best].current -= sum
	}
	return best
}
