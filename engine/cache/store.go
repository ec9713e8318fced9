package cache

import (
	"bytes"
	"container/list"
	"time"

	"evenkeel/engine/wire"
)

// MaxBody is the largest body that is kept. It bounds what waits for a client that reads slowly, too.
const MaxBody = 256 << 10

// Entry is one response that is kept. It is never changed.
type Entry struct {
	Status int
	Reason []byte
	Fields []byte // whole lines, without framing, connection options, Age and what was added for one client
	Body   []byte
	ETag   []byte
	Fresh  wire.Time // until when it may be given again
	Made   wire.Time // when the server made it: now minus the age that it had
	Vary   []Varied

	key  string
	size int
	at   *list.Element
}

// Varied is a field of the request that chose this response, by its Vary (RFC 9111, 4.1).
type Varied struct{ Name, Value string }

// Age returns how old the response is, for its Age field.
func (e *Entry) Age(now wire.Time) int64 { return max(int64(now.Sub(e.Made)/time.Second), 0) }

// matches tells whether a request with these fields chooses the entry.
func (e *Entry) matches(field func(name string) []byte) bool {
	for _, v := range e.Vary {
		if !bytes.Equal(field(v.Name), []byte(v.Value)) {
			return false
		}
	}
	return true
}

// Bounds of what is kept besides the bodies.
const (
	overhead    = 256     // of an entry, about
	maxVariants = 16      // responses of one address
	maxFlights  = 4 << 10 // addresses that are being fetched
	passedTime  = 10 * time.Second
	maxPassed   = 4 << 10
)

// Store keeps the responses of one service.
type Store struct {
	Forgotten func(key string) // told of an address whose responses were forgotten because it was written to; may be nil

	limit, used int
	entries     map[string][]*Entry // by key, newest first
	byUse       list.List           // front: used last
	flights     map[string]*Flight
	passed      map[string]wire.Time // addresses whose last response could not be kept, until when nobody waits for another
}

// New returns a store that holds at most so many bytes.
func New(limit int) *Store {
	return &Store{limit: limit, entries: map[string][]*Entry{}, flights: map[string]*Flight{}, passed: map[string]wire.Time{}}
}

// Limit returns the bound.
func (s *Store) Limit() int { return s.limit }

// Used returns how many bytes are kept.
func (s *Store) Used() int { return s.used }

// Len returns how many responses are kept.
func (s *Store) Len() int { return s.byUse.Len() }

// Get returns a fresh response for the request with this key and these fields, or nil.
func (s *Store) Get(key []byte, now wire.Time, field func(name string) []byte) *Entry {
	for _, e := range s.entries[string(key)] {
		if !e.matches(field) {
			continue
		}
		if now >= e.Fresh {
			s.drop(e)
			return nil
		}
		s.byUse.MoveToFront(e.at)
		return e
	}
	return nil
}

// Put keeps a response in place of one for the same requests; the oldest in use go when there is no room. It tells whether it could.
func (s *Store) Put(key string, e *Entry) bool {
	e.key, e.size = key, overhead+len(key)+len(e.Fields)+len(e.Body)+len(e.Reason)+len(e.ETag)
	for _, v := range e.Vary {
		e.size += len(v.Name) + len(v.Value) + 32
	}
	if e.size > s.limit/4 || len(e.Body) > MaxBody {
		return false
	}
	for _, old := range s.entries[key] {
		if sameVary(old.Vary, e.Vary) {
			s.drop(old)
			break
		}
	}
	if list := s.entries[key]; len(list) >= maxVariants {
		s.drop(list[len(list)-1])
	}
	for s.used+e.size > s.limit {
		s.drop(s.byUse.Back().Value.(*Entry))
	}
	s.used += e.size
	e.at = s.byUse.PushFront(e)
	s.entries[key] = append([]*Entry{e}, s.entries[key]...)
	delete(s.passed, key)
	return true
}

func sameVary(a, b []Varied) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func (s *Store) drop(e *Entry) {
	s.used -= e.size
	s.byUse.Remove(e.at)
	left := s.entries[e.key][:0]
	for _, o := range s.entries[e.key] {
		if o != e {
			left = append(left, o)
		}
	}
	if len(left) == 0 {
		delete(s.entries, e.key)
		return
	}
	clear(s.entries[e.key][len(left):])
	s.entries[e.key] = left
}

// Forget drops every response of an address; told to Forgotten when it was written to here (RFC 9111, 4.4).
func (s *Store) Forget(key string, here bool) {
	for len(s.entries[key]) > 0 {
		s.drop(s.entries[key][0])
	}
	if here && s.Forgotten != nil {
		s.Forgotten(key)
	}
}

// Clear drops everything.
func (s *Store) Clear() {
	for s.byUse.Len() > 0 {
		s.drop(s.byUse.Back().Value.(*Entry))
	}
	clear(s.passed)
}

// Flight is a request on its way to a server whose response others wait for.
type Flight struct {
	store *Store
	key   string
	wait  []func()
}

// Begin makes the caller the one who fetches, and returns its flight; or it returns nil: with waits, somebody fetches already, and wake is called when that one's
// response is kept or will not be; without, nobody should wait for this address.
func (s *Store) Begin(key []byte, now wire.Time, wake func()) (f *Flight, waits bool) {
	if f := s.flights[string(key)]; f != nil {
		f.wait = append(f.wait, wake)
		return nil, true
	}
	if until, found := s.passed[string(key)]; found {
		if now < until {
			return nil, false
		}
		delete(s.passed, string(key))
	}
	if len(s.flights) >= maxFlights {
		return nil, false
	}
	f = &Flight{store: s, key: string(key)}
	s.flights[f.key] = f
	return f, false
}

// Key returns the address that is fetched.
func (f *Flight) Key() string { return f.key }

// End tells those who wait to look again. kept false: the response cannot be kept, so the next ones go to a server by themselves for a while.
func (f *Flight) End(now wire.Time, kept bool) {
	if f.store == nil {
		return
	}
	s := f.store
	f.store = nil
	delete(s.flights, f.key)
	if !kept && len(s.passed) < maxPassed {
		s.passed[f.key] = now.Add(passedTime)
	}
	if !kept && len(s.passed) >= maxPassed {
		for key, until := range s.passed {
			if until <= now {
				delete(s.passed, key)
			}
		}
	}
	for _, wake := range f.wait {
		wake()
	}
}
