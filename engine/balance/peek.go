package balance

import "evenkeel/engine/wire"

// Peek returns what Pick would choose now, and leaves everything as it was: the next Pick chooses that seat.
func (p *Pool) Peek(q *wire.Query) int {
	turns, dice, reserve := make([]int64, len(p.Seats)), p.dice, p.reserve
	for i := range p.Seats {
		turns[i] = p.Seats[i].current
	}
	chosen := p.Pick(q)
	for i := range p.Seats {
		p.Seats[i].current = turns[i]
	}
	p.dice, p.reserve = dice, reserve
	return chosen
}
