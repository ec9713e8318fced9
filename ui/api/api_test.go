package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/appliance/certificates"
	"evenkeel/appliance/control"
	"evenkeel/store"
	"evenkeel/ui/problem"
	"evenkeel/ui/schema"
	"evenkeel/ui/signin"
)

// engine stands for the engine: it accepts every configuration unless told otherwise, and remembers persistence entries.
type engine struct {
	mu      sync.Mutex
	running appliance.Config
	refuse  error
	entries []appliance.PersistenceEntry
	open    []appliance.Connection
}

func (e *engine) Check(context.Context, appliance.Config) error { return nil }

func (e *engine) Apply(_ context.Context, c appliance.Config) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.refuse != nil {
		return e.refuse
	}
	e.running = c
	return nil
}

func (e *engine) Status() appliance.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := appliance.Status{At: time.Now()}
	for _, s := range e.running.Cluster.VirtualServices {
		status := appliance.ServiceStatus{ID: s.ID, Label: s.Label, Health: appliance.ServiceUp, Servers: []appliance.ServerStatus{}}
		for _, r := range s.RealServers {
			status.Servers = append(status.Servers, appliance.ServerStatus{
				ID: r.ID, Label: r.Label, State: r.State, Weight: r.Weight, Connections: 3,
				Check: appliance.ServerHealth{Health: appliance.Up, Probes: []appliance.Probe{}, Changes: []appliance.HealthChange{}},
			})
		}
		out.Services = append(out.Services, status)
	}
	return out
}

func (e *engine) Test(_ context.Context, c appliance.Config, service, server string) (appliance.Probe, []string, error) {
	r := c.Cluster.Service(service).Server(server)
	return appliance.Probe{Good: true, Sentence: "C-ECHO answered in 8 ms."}, []string{"dial " + string(r.Address), "answered"}, nil
}

// chosen tells whether a query chooses an entry, as the engine does.
func chosen(q appliance.PersistenceQuery, e appliance.PersistenceEntry) bool {
	return (q.Service == "" || e.ServiceID == q.Service) && (q.Server == "" || e.ServerID == q.Server) && (q.Key == "" || e.Key == q.Key) &&
		(!q.Client.IsValid() || q.Client.Overlaps(e.Client)) && strings.Contains(e.Key, q.Text)
}

func (e *engine) Persistence(q appliance.PersistenceQuery) appliance.PersistenceList {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(e.entries), func(p appliance.PersistenceEntry) bool { return !chosen(q, p) })
	out := appliance.PersistenceList{Total: len(list), Entries: list[min(q.Offset, len(list)):]}
	if q.Limit > 0 {
		out.Entries = out.Entries[:min(q.Limit, len(out.Entries))]
	}
	return out
}

func (e *engine) ClearPersistence(q appliance.PersistenceQuery) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := len(e.entries)
	e.entries = slices.DeleteFunc(e.entries, func(p appliance.PersistenceEntry) bool { return chosen(q, p) })
	return before - len(e.entries)
}

// Connections stands for the engine's: what the test has in open.
func (e *engine) Connections(_ context.Context, q appliance.ConnectionQuery) (appliance.ConnectionList, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(e.open), func(c appliance.Connection) bool {
		return q.Service != "" && c.ServiceID != q.Service || q.Server != "" && c.ServerID != q.Server || q.Client.IsValid() && !q.Client.Contains(c.Client.Addr()) ||
			!strings.Contains(c.Client.String()+" "+c.State, q.Text)
	})
	out := appliance.ConnectionList{Total: len(list), Connections: list[min(q.Offset, len(list)):]}
	if q.Limit > 0 {
		out.Connections = out.Connections[:min(q.Limit, len(out.Connections))]
	}
	return out, nil
}

func (e *engine) CloseConnection(_ context.Context, id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := len(e.open)
	e.open = slices.DeleteFunc(e.open, func(c appliance.Connection) bool { return c.ID == id })
	if len(e.open) == before {
		return &appliance.Error{Kind: appliance.NotFound, Message: "There is no such connection."}
	}
	return nil
}

