// Package names looks up the host names of real servers, again and again as their time to live says: in the hosts file, then from the name servers of resolv.conf
// (RFC 1034, 1035), IPv4 and IPv6 alike.
//
// One scheduler goroutine sleeps until the next name is due; each lookup runs in a goroutine that lives only as long as the lookup does. What a name led to last is kept
// while it does not resolve any more, with the reason. Nobody who asks for an answer ever waits for a name server, but for Lookup.
package names

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Bounds of the time for which an answer counts, and of the pause behind a failure, which doubles from one to the next.
const (
	Shortest    = 5 * time.Second
	Longest     = 5 * time.Minute
	firstPause  = time.Second
	longestWait = time.Minute
)

// mostAsking is how many lookups are under way at the same time.
const mostAsking = 32

// mostAddresses is how many addresses of one name are kept.
const mostAddresses = 64

// Options say where names are looked up. Every field may be zero.
type Options struct {
	Log        *slog.Logger      // nil: silent
	Changed    func(name string) // told when the answer of a watched name is another one than before, one at a time, under no lock. nil: nobody
	ResolvConf string            // empty: /etc/resolv.conf; it is read again when it changes
	HostsFile  string            // empty: /etc/hosts; likewise
	Servers    []netip.AddrPort  // asked instead of those of ResolvConf; nil: those
	Shortest   time.Duration     // for which an answer counts, at least; 0: Shortest
	// Exchange asks one name server one question; nil: over UDP, and over TCP when the answer does not fit.
	Exchange func(ctx context.Context, question *dns.Msg, server netip.AddrPort) (*dns.Msg, error)
}

// Answer is what is known of a name.
type Answer struct {
	Addresses []netip.Addr // sorted, IPv4 first; those of the last time while the name does not resolve. Not to be changed
	Failure   string       // why the name does not resolve now, as the rest of a sentence, such as "there is no such name"; empty: it does
	Since     time.Time    // of the failure
	Asked     bool         // false: the first lookup is still under way
}

func (a Answer) equal(b Answer) bool {
	return a.Asked == b.Asked && a.Failure == b.Failure && slices.Equal(a.Addresses, b.Addresses)
}

// Resolver keeps the answers of the names that are watched. It is safe for concurrent use.
type Resolver struct {
	options Options
	log     *slog.Logger
	system  system
	wake    chan struct{} // capacity 1
	telling sync.Mutex    // one Changed at a time

	mu      sync.Mutex // guards what follows
	entries map[string]*entry
	queue   queue // those that are not being looked up
	asking  int
	known   map[string][]netip.Addr // of names that have not come yet
}

// New returns a Resolver that watches nothing; Run makes it look.
func New(o Options) *Resolver {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.ResolvConf == "" {
		o.ResolvConf = "/etc/resolv.conf"
	}
	if o.HostsFile == "" {
		o.HostsFile = "/etc/hosts"
	}
	if o.Shortest <= 0 {
		o.Shortest = Shortest
	}
	if o.Exchange == nil {
		o.Exchange = exchange
	}
	return &Resolver{options: o, log: o.Log.With("component", "names"), system: system{options: &o}, wake: make(chan struct{}, 1), entries: map[string]*entry{}}
}

// Watch makes these names the ones that are looked up. The answer of one that was watched before stays; one that is gone is forgotten.
func (r *Resolver) Watch(names []string) {
	r.mu.Lock()
	now, wanted := time.Now(), make(map[string]bool, len(names))
	for _, name := range names {
		wanted[name] = true
		if r.entries[name] != nil {
			continue
		}
		e := &entry{name: name, next: now, index: outside, answer: recalled(r.known[name])}
		r.entries[name] = e
		r.queue.add(e)
	}
	r.known = nil
	for name, e := range r.entries {
		if !wanted[name] {
			r.queue.remove(e)
			delete(r.entries, name)
		}
	}
	r.mu.Unlock()
	r.nudge()
}

func recalled(list []netip.Addr) Answer { return Answer{Addresses: list, Asked: len(list) > 0} }

// Answer returns what is known of a watched name, or was recalled of one, and the zero Answer for others. It never waits.
func (r *Resolver) Answer(name string) Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.entries[name]; e != nil {
		return e.answer
	}
	return recalled(r.known[name])
}

// Lookup returns what is known of a name, and looks up one that is not watched, or not yet known, once.
func (r *Resolver) Lookup(ctx context.Context, name string) Answer {
	if a := r.Answer(name); a.Asked {
		return a
	}
	f := r.ask(ctx, name)
	return f.after(Answer{}, time.Now())
}

// Known returns the addresses of every name that is watched or was recalled, for Recall of a later process.
func (r *Resolver) Known() map[string][]netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string][]netip.Addr{}
	maps.Copy(out, r.known)
	for name, e := range r.entries {
		if len(e.answer.Addresses) > 0 {
			out[name] = e.answer.Addresses
		}
	}
	return out
}

// Recall gives back what Known returned, before the first Watch: a name leads where it led until it is looked up again.
func (r *Resolver) Recall(known map[string][]netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = map[string][]netip.Addr{}
	for name, list := range known {
		r.known[name] = tidied(list)
	}
}

// tidied returns addresses sorted, each once, without zones, and not too many.
func tidied(list []netip.Addr) []netip.Addr {
	out := make([]netip.Addr, 0, len(list))
	for _, a := range list {
		if a.IsValid() {
			out = append(out, a.Unmap().WithZone(""))
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	out = slices.Compact(out)
	return out[:min(len(out), mostAddresses)]
}

// nudge makes the scheduler look again.
func (r *Resolver) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
