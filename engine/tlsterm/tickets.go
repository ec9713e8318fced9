package tlsterm

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
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
	if age := now.Sub(r.keys[0].Made); age < ticketTurn && age > -ticketTurn { // a clock that was far ahead must not stop the turns
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

// storedKey is a key as it is kept.
type storedKey struct {
	Made time.Time `json:"made"`
	Key  []byte    `json:"key"`
}

// Encode writes the keys as DecodeRing reads them. It is a secret.
func (r *Ring) Encode() []byte {
	list := []storedKey{}
	for _, k := range r.Keys() {
		list = append(list, storedKey{k.Made.UTC().Round(0), k.Key[:]})
	}
	b, err := json.Marshal(list)
	if err != nil {
		panic("tlsterm: ticket keys without JSON: " + err.Error())
	}
	return b
}

// DecodeRing reads a ring that was kept, here or on another appliance; ok is false for anything else.
func DecodeRing(kept []byte) (r *Ring, ok bool) {
	var list []storedKey
	if err := json.Unmarshal(kept, &list); err != nil || len(list) == 0 || len(list) > ticketKeys {
		return nil, false
	}
	r = &Ring{}
	for _, k := range list {
		fresh := TicketKey{Made: k.Made}
		if len(k.Key) != len(fresh.Key) || k.Made.IsZero() {
			return nil, false
		}
		copy(fresh.Key[:], k.Key)
		r.keys = append(r.keys, fresh)
	}
	return r, true
}

// Set replaces the keys by those of another ring and tells whether something changed.
func (r *Ring) Set(other *Ring) bool {
	keys := other.Keys()
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Equal(r.keys, keys) {
		return false
	}
	r.keys = keys
	return true
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