// place is an appliance with a real store, a real control and a real door behind the interface.
type place struct {
	t       *testing.T
	api     *API
	url     string
	client  *http.Client
	engine  *engine
	control *control.Control
	tokens  map[appliance.Role]string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	ctx := t.Context()
	db, err := store.Open(ctx, store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	p := &place{t: t, engine: &engine{}, tokens: map[appliance.Role]string{}}
	p.control = control.New(control.Options{Store: db, Engine: p.engine, Site: appliance.Site{
		Listeners: []appliance.Listener{{Address: netip.MustParseAddrPort("0.0.0.0:9443"), Name: "the WebUI"}},
	}})
	if err := p.control.Boot(ctx); err != nil {
		t.Fatal(err)
	}
	door := signin.New(signin.Options{Store: db, Announce: io.Discard})
	for _, role := range []appliance.Role{appliance.Administrator, appliance.OperatorRole, appliance.Viewer} {
		o := appliance.Operator{Name: string(role), Role: role}
		if err := db.CreateOperator(ctx, appliance.Origin{Via: "setup"}, o.Name, role, "no password opens this"); err != nil {
			t.Fatal(err)
		}
		if p.tokens[role], _, err = door.NewToken(ctx, appliance.Origin{Via: "setup"}, o, "test", role, 0); err != nil {
			t.Fatal(err)
		}
	}
	vault, err := certificates.Open(ctx, certificates.Options{Store: db, Renew: p.control.Renew, Configurations: func() (appliance.Config, appliance.Config) {
		return p.control.Saved().Config, p.control.Running().Config
	}})
	if err != nil {
		t.Fatal(err)
	}
	p.api = New(Options{Certificates: vault, Control: p.control, Engine: p.engine, Store: db, Door: door, Version: "1.2.3"})
	server := httptest.NewServer(p.api.Handler())
	t.Cleanup(server.Close)
	p.url, p.client = server.URL, server.Client()
	return p
}

// answer is what came back.
type answer struct {
	code   int
	header http.Header
	body   []byte
}

func (a answer) etag() string { return a.header.Get("ETag") }

// ask sends a request as a role; every answer must be of the type that the table of routes names.
func (p *place) ask(role appliance.Role, method, path, body string, headers ...string) answer {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+Prefix+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if role != "" {
		r.Header.Set("Authorization", "Bearer "+p.tokens[role])
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := p.client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	a := answer{resp.StatusCode, resp.Header, text}
	p.verify(method, path, a)
	return a
}

// verify holds every answer against the description.
func (p *place) verify(method, path string, a answer) {
	p.t.Helper()
	if a.header.Get("Cache-Control") != "no-store" {
		p.t.Errorf("%s %s: may be stored", method, path)
	}
	if a.code >= 400 {
		var pr problem.Problem
		if method != "HEAD" && (a.header.Get("Content-Type") != problem.MediaType || schema.Decode(a.body, &pr) != nil || pr.Status != a.code || pr.Detail == "") {
			p.t.Errorf("%s %s: %d %s is no problem", method, path, a.code, a.body)
		}
		return
	}
	if method == "HEAD" {
		return
	}
	r := p.find(method, path)
	if r == nil || a.code != r.Status && !strings.Contains(path, "dry_run=true") && a.code != 304 {
		p.t.Errorf("%s %s: status %d is not in the table", method, path, a.code)
		return
	}
	gives := r.Gives
	if strings.Contains(path, "dry_run=true") {
		gives = Planned{}
	}
	if gives == nil || a.code == 304 {
		return
	}
	if err := schema.Decode(a.body, reflect.New(reflect.TypeOf(gives)).Interface()); err != nil {
		p.t.Errorf("%s %s: %s is not as described: %v", method, path, a.body, err)
	}
}

func (p *place) find(method, path string) *route {
	path, _, _ = strings.Cut(path, "?")
	for i := range p.api.routes {
		r := &p.api.routes[i]
		if r.Method != method {
			continue
		}
		want, got := strings.Split(r.Path, "/"), strings.Split(path, "/")
		same := len(want) == len(got)
		for i := 0; same && i < len(want); i++ {
			same = want[i] == got[i] || strings.HasPrefix(want[i], "{")
		}
		if same {
			return r
		}
	}
	return nil
}

func (p *place) admin(method, path, body string, headers ...string) answer {
	p.t.Helper()
	return p.ask(appliance.Administrator, method, path, body, headers...)
}

// must asks as administrator and fails the test unless the status is the wanted one.
func (p *place) must(code int, method, path, body string, headers ...string) answer {
	p.t.Helper()
	a := p.admin(method, path, body, headers...)
	if a.code != code {
		p.t.Fatalf("%s %s: %d, want %d: %s", method, path, a.code, code, a.body)
	}
	return a
}

func read[T any](t *testing.T, a answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	return v
}

const hl7 = `{"label":"HL7","address":"192.168.0.188","ports":"6667","persistence":"source_ip",
  "real_servers":[{"label":"Corepoint1","address":"192.168.0.40"},{"label":"Corepoint2","address":"192.168.0.41"}]}`

// service adds a service and returns it.
func (p *place) service(body string) appliance.VirtualService {
	p.t.Helper()
	return read[appliance.VirtualService](p.t, p.must(201, "POST", "/virtual-services", body))
}

// refused returns the fields of a problem.
func refused(t *testing.T, a answer) []string {
	t.Helper()
	var out []string
	for _, e := range read[problem.Problem](t, a).Errors {
		out = append(out, e.Field)
	}
	return out
}

func TestCreateAnswersTheWholeObjectWithIDs(t *testing.T) {
	p := newPlace(t)
	a := p.must(201, "POST", "/virtual-services?why=new+interface", hl7)
	s := read[appliance.VirtualService](t, a)
	if s.ID == "" || s.RealServers[0].ID == "" || s.RealServers[1].Weight != 100 || s.Limits.ClientTimeout.String() != "12h" {
		t.Errorf("%s", a.body)
	}
	if a.header.Get("Location") != Prefix+"/virtual-services/"+s.ID || a.etag() != `"`+appliance.Hash(s)+`"` {
		t.Errorf("%v", a.header)
	}
	again := p.must(200, "GET", "/virtual-services/"+s.ID, "")
	if !bytes.Equal(again.body, a.body) || again.etag() != a.etag() {
		t.Errorf("%s", again.body)
	}
	if a := p.must(304, "GET", "/virtual-services/"+s.ID, "", "If-None-Match", a.etag()); len(a.body) > 0 {
		t.Errorf("304 with %s", a.body)
	}
	revisions := read[[]appliance.Revision](t, p.must(200, "GET", "/revisions", ""))
	if o := revisions[0].Origin; o.Operator != "administrator" || o.Via != "api" || o.Why != "new interface" || !o.From.IsLoopback() {
		t.Errorf("%+v", o)
	}
}

func TestChangesNeedIfMatch(t *testing.T) {
	p := newPlace(t)
	s := p.service(hl7)
	script := read[appliance.Script](t, p.must(201, "POST", "/scripts", `{"label":"x","body":"#!/bin/sh\n"}`))
	for path, body := range map[string]string{
		"/virtual-services/" + s.ID: `{"label":"HL7"}`,
		"/virtual-services/" + s.ID + "/real-servers/" + s.RealServers[0].ID: `{"label":"Corepoint1","address":"192.168.0.40"}`,
		"/scripts/" + script.ID: `{"label":"x"}`,
		"/settings":             `{}`,
		"/configuration":        `{"evenkeel":1}`,
	} {
		for _, method := range []string{"PUT", "PATCH", "DELETE"} {
			if r := p.find(method, path); r == nil {
				continue
			}
			if a := p.admin(method, path, body); a.code != 428 {
				t.Errorf("%s %s without If-Match: %d", method, path, a.code)
			}
			if a := p.admin(method, path, body, "If-Match", `"0123456789abcdef0123456789abcdef"`); a.code != 412 && a.code != 404 {
				t.Errorf("%s %s with a stale If-Match: %d %s", method, path, a.code, a.body)
			}
			if a := p.admin(method, path, body, "If-Match", p.must(200, "GET", path, "").etag()[1:]); a.code != 400 {
				t.Errorf("%s %s with a broken If-Match: %d", method, path, a.code)
			}
			if a := p.admin(method, path, body, "If-Match", "W/"+p.must(200, "GET", path, "").etag()); a.code != 412 {
				t.Errorf("%s %s with a weak If-Match: %d %s", method, path, a.code, a.body)
			}
		}
	}
	etag := p.must(200, "GET", "/virtual-services/"+s.ID, "").etag()
	p.must(200, "PATCH", "/virtual-services/"+s.ID, `{"ports":"6668"}`, "If-Match", `"other", `+etag)
	p.must(200, "PATCH", "/virtual-services/"+s.ID, `{"ports":"6669"}`, "If-Match", "*")
	p.must(204, "DELETE", "/virtual-services/"+s.ID, "", "If-Match", "*")
	p.must(404, "DELETE", "/virtual-services/"+s.ID, "", "If-Match", "*")
}

func TestTwoAdministratorsOnOneObjectOneIsTold(t *testing.T) {
	p := newPlace(t)
	s := p.service(hl7)
	path := "/virtual-services/" + s.ID
	etag := p.must(200, "GET", path, "").etag()
	p.must(200, "PATCH", path, `{"check":{"interval":"2s"}}`, "If-Match", etag)
	a := p.must(412, "PATCH", path, `{"check":{"interval":"9s"}}`, "If-Match", etag)
	pr := read[problem.Problem](t, a)
	if len(pr.Changed) != 1 || pr.Changed[0].Fields[0].Field != "check.interval" || pr.Changed[0].Fields[0].To != "2s" {
		t.Errorf("the difference is not told: %s", a.body)
	}
	now := p.must(200, "GET", path, "")
	if !bytes.Equal(bytes.TrimSpace(now.body), pr.Current) {
		t.Errorf("current is %s, want %s", pr.Current, now.body)
	}
}

func TestTwoAdministratorsOnDifferentObjectsBothSucceed(t *testing.T) {
	p := newPlace(t)
	s := p.service(hl7)
	base := "/virtual-services/" + s.ID + "/real-servers/"
	one, two := base+s.RealServers[0].ID, base+s.RealServers[1].ID
	etag1, etag2 := p.must(200, "GET", one, "").etag(), p.must(200, "GET", two, "").etag()
	var group sync.WaitGroup
	for path, etag := range map[string]string{one: etag1, two: etag2} {
		group.Go(func() {
			if a := p.admin("PATCH", path, `{"weight":50}`, "If-Match", etag); a.code != 200 {
				t.Errorf("%d %s", a.code, a.body)
			}
		})
	}
	group.Wait()
	for _, r := range read[[]appliance.RealServer](t, p.must(200, "GET", strings.TrimSuffix(base, "/"), "")) {
		if r.Weight != 50 {
			t.Errorf("%s was lost", r.Label)
		}
	}
	a := p.must(412, "PATCH", one, `{"weight":60}`, "If-Match", etag1)
	if pr := read[problem.Problem](t, a); len(pr.Changed) != 1 || pr.Changed[0].ID != s.RealServers[0].ID || len(pr.Current) == 0 {
		t.Errorf("%s", a.body)
	}
}

func TestRefusalsNameFieldsOfTheObjectThatWasSent(t *testing.T) {
	p := newPlace(t)
	s := p.service(hl7)
	for name, c := range map[string]struct {
		method, path, body string
		code               int
		fields             []string
	}{
		"service":            {"POST", "/virtual-services", `{"label":"A","address":"0.0.0.0","ports":"9443","real_servers":[{"label":"a","address":"192.168.0.2"},{"label":"b","address":"x y"}]}`, 422, []string{"real_servers[1].address", "ports"}},
		"taken port":         {"POST", "/virtual-services", `{"label":"Z","address":"192.168.0.188","ports":"6600-6700"}`, 409, []string{"ports"}},
		"taken label":        {"POST", "/virtual-services", `{"label":" HL7 ","address":"192.168.0.189","ports":"1"}`, 409, []string{"label"}},
		"empty":              {"POST", "/virtual-services", `{}`, 422, []string{"label", "address", "ports"}},
		"layer 4":            {"POST", "/virtual-services", `{"label":"A","address":"192.168.0.189","ports":"1","layer":4}`, 422, []string{"layer"}},
		"own id":             {"POST", "/virtual-services", `{"id":"abc","label":"A","address":"192.168.0.189","ports":"1"}`, 422, []string{"id"}},
		"server's id":        {"POST", "/virtual-services", `{"label":"A","address":"192.168.0.189","ports":"1","real_servers":[{"id":"x","label":"a","address":"10.0.0.1"}]}`, 422, []string{"real_servers[0].id"}},
		"other id":           {"PUT", "/virtual-services/" + s.ID, `{"id":"abc","label":"HL7","address":"192.168.0.188","ports":"6667"}`, 422, []string{"id"}},
		"patch":              {"PATCH", "/virtual-services/" + s.ID, `{"check":{"rise":0},"label":"New name"}`, 422, []string{"check.rise"}},
		"server":             {"POST", "/virtual-services/" + s.ID + "/real-servers", `{"label":"c","address":"127.0.0.1","weight":-1}`, 422, []string{"address", "weight"}},
		"server twice":       {"POST", "/virtual-services/" + s.ID + "/real-servers", `{"label":"corepoint1","address":"192.168.0.49"}`, 409, []string{"label"}},
		"server circle":      {"POST", "/virtual-services/" + s.ID + "/real-servers", `{"label":"c","address":"192.168.0.188"}`, 422, []string{"real_servers"}},
		"server patch":       {"PATCH", "/virtual-services/" + s.ID + "/real-servers/" + s.RealServers[1].ID, `{"weight":9999}`, 422, []string{"weight"}},
		"script":             {"POST", "/scripts", `{"label":"","body":"echo"}`, 422, []string{"label", "body"}},
		"state":              {"PUT", "/virtual-services/" + s.ID + "/real-servers/" + s.RealServers[1].ID + "/state", `{"state":"off","weight":-1}`, 422, []string{"state", "weight"}},
		"nothing wanted":     {"PUT", "/virtual-services/" + s.ID + "/real-servers/" + s.RealServers[1].ID + "/state", `{}`, 422, []string{"state"}},
		"user":               {"POST", "/users", `{"name":"X","role":"king","password":"short"}`, 422, []string{"name", "role", "password"}},
		"last administrator": {"PUT", "/users/administrator/role", `{"role":"viewer"}`, 409, []string{""}},
		"token":              {"POST", "/tokens", `{"label":"x","role":"viewer","operator":"nobody"}`, 422, []string{"operator"}},
		"reason":             {"PATCH", "/virtual-services/" + s.ID + "?why=a%0Ab", `{}`, 422, []string{"why"}},
		"format":             {"PUT", "/configuration", `{"evenkeel":2,"cluster":{"virtual_services":[],"settings":{"allow_loopback":false,"apply_at_once":false}},"local":{"hostname":""}}`, 422, []string{"evenkeel"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := p.admin(c.method, c.path, c.body, "If-Match", "*")
			if got := refused(t, a); a.code != c.code || !reflect.DeepEqual(got, c.fields) {
				t.Errorf("%d %s, want %d %v", a.code, a.body, c.code, c.fields)
			}
		})
	}
	if n := p.control.Saved().Revision.Number; n != 1 {
		t.Errorf("a refusal made revision %d", n)
	}
}

func TestBodiesAreReadStrictly(t *testing.T) {
	p := newPlace(t)
	large := `{"label":"` + strings.Repeat("x", maxBody) + `"}`
	for name, c := range map[string]struct {
		body, media string
		code        int
	}{
		"cut off":        {`{"label":"A"`, "application/json", 400},
		"repeated":       {`{"label":"A","label":"B"}`, "application/json", 400},
		"junk":           {`{} {}`, "application/json", 400},
		"unknown":        {`{"lable":"A"}`, "application/json", 422},
		"other case":     {`{"Label":"A"}`, "application/json", 422},
		"form":           {`label=A`, "application/x-www-form-urlencoded", 415},
		"text":           {hl7, "text/plain", 415},
		"no type":        {hl7, "", 415},
		"patch type":     {hl7, "application/merge-patch+json", 415},
		"list":           {`[]`, "application/json", 422},
		"null":           {`null`, "application/json", 422},
		"large":          {large, "application/json", 413},
		"charset is all": {hl7, "application/json; charset=utf-8", 201},
	} {
		t.Run(name, func(t *testing.T) {
			if a := p.admin("POST", "/virtual-services", c.body, "Content-Type", c.media); a.code != c.code {
				t.Errorf("%d %.300s, want %d", a.code, a.body, c.code)
			}
		})
	}
	if a := p.admin("POST", "/virtual-services", hl7, "Content-Encoding", "gzip"); a.code != 415 {
		t.Errorf("compressed: %d", a.code)
	}
	for _, query := range []string{"dryrun=true", "dry_run=1", "dry_run=true&dry_run=false", "why=%zz", "dry_run"} {
		if a := p.admin("POST", "/virtual-services?"+query, strings.Replace(hl7, "HL7", "B", 1)); a.code != 400 {
			t.Errorf("?%s: %d %s", query, a.code, a.body)
		}
	}
}

var (
	_ Control      = (*control.Control)(nil)
	_ Store        = (*store.Store)(nil)
	_ Door         = (*signin.Door)(nil)
	_ Certificates = (*certificates.Vault)(nil)
)
