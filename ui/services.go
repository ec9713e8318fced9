package ui

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/form"
	"evenkeel/ui/problem"
	"evenkeel/ui/view"
)

const layer7 = "/lbadmin/layer7"

func errNoService() error {
	return &appliance.Error{Kind: appliance.NotFound, Message: "There is no such virtual service.", Hint: "It may have been deleted meanwhile; the history has it."}
}

func checkSentence(s *appliance.VirtualService) string {
	for _, section := range form.Sections(nil) {
		if section.ID == "check" {
			return section.Summary(s)
		}
	}
	return ""
}

func serviceList(p *page) error {
	running, saved := p.ui.Control.Running().Config.Cluster, p.ui.Control.Saved().Config.Cluster
	l := view.ServiceList{Edit: p.may(appliance.Administrator)}
	for i := range saved.VirtualServices {
		s := &saved.VirtualServices[i]
		row := view.ServiceListRow{
			ID: s.ID, Label: s.Label, Protocol: s.Protocol.String(), Servers: len(s.RealServers),
			Balance: strings.TrimPrefix(s.Scheduler.String(), "weighted "), Persistence: s.Persistence.Kind.String(), Check: s.Monitor.Kind.String(),
		}
		row.Address, row.Ports = s.Place()
		if s.Mode == appliance.Failover {
			row.Balance = "failover"
		}
		switch old := running.Service(s.ID); {
		case old == nil:
			row.Pending = "new, not running"
		case appliance.Hash(old) != appliance.Hash(s):
			row.Pending = "changed, not running"
		}
		l.Rows = append(l.Rows, row)
	}
	if p.exporting() {
		out := list{name: "virtual-services", columns: []string{"id", "label", "address", "ports", "protocol", "real_servers", "balance", "persistence", "check", "pending"}}
		for _, r := range l.Rows {
			out.add(r.ID, r.Label, r.Address, r.Ports, r.Protocol, r.Servers, r.Balance, r.Persistence, r.Check, r.Pending)
		}
		return p.export(out)
	}
	return p.show(http.StatusOK, view.ServicesPage(p.frame("Layer 7 – Virtual Services", layer7), l))
}

// editing is one form of a service on its way: what was typed, and what became of it.
type editing struct {
	p       *page
	typed   form.Service
	id      string // empty: a new service
	base    string
	errs    form.Errors
	stale   *view.Stale
	answers map[int]answer
	call    *view.APICall
	open    string // a section to show
	tried   *appliance.Explanation
	tryErrs form.Errors
}

type answer struct {
	probe *appliance.Probe
	note  string
}

func newService(p *page) error {
	return (&editing{p: p, typed: form.NewService(2)}).show(http.StatusOK)
}

// cloneService is the form of a new service with the values of another.
func cloneService(p *page) error {
	saved := p.ui.Control.Saved().Config.Cluster
	s := saved.Service(p.Param("service"))
	if s == nil {
		return errNoService()
	}
	typed := form.OfService(s)
	typed.Values["label"], typed.Values["address"] = s.Label+"_copy", ""
	for i := range typed.Rows {
		typed.Rows[i].ID = ""
	}
	typed.CopyRules()
	return (&editing{p: p, typed: typed}).show(http.StatusOK)
}

func editService(p *page) error {
	saved := p.ui.Control.Saved().Config.Cluster
	s := saved.Service(p.Param("service"))
	if s == nil {
		return errNoService()
	}
	return (&editing{p: p, typed: form.OfService(s), id: s.ID, base: appliance.Hash(s)}).show(http.StatusOK)
}

func addService(p *page) error { return readEditing(p, "").serve() }

func saveService(p *page) error { return readEditing(p, p.Param("service")).serve() }

func readEditing(p *page, id string) *editing {
	e := &editing{p: p, id: id, base: p.base()}
	e.typed = form.ReadService(p.Request().PostForm)
	return e
}

// serve does what the pressed button says.
func (e *editing) serve() error {
	if e.typed.PressRule(e.p.FormValue("do")) {
		e.open = "rules"
		return e.show(http.StatusOK)
	}
	verb, number, _ := strings.Cut(e.p.FormValue("do"), "-")
	row, _ := strconv.Atoi(number)
	inside := row >= 0 && row < len(e.typed.Rows)
	switch {
	case verb == "add":
		e.typed.Rows = append(e.typed.Rows, form.BlankRow())
	case verb == "remove" && inside:
		e.typed.Rows = slices.Delete(e.typed.Rows, row, row+1)
	case verb == "up" && inside && row > 0:
		e.typed.Rows[row-1], e.typed.Rows[row] = e.typed.Rows[row], e.typed.Rows[row-1]
	case verb == "remove", verb == "up":
	case verb == "check":
		e.check()
	case verb == "try":
		return e.tryRules()
	case verb == "api":
		e.showCall()
	case verb == "overwrite":
		return e.save(true)
	default:
		return e.save(false)
	}
	return e.show(http.StatusOK)
}

