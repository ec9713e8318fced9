package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/ui/problem"
	"evenkeel/ui/schema"
)

func TestSavedAndRunningStayApartUntilApply(t *testing.T) {
	p := newPlace(t)
	s := p.service(hl7)
	if plan := read[Planned](t, p.must(200, "GET", "/pending", "")); plan.Unchanged || plan.Changes[0].Label != "HL7" || plan.From != 0 || plan.To != 1 {
		t.Errorf("%+v", plan)
	}
	if got := read[appliance.Status](t, p.must(200, "GET", "/status", "")); len(got.Services) != 0 {
		t.Errorf("%+v runs before it was applied", got.Services)
	}
	p.must(404, "GET", "/status?service="+s.ID, "")
	if r := read[appliance.Revision](t, p.must(200, "POST", "/apply", "")); r.Outcome != appliance.Applied || r.Number != 1 {
		t.Errorf("%+v", r)
	}
	if got := read[appliance.Status](t, p.must(200, "GET", "/status?service="+s.ID, "")); len(got.Services) != 1 || got.Services[0].Label != "HL7" {
		t.Errorf("%+v", got)
	}
	p.must(200, "PATCH", "/virtual-services/"+s.ID, `{"ports":"7000"}`, "If-Match", "*")
	if plan := read[Planned](t, p.must(200, "POST", "/discard", "")); plan.Unchanged || plan.To != 3 {
		t.Errorf("%+v", plan)
	}
	if plan := read[Planned](t, p.must(200, "GET", "/pending", "")); !plan.Unchanged {
		t.Errorf("%+v", plan)
	}
	if got := read[appliance.VirtualService](t, p.must(200, "GET", "/virtual-services/"+s.ID, "")); got.Ports.String() != "6667" {
		t.Errorf("ports %s", got.Ports)
	}
}

func TestDryRunAnswersThePlanAndSavesNothing(t *testing.T) {
	p := newPlace(t)
	if plan := read[Planned](t, p.must(200, "POST", "/virtual-services?dry_run=true", hl7)); plan.Changes[0].Action != appliance.Added {
		t.Errorf("%+v", plan)
	}
	s := p.service(hl7)
	for _, c := range []struct{ method, path, body, summary string }{
		{"PATCH", "/virtual-services/" + s.ID, `{"ports":"7000"}`, "HL7: ports 6667 → 7000"},
		{"PATCH", "/virtual-services/" + s.ID, `{}`, ""},
		{"DELETE", "/virtual-services/" + s.ID, "", "HL7 removed"},
		{"PATCH", "/virtual-services/" + s.ID + "/real-servers/" + s.RealServers[0].ID, `{"weight":50}`, "HL7: weight of Corepoint1 100 → 50"},
		{"PUT", "/settings", `{"apply_at_once":true}`, "Settings: apply at once false → true"},
		{"POST", "/revisions/1/rollback", "", ""},
	} {
		plan := read[Planned](t, p.must(200, c.method, c.path+"?dry_run=true", c.body, "If-Match", "*"))
		if plan.Summary != c.summary || plan.Unchanged != (c.summary == "") {
			t.Errorf("%s %s: %+v", c.method, c.path, plan)
		}
	}
	if n := p.control.Saved().Revision.Number; n != 1 {
		t.Errorf("a dry run made revision %d", n)
	}
}

func TestApplyParameterAppliesAndAFailureSaysThatItIsSaved(t *testing.T) {
	p := newPlace(t)
	p.must(201, "POST", "/virtual-services?apply=true", hl7)
	if !p.control.Pending().Empty() {
		t.Error("not applied")
	}
	p.engine.refuse = &appliance.Error{Kind: appliance.Unavailable, Message: "Port 7000 is busy."}
	id := p.control.Saved().Config.Cluster.VirtualServices[0].ID
	a := p.must(503, "PATCH", "/virtual-services/"+id+"?apply=true", `{"ports":"7000"}`, "If-Match", "*")
	if !strings.Contains(string(a.body), "Saved as revision 2, but not applied") || p.control.Pending().Empty() {
		t.Errorf("%s", a.body)
	}
	p.engine.refuse = errors.New("secret text")
	if a := p.must(500, "POST", "/apply", ""); strings.Contains(string(a.body), "secret") {
		t.Errorf("%s", a.body)
	}
}

