package tlsterm

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"sync"
	"time"
)

// How long tickets live: a key seals new ones for ticketTurn, and opens them until it is the third.
const (
	ticketTurn = 8 * time.Hour
	ticketKeys = 3
)

// TicketKey is one key of a Ring.
type TicketKey struct {
	Made time.Time
	Key  [32]byte
}

// Ring holds the keys that session tickets are sealed with; the newest seals, the others still open. Keys are made at random and forgotten, so a ticket that was
// recorded cannot be opened later. Two appliances that exchange their Keys resume each other's sessions. Its methods are safe for concurrent use.
type Ring struct {
	mu   sync.Mutex
	keys []TicketKey // newest first, never empty
}

// NewRing returns a ring with one fresh key.
func NewRing(now time.Time) *Ring {
	r := &Ring{}
	r.turn(now)
	return r
}

// Turn makes a new key when the newest is old enough, and tells whether it did.
func (r *Ring) Turn(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.keys[0].Made) < ticketTurn {
		return false
	}
	r.turn(now)
	return true
}

func (r *Ring) turn(now time.Time) {
	k := TicketKey{Made: now}
	_, _ = rand.Read(k.Key[:]) // never fails
	r.keys = append([]TicketKey{k}, r.keys...)
	r.keys = r.keys[:min(len(r.keys), ticketKeys)]
}

// Keys returns a copy of the keys, newest first.
func (r *Ring) Keys() []TicketKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.keys)
}

// Merge adds the keys of another ring and tells whether something changed.
func (r *Ring) Merge(keys []TicketKey) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := slices.Clone(r.keys)
	for _, k := range keys {
		if !slices.Contains(r.keys, k) {
			r.keys = append(r.keys, k)
		}
	}
	slices.SortStableFunc(r.keys, func(a, b TicketKey) int { return b.Made.Compare(a.Made) })
	r.keys = r.keys[:min(len(r.keys), ticketKeys)]
	return !slices.Equal(before, r.keys)
}

// keysFor derives the keys of one service: a ticket of another service, or from before the service asked for other certificates of clients, opens nothing.
func (r *Ring) keysFor(purpose string) [][32]byte {
	list := r.Keys()
	out := make([][32]byte, len(list))
	for i, k := range list {
		b, err := hkdf.Key(sha256.New, k.Key[:], nil, "evenkeel ticket "+purpose, len(out[i]))
		if err != nil {
			panic("tlsterm: no ticket key: " + err.Error())
		}
		copy(out[i][:], b)
	}
	return out
}
