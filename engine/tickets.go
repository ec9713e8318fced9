package engine

import (
	"context"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/tlsterm"
)

// NewTicketKeys returns fresh keys for Options.TicketKeys, to be kept as a secret.
func NewTicketKeys() ([]byte, error) { return tlsterm.NewRing(time.Now()).Encode(), nil }

// ringOf reads keys that were kept, or makes fresh ones.
func ringOf(kept []byte) *tlsterm.Ring {
	if r, ok := tlsterm.DecodeRing(kept); ok {
		return r
	}
	return tlsterm.NewRing(time.Now())
}

// TakeKeys takes up the keys that the other node of a pair uses: those of tickets at once, that of persistence cookies with the next Apply. nil leaves one as it is. The error
// is of kind invalid when they are no keys; nothing changes then.
func (e *Engine) TakeKeys(cookie, tickets []byte) error {
	var ring *tlsterm.Ring
	if tickets != nil {
		r, ok := tlsterm.DecodeRing(tickets)
		if !ok {
			return &appliance.Error{Kind: appliance.Invalid, Op: "take up keys", Message: "These are no keys of session tickets."}
		}
		ring = r
	}
	if len(cookie) > 0 {
		e.mu.Lock()
		e.key = cookieKey(cookie)
		e.mu.Unlock()
	}
	if ring != nil && e.ring.Set(ring) {
		e.turnTickets()
	}
	return nil
}

// keepTickets turns the ring of ticket keys until the context ends. Keys that were kept may be due already.
func (e *Engine) keepTickets(ctx context.Context) {
	look := time.NewTicker(time.Minute)
	defer look.Stop()
	for now := time.Now(); ; {
		e.turnIfDue(now)
		select {
		case <-ctx.Done():
			return
		case now = <-look.C:
		}
	}
}

func (e *Engine) turnIfDue(now time.Time) {
	if may := e.options.TurnTickets; may != nil && !may() || !e.ring.Turn(now) {
		return
	}
	e.turnTickets()
	if e.options.KeepTickets != nil {
		e.options.KeepTickets(e.ring.Encode())
	}
}

func (e *Engine) turnTickets() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.services {
		if r := s.running.Load(); r != nil && r.secrecy != nil && r.secrecy.terminator != nil {
			r.secrecy.terminator.Turn()
		}
	}
}