func TestDrainIsAtOnceAndLeavesWhatIsSavedAlone(t *testing.T) {
	p := newPlace(t)
	s := p.service(hl7)
	p.must(200, "POST", "/apply", "")
	p.must(200, "PATCH", "/virtual-services/"+s.ID, `{"check":{"interval":"9s"}}`, "If-Match", "*")
	path := "/virtual-services/" + s.ID + "/real-servers/" + s.RealServers[0].ID + "/state"
	a := p.ask(appliance.OperatorRole, "PUT", path+"?why=patch+day", `{"state":"drain","weight":50}`)
	if got := read[ServerState](t, a); a.code != 200 || got.State != appliance.Drain || got.Weight != 50 || got.Running == nil || got.Running.State != appliance.Drain {
		t.Fatalf("%d %s", a.code, a.body)
	}
	if got := read[ServerState](t, p.must(200, "GET", path, "")); got.State != appliance.Drain || got.Running.Connections != 3 {
		t.Errorf("%+v", got)
	}
	running := p.control.Running().Config.Cluster.VirtualServices[0]
	if running.RealServers[0].State != appliance.Drain || running.Monitor.Interval.String() != "4s" || p.control.Pending().Empty() {
		t.Errorf("running %+v, pending %+v", running, p.control.Pending())
	}
	if r := read[[]appliance.Revision](t, p.must(200, "GET", "/revisions?limit=1", ""))[0]; r.Origin.Why != "patch day" || r.Origin.Operator != "operator" {
		t.Errorf("%+v", r)
	}
}

func TestPutKeepsRealServersByLabel(t *testing.T) {
	p := newPlace(t)
	s := p.service(hl7)
	a := p.must(200, "PUT", "/virtual-services/"+s.ID, strings.Replace(hl7, `{"label":"Corepoint1"`, `{"label":"new","address":"192.168.0.42"},{"label":"Corepoint1"`, 1), "If-Match", "*")
	got := read[appliance.VirtualService](t, a)
	if len(got.RealServers) != 3 || got.RealServers[1].ID != s.RealServers[0].ID || got.RealServers[2].ID != s.RealServers[1].ID {
		t.Errorf("%s", a.body)
	}
	if a := p.must(200, "PUT", "/virtual-services/"+s.ID, string(a.body), "If-Match", a.etag()); a.header.Get("Revision") != "2" {
		t.Errorf("the same again made revision %s", a.header.Get("Revision"))
	}
	renamed := strings.Replace(string(a.body), `"label":"Corepoint1"`, `"label":"renamed"`, 1)
	if r := read[appliance.VirtualService](t, p.must(200, "PUT", "/virtual-services/"+s.ID, renamed, "If-Match", "*")).RealServers[1]; r.ID != s.RealServers[0].ID || r.Label != "renamed" {
		t.Errorf("%+v", r)
	}
}

func TestRealServersAreAddedAndRemoved(t *testing.T) {
	p := newPlace(t)
	s := p.service(hl7)
	list := "/virtual-services/" + s.ID + "/real-servers"
	a := p.must(201, "POST", list, `{"label":"third","address":"fd00::40","port":7000}`)
	r := read[appliance.RealServer](t, a)
	if a.header.Get("Location") != Prefix+list+"/"+r.ID || r.Port != 7000 || a.etag() != tag(r) {
		t.Errorf("%v %s", a.header, a.body)
	}
	p.must(200, "PUT", list+"/"+r.ID, `{"label":"third","address":"fd00::41"}`, "If-Match", a.etag())
	p.must(204, "DELETE", list+"/"+r.ID, "", "If-Match", "*")
	p.must(404, "GET", list+"/"+r.ID, "")
	if got := read[[]appliance.RealServer](t, p.must(200, "GET", list, "")); len(got) != 2 {
		t.Errorf("%+v", got)
	}
	trial := read[Trial](t, p.must(200, "POST", list+"/"+s.RealServers[0].ID+"/test", ""))
	if !trial.Good || !strings.Contains(trial.Transcript[0], "192.168.0.40") {
		t.Errorf("%+v", trial)
	}
}

