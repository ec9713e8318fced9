package ui

import (
	"html"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"evenkeel/appliance"
)

// passiveRig is the passive node of a pair, with something on every page: services, certificates, a script, users, and revisions that were set aside.
func passiveRig(t *testing.T) (*rig, *strings.Replacer) {
	t.Helper()
	s := passiveStatus()
	f := &pairOf{status: s, events: decided()}
	r := newRig(t, rigOptions{setUp: true, pair: f})
	paint(r)
	o := appliance.Origin{Operator: "loadbalancer", Via: "webui"}
	_, err := r.control.Commit(t.Context(), o, nil, func(c *appliance.Config) error {
		c.Cluster.Scripts = append(c.Cluster.Scripts, appliance.Script{Label: "check_pacs", Body: scriptModel})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	fork := r.fork() // leaves the node passive
	kept := r.ui.Certificates
	names := strings.NewReplacer(
		":service", r.id("HL7"), ":server", r.id("HL7", "Corepoint1"), ":number", "1", ":script", r.control.Saved().Config.Cluster.Scripts[0].ID, ":user", "viola", ":token", "none", ":file", "app.css",
		":certificate", kept.Certificates()[0].ID, ":request", kept.SigningRequests()[0].ID, ":authority", kept.Authorities()[0].ID, ":fork", fork.ID,
	)
	return r, names
}

// own tells whether a form of this path changes what belongs to this node, or to the pair itself, and so works on either.
func own(path string) bool {
	for _, prefix := range []string{
		localPath, "/lbadmin/sign-out", "/lbadmin/theme", "/lbadmin/welcome", passwordsPath + "/sessions", passwordsPath + "/tokens", pairPath, heartbeatPath + "/", forkPath + "/",
		connectionsPath, "/lbadmin/commit/",
	} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return strings.HasSuffix(path, "/test") || strings.HasSuffix(path, "/check") // a probe, now
}

var (
	postForms   = regexp.MustCompile(`(?s)<form method="post" action="([^"]*)"[^>]*>(.*?)</form>`)
	switchedOff = regexp.MustCompile(`(?s)<fieldset[^>]* disabled.*?</fieldset>`)
	mainPart    = regexp.MustCompile(`(?s)<main.*</main>`)
)

// offered lists where the forms of a page go that can be sent.
func offered(body string) []string {
	var out []string
	for _, m := range postForms.FindAllStringSubmatch(switchedOff.ReplaceAllString(body, ""), -1) {
		if strings.Contains(m[2], "<button") {
			out = append(out, html.UnescapeString(m[1]))
		}
	}
	return out
}

const elsewhere = `href="https://192.168.0.11:9443/lbadmin/`

func TestEveryPageOfAPassiveNodeSaysWhereChangesAreMade(t *testing.T) {
	r, names := passiveRig(t)
	r.control.SetWriter(func() (bool, string, string) { return true, "", "" })
	people := []*http.Client{r.client, r.operator("otto", appliance.OperatorRole), r.operator("viola", appliance.Viewer)}
	roles := []appliance.Role{appliance.Administrator, appliance.OperatorRole, appliance.Viewer}
	standBy(r)
	seen := 0
	for _, route := range routes() {
		if route.method != http.MethodGet || !strings.HasPrefix(route.path, "/lbadmin/") || slices.Contains([]string{"/lbadmin/events", "/lbadmin/sign-in", "/lbadmin/setup", "/lbadmin/static/:file", logsPath + "/download"}, route.path) {
			continue
		}
		for i, c := range people {
			path := names.Replace(route.path)
			query := map[string]string{"/lbadmin/history/compare": "?from=1&to=2", "/lbadmin/servers": "?label=VNA1", "/lbadmin/search": "?q=vna"}[route.path]
			status, h, body := r.get(c, path+query)
			if status == http.StatusForbidden && roles[i] != appliance.Administrator {
				continue // TestRolesMayDoWhatTheirRoutesSay holds this
			}
			if status != http.StatusOK && (status != http.StatusConflict || !strings.Contains(body, "changed on lb1")) {
				t.Errorf("%s as %s: %d", path, roles[i], status)
			}
			if !strings.HasPrefix(h.Get("Content-Type"), "text/html") {
				continue
			}
			seen++
			if (shared(path) || status == http.StatusConflict) && !(strings.Contains(body, elsewhere) && (strings.Contains(body, "his node is Passive") || strings.Contains(body, "his node is not Active"))) {
				t.Errorf("%s as %s does not say where changes are made", path, roles[i])
			}
			for _, to := range offered(mainPart.FindString(body)) {
				if !own(to) {
					t.Errorf("%s as %s offers a form to %s", path, roles[i], to)
				}
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d pages were seen", seen)
	}
}

func TestNoFormOfAPassiveNodeChangesWhatBothHave(t *testing.T) {
	r, names := passiveRig(t)
	r.control.SetWriter(func() (bool, string, string) { return true, "", "" })
	r.operator("viola", appliance.Viewer)
	standBy(r)
	saved, running := r.control.Saved(), r.control.Running()
	r.engine.entries = []appliance.PersistenceEntry{{ServiceID: r.id("HL7"), ServerID: r.id("HL7", "Corepoint1"), Key: "192.168.0.9"}}
	tried := 0
	for _, route := range routes() {
		path := names.Replace(route.path)
		if route.method != http.MethodPost || !strings.HasPrefix(path, "/lbadmin/") || own(path) || slices.Contains([]string{"/lbadmin/setup", "/lbadmin/sign-in", "/lbadmin/sign-out"}, path) {
			continue
		}
		tried++
		status, h, body := r.post(r.client, path, "base", "none", "do", "role", "role", "operator", "name", "berta", "new", goodPassword, "again", goodPassword, "old", goodPassword, "label", "VNA1",
			"state", "drain", "sure", "yes", "weight", "7", "service", r.id("HL7"), "key", "192.168.0.9", "server", r.id("HL7", "Corepoint1"),
			"chosen", r.id("HL7")+"/"+r.id("HL7", "Corepoint1"), "names", "www.example.org", "days", "30", "vip", "192.168.0.77", "first", "192.168.0.40", "certificate", rootPEM, "bundle", rootPEM, "body", scriptModel)
		if status != http.StatusConflict {
			t.Errorf("POST %s: %d to %q", path, status, h.Get("Location"))
		} else if !strings.Contains(html.UnescapeString(body), "changed on ") || !strings.Contains(body, elsewhere) {
			t.Errorf("POST %s does not say where it is changed", path)
		}
	}
	if tried < 30 {
		t.Errorf("only %d forms were tried", tried)
	}
	if r.control.Saved().Revision != saved.Revision || r.control.Running().Revision != running.Revision {
		t.Error("something was saved or applied")
	}
	if list, err := r.store.Operators(t.Context()); err != nil || len(list) != 2 {
		t.Error(list, err)
	}
	if n := len(r.ui.Certificates.Certificates()); n != 3 || len(r.engine.entries) != 1 {
		t.Errorf("%d certificates, %d entries", n, len(r.engine.entries))
	}
}

func TestPassiveNodeAppliesItsOwnPartOnly(t *testing.T) {
	r, _ := passiveRig(t)
	commit := func(edit appliance.Edit) {
		t.Helper()
		if _, err := r.control.Commit(t.Context(), appliance.Origin{Operator: "loadbalancer"}, nil, edit); err != nil {
			t.Fatal(err)
		}
	}
	r.control.SetWriter(func() (bool, string, string) { return true, "", "" })
	commit(func(c *appliance.Config) error { c.Cluster.Settings.AllowLoopback = true; return nil })
	standBy(r)
	_, _, body := r.get(r.client, "/lbadmin/commit")
	r.has(body, "Applied on the Active node", `!id="review-apply"`)
	_, _, body = r.get(r.client, localPath)
	r.has(body, "saved, not running yet", `!id="commit-apply"`)
	commit(func(c *appliance.Config) error { c.Local.Hostname = "lb7"; return nil })
	_, _, body = r.get(r.client, localPath)
	r.has(body, "1 change saved, not running yet", `id="commit-apply"`)
	if status, _, _ := r.post(r.client, "/lbadmin/commit/apply"); status != http.StatusSeeOther {
		t.Errorf("the own part: %d", status)
	}
	if got := r.control.Running(); got.Config.Local.Hostname != "lb7" || got.Config.Cluster.Settings.AllowLoopback {
		t.Errorf("%+v", got.Config.Local)
	}
	if status, _, body := r.post(r.client, "/lbadmin/commit/apply"); status != http.StatusConflict || !strings.Contains(body, "changed on lb1") {
		t.Errorf("nothing own is left: %d", status)
	}
}

func TestWhatWasSetAsideIsSettledOnAPassiveNode(t *testing.T) {
	r, names := passiveRig(t)
	path := names.Replace(forkPath + "/:fork")
	for _, at := range []string{path, path + "/discard"} {
		_, _, body := r.get(r.client, at)
		r.has(body, "This node is Passive", "kept or discarded here", "!Read-only here", elsewhere+`history"`)
	}
	if status, _, _ := r.post(r.client, path+"/keep"); status != http.StatusSeeOther {
		t.Errorf("%d", status)
	}
	_, _, body := r.get(r.client, heartbeatPath)
	r.has(body, "Read-only here", "restarted, and its key changed, from either node")
	_, _, body = r.get(r.client, passwordsPath)
	r.has(body, "Read-only here", "sessions and API tokens are this node's own")
}
