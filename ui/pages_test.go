package ui

import (
	"context"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

var field = regexp.MustCompile(`<input[^>]*\sname="([^"]+)"[^>]*>`)

// formOf returns what a browser would send back of a page's form, as it stands.
func formOf(body string) url.Values {
	out := url.Values{}
	attribute := func(tag, name string) string {
		if m := regexp.MustCompile(`\s` + name + `="([^"]*)"`).FindStringSubmatch(tag); m != nil {
			return html.UnescapeString(m[1])
		}
		return ""
	}
	start := strings.Index(body, `<form method="post" action="/lbadmin/layer7`)
	for _, m := range field.FindAllStringSubmatch(body[start:], -1) {
		if attribute(m[0], "type") == "checkbox" && !strings.Contains(m[0], " checked") {
			continue
		}
		if _, have := out[m[1]]; !have {
			out.Set(m[1], attribute(m[0], "value"))
		}
	}
	choices := regexp.MustCompile(`(?s)<select[^>]*\sname="([^"]+)".*?</select>`)
	for _, m := range choices.FindAllStringSubmatch(body[start:], -1) {
		if o := regexp.MustCompile(`<option value="([^"]*)" selected`).FindStringSubmatch(m[0]); o != nil {
			out.Set(m[1], html.UnescapeString(o[1]))
		}
	}
	return out
}

func TestAServiceFromFourFieldsAndTwoServers(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	_, _, page := r.get(r.client, layer7+"/new")
	f := formOf(page)
	f.Set("label", "WEB")
	f.Set("address", "192.168.0.190")
	f.Set("ports", "80, 8080-8081")
	f.Set("protocol", "http")
	f.Set("real_servers[0].label", "web1")
	f.Set("real_servers[0].address", "192.168.0.61")
	f.Set("real_servers[1].address", "192.168.0.62")
	f.Set("real_servers[1].port", "8080")
	f.Set("do", "save")
	status, h, body := r.postForm(r.client, layer7+"/new", f)
	if status != http.StatusSeeOther || h.Get("Location") != layer7 {
		t.Fatalf("%d %s", status, body)
	}
	s := r.control.Saved().Config.Cluster.VirtualServices[0]
	want := appliance.NewService(appliance.HTTP)
	if s.Fallback != want.Fallback || s.Limits != want.Limits || s.Monitor != want.Monitor || s.Ports.String() != "80,8080-8081" || s.Protocol != appliance.HTTP {
		t.Errorf("the defaults of HTTP Mode are not taken: %+v", s)
	}
	if len(s.RealServers) != 2 || s.RealServers[0].Label != "web1" || s.RealServers[1].Label != "192.168.0.62" || s.RealServers[1].Port != 8080 || s.RealServers[1].Weight != 100 {
		t.Errorf("servers %+v", s.RealServers)
	}
	if _, _, overview := r.get(r.client, "/lbadmin/"); !strings.Contains(overview, "1 change saved, not running yet") || !strings.Contains(overview, "WEB is saved; Apply makes it run.") {
		t.Error("the Commit box or the message is missing")
	}
	if status, _, _ := r.post(r.client, "/lbadmin/commit/apply"); status != http.StatusSeeOther || r.control.Running().Revision.Number != 1 {
		t.Errorf("apply: %d, running %d", status, r.control.Running().Revision.Number)
	}
	_, _, page = r.get(r.client, layer7+"/"+s.ID)
	again := formOf(page)
	again.Set("do", "save")
	if status, _, _ := r.postForm(r.client, layer7+"/"+s.ID, again); status != http.StatusSeeOther || r.control.Saved().Revision.Number != 1 {
		t.Errorf("saving a form as it came: %d, revision %d: %s", status, r.control.Saved().Revision.Number, r.control.Pending().Summary())
	}
}

func TestARefusedFormKeepsWhatWasTyped(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true, suggest: func(_ context.Context, typed string) string {
		return "Did you mean 192.168.0.188 rather than " + typed + "?"
	}})
	r.fill()
	status, _, body := r.post(r.client, layer7+"/new", "do", "save", "label", "hl7", "address", "192.168.0.1888", "ports", "0", "protocol", "tcp", "scheduler", "least_connections", "mode", "load_balanced",
		"persistence.kind", "source_ip", "persistence.mask_ipv4", "40", "check.kind", "connect", "check.interval", "soon", "real_servers[0].label", "x", "real_servers[0].address", "127.0.0.1", "real_servers[0].weight", "-1")
	if status != http.StatusUnprocessableEntity {
		t.Fatalf("%d", status)
	}
	text := html.UnescapeString(body)
	for _, want := range []string{
		`value="192.168.0.1888"`, "Did you mean 192.168.0.188 rather than 192.168.0.1888?", "There is already a service named hl7", "Port 0 does not exist", "This must be 1 to 32", `"soon" is not a time`, `value="soon"`,
		"127.0.0.1 is this appliance itself", "The weight is 0 to 1000", `id="section-check"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if !regexp.MustCompile(`<details[^>]* open[^>]*id="section-check"`).MatchString(body) {
		t.Error("the section with an error is closed")
	}
}

func TestTwoAdministratorsOnOneService(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.fill()
	path := layer7 + "/" + r.id("HL7")
	_, _, page := r.get(r.client, path)
	mine := formOf(page)
	if _, err := r.control.Commit(t.Context(), appliance.Origin{Operator: "anna", Via: "webui"}, nil, func(c *appliance.Config) error {
		c.Cluster.Service(r.id("HL7")).Limits.MaxConnections = 77
		c.Cluster.Service(r.id("DMWL")).Limits.MaxConnections = 55
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	mine.Set("limits.max_connections", "99")
	mine.Set("do", "save")
	status, _, body := r.postForm(r.client, path, mine)
	if status != http.StatusConflict || !strings.Contains(body, "anna changed this meanwhile") || !strings.Contains(body, `value="99"`) || !strings.Contains(body, ">77<") || !strings.Contains(body, "Take theirs") {
		t.Fatalf("%d", status)
	}
	kept := formOf(body)
	kept.Set("do", "save")
	if status, _, _ := r.postForm(r.client, path, kept); status != http.StatusConflict {
		t.Errorf("saving again without deciding: %d", status)
	}
	kept.Set("do", "overwrite")
	if status, _, _ := r.postForm(r.client, path, kept); status != http.StatusSeeOther {
		t.Errorf("overwrite: %d", status)
	}
	saved := r.control.Saved().Config.Cluster
	if saved.Service(r.id("HL7")).Limits.MaxConnections != 99 || saved.Service(r.id("DMWL")).Limits.MaxConnections != 55 {
		t.Error("the overwritten service or the other one is wrong")
	}
}

func TestCheckNowAsksOnlyWhatMayBeSaved(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	status, _, body := r.post(r.client, layer7+"/new", "do", "check", "label", "A", "address", "192.168.0.200", "ports", "104", "protocol", "tcp", "check.kind", "dicom_echo", "persistence.kind", "none",
		"scheduler", "least_connections", "mode", "load_balanced",
		"real_servers[0].label", "good", "real_servers[0].address", "192.168.0.40", "real_servers[1].label", "bad", "real_servers[1].address", "192.168.0.42",
		"real_servers[2].label", "own", "real_servers[2].address", "127.0.0.1", "real_servers[3].label", "meta", "real_servers[3].address", "169.254.169.254")
	if status != http.StatusOK || !strings.Contains(body, "C-ECHO answered in 8 ms.") || !strings.Contains(body, "called AE title not recognised") || strings.Count(body, "not asked") != 2 {
		t.Errorf("%d %d", status, strings.Count(body, "not asked"))
	}
	if len(r.engine.tested) != 2 {
		t.Errorf("%d servers were asked", len(r.engine.tested))
	}
	if r.control.Saved().Revision.Number != 0 {
		t.Error("a check saved something")
	}
}

func TestRowsWithoutAScript(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	typed := []string{"label", "A", "real_servers[0].label", "one", "real_servers[1].label", "two", "do"}
	order := func(do string) []string {
		_, _, body := r.post(r.client, layer7+"/new", append(typed, do)...)
		var out []string
		for _, m := range regexp.MustCompile(`name="real_servers\[\d+\]\.label" value="([^"]*)"`).FindAllStringSubmatch(body, -1) {
			out = append(out, m[1])
		}
		return out
	}
	for do, want := range map[string]string{"add": "one two ", "remove-0": "two", "remove-9": "one two", "up-1": "two one", "up-0": "one two", "up-x": "one two"} {
		if got := strings.Join(order(do), " "); got != want {
			t.Errorf("%s: %q", do, got)
		}
	}
}

