package sshd

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"evenkeel/appliance"
)

// How many refusals are recorded: a few at once, then one in a while, so that who knocks without end fills neither the disk nor the log.
const (
	eventsAtOnce = 20
	eventEvery   = 10 * time.Second
)

// events records what is refused. Secrets are in no event: only names, addresses and sentences of our own.
type events struct {
	audit func(context.Context, appliance.AuditEntry) error
	log   *slog.Logger
	now   func() time.Time

	mu     sync.Mutex // guards what follows
	left   int
	last   time.Time
	unsaid int
}

func newEvents(audit func(context.Context, appliance.AuditEntry) error, log *slog.Logger, now func() time.Time) *events {
	if audit == nil {
		audit = func(context.Context, appliance.AuditEntry) error { return nil }
	}
	if now == nil {
		now = time.Now
	}
	return &events{audit: audit, log: log, now: now, left: eventsAtOnce}
}

// turn tells whether one more may be recorded, and how many were not since the last one.
func (e *events) turn() (ok bool, unsaid int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	if e.last.IsZero() {
		e.last = now
	}
	if n := int(now.Sub(e.last) / eventEvery); n > 0 {
		e.left = min(e.left+n, eventsAtOnce)
		e.last = e.last.Add(time.Duration(n) * eventEvery)
	}
	if e.left == 0 {
		e.unsaid++
		return false, 0
	}
	e.left--
	unsaid, e.unsaid = e.unsaid, 0
	return true, unsaid
}

func (e *events) refused(ctx context.Context, from netip.Addr, action, subject, sentence string) {
	ok, unsaid := e.turn()
	if !ok {
		return
	}
	if unsaid > 0 {
		sentence += fmt.Sprintf(" Refusals that were not recorded before this one: %d.", unsaid)
	}
	e.log.Warn("refused", "action", action, "subject", subject, "from", from, "reason", sentence)
	e.write(ctx, from, action, subject, "refused", sentence)
}

func (e *events) done(ctx context.Context, from netip.Addr, action, subject string) {
	e.log.Info("signed in", "user", subject, "from", from)
	if ok, _ := e.turn(); ok {
		e.write(ctx, from, action, subject, "done", "")
	}
}

func (e *events) write(ctx context.Context, from netip.Addr, action, subject, outcome, sentence string) {
	err := e.audit(context.WithoutCancel(ctx), appliance.AuditEntry{
		At: e.now(), Origin: appliance.Origin{Operator: "system", From: from, Via: "ssh"}, Action: action, Subject: subject, Outcome: outcome, Detail: sentence,
	})
	if err != nil {
		e.log.Error("audit entry not written", "action", action, "error", err)
	}
}
