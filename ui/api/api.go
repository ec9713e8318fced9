// Package api is the REST interface under /lbadmin/api/v1/: JSON in and out, read strictly, guarded by ETags, described by OpenAPI. One table of routes
// is the source of the routing, of the rights, of the description and of the tests. It decides nothing itself: every change is a commit of control.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"

	"evenkeel/appliance"
	"evenkeel/ui/problem"
)

// Prefix is where the interface is mounted.
const Prefix = "/lbadmin/api/v1"

// Reader is what can be asked of control.
type Reader interface {
	Saved() appliance.Snapshot
	Running() appliance.Snapshot
	Pending() appliance.Plan
	Revisions(ctx context.Context, before int64, limit int) ([]appliance.Revision, error)
	Revision(ctx context.Context, number int64) (appliance.Snapshot, error)
	Compare(ctx context.Context, from, to int64) (appliance.Plan, error)
	// Forks lists what was set aside on this node, newest first; Fork is one, with what would change if the newest of it ran instead of what runs.
	Forks() []appliance.Fork
	Fork(ctx context.Context, id string) (appliance.Fork, appliance.Plan, error)
	Status() appliance.Status
	Alerts() []appliance.Alert
}

// Writer is what can be changed through control.
type Writer interface {
	// Writable returns nil when this node may change what both nodes of a pair have in common, and otherwise why not.
	Writable() error
	Commit(ctx context.Context, o appliance.Origin, bases []appliance.Base, edit appliance.Edit) (appliance.Committed, error)
	Try(ctx context.Context, bases []appliance.Base, edit appliance.Edit) (appliance.Committed, error)
	Apply(ctx context.Context, o appliance.Origin) (appliance.Revision, error)
	Discard(ctx context.Context, o appliance.Origin) (appliance.Committed, error)
	Rollback(ctx context.Context, o appliance.Origin, number int64) (appliance.Committed, error)
	Act(ctx context.Context, o appliance.Origin, acts []appliance.Act) (appliance.Committed, error)
	// KeepFork ends the alarm of what was set aside; DiscardFork forgets it.
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
	// Test probes a real server of c once as the check of its service says; c needs not run, and no health changes. The transcript has a line for each step.
	Test(ctx context.Context, c appliance.Config, service, server string) (probe appliance.Probe, transcript []string, err error)
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

// Identifier says who sends a request; the error is of kind denied when it is nobody.
type Identifier interface {
	Identify(r *http.Request) (appliance.Operator, appliance.Origin, error)
}

// Door makes what opens it: accounts and tokens. Errors name the fields "name", "role" and "new" (the password), "label".
type Door interface {
	Identifier
	NewOperator(ctx context.Context, o appliance.Origin, name string, role appliance.Role, password string) error
	SetPassword(ctx context.Context, o appliance.Origin, name, fresh string) error
	NewToken(ctx context.Context, o appliance.Origin, operator appliance.Operator, label string, role appliance.Role, life time.Duration) (string, appliance.TokenRecord, error)
}

// Store is what is kept beside the configuration. It refuses what would leave no administrator.
type Store interface {
	Operators(ctx context.Context) ([]appliance.Operator, error)
	SetRole(ctx context.Context, o appliance.Origin, name string, role appliance.Role) error
	DeleteOperator(ctx context.Context, o appliance.Origin, name string) error
	Tokens(ctx context.Context) ([]appliance.TokenRecord, error)
	DeleteToken(ctx context.Context, o appliance.Origin, id string) error
	AuditEntries(ctx context.Context, before int64, limit int) ([]appliance.AuditEntry, error)
	Audit(ctx context.Context, e appliance.AuditEntry) error
}

// Options of an API; all but Traffic, Statistics, History, Pair and Log are required.
type Options struct {
	Control Control
	Engine  Engine
	Store   Store
	Door    Door
	// Certificates is who keeps the certificates that services present.
	Certificates Certificates
	Version      string
	Traffic      TrafficLog   // nil: no traffic log is kept
	Statistics   Statistics   // nil: nothing is kept over time
	History      History      // nil: no history of health is kept
	Pair         Pair         // nil: no pair can be made here
	Log          *slog.Logger // nil: nothing is logged
}

// API answers the REST interface. It is safe for concurrent use and holds no state of its own.
type API struct {
	Options
	routes      []route
	description []byte // the OpenAPI document
}

// New returns the interface; it does no I/O.
func New(o Options) *API {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = o.Log.With("component", "api")
	a := &API{Options: o}
	a.routes = a.table()
	a.description = openAPI(a.routes, o.Version)
	return a
}

// Handler returns the interface for the network, where the door says who asks. Paths include Prefix.
func (a *API) Handler() http.Handler { return a.handler(a.Door) }

// ConsoleHandler returns the interface for the control socket, where whoever can open the socket is the administrator "console".
func (a *API) ConsoleHandler() http.Handler { return a.handler(console{}) }

type console struct{}

// Identify makes console an Identifier.
func (console) Identify(*http.Request) (appliance.Operator, appliance.Origin, error) {
	return appliance.Operator{Name: "console", Role: appliance.Administrator}, appliance.Origin{Operator: "console", Via: "cli"}, nil
}

// verbs are the methods that a path answers in its own words; others get echo's 405, which carries Allow too.
func verbs() []string {
	return []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}
}

func (a *API) handler(who Identifier) http.Handler {
	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect()
	e.HTTPErrorHandler = a.fail
	paths := map[string]*resource{}
	for i := range a.routes {
		r := &a.routes[i]
		if paths[r.Path] == nil {
			paths[r.Path] = &resource{api: a, routes: map[string]*route{}}
		}
		paths[r.Path].routes[r.Method] = r
	}
	for path, res := range paths {
		for _, verb := range verbs() {
			e.Add(verb, Prefix+colons(path), res.answer)
		}
	}
	return a.guard(who, e)
}

// guard lets nobody in who is not known, whatever the path, and keeps a defect in one request from ending the process.
func (a *API) guard(who Identifier, next *echo.Echo) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer a.recoverDefect(w, r)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		operator, origin, err := who.Identify(r)
		if err != nil {
			a.refuseStranger(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, identity{operator, origin})))
	})
}

type (
	identityKey struct{}
	identity    struct {
		operator appliance.Operator
		origin   appliance.Origin
	}
)

func (a *API) recoverDefect(w http.ResponseWriter, r *http.Request) {
	defect := recover()
	if defect == nil {
		return
	}
	if defect == http.ErrAbortHandler {
		panic(defect)
	}
	a.Log.Error("request ended by a defect", "method", r.Method, "path", r.URL.Path, "defect", defect, "stack", string(debug.Stack()))
	a.write(w, problem.Of(&appliance.Error{Kind: appliance.Internal}))
}

func (a *API) refuseStranger(w http.ResponseWriter, r *http.Request, err error) {
	p := problem.Of(err)
	switch appliance.KindOf(err) {
	case appliance.Denied:
		p.Status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Bearer realm="Evenkeel"`)
	case appliance.Internal:
		a.Log.Error("request not identified", "path", r.URL.Path, "error", err)
	}
	a.write(w, p)
}

func (a *API) write(w http.ResponseWriter, p problem.Problem) {
	if err := p.Write(w); err != nil {
		a.Log.Debug("answer not delivered", "error", err)
	}
}
