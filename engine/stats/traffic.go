package stats

import (
	"sync/atomic"

	"evenkeel/engine/wire"
)

// Traffic counts how requests and sessions ended, beside wire.Counters. One loop calls Add; anybody may call AddTo. The zero value is ready.
type Traffic struct {
	codes   [6]uint64 // answers 1xx to 5xx by their first digit
	ends    [wire.Ends]uint64
	retries uint64
	latency Histogram
}

// Sums is a copy of what traffic was counted, or the sum of several.
type Sums struct {
	Codes   [6]uint64
	Ends    [wire.Ends]uint64
	Retries uint64 // servers that were tried in vain, and requests that were sent once more
	Latency Counts // until the server's first byte (HTTP, UDP), or until it was connected (TCP)
}

func up(at *uint64, n uint64) {
	if n > 0 {
		atomic.StoreUint64(at, *at+n)
	}
}

// Add counts what a record tells.
func (t *Traffic) Add(r *wire.Record) {
	if class := r.Status / 100; class > 0 && class < len(t.codes) {
		up(&t.codes[class], 1)
	}
	if int(r.End) < len(t.ends) {
		up(&t.ends[r.End], 1)
	}
	up(&t.retries, uint64(r.Tries))
	if r.Session && r.Connected != 0 {
		t.latency.Add(r.Took(r.Connected))
		return
	}
	t.latency.Add(r.Took(r.FirstByte))
}

// AddTo adds what t has counted to s.
func (t *Traffic) AddTo(s *Sums) {
	for i := range t.codes {
		s.Codes[i] += atomic.LoadUint64(&t.codes[i])
	}
	for i := range t.ends {
		s.Ends[i] += atomic.LoadUint64(&t.ends[i])
	}
	s.Retries += atomic.LoadUint64(&t.retries)
	t.latency.AddTo(&s.Latency)
}

// Failed is how many requests or sessions did not end well.
func (s *Sums) Failed() (n uint64) {
	for i, v := range s.Ends {
		if !wire.End(i).Good() {
			n += v
		}
	}
	return n
}