func TestActionsOnALiveServer(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	paint(r)
	service, server := r.id("HL7"), r.id("HL7", "Corepoint1")
	path := serverPath(service, server)
	state := func() appliance.RealServer {
		running := r.control.Running().Config.Cluster
		return *running.Service(service).Server(server)
	}
	if _, _, body := r.get(r.client, path+"/halt"); !strings.Contains(body, "23 open connections end at once (FIN).") || !strings.Contains(body, "No other server of HL7 is up and online") {
		t.Error("the confirmation does not name what a halt ends")
	}
	if r.post(r.client, path+"/drain", "sure", "yes"); state().State != appliance.Drain {
		t.Error("not drained")
	}
	if _, _, body := r.get(r.client, "/lbadmin/"); !strings.Contains(body, "23 connections left, oldest") || !strings.Contains(body, "12 persistence entries") {
		t.Error("a draining server does not say what is left")
	}
	r.engine.see(server, func(s *appliance.ServerStatus) { s.Connections = 0 })
	if _, _, body := r.get(r.client, "/lbadmin/"); !strings.Contains(body, "safe to power off") {
		t.Error("an empty server is not safe to power off")
	}
	r.post(r.client, path+"/online")
	r.post(r.client, path+"/weight", "weight", " 30 ")
	if s := state(); s.State != appliance.Online || s.Weight != 30 {
		t.Errorf("%+v", s)
	}
	for _, bad := range []string{"", "-1", "1001", "1e3", "NaN", "99999999999999999999"} {
		if status, _, _ := r.post(r.client, path+"/weight", "weight", bad); status != http.StatusSeeOther || state().Weight != 30 {
			t.Errorf("weight %q: %d, %d", bad, status, state().Weight)
		}
	}
	if status, _, body := r.post(r.client, path+"/test"); status != http.StatusOK || !strings.Contains(body, "C-ECHO-RSP 0000") || !strings.Contains(body, "C-ECHO answered in 8 ms.") {
		t.Errorf("test with a transcript: %d", status)
	}
	if r.post(r.client, path+"/check"); len(r.engine.checked) != 1 {
		t.Error("not checked")
	}
	if plan := r.control.Pending(); len(plan.Changes) != 2 {
		t.Errorf("actions touched what was saved and not applied: %s", plan.Summary())
	}
	if r.post(r.client, "/lbadmin/servers", "label", "VNA2", "state", "halt", "sure", "yes"); r.control.Running().Config.Cluster.VirtualServices[0].RealServers[1].State != appliance.Halt ||
		r.control.Running().Config.Cluster.VirtualServices[2].RealServers[1].State != appliance.Halt {
		t.Error("one label on all services")
	}
	for _, gone := range []string{serverPath("none", "none"), serverPath(service, "none"), serverPath(service, r.id("DMWL", "VNA1"))} {
		if status, _, _ := r.post(r.client, gone+"/halt"); status != http.StatusNotFound {
			t.Errorf("%s: %d", gone, status)
		}
	}
}

