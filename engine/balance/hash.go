package balance

import (
	"math"
	"math/bits"
	"net/netip"
)

// hashed is consistent hashing by weighted rendezvous: each seat draws a number from the key, the best for its weight serves. A seat that leaves
// moves its own clients only, and a seat that comes takes no more than its share. With a bound, a seat that is full for its share passes the key on to the next best.
func (p *Pool) hashed(key uint64) int {
	open, weights := int64(0), int64(0)
	if p.load > 0 {
		open, weights = p.sum()
	}
	best, score := -1, 0.0
	for i := range p.Seats {
		s := &p.Seats[i]
		if !p.serves(i) || p.load > 0 && s.beyond(p.load, open, weights) {
			continue
		}
		draw := float64(mix(key^s.key)>>11)/(1<<53) + 1.0/(1<<54) // in (0, 1)
		if v := -float64(s.weight()) / math.Log(draw); best < 0 || v > score {
			best, score = i, v
		}
	}
	return best
}

// sum returns what is open on the seats that serve, with the client that is to come, and their weights.
func (p *Pool) sum() (open, weights int64) {
	open = 1
	for i := range p.Seats {
		if p.serves(i) {
			open += p.Seats[i].Open
			weights += p.Seats[i].weight()
		}
	}
	return open, weights
}

// beyond tells whether one more client would be more than load percent of the seat's share of open, rounded up: so there is always a seat that is not.
func (s *Seat) beyond(load, open, weights int64) bool {
	share := float64(open) * float64(s.weight()) / float64(weights)
	return float64(s.Open+1) > math.Ceil(share*float64(load)/100)
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
