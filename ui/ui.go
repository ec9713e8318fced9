// Package ui is the WebUI: the pages under /lbadmin/, what guards them, and the listener that serves them. It decides nothing about traffic: every change goes through
// control, every rule stands in package appliance, and who may come in is signin's business.
package ui

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/labstack/echo/v4"

	"evenkeel/appliance"
	"evenkeel/ui/signin"
	"evenkeel/ui/static"
)

// Product is the name on the pages.
const Product = "Evenkeel"

// Reader is what the pages ask of control.
type Reader interface {
	Saved() appliance.Snapshot
	Running() appliance.Snapshot
	Pending() appliance.Plan
	Revisions(ctx context.Context, before int64, limit int) ([]appliance.Revision, error)
	Revision(ctx context.Context, number int64) (appliance.Snapshot, error)
	Compare(ctx context.Context, from, to int64) (appliance.Plan, error)
	// Forks lists what was set aside on this node, newest first, without waiting.
	Forks() []appliance.Fork
	// Fork is one of them, with what would change if the newest of it ran instead of what runs.
	Fork(ctx context.Context, id string) (appliance.Fork, appliance.Plan, error)
	Status() appliance.Status
	Alerts() []appliance.Alert
	// Writable returns nil when this node may change what both nodes of a pair have in common; else an error of kind conflict that names the active node.
	Writable() error
	// Watch ticks after each commit, apply, action and alert.
	Watch() (changed <-chan struct{}, stop func())
}

// Writer is what the pages change through control.
type Writer interface {
	Commit(ctx context.Context, o appliance.Origin, bases []appliance.Base, edit appliance.Edit) (appliance.Committed, error)
	Try(ctx context.Context, bases []appliance.Base, edit appliance.Edit) (appliance.Committed, error)
	Apply(ctx context.Context, o appliance.Origin) (appliance.Revision, error)
	Discard(ctx context.Context, o appliance.Origin) (appliance.Committed, error)
	Rollback(ctx context.Context, o appliance.Origin, number int64) (appliance.Committed, error)
	Act(ctx context.Context, o appliance.Origin, acts []appliance.Act) (appliance.Committed, error)
	// KeepFork ends the alarm of what was set aside; DiscardFork forgets it. Both are the node's own, active or not.
	KeepFork(ctx context.Context, o appliance.Origin, id string) error
	DiscardFork(ctx context.Context, o appliance.Origin, id string) error
}

// Control is the one way to the configuration.
type Control interface {
	Reader
	Writer
}

// Engine is what only the running engine can do.
type Engine interface {
	// Test probes a real server of c once, now, as the check of its service says. The transcript has a line for each step.
	Test(ctx context.Context, c appliance.Config, service, server string) (probe appliance.Probe, transcript []string, err error)
	// CheckNow lets the running monitor probe a server at once; it does nothing for a server that is not running.
	CheckNow(service, server string)
	// Persistence lists entries of the running services.
	Persistence(q appliance.PersistenceQuery) appliance.PersistenceList
	// ClearPersistence forgets the entries that a query chooses and returns how many.
	ClearPersistence(q appliance.PersistenceQuery) int
	// Connections lists open connections of clients.
	Connections(ctx context.Context, q appliance.ConnectionQuery) (appliance.ConnectionList, error)
	// Explain tells what would become of a client of the running services, without any effect.
	Explain(ctx context.Context, q appliance.Question) (appliance.Explanation, error)
	// TryRules tells what the rules of a service, which need not be saved, make of a request; name tells the label of an id.
	TryRules(s appliance.VirtualService, name func(id string) string, q appliance.Question) (appliance.Explanation, error)
	// CloseConnection asks one to end politely; kind NotFound when it is gone.
	CloseConnection(ctx context.Context, id string) error
}