func TestTheSameIsDoneToManyServersAtOnce(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	paint(r)
	first, second := r.id("HL7")+"/"+r.id("HL7", "Corepoint1"), r.id("DMWL")+"/"+r.id("DMWL", "VNA1")
	states := func() string {
		running := r.control.Running().Config.Cluster
		return string(running.Service(r.id("HL7")).Server(r.id("HL7", "Corepoint1")).State + " " + running.Service(r.id("DMWL")).Server(r.id("DMWL", "VNA1")).State)
	}
	const path = "/lbadmin/servers/chosen"
	if _, _, body := r.get(r.client, "/lbadmin/"); !strings.Contains(body, `form="chosen" name="server" value="`+first+`"`) {
		t.Error("the overview has nothing to tick")
	}
	before := r.control.Running().Revision.Number
	if status, h, _ := r.post(r.client, path, "do", "drain", "sure", "yes", "back", "/lbadmin/?show=layer7", "server", first, "server", second, "server", first); status != http.StatusSeeOther || h.Get("Location") != "/lbadmin/?show=layer7" || states() != "drain drain" {
		t.Errorf("drain: %d, %s", status, states())
	}
	if made := r.control.Running().Revision.Number - before; made > 2 {
		t.Errorf("one action on two servers made %d revisions", made)
	}
	if _, _, body := r.get(r.client, "/lbadmin/"); !strings.Contains(body, "Now draining: Corepoint1 of HL7, VNA1 of DMWL.") && !strings.Contains(body, "Now draining: VNA1 of DMWL, Corepoint1 of HL7.") {
		t.Error("what was done is not said")
	}
	r.post(r.client, path, "do", "online", "server", first, "server", second)
	status, _, body := r.post(r.client, path, "do", "halt", "server", first, "server", second)
	if status != http.StatusOK || states() != "online online" || !strings.Contains(body, "103 open connections end at once (FIN).") || !strings.Contains(body, "No other server is up and online for HL7:") || strings.Contains(body, "for HL7, DMWL") {
		t.Errorf("the halt of many is not asked about: %d, %s", status, states())
	}
	if status, _, _ := r.post(r.client, path, "do", "halt", "sure", "yes", "server", first, "server", second); status != http.StatusSeeOther || states() != "halt halt" {
		t.Errorf("halt: %d, %s", status, states())
	}
	for _, bad := range []string{"", "/", "none/none", r.id("HL7") + "/" + r.id("DMWL", "VNA1")} {
		if status, _, _ := r.post(r.client, path, "do", "online", "server", first, "server", bad); status != http.StatusNotFound || states() != "halt halt" {
			t.Errorf("server %q: %d, %s", bad, status, states())
		}
	}
	if status, _, _ := r.post(r.client, path, "do", "online"); status != http.StatusSeeOther {
		t.Errorf("none ticked: %d", status)
	}
	if _, _, body := r.get(r.operator("viola", appliance.Viewer), "/lbadmin/"); strings.Contains(body, `form="chosen"`) || strings.Contains(body, `id="chosen"`) {
		t.Error("a viewer can tick servers")
	}
}