// edit writes the form into the configuration.
func (e *editing) edit(c *appliance.Config) error {
	if e.id == "" {
		s := appliance.NewService(appliance.TCP)
		errs := e.typed.Into(&s)
		c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, s)
		return orNil(errs)
	}
	s := c.Cluster.Service(e.id)
	if s == nil {
		return errNoService()
	}
	return orNil(e.typed.Into(s))
}

func orNil(errs appliance.Errors) error {
	if len(errs) == 0 {
		return nil
	}
	return errs
}

func (e *editing) bases(overwrite bool) []appliance.Base {
	if e.id == "" || overwrite {
		return nil
	}
	return []appliance.Base{{Object: "virtual_service", ID: e.id, Hash: e.base}}
}

func (e *editing) save(overwrite bool) error {
	ctx, cancel := e.p.lasting()
	defer cancel()
	made, err := e.p.ui.Control.Commit(ctx, e.p.origin, e.bases(overwrite), e.edit)
	if err != nil {
		return e.refused(err)
	}
	label := strings.TrimSpace(e.typed.Values["label"])
	if made.Unchanged {
		return e.p.done(layer7, "%s is as it was: nothing was changed.", label)
	}
	return e.p.done(layer7, "%s is saved%s.", label, e.p.ui.whetherRunning())
}

// whetherRunning ends a sentence about what was saved.
func (u *UI) whetherRunning() string {
	if u.Control.Pending().Empty() {
		return " and running"
	}
	return "; Apply makes it run"
}

// refused shows the form again, with what is wrong at its fields.
func (e *editing) refused(err error) error {
	var stale *appliance.StaleError
	if errors.As(err, &stale) {
		e.stale = staleOf(stale, layer7+"/"+e.id)
		return e.show(http.StatusConflict)
	}
	kind := problem.KindOf(err)
	if kind == appliance.Internal || kind == appliance.NotFound {
		return err
	}
	e.errs = e.sorted(err)
	status := problem.FormStatus(kind)
	if kind == appliance.Conflict {
		status = http.StatusUnprocessableEntity // a field's value is taken; 409 is for edits that cross
	}
	return e.show(status)
}

func staleOf(stale *appliance.StaleError, theirs string) *view.Stale {
	out := &view.Stale{Text: strings.TrimSpace(stale.Err.Text() + " " + stale.Err.Hint), Theirs: theirs, Gone: stale.Theirs == nil}
	if out.Gone {
		out.Theirs = back(theirs[:strings.LastIndexByte(theirs, '/')])
	}
	for _, c := range stale.Changed.Changes {
		out.Changes = append(out.Changes, view.Change{Change: c})
	}
	return out
}

// sorted assigns errors to fields. What the form could not read hides what Validate would say, so the rest is asked for too.
func (e *editing) sorted(err error) form.Errors {
	prefix := "virtual_services[" + strings.TrimSpace(e.typed.Values["label"]) + "]."
	all := form.Sort(err, prefix, form.Known)
	if fresh := appliance.NewService(appliance.TCP); len(e.typed.Into(&fresh)) > 0 {
		_, more := e.p.ui.Control.Try(e.p.ctx(), nil, func(c *appliance.Config) error {
			if err := e.edit(c); err != nil && problem.KindOf(err) == appliance.NotFound {
				return err
			}
			return nil
		})
		for path, list := range form.Sort(more, prefix, form.Known) {
			if _, have := all[path]; !have && path != "" {
				all[path] = list
			}
		}
	}
	if e.p.ui.Suggest != nil && len(all["address"]) > 0 {
		if hint := e.p.ui.Suggest(e.p.ctx(), e.typed.Values["address"]); hint != "" {
			all["address"][0].Hint = hint
		}
	}
	return all
}