func TestScriptsInUseStay(t *testing.T) {
	p := newPlace(t)
	script := read[appliance.Script](t, p.must(201, "POST", "/scripts", `{"label":" beat ","body":"#!/bin/sh\nexit 0\n"}`))
	if script.Label != "beat" {
		t.Errorf("%+v", script)
	}
	s := p.service(strings.Replace(hl7, `"persistence"`, `"check":{"kind":"script","script":"`+script.ID+`"},"persistence"`, 1))
	p.must(409, "DELETE", "/scripts/"+script.ID, "", "If-Match", "*")
	p.must(200, "PATCH", "/virtual-services/"+s.ID, `{"check":"connect"}`, "If-Match", "*")
	p.must(200, "PATCH", "/scripts/"+script.ID, `{"body":"#!/bin/sh\nexit 1\n"}`, "If-Match", tag(script))
	p.must(204, "DELETE", "/scripts/"+script.ID, "", "If-Match", "*")
	if a := p.must(200, "GET", "/scripts", ""); strings.TrimSpace(string(a.body)) != "[]" {
		t.Errorf("%s", a.body)
	}
}

func TestHistoryPagesComparesAndGoesBack(t *testing.T) {
	p := newPlace(t)
	s := p.service(hl7)
	for _, ports := range []string{"1", "2", "3"} {
		p.must(200, "PATCH", "/virtual-services/"+s.ID, `{"ports":"`+ports+`"}`, "If-Match", "*")
	}
	var numbers []int64
	for path := "/revisions?limit=2"; path != ""; {
		a := p.must(200, "GET", path, "")
		for _, r := range read[[]appliance.Revision](t, a) {
			numbers = append(numbers, r.Number)
		}
		link, _, _ := strings.Cut(strings.TrimPrefix(a.header.Get("Link"), "<"+Prefix), ">")
		path = link
	}
	if !reflect.DeepEqual(numbers, []int64{4, 3, 2, 1}) {
		t.Errorf("%v", numbers)
	}
	for path, want := range map[string]string{
		"/revisions/3/diff": "HL7: ports 1 → 2", "/revisions/4/diff?against=1": "HL7: ports 6667 → 3", "/revisions/1/diff": "HL7 added", "/revisions/1/diff?against=2": "HL7: ports 1 → 6667",
	} {
		if plan := read[Planned](t, p.must(200, "GET", path, "")); plan.Summary != want {
			t.Errorf("%s: %+v", path, plan)
		}
	}
	if got := read[Content](t, p.must(200, "GET", "/revisions/2", "")); got.Number != 2 || got.Cluster.VirtualServices[0].Ports.String() != "1" {
		t.Errorf("%+v", got)
	}
	if plan := read[Planned](t, p.must(200, "POST", "/revisions/1/rollback", "")); plan.To != 5 || plan.Summary != "HL7: ports 3 → 6667" {
		t.Errorf("%+v", plan)
	}
	for _, path := range []string{"/revisions/99", "/revisions/0", "/revisions/-1", "/revisions/01", "/revisions/x", "/revisions/99999999999999999999", "/revisions/9/diff", "/revisions/1/diff?against=77"} {
		p.must(404, "GET", path, "")
	}
	for _, path := range []string{"/revisions?limit=0", "/revisions?limit=501", "/revisions?before=-1", "/audit?limit=x"} {
		p.must(400, "GET", path, "")
	}
	audit := read[[]appliance.AuditEntry](t, p.must(200, "GET", "/audit?limit=1", ""))
	if len(audit) != 1 || audit[0].Action != "commit" {
		t.Errorf("%+v", audit)
	}
}

func TestConfigurationGoesOutAndInAgain(t *testing.T) {
	p, q := newPlace(t), newPlace(t)
	p.service(hl7)
	out := p.must(200, "GET", "/configuration", "")
	q.must(200, "PUT", "/configuration", string(out.body), "If-Match", q.must(200, "GET", "/configuration", "").etag())
	if back := q.must(200, "GET", "/configuration", ""); back.etag() != out.etag() {
		t.Errorf("%s came back as %s", out.body, back.body)
	}
	if a := q.must(200, "PUT", "/configuration", string(out.body), "If-Match", out.etag()); a.header.Get("Revision") != "1" {
		t.Errorf("revision %s for the same again", a.header.Get("Revision"))
	}
	a := q.must(422, "PUT", "/configuration", strings.Replace(string(out.body), `"192.168.0.41"`, `"x y"`, 1), "If-Match", "*")
	if got := refused(t, a); !reflect.DeepEqual(got, []string{"virtual_services[HL7].real_servers[1].address"}) {
		t.Errorf("%s", a.body)
	}
}

