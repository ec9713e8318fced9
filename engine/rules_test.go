package engine

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"evenkeel/appliance"
)

func onPath(label, path string, then ...appliance.RuleAction) appliance.Rule {
	return appliance.Rule{ID: "rule-" + label, Label: label, When: []appliance.Condition{{Subject: appliance.SubjectPath, Operator: appliance.OpBegins, Value: path}}, Then: then}
}

// askFor asks a service by its first port for a path, with a Host.
func askFor(t *testing.T, c *http.Client, s appliance.VirtualService, host, path string) (status int, body string, header http.Header) {
	t.Helper()
	q, err := http.NewRequest(http.MethodGet, "http://"+address(s)+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Host = host
	a, err := c.Transport.RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(text), a.Header
}

func TestRulesRouteByPathAndHost(t *testing.T) {
	e := start(t, Options{})
	site := web(t, "site", serveHTTP(t, "site"), serveHTTP(t, "special"))
	images := web(t, "images", serveHTTP(t, "images"))
	site.RealServers[1].Weight = 0
	site.Rules = []appliance.Rule{
		onPath("images", "/img/", appliance.RuleAction{Kind: appliance.DoPool, Pool: images.ID}),
		{ID: "rule-host", Label: "host", When: []appliance.Condition{{Subject: appliance.SubjectHost, Operator: appliance.OpEqual, Value: "special.example.org"}}, Then: []appliance.RuleAction{{Kind: appliance.DoServer, Server: site.RealServers[1].ID}}},
		onPath("old", "/old", appliance.RuleAction{Kind: appliance.DoRedirect, Status: 301, Value: "https://{host}/new"}),
		onPath("guard", "/admin", appliance.RuleAction{Kind: appliance.DoDeny, Status: 404}),
		onPath("all", "/", appliance.RuleAction{Kind: appliance.DoSetResponse, Header: "X-Frame-Options", Value: "DENY"}),
	}
	e.apply(site, images)
	var dials atomic.Int64
	c := countingClient(&dials)
	defer c.CloseIdleConnections()
	for _, want := range []struct{ host, path, body string }{
		{"site.example.org", "/", "site"}, {"site.example.org", "/img/a.png", "images"}, {"special.example.org", "/", "special"}, {"special.example.org", "/img/b", "images"},
	} {
		if status, body, header := askFor(t, c, site, want.host, want.path); status != 200 || body != want.body || header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s%s: %d %q %v", want.host, want.path, status, body, header)
		}
	}
	if status, _, header := askFor(t, c, site, "h.example.org", "/old"); status != 301 || header.Get("Location") != "https://h.example.org/new" {
		t.Errorf("%d %v", status, header)
	}
	if status, _, _ := askFor(t, c, site, "h.example.org", "/%61dmin"); status != 404 {
		t.Errorf("guarded: %d", status)
	}
	if n := dials.Load(); n != 1 {
		t.Errorf("%d connections of the client, one would do", n)
	}
	site.Rules = site.Rules[1:]
	e.apply(site, images)
	if _, body, _ := askFor(t, c, site, "site.example.org", "/img/a.png"); body != "site" {
		t.Errorf("without the rule: %q", body)
	}
	if seen := e.Status(); len(seen.Services) != 2 || seen.Services[0].Servers[0].Total == 0 {
		t.Errorf("%+v", seen)
	}
}

// TestHaltingAServerOfAPoolEndsTheSessionsThatRulesLedThere: they belong to another service.
func TestHaltingAServerOfAPoolEndsTheSessionsThatRulesLedThere(t *testing.T) {
	e := start(t, Options{})
	front := vip(t, appliance.TCP, "front", serve(t, echo("front")).address)
	pool := vip(t, appliance.TCP, "pool", serve(t, echo("pool")).address)
	front.Rules = []appliance.Rule{{ID: "rule-local", Label: "local", When: []appliance.Condition{{Subject: appliance.SubjectSource, Operator: appliance.OpEqual, Value: "127.0.0.0/8"}}, Then: []appliance.RuleAction{{Kind: appliance.DoPool, Pool: pool.ID}}}}
	e.apply(front, pool)
	c := dial(t, address(front))
	if name := readName(t, c); name != "pool" {
		t.Fatalf("%s serves", name)
	}
	pool.RealServers[0].State = appliance.Halt
	e.apply(front, pool)
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the session goes on: %v", err)
	}
	front.Rules[0].Then = []appliance.RuleAction{{Kind: appliance.DoDeny, Status: 403}}
	e.apply(front, pool)
	if n, err := dial(t, address(front)).Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("a source that is denied gets %d bytes, %v", n, err)
	}
}
