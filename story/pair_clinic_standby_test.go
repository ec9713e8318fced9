package story

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

// serverState is what is wanted of a server on a node, as running.
func (c *client) serverState(t *testing.T, service, server string) appliance.State {
	t.Helper()
	for _, s := range c.status(t, service).Servers {
		if s.Label == server {
			return s.State
		}
	}
	return ""
}

// signsIn tells whether a name and a password open the pages of a node.
func (n *node) signsIn(name, password string) bool {
	n.f.t.Helper()
	base := "https://" + n.address + ":9443"
	b := n.f.browser("", nil)
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r, err := http.NewRequestWithContext(n.f.t.Context(), http.MethodPost, base+"/lbadmin/sign-in", strings.NewReader(url.Values{"name": {name}, "password": {password}}.Encode()))
	if err != nil {
		n.f.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", base)
	a, err := b.Do(r)
	if err != nil {
		n.f.t.Fatal(err)
	}
	a.Body.Close()
	return a.StatusCode == http.StatusSeeOther && len(a.Cookies()) > 0
}

// get returns the status and the body of a page, and the serial number of the certificate that came with it.
func (f *field) get(page string) (status int, body, serial string) {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, page, http.NoBody)
	if err != nil {
		f.t.Fatal(err)
	}
	a, err := f.browser("", tls.NewLRUClientSessionCache(1)).Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	if a.TLS != nil {
		serial = a.TLS.PeerCertificates[0].SerialNumber.String()
	}
	return a.StatusCode, string(b), serial
}

// TestPairStandbyHasEverything: what was uploaded, drained, halted, written and allowed on the active node is so on the other one when it serves; meanwhile that one
// refuses changes but for its own part, and what is changed on it when it is active comes back to the first.
func TestPairStandbyHasEverything(t *testing.T) {
	c := lay(t).pairUp()
	c.samples("http", "8085", "8086")
	authority, folder := newSigner(t), temporary(t)
	certificate, key := authority.issue(t, "pacs.test")
	for name, text := range map[string]string{"pacs.pem": certificate, "pacs.key": key} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.a.does("certificates", "add", filepath.Join(folder, "pacs.pem"), filepath.Join(folder, "pacs.key"), "--label", "pacs")
	c.a.does("service", "add", "SECURE", "--address", labService, "--ports", "443", "--protocol", "http", "--check", "none", "--tls-certificates", "pacs",
		"--server", "R1="+labGateway+":8081", "--server", "R2="+labGateway+":8085", "--server", "R3="+labGateway+":8086")
	c.a.does("service", "add", "EMPTY", "--address", labService, "--ports", "86", "--protocol", "http", "--check", "none", "--server", "R1="+labGateway+":8081")
	c.a.rest().must(t, 200, "PUT", "settings", written(t, appliance.Settings{FallbackPage: "<h1>The archive is resting.</h1>"}), "If-Match", "*")
	c.a.does("apply")
	c.a.does("server", "drain", "SECURE", "R1")
	c.a.does("server", "halt", "SECURE", "R2")
	c.a.does("server", "halt", "EMPTY", "R1")
	const password = "another horse battery"
	if code, _, said := c.a.lb(password+"\n", "users", "add", "radiology", "--role", "operator", "--password-stdin"); code != 0 {
		t.Fatal(said)
	}
	eventually(t, 10*time.Second, "b knows radiology", func() bool {
		return strings.Contains(string(c.b.rest().must(t, 200, "GET", "users", "").body), "radiology")
	})
	c.settle("a")
	_, _, serial := c.get("https://" + labService + "/")

	// The passive node.
	for _, args := range [][]string{
		{"service", "add", "NEW", "--address", labService, "--ports", "99"}, {"server", "drain", "SECURE", "R3"}, {"users", "delete", "radiology"}, {"certificates", "rename", "pacs", "other"},
	} {
		if code, _, said := c.b.lb("", args...); code != 1 || !strings.Contains(said, "This node is passive: the settings of the pair are changed on ") || !strings.Contains(said, "https://"+labA+":9443/lbadmin/") {
			t.Errorf("lb %s on the passive node ended with %d: %s", strings.Join(args, " "), code, said)
		}
	}
	c.rename(c.b, "standby")
	c.settle("a")
	if name := c.a.rest().hostname(t); name != "" {
		t.Errorf("Local Configuration of b has come to a: %q", name)
	}

	// It takes over.
	c.a.cmd.kill()
	c.owns("b")
	b := c.b.rest()
	if one, two := b.serverState(t, "SECURE", "R1"), b.serverState(t, "SECURE", "R2"); one != appliance.Drain || two != appliance.Halt {
		t.Errorf("R1 is %q and R2 is %q", one, two)
	}
	if status, _, now := c.get("https://" + labService + "/"); status != http.StatusOK || now != serial || serial == "" {
		t.Errorf("%d with the certificate %s, want %s", status, now, serial)
	}
	if _, body, _ := c.get("http://" + labService + ":86/"); !strings.Contains(body, "The archive is resting.") {
		t.Errorf("the fallback page is %.200q", body)
	}
	if !c.b.signsIn("radiology", password) || c.b.signsIn("radiology", password+"!") {
		t.Error("radiology cannot sign in, or anybody can")
	}
	if name := b.hostname(t); name != "standby" {
		t.Errorf("b is named %q", name)
	}
	change := func() {
		c.b.does("server", "online", "SECURE", "R2")
		c.b.does("service", "set", "EMPTY", "--limits-max-connections", "77", "--apply")
	}
	change()
	c.a.begin()
	c.settle("b")
	if b.services(t)["EMPTY"].Limits.MaxConnections != 77 && c.slipped() {
		change() // b stood still while a began, a was active without having got it yet, and it was set aside
	}
	a := c.a.rest()
	eventually(t, 10*time.Second, "a has what was changed on b, and runs it", func() bool {
		return a.kept(t) == b.kept(t) && a.serverState(t, "SECURE", "R2") == appliance.Online && a.services(t)["EMPTY"].Limits.MaxConnections == 77
	})
	if code, _, said := c.a.lb("", "service", "delete", "EMPTY"); code != 1 || !strings.Contains(said, "https://"+labB+":9443/lbadmin/") {
		t.Errorf("a is passive and ended with %d: %s", code, said)
	}
}

// rename gives a node another hostname, which is its own affair.
func (c *couple) rename(n *node, name string) {
	c.t.Helper()
	var whole map[string]any
	rest := n.rest()
	rest.must(c.t, 200, "GET", "configuration", "").into(c.t, &whole)
	whole["local"] = map[string]any{"hostname": name}
	if a := rest.do(c.t, "PUT", "configuration?apply=true", written(c.t, whole), "If-Match", "*"); a.status != http.StatusOK {
		c.t.Errorf("Local Configuration of a passive node: %d %s", a.status, a.body)
	}
}

func (c *client) hostname(t *testing.T) string {
	t.Helper()
	var whole struct {
		Local appliance.Local `json:"local"`
	}
	c.must(t, 200, "GET", "configuration", "").into(t, &whole)
	return whole.Local.Hostname
}