func TestPersistenceIsListedAndClearedByFilter(t *testing.T) {
	p := newPlace(t)
	a := p.service(hl7)
	b := p.service(`{"label":"WEB","address":"192.168.0.189","ports":"80"}`)
	p.must(200, "POST", "/apply", "")
	p.engine.entries = []appliance.PersistenceEntry{
		{ServiceID: b.ID, ServerID: "s1", Key: "10.0.0.9", Client: netip.MustParsePrefix("10.0.0.9/32"), Remaining: time.Minute},
		{ServiceID: a.ID, ServerID: "s2", Key: "10.0.0.7", Client: netip.MustParsePrefix("10.0.0.7/32")},
		{ServiceID: a.ID, ServerID: "s3", Key: "10.1.0.0/24", Client: netip.MustParsePrefix("10.1.0.0/24")},
	}
	for query, want := range map[string]int{
		"": 3, "?service=" + a.ID: 2, "?server=s1": 1, "?client=10.1.0.77": 1, "?client=10.0.0.0/16": 2, "?limit=1": 1, "?service=none": 0, "?service=" + a.ID + "&server=s2": 1,
		"?key=10.0.0.7": 1, "?text=10.0.0": 2, "?sort=age&reverse=true": 3, "?offset=2": 1,
	} {
		if got := read[[]appliance.PersistenceEntry](t, p.must(200, "GET", "/persistence"+query, "")); len(got) != want {
			t.Errorf("%s: %d, want %d", query, len(got), want)
		}
	}
	if a := p.must(200, "GET", "/persistence?limit=1", ""); a.header.Get("Total-Count") != "3" {
		t.Errorf("%v", a.header)
	}
	p.must(422, "GET", "/persistence?client=me", "")
	p.must(422, "GET", "/persistence?sort=colour", "")
	p.must(422, "DELETE", "/persistence", "")
	p.must(422, "DELETE", "/persistence?all=true&service=a", "")
	for _, c := range []struct {
		query string
		want  int
	}{{"client=10.0.0.9&service=" + a.ID, 0}, {"client=10.0.0.9&server=s2", 0}, {"key=10.0.0.9", 1}, {"server=s3&service=" + b.ID, 0}, {"server=s3", 1}, {"all=true", 1}} {
		if got := read[Cleared](t, p.must(200, "DELETE", "/persistence?"+c.query, "")); got.Cleared != c.want {
			t.Errorf("%s: %+v, want %d", c.query, got, c.want)
		}
	}
	if got := read[[]appliance.AuditEntry](t, p.must(200, "GET", "/audit?limit=1", "")); got[0].Action != "persistence_clear" || got[0].Detail != "entries: 1" {
		t.Errorf("%+v", got)
	}
}

func TestUsersAndTokens(t *testing.T) {
	p := newPlace(t)
	a := p.must(201, "POST", "/users", `{"name":"radiology","role":"viewer","password":"eleven green lanterns"}`)
	if a.header.Get("Location") != Prefix+"/users/radiology" || strings.Contains(string(a.body), "lanterns") {
		t.Errorf("%v %s", a.header, a.body)
	}
	p.must(409, "POST", "/users", `{"name":"radiology","role":"viewer","password":"eleven green lanterns"}`)
	issued := read[IssuedToken](t, p.must(201, "POST", "/tokens", `{"label":"nightly","role":"administrator","operator":"radiology","life":"1h"}`))
	if issued.Role != appliance.Viewer || issued.Expires.IsZero() || issued.Secret == "" {
		t.Errorf("%+v", issued)
	}
	p.tokens["radiology"] = issued.Secret
	if a := p.ask("radiology", "GET", "/version", ""); a.code != 200 {
		t.Errorf("%d %s", a.code, a.body)
	}
	if a := p.ask("radiology", "POST", "/apply", ""); a.code != 403 {
		t.Errorf("%d %s", a.code, a.body)
	}
	if a := p.must(200, "GET", "/tokens", ""); len(read[[]Token](t, a)) != 4 || strings.Contains(string(a.body), issued.Secret) {
		t.Errorf("%s", a.body)
	}
	if o := read[appliance.Operator](t, p.must(200, "PUT", "/users/radiology/role", `{"role":"operator"}`)); o.Role != appliance.OperatorRole {
		t.Errorf("%+v", o)
	}
	p.must(204, "PUT", "/users/radiology/password", `{"password":"seven quiet harbours"}`)
	p.must(422, "PUT", "/users/radiology/password", `{"password":"short"}`)
	p.must(204, "DELETE", "/tokens/"+issued.ID, "")
	p.must(404, "DELETE", "/tokens/"+issued.ID, "")
	if a := p.ask("radiology", "GET", "/version", ""); a.code != 401 {
		t.Errorf("an ended token still opens: %d", a.code)
	}
	p.must(204, "DELETE", "/users/radiology", "")
	p.must(404, "GET", "/users/radiology", "")
	p.must(409, "DELETE", "/users/administrator", "")
	if list := read[[]appliance.Operator](t, p.must(200, "GET", "/users", "")); len(list) != 3 {
		t.Errorf("%+v", list)
	}
}

