// Package signin is the door of the WebUI and of the API: the first setup with its one-time code, passwords, sessions, bearer tokens, and the slowing of guesses.
// It keeps no secret in clear: of passwords an argon2id hash, of tokens a SHA-256.
package signin

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"evenkeel/appliance"
)

// FirstOperator is the name of the account that the first setup makes.
const FirstOperator = "loadbalancer"

// Store is what the door needs of the store. Errors are *appliance.Error; what does not exist is of kind not_found, what exists already of kind conflict.
type Store interface {
	Operators(ctx context.Context) ([]appliance.Operator, error)
	CreateOperator(ctx context.Context, o appliance.Origin, name string, role appliance.Role, passwordHash string) error
	SetPassword(ctx context.Context, o appliance.Origin, name, passwordHash string) error
	PasswordHash(ctx context.Context, name string) (string, appliance.Operator, error)

	CreateSession(ctx context.Context, s appliance.SessionRecord) error
	Session(ctx context.Context, tokenHash [32]byte) (appliance.SessionRecord, appliance.Operator, error)
	Sessions(ctx context.Context, operator string) ([]appliance.SessionRecord, error)
	TouchSession(ctx context.Context, tokenHash [32]byte, at time.Time) error
	SessionReplaced(ctx context.Context, tokenHash [32]byte) (bool, error)
	DeleteSession(ctx context.Context, tokenHash [32]byte) error
	DeleteSessionsOf(ctx context.Context, operator string) error

	CreateToken(ctx context.Context, o appliance.Origin, t appliance.TokenRecord) error
	Token(ctx context.Context, hash [32]byte) (appliance.TokenRecord, error)

	Audit(ctx context.Context, e appliance.AuditEntry) error
}

// Options of a Door.
type Options struct {
	Store    Store            // required
	Log      *slog.Logger     // nil: nothing is logged
	Now      func() time.Time // nil: time.Now
	CodeFile string           // path of the file that holds the setup code until it is used; empty: no file
	Announce io.Writer        // where the setup code is printed; nil: standard output
	Idle     time.Duration    // a session ends after so long without a request; zero: 30 minutes
	Absolute time.Duration    // a session ends after so long whatever happens; zero: 12 hours
}

// Door decides who may come in. It is safe for concurrent use.
type Door struct {
	store    Store
	log      *slog.Logger
	now      func() time.Time
	codeFile string
	announce io.Writer
	idle     time.Duration
	absolute time.Duration

	hashing  chan struct{} // a place per password that is hashed at the same time: each takes hashMemory
	guesses  *guesses
	codeHash atomic.Pointer[[32]byte] // of the setup code; nil when none is valid
	settled  atomic.Bool              // an operator exists, which never becomes untrue again
}

// New returns a door; it does no I/O.
func New(o Options) *Door {
	d := &Door{
		store: o.Store, log: o.Log, now: o.Now, codeFile: o.CodeFile, announce: o.Announce, idle: o.Idle, absolute: o.Absolute,
		hashing: make(chan struct{}, hashesAtOnce),
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	d.log = d.log.With("component", "signin")
	if d.now == nil {
		d.now = time.Now
	}
	if d.announce == nil {
		d.announce = os.Stdout
	}
	if d.idle == 0 {
		d.idle = 30 * time.Minute
	}
	if d.absolute == 0 {
		d.absolute = 12 * time.Hour
	}
	d.guesses = newGuesses(d.now)
	return d
}

func (d *Door) audit(ctx context.Context, o appliance.Origin, action, subject string, err error) {
	e := appliance.AuditEntry{At: d.now(), Origin: o, Action: action, Subject: subject, Outcome: "done"}
	if err != nil {
		e.Outcome, e.Detail = "refused", err.Error()
	}
	if err := d.store.Audit(ctx, e); err != nil {
		d.log.Error("audit entry lost", "action", action, "error", err)
	}
}
