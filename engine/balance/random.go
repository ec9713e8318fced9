package balance

// random draws two seats by weight and takes the less loaded of them: nearly as even as least connections, and loops that know little of each other do not all
// run to the same server.
func (p *Pool) random() int {
	_, weights := p.sum()
	a := p.draw(weights, -1)
	if a < 0 {
		return -1
	}
	b := p.draw(weights-p.Seats[a].weight(), a)
	if b >= 0 && p.Seats[b].against(&p.Seats[a]) < 0 {
		return b
	}
	return a
}

// draw returns a random seat by weight, but for one; weights is the sum of theirs.
func (p *Pool) draw(weights int64, but int) int {
	if weights <= 0 {
		return -1
	}
	p.dice += 0x9e3779b97f4a7c15
	left := int64(mix(p.dice) % uint64(weights))
	for i := range p.Seats {
		if i == but || !p.serves(i) {
			continue
		}
		if left -= p.Seats[i].weight(); left < 0 {
			return i
		}
	}
	return -1
}
