package ui

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"evenkeel/appliance"
	"evenkeel/ui/signin"
)

// concrete puts real names into a route's path.
func (r *rig) concrete(path string) string {
	return strings.NewReplacer(":service", r.id("VNA_DICOM"), ":server", r.id("VNA_DICOM", "VNA1"), ":number", "1", ":script", "none", ":user", "viola", ":token", "none", ":file", "x.css", ":certificate", "none", ":request", "none", ":authority", "none").Replace(path)
}

func TestEveryRouteNeedsASession(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.fill()
	stranger := r.browser()
	for _, route := range routes() {
		if route.access == anyone || route.access == setupOnly {
			continue
		}
		if route.access != viewer && route.access != operator && route.access != admin {
			t.Errorf("%s has the access %q", route.path, route.access)
		}
		path := r.concrete(route.path)
		for _, method := range []string{http.MethodOptions, http.MethodPut, http.MethodDelete} {
			req, _ := http.NewRequestWithContext(t.Context(), method, r.base+path, nil)
			if status, h, _ := r.do(stranger, req); status != http.StatusUnauthorized || h.Get("Allow") != "" {
				t.Errorf("%s %s: %d, allowed %q", method, path, status, h.Get("Allow"))
			}
		}
		if route.method == http.MethodPost {
			status, h, _ := r.post(stranger, path, "do", "save")
			if status != http.StatusSeeOther || h.Get("Location") != "/lbadmin/sign-in" {
				t.Errorf("POST %s: %d to %q", path, status, h.Get("Location"))
			}
			continue
		}
		status, h, body := r.get(stranger, path)
		if status != http.StatusFound || !strings.HasPrefix(h.Get("Location"), "/lbadmin/sign-in?then=") || strings.Contains(body, "VNA") {
			t.Errorf("GET %s: %d to %q", path, status, h.Get("Location"))
		}
	}
	if n := r.control.Saved().Revision.Number; n != 1 {
		t.Errorf("strangers made revision %d", n)
	}
}

