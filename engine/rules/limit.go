package rules

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// The table of a limit: stripes that are locked one by one, sets of a few sources each. It holds 32,768 sources in 1 MiB at most, made as they come.
const (
	stripes = 64
	sets    = 64 // of a stripe
	ways    = 8
)

// Rate is what one source may do.
type Rate struct {
	Rule     string // which limit it is: counts are kept over an Apply that leaves the Rate as it is
	Requests int    // within Period
	Period   time.Duration
	MaskIPv4 int // bits that tell one source from another
	MaskIPv6 int
}

// Limiter counts requests by source in a sliding window: of the window before as much counts as still lies within the period. It is safe for concurrent use.
// The table is bounded: of many sources those go first whose last request is longest ago.
type Limiter struct {
	rate Rate
	seed maphash.Seed
	part [stripes]stripe
}

type stripe struct {
	mu   sync.Mutex
	sets [][ways]source // empty until one is needed
}

// source is what is known of one client network; its zero value is free.
type source struct {
	key      [16]byte
	window   int64
	now, old uint32 // requests in the window and in the one before
}

// NewLimiter returns a limiter, that of old when it has one of the same rate. old may be nil.
func NewLimiter(r Rate, old *Program) *Limiter {
	if old != nil {
		for _, l := range old.limits {
			if l.rate == r {
				return l
			}
		}
	}
	return &Limiter{rate: r, seed: maphash.MakeSeed()}
}

// Take counts one request of a source at a time in nanoseconds. It returns zero when the request is within the rate, and otherwise how long to wait; what is over the rate
// is not counted. A dry call counts nothing.
func (l *Limiter) Take(client netip.Addr, now int64, dry bool) time.Duration {
	key := l.key(client)
	h := maphash.Bytes(l.seed, key[:])
	s := &l.part[h%stripes]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sets == nil {
		if dry {
			return 0
		}
		s.sets = make([][ways]source, sets)
	}
	window := now/int64(l.rate.Period) + 1 // never that of a free place
	at := find(&s.sets[h/stripes%sets], key, window, dry)
	if at == nil {
		return 0
	}
	into := now % int64(l.rate.Period)
	left := 1 - float64(into)/float64(l.rate.Period)
	if float64(at.old)*left+float64(at.now) > float64(l.rate.Requests-1) {
		return l.wait(at, into)
	}
	if !dry {
		at.now++
	}
	return 0
}

// wait is how long it takes until one more is within the rate.
func (l *Limiter) wait(at *source, into int64) time.Duration {
	period := float64(l.rate.Period)
	room := float64(l.rate.Requests - 1)
	if float64(at.now) <= room && at.old > 0 { // when enough of the window before has passed
		return max(time.Duration(period*(1-(room-float64(at.now))/float64(at.old)))-time.Duration(into), 1)
	}
	wait := period - float64(into) // then this window is the one before
	return time.Duration(wait + period*max(1-room/float64(at.now), 0))
}

func (l *Limiter) key(client netip.Addr) [16]byte {
	client = client.Unmap().WithZone("")
	bits := l.rate.MaskIPv6
	if client.Is4() {
		bits = l.rate.MaskIPv4
	}
	if p, err := client.Prefix(bits); err == nil {
		client = p.Addr()
	}
	return client.As16()
}

// find returns the place of a source, brought to the present window; for a new source the place of the one that was silent for longest, or nil when dry.
func find(set *[ways]source, key [16]byte, window int64, dry bool) *source {
	oldest := &set[0]
	for i := range set {
		s := &set[i]
		if s.window != 0 && s.key == key {
			return s.turn(window, dry)
		}
		if s.window < oldest.window || s.window == oldest.window && s.now < oldest.now {
			oldest = s
		}
	}
	if dry {
		return nil
	}
	*oldest = source{key: key, window: window}
	return oldest
}

// turn brings the counts to a window; a dry turn works on a copy.
func (s *source) turn(window int64, dry bool) *source {
	if dry {
		c := *s
		s = &c
	}
	switch {
	case s.window == window-1:
		s.old, s.now = s.now, 0
	case s.window < window:
		s.old, s.now = 0, 0
	}
	s.window = max(s.window, window)
	return s
}
