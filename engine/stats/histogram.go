package stats

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Buckets is the number of a histogram's buckets: four for each doubling, from 64 µs to 67 s, one below and one above.
const Buckets = 4*20 + 2

// finest is the end of the lowest bucket, in nanoseconds: 2^16.
const finest = 16

// Histogram counts times in buckets whose ends grow by a quarter at most, so that what it tells is right within that. One loop calls Add; anybody may
// call Counts. The zero value is ready.
type Histogram struct {
	counts [Buckets]uint64
	sum    uint64 // nanoseconds
}

// Counts is a copy of a histogram, or the sum of several.
type Counts struct {
	In  [Buckets]uint64
	Sum uint64 // nanoseconds
}

// bucketOf returns the number of the bucket that holds d.
func bucketOf(d time.Duration) int {
	if d < 1<<finest {
		return 0
	}
	n := uint64(d)
	top := bits.Len64(n) - 1 // d is in [2^top, 2^(top+1))
	i := 1 + (top-finest)*4 + int(n>>(top-2)&3)
	return min(i, Buckets-1)
}

// Below returns the end of a bucket; what is in the last has none, and its beginning is returned.
func Below(i int) time.Duration {
	if i == 0 {
		return 1 << finest
	}
	i = min(i, Buckets-2)
	octave, quarter := (i-1)/4, (i-1)%4
	return time.Duration(1<<(finest+octave)) / 4 * time.Duration(5+quarter)
}

// Add counts one time; negative ones are not counted.
func (h *Histogram) Add(d time.Duration) {
	if d < 0 {
		return
	}
	at := &h.counts[bucketOf(d)]
	atomic.StoreUint64(at, *at+1)
	atomic.StoreUint64(&h.sum, h.sum+uint64(d))
}

// AddTo adds what h has counted to c.
func (h *Histogram) AddTo(c *Counts) {
	for i := range h.counts {
		c.In[i] += atomic.LoadUint64(&h.counts[i])
	}
	c.Sum += atomic.LoadUint64(&h.sum)
}

// Total returns how many times were counted.
func (c *Counts) Total() (n uint64) {
	for _, v := range c.In {
		n += v
	}
	return n
}

// Since returns what was counted after before was taken. Counters that began anew count whole.
func (c *Counts) Since(before *Counts) Counts {
	out := Counts{Sum: c.Sum - before.Sum}
	for i := range c.In {
		if c.In[i] < before.In[i] || c.Sum < before.Sum {
			return *c
		}
		out.In[i] = c.In[i] - before.In[i]
	}
	return out
}

// Quantile returns the bucket that holds the q-th part of all times, or -1 when there is none.
func (c *Counts) Quantile(q float64) int {
	total := c.Total()
	if total == 0 {
		return -1
	}
	wanted := uint64(q * float64(total))
	seen := uint64(0)
	for i, n := range c.In {
		if seen += n; seen > wanted {
			return i
		}
	}
	return Buckets - 1
}