func TestRolesMayDoWhatTheirRoutesSay(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.fill()
	people := map[appliance.Role]*http.Client{appliance.Viewer: r.operator("viola", appliance.Viewer), appliance.OperatorRole: r.operator("otto", appliance.OperatorRole)}
	for role, c := range people {
		for _, route := range routes() {
			if route.access == anyone || route.access == setupOnly || signin.Allows(role, appliance.Role(route.access)) {
				continue
			}
			status := 0
			if route.method == http.MethodPost {
				status, _, _ = r.post(c, r.concrete(route.path), "do", "save", "state", "halt", "weight", "1")
			} else {
				status, _, _ = r.get(c, r.concrete(route.path))
			}
			if status != http.StatusForbidden {
				t.Errorf("%s %s as %s: %d", route.method, route.path, role, status)
			}
		}
	}
	entries, err := r.store.AuditEntries(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	refused := map[string]bool{}
	for _, e := range entries {
		if e.Outcome == "refused" {
			refused[e.Origin.Operator+" "+e.Subject] = e.Origin.From.IsLoopback() && e.Detail != ""
		}
	}
	for _, want := range []string{"viola POST " + serverPath(r.id("VNA_DICOM"), r.id("VNA_DICOM", "VNA1")) + "/halt", "otto POST /lbadmin/commit/apply", "otto GET /lbadmin/wizard"} {
		if !refused[want] {
			t.Errorf("the audit does not say %q", want)
		}
	}
	if refused["otto POST "+serverPath(r.id("VNA_DICOM"), r.id("VNA_DICOM", "VNA1"))+"/halt"] {
		t.Error("what was allowed is said to be refused")
	}
	if n := r.control.Saved().Revision.Number; n != 1 {
		t.Errorf("somebody without the right made revision %d", n)
	}
	if status, _, _ := r.post(people[appliance.OperatorRole], serverPath(r.id("HL7"), r.id("HL7", "Corepoint1"))+"/drain"); status != http.StatusSeeOther {
		t.Errorf("an operator drains: %d", status)
	}
}

var (
	links  = regexp.MustCompile(`(?:href|action|src)="(/[^"]*)"`)
	inline = regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script(?:>|\s[^>]*>[^<])|javascript:`)
)

// TestNoLinkIsDeadAndNoPageHasInlineCode walks through every page that an administrator can reach.
func TestNoLinkIsDeadAndNoPageHasInlineCode(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	paint(r)
	known := map[string]bool{}
	todo := []string{"/lbadmin/", "/lbadmin/search?q=vna", "/lbadmin/history/compare?from=1&to=3", "/lbadmin/servers?label=VNA1"}
	seen := map[string]bool{}
	for len(todo) > 0 && len(seen) < 400 {
		path := todo[0]
		todo = todo[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		status, h, body := r.get(r.client, path)
		if status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
		if !strings.HasPrefix(h.Get("Content-Type"), "text/html") {
			continue
		}
		if bad := inline.FindString(body); bad != "" {
			t.Errorf("%s holds inline code: %q", path, bad)
		}
		for _, m := range links.FindAllStringSubmatch(body, -1) {
			to := strings.ReplaceAll(m[1], "&amp;", "&")
			if strings.Contains(m[0], "action=") {
				known[to] = true
			} else if !strings.HasPrefix(to, "/lbadmin/events") {
				todo = append(todo, to)
			}
		}
	}
	if len(seen) < 30 {
		t.Errorf("only %d pages were found", len(seen))
	}
	for path := range known {
		if !posted(path) {
			t.Errorf("a form goes to %s, where nothing takes it", path)
		}
	}
}

// posted tells whether a route takes forms at the path.
func posted(path string) bool {
	u, _ := url.Parse(path)
	for _, r := range routes() {
		pattern := "^" + regexp.MustCompile(`:[a-z]+`).ReplaceAllString(regexp.QuoteMeta(r.path), `[^/]+`) + "$"
		if (r.method == http.MethodPost || path == "/lbadmin/search" || path == "/lbadmin/history/compare") && regexp.MustCompile(pattern).MatchString(u.Path) {
			return true
		}
	}
	return false
}

func TestBeforeTheFirstPasswordOnlyTheSetupAnswers(t *testing.T) {
	asked := 0
	r := newRig(t, rigOptions{api: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ })})
	c := r.browser()
	for _, path := range []string{"/", "/lbadmin/", "/lbadmin/sign-in", "/lbadmin/layer7", "/lbadmin/configuration/download", "/lbadmin/events"} {
		if status, h, _ := r.get(c, path); status != http.StatusSeeOther || h.Get("Location") != "/lbadmin/setup" {
			t.Errorf("%s: %d to %q", path, status, h.Get("Location"))
		}
	}
	if status, _, _ := r.get(c, "/lbadmin/api/v1/status"); status != http.StatusUnauthorized || asked != 0 {
		t.Errorf("the API answers before the setup: %d", status)
	}
	if status, _, body := r.post(c, "/lbadmin/setup", "code", "AAAA-BBBB-CCCC", "new", goodPassword, "again", goodPassword); status != http.StatusForbidden || !strings.Contains(body, "not the setup code") {
		t.Errorf("wrong code: %d", status)
	}
	if status, _, body := r.post(c, "/lbadmin/setup", "code", r.code); status != http.StatusOK || !strings.Contains(body, `name="again"`) {
		t.Errorf("right code: %d", status)
	}
	if status, _, body := r.post(c, "/lbadmin/setup", "code", r.code, "new", "password1234", "again", "password1234"); status != http.StatusUnprocessableEntity || !strings.Contains(body, "common one") {
		t.Errorf("common password: %d", status)
	}
	if status, h, _ := r.post(c, "/lbadmin/setup", "code", r.code, "new", goodPassword, "again", goodPassword); status != http.StatusSeeOther || h.Get("Location") != "/lbadmin/" {
		t.Fatalf("setup: %d", status)
	}
	if status, _, body := r.get(c, "/lbadmin/"); status != http.StatusOK || !strings.Contains(body, "Run the Setup Wizard?") {
		t.Errorf("signed in after the setup: %d", status)
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		status := 0
		if method == http.MethodGet {
			status, _, _ = r.get(r.browser(), "/lbadmin/setup")
		} else {
			status, _, _ = r.post(r.browser(), "/lbadmin/setup", "code", r.code, "new", goodPassword, "again", goodPassword)
		}
		if status != http.StatusNotFound {
			t.Errorf("%s of the setup afterwards: %d", method, status)
		}
	}
	if status, _, _ := r.get(c, "/lbadmin/api/v1/status"); status != http.StatusOK || asked != 1 {
		t.Errorf("the API after the setup: %d", status)
	}
}
