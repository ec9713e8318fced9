package balance

// fastest takes the seat where a client waits the shortest: the average response time by what is open there, for its weight. A seat whose time is not known goes first,
// so that it becomes known.
func (p *Pool) fastest() int {
	best, least := -1, 0.0
	for i := range p.Seats {
		if !p.serves(i) {
			continue
		}
		if wait := p.Seats[i].wait(); best < 0 || wait < least {
			best, least = i, wait
		}
	}
	return best
}

func (s *Seat) wait() float64 {
	return float64(max(s.Pace, 1)) * float64(s.Open+1) / float64(s.weight())
}