// Store is what is kept beside the configuration.
type Store interface {
	Operators(ctx context.Context) ([]appliance.Operator, error)
	SetRole(ctx context.Context, o appliance.Origin, name string, role appliance.Role) error
	DeleteOperator(ctx context.Context, o appliance.Origin, name string) error
	DeleteSessionsOf(ctx context.Context, operator string) error
	Tokens(ctx context.Context) ([]appliance.TokenRecord, error)
	DeleteToken(ctx context.Context, o appliance.Origin, id string) error
	Audit(ctx context.Context, e appliance.AuditEntry) error
	AuditEntries(ctx context.Context, before int64, limit int) ([]appliance.AuditEntry, error)
}

// Machine is what is observed of the machine that the appliance runs on.
type Machine struct {
	CPU                     float64 // busy share of all cores since the last look, 0 to 1
	MemoryUsed, MemoryTotal uint64  // bytes
	DiskUsed, DiskTotal     uint64  // bytes, of the data folder's disk
}

// Options of a UI.
type Options struct {
	Control Control      // required
	Engine  Engine       // required
	Store   Store        // required
	Door    *signin.Door // required
	// Certificates is who keeps the certificates that services present; required.
	Certificates Certificates
	API          http.Handler // answers under /lbadmin/api/v1/; nil: nothing does
	Hostname     string       // as in the title; also a name by which browsers may address the WebUI
	Version      string
	Log          *slog.Logger                               // nil: nothing is logged
	Now          func() time.Time                           // nil: time.Now
	Machine      func(ctx context.Context) (Machine, error) // nil: the figures of the machine are not shown
	Traffic      TrafficLog                                 // nil: no traffic log is kept
	Statistics   Statistics                                 // nil: nothing is kept over time
	History      History                                    // nil: no history of health is kept
	// Pair is the pair that this node can be in; nil: no pair can be made here, and the pages say so.
	Pair Pair
	// Addresses are the node's own, by which a peer may find it; nil: none is offered, and the one of the connection serves.
	Addresses func() []netip.Addr
	// Metrics answers under /metrics; nil: nothing does.
	Metrics http.Handler
	// Suggest says in one sentence which address was probably meant, or nothing; nil: no suggestions.
	Suggest func(ctx context.Context, typed string) string
}

// UI serves the pages. It is safe for concurrent use.
type UI struct {
	Options
	assets  *static.Assets
	handler http.Handler
	samples *samples
	live    *live
	said    *said
	pairing pairing
}

// New returns a UI; it does no I/O.
func New(o Options) (*UI, error) {
	if o.Control == nil || o.Engine == nil || o.Store == nil || o.Door == nil || o.Certificates == nil {
		return nil, errors.New("ui: control, engine, store, door and certificates are required")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = o.Log.With("component", "ui")
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Hostname == "" {
		o.Hostname = "appliance"
	}
	u := &UI{Options: o, assets: static.New(), samples: newSamples(), live: newLive(), said: newSaid(o.Now)}
	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect()
	e.SchemeExtractor = echo.ExtractSchemeDirect()
	e.HTTPErrorHandler = u.failed
	e.Use(u.known)
	for _, r := range routes() {
		e.Add(r.method, r.path, u.guarded(r))
	}
	u.handler = u.guard(e)
	return u, nil
}

// Handler returns the whole WebUI. Paths begin with /lbadmin/.
func (u *UI) Handler() http.Handler { return u.handler }

// Run takes samples for the graphs and wakes the live pages until ctx ends.
func (u *UI) Run(ctx context.Context) error {
	changed, stop := u.Control.Watch()
	defer stop()
	sampling, pulse := time.NewTicker(sampleEvery), time.NewTicker(time.Second)
	defer sampling.Stop()
	defer pulse.Stop()
	defer u.live.end()
	u.recall()
	u.sample(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-sampling.C:
			u.sample(ctx)
		case <-pulse.C:
			u.live.wake()
		case <-changed:
			u.live.wake()
		}
	}
}

// hostname returns the configured name, or the machine's.
func (u *UI) hostname() string {
	if name := u.Control.Running().Config.Local.Hostname; name != "" {
		return name
	}
	return u.Hostname
}
