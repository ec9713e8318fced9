package engine

import (
	"evenkeel/engine/cache"
)

// Cache returns where the service keeps responses on this loop, or nil.
func (s *shard) Cache() *cache.Store { return s.responses }

// recache makes the store as large as the service says; each loop has its part. What was kept goes when the size changes.
func (s *shard) recache() {
	limit := s.config.HTTP.CacheSize << 20 / len(s.service.shards)
	switch {
	case limit == 0:
		s.responses = nil
	case s.responses == nil || s.responses.Limit() != limit:
		s.responses = cache.New(limit)
		s.responses.Forgotten = s.forgetElsewhere
	}
}

// forgetElsewhere has the other loops forget what was written to by a client of this one.
func (s *shard) forgetElsewhere(key string) {
	for _, o := range s.service.shards {
		if o == s {
			continue
		}
		o.lane.loop.Post(func() {
			if o.responses != nil {
				o.responses.Forget(key, false)
			}
		})
	}
}