func TestADrainWithATimeLimitFromThePages(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	paint(r)
	path := serverPath(r.id("HL7"), r.id("HL7", "Corepoint1"))
	server := func() appliance.RealServer {
		running := r.control.Running().Config.Cluster
		return *running.Service(r.id("HL7")).Server(r.id("HL7", "Corepoint1"))
	}
	if _, _, body := r.get(r.client, path); !strings.Contains(body, "Drain, and halt after") {
		t.Error("the page does not offer a time limit")
	}
	for _, bad := range []string{"", "soon", "-5 m", "0", "999999 h", "<b>", "31 d"} {
		if status, _, body := r.post(r.client, path+"/drain", "sure", "yes", "back", "server", "limit", bad); status != http.StatusUnprocessableEntity || !strings.Contains(body, `name="limit" value="`+html.EscapeString(bad)+`"`) ||
			!strings.Contains(body, `<p class="err" role="alert">`) || server().State != appliance.Online {
			t.Errorf("limit %q: %d, %s", bad, status, server().State)
		}
		if status, _, body := r.post(r.client, "/lbadmin/servers", "label", "Corepoint1", "state", "drain", "limit", bad); status != http.StatusUnprocessableEntity || !strings.Contains(body, `<p class="err" role="alert">`) {
			t.Errorf("limit %q on all services: %d", bad, status)
		}
	}
	status, h, _ := r.post(r.client, path+"/drain", "sure", "yes", "back", "server", "limit", " 30 m ")
	if left := time.Until(server().DrainUntil); status != http.StatusSeeOther || h.Get("Location") != path || server().State != appliance.Drain || left < 29*time.Minute || left > 30*time.Minute {
		t.Errorf("%d, %s until %s", status, server().State, server().DrainUntil)
	}
	for _, page := range []string{"/lbadmin/", path, "/lbadmin/servers?label=Corepoint1"} {
		if _, _, body := r.get(r.client, page); !regexp.MustCompile(`halted at\s+<time datetime="` + server().DrainUntil.Format(time.RFC3339)).MatchString(body) {
			t.Errorf("%s does not say until when", page)
		}
	}
	r.engine.see(r.id("HL7", "Corepoint1"), func(s *appliance.ServerStatus) { s.Connections = 0 })
	if _, _, body := r.get(r.client, path); !strings.Contains(body, "safe to power off") || strings.Contains(body, "halted at") {
		t.Error("an empty server is not safe to power off")
	}
	if r.post(r.client, path+"/drain", "sure", "yes", "back", "server"); !server().DrainUntil.IsZero() {
		t.Error("a drain without a limit keeps the old one")
	}
}

