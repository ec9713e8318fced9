package api

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"evenkeel/appliance"
	"evenkeel/ui/problem"
)

// route is one row of the table: a method on a path, who may use it, what it takes and gives.
type route struct {
	Method, Path string // path in OpenAPI's words, without Prefix
	Role         appliance.Role
	Tag, Summary string
	Query        []parameter
	Takes        any  // a value of the type of the body; nil: none
	Patch        bool // the body is a merge patch of Takes
	Gives        any  // a value of the type of the answer; nil: none
	Status       int  // of a success
	Guarded      bool // demands If-Match
	Limit        int64
	do           func(*call) error
}

// parameter is one query parameter.
type parameter struct{ Name, Type, Help string }

// committing returns the parameters of every route that ends in a commit, and more.
func committing(more ...parameter) []parameter {
	return append([]parameter{
		{"why", "string", "Why this is done; it stands in the history and in the audit."},
		{"dry_run", "boolean", "true: nothing is saved; the answer is the plan."},
		{"apply", "boolean", "true: what is saved afterwards is applied at once, with everything that was saved before."},
	}, more...)
}

func why() parameter {
	return parameter{"why", "string", "Why this is done; it stands in the history and in the audit."}
}

func paging() []parameter {
	return []parameter{
		{"before", "integer", "Only what is older than this number; the Link header names the next page."},
		{"limit", "integer", "At most so many, 1 to 500; 50 when absent."},
	}
}

// colons rewrites {id} as echo wants it.
func colons(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// params lists the names in a path.
func params(path string) []string {
	var out []string
	for part := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(part, "{") {
			out = append(out, strings.Trim(part, "{}"))
		}
	}
	return out
}

// resource is all routes of one path.
type resource struct {
	api    *API
	routes map[string]*route
}

func (r *resource) allow() string {
	out := []string{http.MethodOptions}
	for method := range r.routes {
		out = append(out, method)
	}
	if r.routes[http.MethodGet] != nil {
		out = append(out, http.MethodHead)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func (r *resource) answer(ec echo.Context) error {
	method := ec.Request().Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	chosen := r.routes[method]
	if chosen == nil {
		ec.Response().Header().Set(echo.HeaderAllow, r.allow())
		if method == http.MethodOptions {
			return ec.NoContent(http.StatusNoContent)
		}
		return echo.ErrMethodNotAllowed
	}
	who, known := ec.Request().Context().Value(identityKey{}).(identity)
	if !known || !allows(who.operator.Role, chosen.Role) {
		r.api.Log.Warn("request refused for its role", "operator", who.operator.Name, "method", method, "path", chosen.Path)
		return &appliance.Error{
			Kind: appliance.Denied, Message: "This needs the role " + string(chosen.Role) + ".",
			Hint: "Ask an administrator to do it, or for the role.",
		}
	}
	c := &call{Context: ec, api: r.api, route: chosen, operator: who.operator, origin: who.origin}
	if err := c.readQuery(); err != nil {
		return err
	}
	return chosen.do(c)
}

// allows tells whether a role has the rights of another.
func allows(has, needed appliance.Role) bool {
	switch has {
	case appliance.Administrator:
		return needed.Valid()
	case appliance.OperatorRole:
		return needed == appliance.OperatorRole || needed == appliance.Viewer
	case appliance.Viewer:
		return needed == appliance.Viewer
	}
	return false
}

// fail is the end of every request that did not succeed.
func (a *API) fail(err error, ec echo.Context) {
	if ec.Response().Committed {
		a.Log.Debug("answer not delivered", "error", err)
		return
	}
	p := problemOf(err)
	if p.Status == http.StatusInternalServerError {
		a.Log.Error("request failed", "method", ec.Request().Method, "path", ec.Path(), "error", err)
	}
	a.write(ec.Response(), p)
}

// problemOf is problem.Of with what only HTTP knows: statuses that have no kind, and the difference of what is stale.
func problemOf(err error) problem.Problem {
	if p, isStatus := ofStatus(err); isStatus {
		return p
	}
	p := problem.Of(err)
	addDifference(&p, err)
	var stopped *stoppedError
	if errors.As(err, &stopped) {
		p.Steps = stopped.steps
	}
	return p
}

// table is every route, the sitemap of the interface.
func (a *API) table() []route {
	var all []route
	for _, part := range []struct {
		tag    string
		routes []route
	}{
		{"Virtual services", a.serviceRoutes()},
		{"Real servers", a.serverRoutes()},
		{"Certificates", slices.Concat(a.certificateRoutes(), a.signingRoutes(), a.authorityRoutes())},
		{"Scripts and settings", slices.Concat(a.scriptRoutes(), a.localRoutes())},
		{"Running", a.runningRoutes()},
		{"Logs and statistics", slices.Concat(a.logRoutes(), a.statisticsRoutes(), a.healthRoutes())},
		{"Clients", slices.Concat(a.rememberedRoutes(), a.explainRoutes())},
		{"Pair", slices.Concat(a.pairRoutes(), a.heartbeatRoutes())},
		{"History", a.historyRoutes()},
		{"Users and tokens", a.accountRoutes()},
	} {
		for _, r := range part.routes {
			r.Tag = part.tag
			all = append(all, r)
		}
	}
	return all
}