// filled puts something into the places of a path.
func filled(path string) string {
	return strings.NewReplacer("{id}", "x1", "{rid}", "x2", "{n}", "1", "{name}", "nobody").Replace(path)
}

func TestNobodyGetsInUnknown(t *testing.T) {
	p := newPlace(t)
	paths := []string{"", "/", "/nothing", "/virtual-services/", "/../../x", "/%2e%2e/users", "/openapi.json/"}
	for _, r := range p.api.routes {
		paths = append(paths, filled(r.Path))
	}
	for _, path := range paths {
		for _, method := range append(verbs(), "TRACE", "PROPFIND") {
			if method == "TRACE" && path == "/../../x" {
				continue
			}
			a := p.ask("", method, path, "")
			if a.code != 401 || a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s: %d", method, path, a.code)
			}
		}
	}
	p.tokens["stranger"] = "evk_wrong"
	if a := p.ask("stranger", "GET", "/version", ""); a.code != 401 {
		t.Errorf("%d", a.code)
	}
}

func TestEveryRouteKeepsToItsRole(t *testing.T) {
	p := newPlace(t)
	rank := map[appliance.Role]int{appliance.Viewer: 1, appliance.OperatorRole: 2, appliance.Administrator: 3}
	for _, r := range p.api.routes {
		asks := r.Path == "/explain" || strings.HasSuffix(r.Path, "/rules/try") // POST for the sake of a body
		if r.Method != "GET" && r.Role == appliance.Viewer && !asks {
			t.Errorf("%s %s changes something, and a viewer may", r.Method, r.Path)
		}
		for role := range rank {
			a := p.ask(role, r.Method, filled(r.Path)+"?unknown=1", "", "X-HTTP-Method-Override", "GET", "X-Original-URL", "/lbadmin/api/v1/version")
			want := http.StatusBadRequest // the role suffices, and the parameter is refused
			if rank[role] < rank[r.Role] {
				want = http.StatusForbidden
			}
			if a.code != want {
				t.Errorf("%s %s as %s: %d, want %d", r.Method, r.Path, role, a.code, want)
			}
		}
	}
}

func TestOtherMethodsAreRefusedWithAllow(t *testing.T) {
	p := newPlace(t)
	for method, code := range map[string]int{"POST": 405, "DELETE": 405, "PROPFIND": 405, "OPTIONS": 204} {
		r, err := http.NewRequestWithContext(t.Context(), method, p.url+Prefix+"/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+p.tokens[appliance.Viewer])
		resp, err := p.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != code || !strings.Contains(resp.Header.Get("Allow"), "GET") {
			t.Errorf("%s: %d Allow %q", method, resp.StatusCode, resp.Header.Get("Allow"))
		}
	}
	p.must(404, "GET", "/nothing", "")
	p.must(404, "GET", "/version/", "")
	if a := p.ask(appliance.Viewer, "HEAD", "/virtual-services", ""); len(a.body) != 0 || a.etag() == "" {
		t.Errorf("HEAD: %v", a)
	}
}

func TestEveryRouteAndFieldIsDescribed(t *testing.T) {
	p := newPlace(t)
	var doc struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]struct {
			Summary     string `json:"summary"`
			OperationID string `json:"operationId"`
			Parameters  []struct {
				Description string `json:"description"`
			} `json:"parameters"`
			RequestBody *struct {
				Content map[string]struct {
					Example json.RawMessage `json:"example"`
				} `json:"content"`
			} `json:"requestBody"`
		} `json:"paths"`
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	text := p.must(200, "GET", "/openapi.json", "").body
	if err := json.Unmarshal(text, &doc); err != nil || doc.OpenAPI != "3.1.0" {
		t.Fatal(err, doc.OpenAPI)
	}
	seen := map[string]bool{}
	for _, r := range p.api.routes {
		op, described := doc.Paths[Prefix+r.Path][strings.ToLower(r.Method)]
		if !described || op.Summary == "" || op.OperationID == "" || seen[op.OperationID] {
			t.Errorf("%s %s: %+v", r.Method, r.Path, op)
		}
		seen[op.OperationID] = true
		for _, parameter := range op.Parameters {
			if parameter.Description == "" {
				t.Errorf("%s %s has a parameter without help", r.Method, r.Path)
			}
		}
		if r.Takes == nil {
			continue
		}
		for _, body := range op.RequestBody.Content {
			into := reflect.New(reflect.TypeOf(r.Takes)).Interface()
			var err error
			if r.Patch {
				err = schema.Merge(accepted(r), body.Example, into)
			} else {
				err = schema.Decode(body.Example, into)
			}
			if err != nil {
				t.Errorf("%s %s: the example %s is refused: %v", r.Method, r.Path, body.Example, err)
			}
		}
	}
	descriptions(t, "", doc.Components.Schemas, doc.Components.Schemas)
}