func TestTextStaysText(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.fill()
	const evil = `"><img src=x onerror=alert(1)><script>alert(1)</script>'{{7*7}}`
	server := r.id("HL7", "Corepoint2")
	r.engine.see(server, func(s *appliance.ServerStatus) {
		s.Check.Health, s.Check.Sentence = appliance.Down, evil
		for i := range s.Check.Probes {
			s.Check.Probes[i].Sentence = evil
		}
		s.Check.Changes = []appliance.HealthChange{{Health: appliance.Down, Sentence: evil}}
	})
	bodies := map[string]string{}
	for _, path := range []string{"/lbadmin/", serverPath(r.id("HL7"), server), "/lbadmin/search?q=" + url.QueryEscape(evil), "/lbadmin/search?part=1&q=" + url.QueryEscape(evil), "/lbadmin/?q=" + url.QueryEscape(evil), "/lbadmin/reports/persistence?q=" + url.QueryEscape(evil)} {
		_, _, bodies[path] = r.get(r.client, path)
	}
	_, _, bodies["form"] = r.post(r.client, layer7+"/new", "do", "save", "label", evil, "address", evil, "ports", evil, "check.kind", evil, "real_servers[0].label", evil, "real_servers[0].address", evil)
	_, _, bodies["wizard"] = r.post(r.client, "/lbadmin/wizard/imaging", "vip", evil, "first", evil, "called", evil)
	_, _, bodies["sign-in"] = r.post(r.browser(), "/lbadmin/sign-in", "name", evil, "password", "x", "then", "https://evil.example/"+evil)
	for where, body := range bodies {
		if strings.Contains(body, "<img") || strings.Contains(body, "<script>") || strings.Contains(body, "https://evil.example") {
			t.Errorf("%s: markup comes out alive", where)
		}
	}
}

func TestWizardChecksReviewsAndCreates(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	if status, _, body := r.post(r.client, "/lbadmin/wizard/imaging", "vip", "192.168.0.1888", "first", "a server", "do", "check"); status != http.StatusUnprocessableEntity || strings.Count(body, `class="err"`) != 2 {
		t.Errorf("bad addresses: %d, %d errors", status, strings.Count(body, `class="err"`))
	}
	typed := []string{"vip", "192.168.0.201", "first", "192.168.0.40", "second", "192.168.0.42", "called", "VNA", "do"}
	status, _, body := r.post(r.client, "/lbadmin/wizard/imaging", append(typed, "check")...)
	if status != http.StatusOK || strings.Count(body, "C-ECHO answered in 8 ms.") != 3 || !strings.Contains(body, "Not every server answers") || len(r.engine.tested) != 6 {
		t.Fatalf("check: %d, %d asked", status, len(r.engine.tested))
	}
	if r.control.Saved().Revision.Number != 0 {
		t.Error("the review created something")
	}
	if status, _, body := r.post(r.client, "/lbadmin/wizard/imaging", append(typed, "create")...); status != http.StatusSeeOther {
		t.Fatalf("create: %d %s", status, body)
	}
	running := r.control.Running().Config.Cluster
	if len(running.VirtualServices) != 3 {
		t.Fatalf("%d services run", len(running.VirtualServices))
	}
	for _, s := range running.VirtualServices {
		if s.Persistence.Kind != appliance.PersistSourceIP || len(s.RealServers) != 2 || s.Monitor.Kind == appliance.MonitorDICOM && s.Monitor.DICOM.Called != "VNA" {
			t.Errorf("%+v", s)
		}
	}
}

