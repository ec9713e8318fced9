package engine

import (
	"slices"

	"evenkeel/appliance"
	"evenkeel/engine/queue"
)

// enter takes a place if there are fewer than limit; 0: as many as come. It never counts one too many, not even for a moment: who leaves then would see no room, and
// wake nobody who waits for it.
func (r *server) enter(limit int64) bool {
	if limit == 0 { // counted all the same: a limit may be set later
		r.taken.Add(1)
		return true
	}
	for {
		n := r.taken.Load()
		if n >= limit {
			return false
		}
		if r.taken.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// loadOf is how many are served by these servers or wait for them.
func (s *service) loadOf(servers []*server) int64 {
	load := s.queue.Waiting()
	for _, r := range servers {
		load += r.taken.Load()
	}
	return load
}

// graded tells whether the limit of some server depends on the load.
func graded(c *appliance.VirtualService) bool {
	return slices.ContainsFunc(c.RealServers, func(r appliance.RealServer) bool { return r.MinConnections > 0 })
}

// placesOf returns how many places a server has at a load of its service: its maximum, or, when it has a minimum, the share of it that the load is of the full load.
func placesOf(c *appliance.VirtualService, r *appliance.RealServer, load int64) int64 {
	most, full := int64(r.MaxConnections), c.FullLoad()
	if r.MinConnections == 0 || most == 0 || load >= full {
		return most
	}
	return max(int64(r.MinConnections), load*most/full)
}

// ground is a service as those see it who give its places away to who waits, from whatever loop or goroutine.
type ground struct {
	*snapshot
	service   *service
	load      int64
	desperate bool // see shard
	won       bool // who asks has got a place itself; of what others give it meanwhile, it is told
}

func (s *service) ground() ground {
	g := ground{snapshot: s.running.Load(), service: s}
	if graded(g.config) {
		g.load = s.loadOf(g.servers)
	}
	if least := g.config.MinimumServers; least > 0 {
		for i, r := range g.servers {
			if c := &g.config.RealServers[i]; r.wants(c.State) == appliance.Online && !r.isDown() && r.address(c).IsValid() {
				least--
			}
		}
		g.desperate = least > 0
	}
	return g
}

// serves tells whether a server takes clients: those that come back to it, or new ones.
func (g *ground) serves(i int, returning bool) bool {
	r := g.servers[i]
	return r.takes(g.config, i, returning) && (g.desperate || !r.isDown()) && r.address(&g.config.RealServers[i]).IsValid()
}

// places is the limit of a server now; 0: none.
func (g *ground) places(i int) int64 { return placesOf(g.config, &g.config.RealServers[i], g.load) }

func (g *ground) free(i int) bool {
	limit := g.places(i)
	return g.serves(i, true) && (limit == 0 || g.servers[i].taken.Load() < limit)
}

// before tells whether a place on server i is better given away than one on server j: no backup, and less busy for its weight.
func (g *ground) before(i, j int) bool {
	a, b := &g.config.RealServers[i], &g.config.RealServers[j]
	if a.Backup != b.Backup {
		return b.Backup
	}
	return g.servers[i].taken.Load()*int64(b.Weight) < g.servers[j].taken.Load()*int64(a.Weight)
}

// offer gives a free place on one server to the first who wants it. mine is the ticket of who calls, who is not told.
func (g *ground) offer(i int, mine *ticket) bool {
	r, limit := g.servers[i], g.places(i)
	t := g.service.queue.Offer(r, g.serves(i, true), g.serves(i, false), func() bool { return r.enter(limit) })
	if t == nil {
		return false
	}
	holder := t.Holder.(*ticket)
	if holder.granted = r; holder == mine {
		g.won = true
	} else {
		holder.tell()
	}
	return true
}

// serve gives what is free to those who wait, each place to the first who wants it.
func (g *ground) serve(mine *ticket) {
	var unwanted []int
	for g.service.queue.Waiting() > 0 {
		best := -1
		for i := range g.servers {
			if g.free(i) && !slices.Contains(unwanted, i) && (best < 0 || g.before(i, best)) {
				best = i
			}
		}
		if best < 0 {
			return
		}
		if !g.offer(best, mine) {
			unwanted = append(unwanted, best)
		}
	}
}

// hopeless tells whether what a ticket waits for cannot come.
func (g *ground) hopeless(t *queue.Ticket[*server]) bool {
	if g.config.Limits.Queue == 0 {
		return true
	}
	if t.Own != nil {
		i := slices.Index(g.servers, t.Own)
		return i < 0 || !g.serves(i, true)
	}
	for i, r := range g.servers {
		if g.serves(i, false) && !slices.Contains(t.Tried, r) {
			return false
		}
	}
	return true
}

// freed offers a place that has become free to those who wait. Without anybody it costs one atomic load.
func (s *service) freed(r *server) {
	if s.queue.Waiting() == 0 || s.retired.Load() {
		return
	}
	g := s.ground()
	if i := slices.Index(g.servers, r); i >= 0 {
		for g.offer(i, nil) && g.load > 0 { // a limit that goes with the load may have room for more than one
		}
	}
}

// giveBack ends the use of a place.
func (s *service) giveBack(r *server) {
	r.taken.Add(-1)
	s.freed(r)
}

// revise looks anew at everybody who waits, because servers came, went or changed, or the limits did: they get what is free, and who waits for nothing is told to ask again.
func (s *service) revise() {
	if s.queue.Waiting() == 0 {
		return
	}
	g := s.ground()
	g.serve(nil)
	for _, t := range s.queue.Sift(g.hopeless) {
		t.Holder.(*ticket).tell()
	}
}

// dismiss tells everybody who waits to ask again, because the service is no more.
func (s *service) dismiss() {
	for _, t := range s.queue.Sift(func(*queue.Ticket[*server]) bool { return true }) {
		t.Holder.(*ticket).tell()
	}
}