// check asks every typed server for an answer now, at the same time. What Validate refuses is not asked: a check must not be sent just anywhere.
func (e *editing) check() {
	e.answers = map[int]answer{}
	var refusals form.Errors
	if _, err := e.p.ui.Control.Try(e.p.ctx(), nil, e.edit); err != nil {
		refusals = e.sorted(err)
	}
	config := e.p.ui.Control.Saved().Config.Clone()
	s := appliance.NewService(appliance.TCP)
	e.typed.Into(&s)
	s.ID = "typed"
	for i := range s.RealServers {
		s.RealServers[i].ID = "typed-" + strconv.Itoa(i)
	}
	config.Cluster.VirtualServices = []appliance.VirtualService{s}
	e.errs = concerning(refusals, "check.", "real_servers[", "ports")
	var todo []asked
	var rows []int
	for i, r := range s.RealServers {
		switch wrong := refusals.Of(form.RowName(i, "address")) + refusals.Of(form.RowName(i, "port")); {
		case wrong != "" || refusals.Any("check."):
			e.answers[i] = answer{note: "not asked"}
		case r.Port == 0 && s.Ports.Count() == 0:
			e.answers[i] = answer{note: "no port yet"}
		default:
			todo, rows = append(todo, asked{s.ID, r.ID}), append(rows, i)
		}
	}
	for k, a := range e.p.askAll(config, todo) {
		e.answers[rows[k]] = a
	}
}

// concerning keeps the errors of some fields; nil when there are none.
func concerning(all form.Errors, paths ...string) form.Errors {
	var out form.Errors
	for path, list := range all {
		if (form.Errors{path: list}).Any(paths...) {
			if out == nil {
				out = form.Errors{}
			}
			out[path] = list
		}
	}
	return out
}

// showCall says how a program does the same.
func (e *editing) showCall() {
	s, saved := appliance.NewService(appliance.TCP), e.p.ui.Control.Saved().Config.Cluster
	if old := saved.Service(e.id); old != nil {
		s = old.Clone()
	}
	if errs := e.typed.Into(&s); len(errs) > 0 {
		e.errs = e.sorted(errs)
		return
	}
	s.Normalize()
	text, err := json.Marshal(s)
	if err != nil {
		return
	}
	method, path, match := http.MethodPost, apiPrefix+"/virtual-services", ""
	if e.id != "" {
		method, path, match = http.MethodPut, path+"/"+e.id, " \\\n  -H 'If-Match: \""+e.base+"\"'"
	}
	body := indented(dropEmptyIDs(text))
	e.call = &view.APICall{Method: method, Path: path, Body: body}
	e.call.Curl = "curl -X " + method + " https://" + e.p.Request().Host + path + " \\\n  -H \"Authorization: Bearer $TOKEN\"" + match +
		" \\\n  -H 'Content-Type: application/json' -d '" + strings.ReplaceAll(body, "'", `'\''`) + "'"
}

// dropEmptyIDs leaves out what the appliance gives.
func dropEmptyIDs(text []byte) []byte { return bytes.ReplaceAll(text, []byte(`"id":"",`), nil) }

func indented(text []byte) string {
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return string(text)
	}
	return b.String()
}

func (e *editing) show(status int) error {
	p := e.p
	saved := p.ui.Control.Saved().Config.Cluster
	v := view.ServiceForm{
		Title: "Layer 7 – Add a new Virtual Service", Path: layer7 + "/new", Button: "Add", ID: e.id, Base: e.base, First: form.FirstFields(), Values: e.typed.Values,
		Errors: e.errs, Stale: e.stale, Call: e.call, Edit: p.may(appliance.Administrator),
	}
	title := "Add a Virtual Service"
	if e.id != "" {
		title = "Modify " + e.typed.Values["label"]
		v.Title, v.Path, v.Button = "Layer 7 – Modify "+e.typed.Values["label"], layer7+"/"+e.id, "Save"
	}
	if e.stale != nil && e.stale.Gone {
		v.ID = ""
	}
	sample := appliance.NewService(appliance.TCP)
	e.typed.Into(&sample)
	sections := form.Sections(saved.Scripts)
	form.Offer(sections, p.ui.Certificates.Certificates(), p.ui.Certificates.Authorities())
	for _, s := range sections {
		paths := make([]string, len(s.Fields))
		for i, f := range s.Fields {
			paths[i] = f.Path
		}
		bad := e.errs.Any(append(paths, s.Holds...)...)
		v.Sections = append(v.Sections, view.FormSection{Section: s, Summary: s.Summary(&sample), Bad: bad, Open: bad || e.open == s.ID})
	}
	if len(e.typed.Rows) == 0 {
		e.typed.Rows = append(e.typed.Rows, form.BlankRow())
	}
	for i, r := range e.typed.Rows {
		a := e.answers[i]
		v.Rows = append(v.Rows, view.ServiceFormRow{Row: r, Index: i, Answer: a.probe, Note: a.note})
	}
	v.Trial = e.trial()
	v.Rules, v.Pools, v.Servers = e.typed.Rules, poolChoices(&saved, e.id, e.typed.Values["protocol"]), serverChoices(e.typed.Rows)
	return p.show(status, view.ServicePage(p.frame(title, layer7), v))
}