func TestHistoryComparesAndGoesBack(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	paint(r)
	if _, _, body := r.get(r.client, "/lbadmin/history/compare?from=3&to=1"); !strings.Contains(body, ">50<") || !strings.Contains(body, "Revision 1 compared with 3") {
		t.Error("compare")
	}
	if status, _, _ := r.post(r.client, "/lbadmin/history/1/rollback"); status != http.StatusSeeOther || r.control.Saved().Revision.Number != 4 || r.control.Running().Revision.Number != 2 {
		t.Errorf("rollback: %d", status)
	}
	for _, path := range []string{"/lbadmin/history/0", "/lbadmin/history/-1", "/lbadmin/history/999", "/lbadmin/history/99999999999999999999", "/lbadmin/history/compare?from=1&to=x", layer7 + "/none"} {
		if status, _, _ := r.get(r.client, path); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
}

func TestARefusedApplyIsSaidAndNothingElseHappens(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	paint(r)
	r.engine.refuse = &appliance.Error{Kind: appliance.Conflict, Message: "Port 5104 on 192.168.0.184 is taken by another program."}
	if status, h, _ := r.post(r.client, "/lbadmin/commit/apply"); status != http.StatusSeeOther || h.Get("Location") != "/lbadmin/commit" {
		t.Errorf("%d %s", status, h.Get("Location"))
	}
	if _, _, body := r.get(r.client, "/lbadmin/commit"); !strings.Contains(body, "Not applied: Port 5104") {
		t.Error("the reason is not said")
	}
	if _, _, body := r.get(r.client, "/lbadmin/"); !strings.Contains(body, "The last attempt was refused") {
		t.Error("the Commit box forgets that it was refused")
	}
}

func TestDrainingTheLastServerThatServesIsAskedAbout(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.fill()
	first, last := serverPath(r.id("HL7"), r.id("HL7", "Corepoint1")), serverPath(r.id("HL7"), r.id("HL7", "Corepoint2"))
	state := func() appliance.State {
		cluster := r.control.Running().Config.Cluster
		return cluster.Service(r.id("HL7")).Server(r.id("HL7", "Corepoint2")).State
	}
	if status, _, _ := r.post(r.client, first+"/drain"); status != http.StatusSeeOther {
		t.Fatalf("one of two: %d", status)
	}
	for _, limit := range [][]string{nil, {"limit", "30 m"}} {
		status, _, body := r.post(r.client, last+"/drain", limit...)
		if status != http.StatusOK || !strings.Contains(body, "No other server of HL7 is up and online") || !strings.Contains(body, `name="sure"`) || strings.Contains(body, `name="limit"`) != (limit != nil) || state() != appliance.Online {
			t.Errorf("the last one, %v: %d", limit, status)
		}
	}
	if status, _, _ := r.post(r.client, last+"/drain", "sure", "yes"); status != http.StatusSeeOther || state() != appliance.Drain {
		t.Errorf("after the question: %d, %s", status, state())
	}
}

func TestALabelOnAllServicesIsLiveAndItsHaltIsAskedAbout(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.fill()
	const path = "/lbadmin/servers?label=VNA1"
	_, _, page := r.get(r.client, path)
	if !strings.Contains(page, "on=label") || !strings.Contains(page, `data-live="label-facts"`) || !strings.Contains(page, "2 of 2 services still use it") {
		t.Error("the page is not live, or says nothing of its use")
	}
	lines, cancel := r.stream(r.client, "/lbadmin/events?on=label&label=VNA1")
	defer cancel()
	await(t, lines, "label-rows")
	r.engine.see(r.id("DMWL", "VNA1"), func(s *appliance.ServerStatus) { s.Connections = 4711 })
	await(t, lines, "4711")
	status, _, body := r.post(r.client, "/lbadmin/servers", "label", "VNA1", "state", "halt")
	cluster := r.control.Running().Config.Cluster
	if status != http.StatusOK || !strings.Contains(body, "Halt 2 real servers?") || cluster.Service(r.id("DMWL")).Server(r.id("DMWL", "VNA1")).State != appliance.Online {
		t.Errorf("halt everywhere: %d", status)
	}
}

func TestOwnPasswordAndUsers(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	if status, _, body := r.post(r.client, "/lbadmin/passwords/own", "old", goodPassword, "new", goodPassword+"!", "again", goodPassword+"?"); status != http.StatusUnprocessableEntity || !strings.Contains(body, "The two passwords differ.") {
		t.Errorf("two passwords that differ: %d", status)
	}
	if status, _, body := r.post(r.client, "/lbadmin/passwords/own", "old", "wrong", "new", goodPassword+"!", "again", goodPassword+"!"); status != http.StatusUnprocessableEntity || !strings.Contains(body, "not your password") {
		t.Errorf("wrong old password: %d", status)
	}
	if status, _, _ := r.post(r.client, "/lbadmin/passwords/users", "name", "viola", "role", "viewer", "new", goodPassword); status != http.StatusSeeOther {
		t.Errorf("add user: %d", status)
	}
	viola := r.browser()
	r.signIn(viola, "viola")
	if _, _, body := r.get(viola, "/lbadmin/passwords"); strings.Contains(body, "Add a user") {
		t.Error("a viewer sees the users")
	}
	if status, _, _ := r.post(r.client, "/lbadmin/passwords/users/viola", "do", "role", "role", "operator"); status != http.StatusSeeOther {
		t.Errorf("role: %d", status)
	}
	if status, _, _ := r.get(viola, "/lbadmin/"); status != http.StatusFound {
		t.Errorf("the session outlives a change of role: %d", status)
	}
	if status, _, _ := r.post(r.client, "/lbadmin/passwords/users/loadbalancer", "do", "delete"); status != http.StatusConflict {
		t.Errorf("deleting oneself: %d", status)
	}
	status, _, body := r.post(r.client, "/lbadmin/passwords/tokens", "label", "monitoring", "role", "viewer", "days", "30")
	if m := regexp.MustCompile(`evk_[A-Za-z0-9_-]{43}`).FindString(body); status != http.StatusOK || m == "" {
		t.Errorf("token: %d", status)
	}
	if status, h, _ := r.post(r.client, "/lbadmin/passwords/own", "old", goodPassword, "new", goodPassword+"!", "again", goodPassword+"!"); status != http.StatusSeeOther || h.Get("Location") != "/lbadmin/sign-in?note=password" {
		t.Errorf("change: %d", status)
	}
	if status, _, _ := r.get(r.client, "/lbadmin/"); status != http.StatusFound {
		t.Error("the session outlives a change of password")
	}
}

func TestOwnSessionsAreShownAndEnded(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	viola := r.operator("viola", appliance.Viewer)
	second, third := r.browser(), r.browser()
	r.signIn(second, "loadbalancer")
	r.signIn(third, "loadbalancer")
	sessions := func() []string {
		_, _, body := r.get(r.client, "/lbadmin/passwords")
		var out []string
		for _, m := range regexp.MustCompile(`name="session" value="([^"]+)"`).FindAllStringSubmatch(body, -1) {
			out = append(out, m[1])
		}
		return out
	}
	others := sessions()
	if len(others) != 2 {
		t.Fatalf("%d other sessions", len(others))
	}
	if status, _, _ := r.post(viola, "/lbadmin/passwords/sessions", "session", others[0]); status != http.StatusNotFound || len(sessions()) != 2 {
		t.Errorf("the session of somebody else: %d", status)
	}
	if status, _, _ := r.post(r.client, "/lbadmin/passwords/sessions", "session", others[0]); status != http.StatusSeeOther || len(sessions()) != 1 || sessions()[0] != others[1] {
		t.Errorf("end of one: %d", status)
	}
	if status, _, _ := r.post(r.client, "/lbadmin/passwords/sessions", "do", "others"); status != http.StatusSeeOther || len(sessions()) != 0 {
		t.Errorf("end of all others: %d", status)
	}
	for _, c := range []*http.Client{second, third} {
		if status, _, _ := r.get(c, "/lbadmin/"); status != http.StatusFound {
			t.Errorf("an ended session still opens the WebUI: %d", status)
		}
	}
	for _, c := range []*http.Client{r.client, viola} {
		if status, _, _ := r.get(c, "/lbadmin/"); status != http.StatusOK {
			t.Errorf("a session ended that should not: %d", status)
		}
	}
}

func TestWhatApplyingDoesToConnections(t *testing.T) {
	status := appliance.Status{Services: []appliance.ServiceStatus{
		{ID: "a", Connections: 212, Servers: []appliance.ServerStatus{{ID: "a1", Connections: 118}, {ID: "a2", Connections: 94}}},
		{ID: "b", Connections: 23, Servers: []appliance.ServerStatus{{ID: "b1", Connections: 23}}},
	}}
	change := func(object, id, label, service string, e appliance.Effect) appliance.Change {
		return appliance.Change{Object: object, ID: id, Label: label, Service: service, Of: "A", Action: appliance.Changed, Effect: e}
	}
	for want, changes := range map[string][]appliance.Change{
		"Applying keeps all 235 connections.":                                                    {change("virtual_service", "a", "A", "", appliance.Keeps)},
		"Applying ends 23 connections (B); the other 212 stay.":                                  {change("virtual_service", "b", "B", "", appliance.Ends)},
		"Applying ends 94 connections (A on A2); the other 141 stay.":                            {change("real_server", "a2", "A2", "a", appliance.Ends)},
		"Applying ends 212 connections (A); the other 23 stay.":                                  {change("virtual_service", "a", "A", "", appliance.Ends), change("real_server", "a2", "A2", "a", appliance.Ends)},
		"Applying keeps all 235 connections. 94 of them are on servers that get no new clients.": {change("real_server", "a2", "A2", "a", appliance.Drains)},
		"Applying ends 235 connections (A, B).":                                                  {change("virtual_service", "a", "A", "", appliance.Ends), change("virtual_service", "b", "B", "", appliance.Ends)},
	} {
		if got, _ := effectOf(appliance.Plan{Changes: changes}, status); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	if got := effectSentence(0, 0, 0, []string{"HL7"}); got != "Applying ends the connections of HL7; none is open now." {
		t.Error(got)
	}
	if got, _ := effectOf(appliance.Plan{}, appliance.Status{}); got != "No connection is open now." {
		t.Error(got)
	}
}

func TestFilterAndSortOfTheOverview(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	paint(r)
	order := func(query string) string {
		_, _, body := r.get(r.client, "/lbadmin/?"+query)
		var out []string
		for _, m := range regexp.MustCompile(`data-name="([^"]*)"`).FindAllStringSubmatch(body, -1) {
			out = append(out, m[1])
		}
		return strings.Join(out, " ")
	}
	for query, want := range map[string]string{
		"": "DMWL HL7 VNA_DICOM", "show=problems": "HL7", "show=layer4": "", "show=layer7": "DMWL HL7 VNA_DICOM", "sort=conns&dir=desc": "VNA_DICOM DMWL HL7", "sort=ip": "DMWL VNA_DICOM HL7",
		"sort=state": "HL7 DMWL VNA_DICOM", "sort=ports&dir=desc": "VNA_DICOM HL7 DMWL", "q=corepoint2": "HL7", "q=192.168.0.40": "DMWL VNA_DICOM", "q=nothing": "", "sort=evil&show=evil&from=-5": "DMWL HL7 VNA_DICOM",
	} {
		if got := order(query); got != want {
			t.Errorf("%s: %q", query, got)
		}
	}
}

func TestDrainingTheLastServersOfAServiceIsAskedAbout(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	paint(r)
	list := r.control.Saved().Config.Cluster.VirtualServices[0].RealServers
	state := func() (out string) {
		for _, s := range r.control.Running().Config.Cluster.VirtualServices[0].RealServers {
			out += string(s.State) + " "
		}
		return strings.TrimSpace(out)
	}
	if r.control.Running().Config.Cluster.VirtualServices[0].Label != "DMWL" {
		t.Fatal("another service")
	}
	const path, warning = "/lbadmin/servers/chosen", "No other server is up and online for DMWL:"
	form := []string{"do", "drain"}
	for _, s := range list {
		form = append(form, "server", r.id("DMWL")+"/"+s.ID)
	}
	before := state()
	if status, _, body := r.post(r.client, path, form[:4]...); status != http.StatusSeeOther || strings.Contains(body, warning) {
		t.Errorf("one of several is asked about: %d", status)
	}
	r.post(r.client, path, "do", "online", "server", r.id("DMWL")+"/"+list[0].ID)
	if status, _, body := r.post(r.client, path, form...); status != http.StatusOK || !strings.Contains(body, warning) || state() != before {
		t.Errorf("draining all is not asked about: %d, %s", status, state())
	}
	if status, _, _ := r.post(r.client, path, append(form, "sure", "yes")...); status != http.StatusSeeOther || strings.Contains(state(), "online") {
		t.Errorf("drain: %d, %s", status, state())
	}
	const everywhere = "/lbadmin/servers"
	if status, _, body := r.post(r.client, everywhere, "label", "VNA1", "state", "drain", "limit", "30m"); status != http.StatusOK || !strings.Contains(body, "up and online for VNA_DICOM:") || !strings.Contains(body, `name="limit" value="30m"`) {
		t.Errorf("draining a label everywhere is not asked about: %d", status)
	}
	if status, _, _ := r.post(r.client, everywhere, "label", "VNA1", "state", "drain", "limit", "30m", "sure", "yes"); status != http.StatusSeeOther {
		t.Errorf("drain everywhere: %d", status)
	}
}
