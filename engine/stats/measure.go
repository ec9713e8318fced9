package stats

import (
	"time"

	"evenkeel/engine/wire"
)

// Measure is everything that is counted of one service, or of one real server of it, since it began to run.
type Measure struct {
	Service, Server string // ids; Server is empty for the service as a whole
	wire.Counters
	Sums
	Up float32 // 1: it serves, 0: it does not, -1: not yet known
}

// Bounds are the ends of the coarse buckets that histograms are shown in elsewhere.
func Bounds() []time.Duration {
	var out []time.Duration
	for i := range Buckets - 1 {
		if i%8 == 0 { // every second octave
			out = append(out, Below(i))
		}
	}
	return out
}

// Within returns how many times were below a bound, which is the end of a bucket.
func (c *Counts) Within(bound time.Duration) (n uint64) {
	for i := range Buckets - 1 {
		if Below(i) > bound {
			break
		}
		n += c.In[i]
	}
	return n
}
