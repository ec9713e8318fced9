// Package balance chooses among the servers of a pool: pure, without locks and, for each choice, without allocation. One Pool belongs to one loop.
package balance

import (
	"math"
	"math/bits"
	"net/netip"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
)

// Seat is one server as the pickers see it. The caller sets Usable and Open before each choice; a seat with weight 0 is never chosen.
type Seat struct {
	Weight  int
	Open    int64 // connections or requests open on it
	Usable  bool
	key     uint64
	current int64 // of smooth weighted round robin
}

// Pool is the seats of one service, in the operator's order.
type Pool struct {
	Seats     []Seat
	scheduler appliance.Scheduler
	failover  bool
}

// New returns a pool with one seat for each real server of p; what is known of the seats of old (which may be nil) is taken over by id.
func New(p *appliance.Pool, old *Pool, oldServers []appliance.RealServer) *Pool {
	n := &Pool{Seats: make([]Seat, len(p.RealServers)), scheduler: p.Scheduler, failover: p.Mode == appliance.Failover}
	for i := range p.RealServers {
		n.Seats[i] = Seat{Weight: p.RealServers[i].Weight, key: hashString(p.RealServers[i].ID)}
	}
	if old == nil || old.scheduler != n.scheduler {
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

// Turn passes over n turns of weighted round robin, so that the pools of several loops do not all begin with the same server.
func (p *Pool) Turn(n int) {
	for i := range p.Seats {
		p.Seats[i].Usable = true
	}
	for range n {
		p.smooth(-1)
	}
}

// Pick returns the index of the seat that serves next, or -1 when none is usable.
func (p *Pool) Pick(q *wire.Query) int {
	switch {
	case p.failover:
		return p.first()
	case p.scheduler == appliance.SourceHash:
		return p.hashed(q.Client.Addr())
	case p.scheduler == appliance.RoundRobin:
		return p.smooth(-1)
	}
	return p.least()
}

func (s *Seat) serves() bool { return s.Usable && s.Weight > 0 }

// against is negative when s is less loaded for its weight than o.
func (s *Seat) against(o *Seat) int64 { return s.Open*int64(o.Weight) - o.Open*int64(s.Weight) }

// first is failover mode: the operator's order.
func (p *Pool) first() int {
	for i := range p.Seats {
		if p.Seats[i].serves() {
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
		if !s.serves() {
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
		if !s.serves() || like >= 0 && s.against(&p.Seats[like]) != 0 {
			continue
		}
		sum += int64(s.Weight)
		if s.current += int64(s.Weight); best < 0 || s.current > p.Seats[best].current {
			best = i
		}
	}
	if best >= 0 {
		p.Seats[best].current -= sum
	}
	return best
}

// hashed is source hash by weighted rendezvous: each seat draws a number from the client's address, the best for its weight serves. A seat that leaves
// moves its own clients only, and a seat that comes takes no more than its share.
func (p *Pool) hashed(client netip.Addr) int {
	key := HashAddr(client)
	best, score := -1, 0.0
	for i := range p.Seats {
		s := &p.Seats[i]
		if !s.serves() {
			continue
		}
		draw := float64(mix(key^s.key)>>11)/(1<<53) + 1.0/(1<<54) // in (0, 1)
		if v := -float64(s.Weight) / math.Log(draw); best < 0 || v > score {
			best, score = i, v
		}
	}
	return best
}

// HashAddr hashes an address, the same for an IPv4 address and its IPv6-mapped form.
func HashAddr(a netip.Addr) uint64 {
	b := a.As16()
	h := uint64(0x9e3779b97f4a7c15)
	for half := 0; half < 16; half += 8 {
		var v uint64
		for i := range 8 {
			v = v<<8 | uint64(b[half+i])
		}
		h = mix(h ^ v)
	}
	return h
}

func hashString(s string) uint64 {
	h := uint64(0xcbf29ce484222325) // FNV-1a
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return mix(h)
}

// mix spreads every bit over the whole word.
func mix(h uint64) uint64 {
	hi, lo := bits.Mul64(h^0xa0761d6478bd642f, 0xe7037ed1a0b428db)
	h = hi ^ lo
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h ^ h>>32
}
