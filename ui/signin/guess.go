package signin

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"evenkeel/appliance"
)

// How guesses are slowed. A source that fails is slowed hard, for all accounts. An account that is guessed at from many places is slowed mildly, and not at all
// for sources from which it was opened before; from there it waits only mildly for the source, too: so an attacker, even one behind the same address, cannot
// keep its owner out.
const (
	freeBySource  = 5
	freeByAccount = 20
	firstWait     = time.Second
	longestSource = 15 * time.Minute
	longestName   = 4 * time.Second
	forgetAfter   = time.Hour
	mostRecords   = 20_000 // of sources, and of accounts; beyond it the stalest of a few is forgotten
)

// waitError carries how long to wait.
type waitError struct{ wait time.Duration }

func (e *waitError) Error() string { return fmt.Sprintf("wait %s", e.wait) }

func errWait(wait time.Duration) error {
	wait = max(wait.Round(time.Second), time.Second)
	return &appliance.Error{
		Kind: appliance.Unavailable, Op: "sign in", Message: fmt.Sprintf("Too many tries. The next one is possible in %s.", appliance.Duration(wait)), Err: &waitError{wait},
	}
}

func errSlowed(tries int) error {
	return &appliance.Error{Kind: appliance.Unavailable, Op: "sign in", Message: fmt.Sprintf("Tries that had to wait, besides those recorded: %d.", tries)}
}

// RetryAfter returns how long to wait when err says so.
func RetryAfter(err error) (time.Duration, bool) {
	var w *waitError
	if errors.As(err, &w) {
		return w.wait, true
	}
	return 0, false
}

type guessRecord struct {
	failed int
	last   time.Time
	slowed int // tries that had to wait since the last that need not
}

// said returns how many tries had to wait after the first, which is recorded at once, and counts anew.
func (r *guessRecord) said() int {
	if r == nil {
		return 0
	}
	more := max(0, r.slowed-1)
	r.slowed = 0
	return more
}

type familiar struct {
	name string
	from netip.Prefix
}

// guesses counts failures by account and by source. It knows nothing of which accounts exist.
type guesses struct {
	now func() time.Time

	mu       sync.Mutex // guards what follows
	sources  map[netip.Prefix]*guessRecord
	accounts map[string]*guessRecord
	known    map[familiar]time.Time
}

func newGuesses(now func() time.Time) *guesses {
	return &guesses{now: now, sources: map[netip.Prefix]*guessRecord{}, accounts: map[string]*guessRecord{}, known: map[familiar]time.Time{}}
}

// sourceOf makes one source of what one attacker usually has: an IPv4 address, or an IPv6 /64.
func sourceOf(from netip.Addr) netip.Prefix {
	bits := 64
	if from.Is4() {
		bits = 32
	}
	p, err := from.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// try is one guess under way. It counts as failed from its beginning, so that many at once gain nothing.
type try struct {
	list   *guesses
	name   string
	from   netip.Prefix
	first  bool // it is the first that has to wait
	unsaid int  // of a try that need not wait: those before it that had to, and that nothing records
}

func (g *guesses) begin(name string, from netip.Addr) (try, time.Duration) {
	t := try{list: g, name: shorten(name), from: sourceOf(from)}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	source, account := g.sources[t.from], g.accounts[t.name]
	_, known := g.known[familiar{t.name, t.from}]
	longest := longestSource
	if known {
		longest = longestName
	}
	wait, slowing := source.wait(now, freeBySource, longest), source
	if !known {
		if w := account.wait(now, freeByAccount, longestName); w > wait {
			wait, slowing = w, account
		}
	}
	if wait > 0 {
		slowing.slowed++
		t.first = slowing.slowed == 1
		return t, wait
	}
	t.unsaid = source.said() + account.said()
	count(g.sources, t.from, now)
	count(g.accounts, t.name, now)
	return t, 0
}

func (r *guessRecord) wait(now time.Time, free int, longest time.Duration) time.Duration {
	if r == nil || r.failed < free || now.Sub(r.last) > forgetAfter {
		return 0
	}
	pause := longest
	if steps := r.failed - free; steps < 20 {
		pause = min(firstWait<<steps, longest)
	}
	return max(0, pause-now.Sub(r.last))
}

func count[K comparable](records map[K]*guessRecord, key K, now time.Time) {
	r := records[key]
	if r == nil {
		makeRoom(records, now)
		r = &guessRecord{}
		records[key] = r
	}
	if now.Sub(r.last) > forgetAfter {
		r.failed = 0
	}
	r.failed++
	r.last = now
}

func makeRoom[K comparable](records map[K]*guessRecord, now time.Time) {
	if len(records) < mostRecords {
		return
	}
	var stalest K
	oldest, looked := now.Add(time.Hour), 0
	for k, r := range records {
		if r.last.Before(oldest) {
			stalest, oldest = k, r.last
		}
		if looked++; looked == 16 {
			break
		}
	}
	delete(records, stalest)
}

func (t try) succeeded() {
	t.list.mu.Lock()
	defer t.list.mu.Unlock()
	delete(t.list.sources, t.from)
	delete(t.list.accounts, t.name)
	if len(t.list.known) >= mostRecords {
		clear(t.list.known)
	}
	t.list.known[familiar{t.name, t.from}] = t.list.now()
}

func (t try) withdrawn() {
	t.list.mu.Lock()
	defer t.list.mu.Unlock()
	if r := t.list.sources[t.from]; r != nil && r.failed > 0 {
		r.failed--
	}
	if r := t.list.accounts[t.name]; r != nil && r.failed > 0 {
		r.failed--
	}
}
