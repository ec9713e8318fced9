package story

import (
	"crypto/tls"
	"io"
	"net/http"
	"testing"
)

// visitor is a browser as a pair knows it: a session of TLS that it resumes, and the cookie that leads it to its server.
type visitor struct {
	http   *http.Client
	cookie *http.Cookie
	server string
}

// visit asks for a page, and tells which server has answered, and whether the session of TLS was resumed.
func (v *visitor) visit(t *testing.T, page string) (server string, resumed bool) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if v.cookie != nil {
		r.AddCookie(v.cookie)
	}
	a, err := v.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if _, err := io.Copy(io.Discard, a.Body); err != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", page, a.Status, err)
	}
	for _, c := range a.Cookies() {
		if c.Name == "SERVERID" {
			v.cookie = c
		}
	}
	return a.Header.Get("X-Sample"), a.TLS != nil && a.TLS.DidResume
}

// TestPairClientsKeepTheirSessions: tickets of TLS, cookies and entries of the persistence table that one node gave count on the other, behind a dead node and behind a
// planned switch.
func TestPairClientsKeepTheirSessions(t *testing.T) {
	c := lay(t).pairUp()
	c.samples("http", "8085", "8086")
	c.a.does("certificates", "self-signed", "pacs.test")
	servers := []string{"--server", "R1=" + labGateway + ":8085", "--server", "R2=" + labGateway + ":8086"}
	c.a.does(append([]string{
		"service", "add", "SECURE", "--address", labService, "--ports", "443", "--protocol", "http", "--check", "none", "--scheduler", "round_robin",
		"--persistence", "http_cookie", "--tls-certificates", "pacs.test",
	}, servers...)...)
	c.a.does(append([]string{
		"service", "add", "TABLE", "--address", labService, "--ports", "85", "--protocol", "http", "--check", "none", "--scheduler", "round_robin",
		"--persistence", "source_ip",
	}, servers...)...)
	c.a.does("apply")
	c.settle("a")
	var secure, known []*visitor
	for range 4 {
		secure = append(secure, &visitor{http: c.browser("", tls.NewLRUClientSessionCache(1))})
	}
	for _, from := range c.moreClients(40) {
		known = append(known, &visitor{http: c.browser(from, nil)})
	}
	owners := map[string]int{}
	for _, v := range secure {
		v.server, _ = v.visit(t, "https://"+labService+"/")
		if v.cookie == nil {
			t.Fatal("no SERVERID")
		}
		owners[v.server]++
	}
	for _, v := range known {
		v.server, _ = v.visit(t, "http://"+labService+":85/")
		owners[v.server]++
	}
	if len(owners) != 2 {
		t.Fatalf("the clients are with %v", owners)
	}
	for _, change := range []struct {
		what string
		do   func()
	}{
		{"no change", func() {}}, {"death of a", func() { c.fails("a") }}, {"planned switch to a", func() { c.hands("b") }}, {"planned switch to b", func() { c.hands("a") }},
	} {
		c.tablesAgree()
		change.do()
		for i, v := range secure {
			if server, resumed := v.visit(t, "https://"+labService+"/"); !resumed || server != v.server {
				t.Errorf("%s: visitor %d of %s is with %s; session resumed: %v", change.what, i, v.server, server, resumed)
			}
		}
		for i, v := range known {
			if server, _ := v.visit(t, "http://"+labService+":85/"); server != v.server {
				t.Errorf("%s: client %d of %s is with %s", change.what, i, v.server, server)
			}
		}
	}
}