// accepted is an object that a patch example can be tried on.
func accepted(r route) any {
	if _, isService := r.Takes.(appliance.VirtualService); isService {
		return exampleService()
	}
	return r.Takes
}

// descriptions walks the schemas: every property has a description and every reference a schema.
func descriptions(t *testing.T, path string, v any, all map[string]any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		if name, isReference := v["$ref"].(string); isReference {
			if all[strings.TrimPrefix(name, "#/components/schemas/")] == nil {
				t.Errorf("%s: %s leads nowhere", path, name)
			}
		}
		if properties, isObject := v["properties"].(map[string]any); isObject {
			for name, property := range properties {
				if help, _ := property.(map[string]any)["description"].(string); len(help) < 5 {
					t.Errorf("%s.%s has no description", path, name)
				}
			}
		}
		for name, below := range v {
			descriptions(t, path+"."+name, below, all)
		}
	case []any:
		for _, below := range v {
			descriptions(t, path+"[]", below, all)
		}
	}
}

func TestDescribedFieldsExist(t *testing.T) {
	p := newPlace(t)
	text := string(p.api.description)
	for line := range strings.Lines(observed) {
		name, _, _ := strings.Cut(line, ":")
		owner, field, _ := strings.Cut(name, ".")
		if !strings.Contains(text, `"`+owner+`": {`) || !strings.Contains(text, `"`+field+`": {`) {
			t.Errorf("%s is described but does not exist", name)
		}
	}
}

func TestADefectInOneRequestIsAProblem(t *testing.T) {
	p := newPlace(t)
	p.api.Control = nil
	a := p.must(500, "GET", "/virtual-services", "")
	if pr := read[problem.Problem](t, a); strings.Contains(pr.Detail, "nil") {
		t.Errorf("%s", a.body)
	}
}

func TestConnectionsAreListedAndClosed(t *testing.T) {
	p := newPlace(t)
	for i := range 3 {
		p.engine.open = append(p.engine.open, appliance.Connection{
			ID: fmt.Sprintf("0-10000000%d", i), Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 7}), 50000), ServiceID: fmt.Sprint("v", i), ServerID: "s", State: "open",
		})
	}
	for query, want := range map[string]int{"": 3, "?service=v1": 1, "?client=10.0.0.0/23": 2, "?text=10.0.2": 1, "?limit=2&sort=bytes_in&reverse=true": 2, "?server=s": 3, "?offset=2": 1, "?service=none": 0} {
		a := p.must(200, "GET", "/connections"+query, "")
		if got := read[[]appliance.Connection](t, a); len(got) != want || a.header.Get("Total-Count") == "" {
			t.Errorf("%s: %d, want %d, %v", query, len(got), want, a.header)
		}
	}
	p.must(422, "GET", "/connections?sort=colour", "")
	p.must(422, "GET", "/connections?client=me", "")
	p.must(404, "DELETE", "/connections/0-7", "")
	p.must(204, "DELETE", "/connections/0-100000001?why=stuck", "")
	if len(p.engine.open) != 2 {
		t.Errorf("%d are open", len(p.engine.open))
	}
	if got := read[[]appliance.AuditEntry](t, p.must(200, "GET", "/audit?limit=1", "")); got[0].Action != "connection_close" || got[0].Subject != "0-100000001" || got[0].Origin.Why != "stuck" {
		t.Errorf("%+v", got)
	}
}
