// Package stats counts: wire.Counters that one loop writes and everybody reads, and the age of the oldest of many connections.
package stats

import (
	"sync/atomic"

	"evenkeel/engine/wire"
)

// Load returns a copy of counters that another goroutine may be writing.
func Load(c *wire.Counters) wire.Counters {
	return wire.Counters{
		Open: atomic.LoadInt64(&c.Open), Total: atomic.LoadUint64(&c.Total), Requests: atomic.LoadUint64(&c.Requests),
		Refused: atomic.LoadUint64(&c.Refused), BytesIn: atomic.LoadUint64(&c.BytesIn), BytesOut: atomic.LoadUint64(&c.BytesOut),
	}
}

// Sum adds b to a.
func Sum(a, b wire.Counters) wire.Counters {
	a.Open += b.Open
	a.Total += b.Total
	a.Requests += b.Requests
	a.Refused += b.Refused
	a.BytesIn += b.BytesIn
	a.BytesOut += b.BytesOut
	return a
}

// Opened counts one connection or request as open. Only the loop that owns c may call it.
func Opened(c *wire.Counters) {
	atomic.StoreInt64(&c.Open, c.Open+1)
	atomic.StoreUint64(&c.Total, c.Total+1)
}

// Closed ends what Opened began.
func Closed(c *wire.Counters) { atomic.StoreInt64(&c.Open, c.Open-1) }
