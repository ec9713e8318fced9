package engine

import (
	"time"

	"evenkeel/engine/balance"
	"evenkeel/engine/stats"
	"evenkeel/engine/wire"
)

// warm begins the slow start of a server that came up or online.
func (s *server) warm(now int64) { s.warmSince.Store(now) }

// coldest is the share that a server begins its slow start with.
const coldest = balance.Whole / 16

// shareOf returns how much of a server's weight counts now, in parts of balance.Whole.
func (s *shard) shareOf(r *server) int {
	since := r.warmSince.Load()
	if since == 0 {
		return balance.Whole
	}
	whole, gone := s.config.SlowStart.D(), s.lane.loop.Now().Sub(wire.Time(since))
	if gone >= whole {
		r.warmSince.CompareAndSwap(since, 0)
		return balance.Whole
	}
	return max(coldest, int(int64(balance.Whole)*int64(max(gone, 0)/time.Microsecond)/max(int64(whole/time.Microsecond), 1)))
}

// Answered implements wire.Service.
func (s *shard) Answered(c wire.Choice, status int, took time.Duration) {
	n := c.Server.Owner.(*seat)
	if n.server == nil {
		return
	}
	s.sawAnswer(n, status)
	if status != 0 && s.paces != nil {
		n.pace.Add(s.lane.loop.Now(), took)
	}
}

// lookAtPaces reads how fast the servers answer on all loops, when the scheduler wants to know.
func (s *shard) lookAtPaces() {
	now := s.lane.loop.Now()
	for i, n := range s.seats {
		if i < len(s.paces) {
			s.paces[i] = stats.PaceOf(now, len(n.server.seats), func(k int) *stats.Pace { return &n.server.seats[k].pace })
		}
	}
}
