package engine

import (
	"crypto/tls"
	"sync/atomic"

	"evenkeel/appliance"
	"evenkeel/engine/persist"
	"evenkeel/engine/queue"
	"evenkeel/engine/rules"
	"evenkeel/engine/stats"
	"evenkeel/engine/wire"
)

// service is one running virtual service. It outlives revisions; a change of protocol makes a new one.
type service struct {
	id      string
	running atomic.Pointer[snapshot]
	shards  []*shard     // one for each loop
	open    atomic.Int64 // clients on all loops
	waiting atomic.Bool  // some loop paused its listeners because of the limit
	queue   queue.Queue[*server]
	retired atomic.Bool // removed: nobody waits for its servers any more
}

// snapshot is what a service runs with; it is never changed, only replaced.
type snapshot struct {
	config  *appliance.VirtualService
	servers []*server       // in the order of config
	table   *persist.Table  // nil without a kind of persistence that has one
	secrecy *secrecy        // nil: neither clients nor servers are in TLS
	sealer  *persist.Sealer // nil without persistence by cookie
	sealed  [32]byte        // its key
	program *rules.Program  // nil without rules
	parted  *snapshot       // what it stands for while the addresses are handed on; nil: it stands for itself
}

// server is one real server of a service, on all loops.
type server struct {
	id      string
	service *service
	down    atomic.Bool  // what the monitor saw last
	taken   atomic.Int64 // places, whether or not their number has a limit
	// warmSince is when the slow start began, on the clock of the loops; 0: it has its whole share.
	warmSince atomic.Int64
	failures  atomic.Pointer[failures] // nil: live traffic is not observed
	advice    atomic.Pointer[advice]   // of its agent; nil: it is not asked
	naming    atomic.Pointer[naming]   // nil: its address is no host name
	seats     []*seat                  // one for each loop
}

// seat is a server on one loop.
type seat struct {
	wire.Server
	server  *server // nil for a fallback
	ages    stats.Ages
	traffic stats.Traffic
	secure  *tls.Config // nil: spoken to in clear
	host    string      // that secure was made for
	pace    stats.Pace
}

func newServer(id, label string, of *service) *server {
	s := &server{id: id, service: of, seats: make([]*seat, len(of.shards))}
	for i := range s.seats {
		s.seats[i] = newSeat(id, label, s)
	}
	return s
}

func newSeat(id, label string, s *server) *seat {
	n := &seat{Server: wire.Server{ID: id, Label: label}, server: s}
	n.Owner = n
	return n
}

// newService returns a service without configuration.
func (e *Engine) newService(id string) *service {
	s := &service{id: id, shards: make([]*shard, len(e.lanes))}
	for i, n := range e.lanes {
		s.shards[i] = &shard{service: s, lane: n, engine: e, fallback: newSeat("fallback", "fallback", nil)}
	}
	return s
}

// match returns the servers of a configuration: those that s has, and new ones.
func (s *service) match(c *appliance.VirtualService) []*server {
	var old []*server
	if r := s.running.Load(); r != nil {
		old = r.servers
	}
	list := make([]*server, len(c.RealServers))
	for i := range c.RealServers {
		r := &c.RealServers[i]
		for _, o := range old {
			if o.id == r.ID {
				list[i] = o
			}
		}
		if list[i] == nil {
			list[i] = newServer(r.ID, r.Label, s)
		}
	}
	return list
}

func (s *service) limit() int64 { return int64(s.running.Load().config.Limits.MaxConnections) }

// admit counts one more client; false: the limit is reached, and room is told to the loops when there is some.
func (s *service) admit() bool {
	if s.enter() {
		return true
	}
	s.waiting.Store(true)
	return s.enter() // one may have left before it could see that somebody waits
}

// enter counts one more client if there is room. It never counts one too many, not even for a moment: who leaves then would see no room and wake nobody.
func (s *service) enter() bool {
	for limit := s.limit(); ; {
		n := s.open.Load()
		if n >= limit {
			return false
		}
		if s.open.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (s *service) leave() {
	s.open.Add(-1)
	s.room()
}

// room has the loops accept again if they had stopped.
func (s *service) room() {
	if !s.waiting.Load() || s.open.Load() >= s.limit() || !s.waiting.CompareAndSwap(true, false) {
		return
	}
	for _, shard := range s.shards {
		shard.lane.loop.Post(shard.resume)
	}
}
