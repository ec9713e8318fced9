// Package control is the one data flow: an edit becomes a durable revision (Commit), a revision becomes what runs (Apply), and what runs survives a start (Boot).
// It owns the order of these steps and what is saved and running in memory; the store, the engine and the host do the work behind small interfaces.
package control

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"evenkeel/appliance"
)

// Engine moves the traffic.
type Engine interface {
	// Check tells whether Apply could work, changing nothing: are the ports free, can this kernel do it.
	Check(context.Context, appliance.Config) error
	// Apply makes the whole configuration so. When it returns an error, what ran before runs on.
	Apply(context.Context, appliance.Config) error
	// Status returns a copy of what is observed.
	Status() appliance.Status
}

// Host puts the services' addresses on the machine's interfaces, and lets servers answer to clients' own. Addresses that are there anyway are left alone.
type Host interface {
	// Check tells whether all of them could be claimed, changing nothing.
	Check(context.Context, []netip.Addr) error
	// Claim adds those that are missing, after a probe for a duplicate.
	Claim(context.Context, []netip.Addr) error
	// Release removes those that Claim added and that are not in keep.
	Release(ctx context.Context, keep []netip.Addr) error
	// CheckDivert tells whether Divert could work, changing nothing.
	CheckDivert(context.Context) error
	// Divert brings answers to clients' own addresses here, or lets that be as soon as no connection needs it. It is called again from time to time.
	Divert(ctx context.Context, on bool) error
}

// Store keeps revisions. An error of kind not_found says that there is no such revision; a revision whose content is damaged is returned beside the error.
type Store interface {
	Latest(context.Context, appliance.Line) (appliance.Revision, []byte, error)
	LatestApplied(context.Context, appliance.Line) (appliance.Revision, []byte, error)
	Get(context.Context, appliance.Line, int64) (appliance.Revision, []byte, error)
	// List returns revisions below a number (0: all), newest first.
	List(ctx context.Context, line appliance.Line, before int64, limit int) ([]appliance.Revision, error)
	// Append writes all of it in one transaction, or nothing.
	Append(context.Context, []appliance.NewRevision, ...appliance.AuditEntry) ([]appliance.Revision, error)
	Mark(ctx context.Context, line appliance.Line, number int64, o appliance.Outcome, reason string, at time.Time) error
	Audit(context.Context, appliance.AuditEntry) error
	// Belongings are what both nodes of a pair have in common beside the configuration.
	Belongings(context.Context) (appliance.Belongings, error)
	// LastSequence is the last one that was taken from a source.
	LastSequence(ctx context.Context, source string) (uint64, error)
	// TakeShared takes over what the other node gives, in one transaction, and returns the numbers of the revisions that were set aside.
	TakeShared(ctx context.Context, source string, sequence uint64, given appliance.Shared, audit ...appliance.AuditEntry) ([]int64, error)
	// Forks lists what was set aside, newest first; ForkContent is the newest revision of one. SeeFork and DiscardFork settle it, with a record of that.
	Forks(context.Context) ([]appliance.Fork, error)
	ForkContent(ctx context.Context, id string) (appliance.Revision, []byte, error)
	SeeFork(ctx context.Context, id string, audit appliance.AuditEntry) error
	DiscardFork(ctx context.Context, id string, audit appliance.AuditEntry) error
}

// The values of a change are the language's; these names are for those who speak with control only.
type (
	Snapshot   = appliance.Snapshot
	Base       = appliance.Base
	Edit       = appliance.Edit
	Committed  = appliance.Committed
	Act        = appliance.Act
	StaleError = appliance.StaleError
)

// Options of a Control.
type Options struct {
	Store  Store            // required
	Engine Engine           // nil: the folder is at rest; Boot only reads, commits are validated but not checked on a machine, and nothing can be applied
	Host   Host             // nil: addresses are somebody else's business
	Keys   Keys             // nil: certificates that another node gives are only stored
	Site   appliance.Site   // the appliance's own listeners
	Log    *slog.Logger     // nil: nothing is logged
	Now    func() time.Time // nil: time.Now
	NewID  func() string    // nil: ten random characters
}

// Control is safe for concurrent use. Changes go one after the other; readers never wait for them.
type Control struct {
	store  Store
	engine Engine
	host   Host
	keys   Keys
	site   appliance.Site
	log    *slog.Logger
	now    func() time.Time
	newID  func() string

	writer atomic.Pointer[Writer] // nil: there is no pair

	turn chan struct{} // holds a token while a change is under way; whoever has it may replace state
	view atomic.Pointer[state]

	forks atomic.Pointer[[]appliance.Fork] // as the store has them; nil: not read yet

	mu       sync.Mutex // guards what follows; held for moments only
	alerts   []appliance.Alert
	watchers map[chan struct{}]struct{}
}

// New returns a Control that knows nothing until Boot; it does no I/O.
func New(o Options) *Control {
	c := &Control{
		store: o.Store, engine: o.Engine, host: o.Host, keys: o.Keys, site: o.Site, log: o.Log, now: o.Now, newID: o.NewID,
		turn: make(chan struct{}, 1), watchers: map[chan struct{}]struct{}{},
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.log = c.log.With("component", "control")
	if c.now == nil {
		c.now = time.Now
	}
	if c.newID == nil {
		c.newID = func() string { return strings.ToLower(rand.Text()[:10]) }
	}
	empty := held{config: appliance.Config{Cluster: emptyCluster()}}.hashed()
	c.view.Store(newState(empty, empty))
	return c
}

// Hold waits until no change is under way and lets none begin until release is called: another process is about to read what is saved.
func (c *Control) Hold(ctx context.Context) (release func(), err error) { return c.begin(ctx) }

// begin waits for the turn to change something; done gives it back. It is an error of kind unavailable when ctx ends first.
func (c *Control) begin(ctx context.Context) (done func(), err error) {
	select {
	case c.turn <- struct{}{}:
		return func() { <-c.turn }, nil
	case <-ctx.Done():
		return nil, &appliance.Error{
			Kind: appliance.Unavailable, Op: "wait for another change", Message: "Another change is still under way; nothing was changed.",
			Hint: "Try again in a moment.", Err: ctx.Err(),
		}
	}
}

func emptyCluster() appliance.Cluster {
	return appliance.Cluster{VirtualServices: []appliance.VirtualService{}}
}
