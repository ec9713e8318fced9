package ui

import (
	"context"
	"html"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"evenkeel/appliance"
)

// Explain stands for the engine's: a client whose entry leads to a server that is down.
func (e *engine) Explain(_ context.Context, q appliance.Question) (appliance.Explanation, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.questions = append(e.questions, q)
	if q.Service == "nothing" {
		return appliance.Explanation{}, &appliance.Error{Kind: appliance.NotFound, Field: "virtual_service", Message: "No service \"nothing\" runs.", Hint: "What is saved runs when it is applied."}
	}
	s := &e.running.Cluster.VirtualServices[0]
	for i := range e.running.Cluster.VirtualServices {
		if v := &e.running.Cluster.VirtualServices[i]; v.ID == q.Service || len(v.Rules) > 0 {
			s = v
		}
	}
	x := appliance.Explanation{
		ServiceID: s.ID, Service: s.Label, Listener: netip.AddrPortFrom(s.Address, s.Ports[0].First), By: appliance.ByServer, ServerID: s.RealServers[1].ID, Server: s.RealServers[1].Label, Reason: "scheduler",
		Sentence: q.Client.String() + " is served by " + s.RealServers[1].Label + " (192.168.0.41:80) of " + s.Label + ": it has the fewest connections for its weight, 3 for 100.",
		Steps: []appliance.Step{
			{Subject: "listener", Mark: appliance.MarkGood, Sentence: s.Label + " listens on " + s.Address.String() + ":80, in " + s.Protocol.String() + "."},
			{Subject: "limit", Mark: appliance.MarkGood, Sentence: "3 of 40000 clients are connected: there is room for one more."},
			{Subject: "rules", Mark: appliance.MarkGood, Sentence: "Rule 2 (images) holds."},
			{Subject: "persistence", Mark: appliance.MarkNote, Sentence: "The entry for " + q.Client.String() + " leads to " + s.RealServers[0].Label + ", since 4m0s and for 26m0s more, which cannot serve (down: Connection refused on port 80): another one is chosen."},
			{Subject: "servers", Mark: appliance.MarkGood, Sentence: "1 of 2 real servers of " + s.Label + " take new clients."},
			{Subject: "scheduler", Mark: appliance.MarkGood, Sentence: s.RealServers[1].Label + " is chosen: it has the fewest connections for its weight, 3 for 100."},
		},
		Candidates: []appliance.Candidate{
			{ID: s.RealServers[0].ID, Label: s.RealServers[0].Label, State: appliance.Online, Health: appliance.Down, Weight: 100, Sentence: "Down: Connection refused on port 80."},
			{ID: s.RealServers[1].ID, Label: s.RealServers[1].Label, State: appliance.Online, Health: appliance.Up, Weight: 100, Connections: 3, Limit: 20, Usable: true, Sentence: "Takes new clients."},
		},
	}
	e.answer(&x, q)
	return x, nil
}

// answer adds what is seen of rules.
func (e *engine) answer(x *appliance.Explanation, q appliance.Question) {
	x.Rules = []appliance.RuleTrial{
		{Number: 1, Label: "guard", Sentence: "It does not hold: path begins with /admin, but it is /img/a.png.", Conditions: []appliance.ConditionTrial{{Condition: "path begins with /admin", Saw: []string{"/img/a.png"}}}},
		{Number: 2, Label: "images", Held: true, Sentence: "It holds: set request header X-Images: 1, remove response header Server.", Conditions: []appliance.ConditionTrial{
			{Condition: "path begins with /img/", Holds: true, Saw: []string{"/img/a.png"}}, {Condition: "header Accept not: contains text/html", Holds: true},
		}},
	}
	_, target := q.Split()
	x.Request = "GET " + target + " HTTP/1.1\r\nHost: www.example.org\r\n" + strings.Join(append(q.Headers, ""), "\r\n") + "\r\n"
	x.Sent = "GET " + target + " HTTP/1.1\r\nHost: www.example.org\r\nX-Images: 1\r\nX-Forwarded-For: " + q.Client.String() + "\r\n\r\n"
	x.Given, x.Answer = "HTTP/1.1 200 OK\r\nServer: IIS\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
}

// TryRules stands for the engine's.
func (e *engine) TryRules(s appliance.VirtualService, name func(id string) string, q appliance.Question) (appliance.Explanation, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.questions, e.rules = append(e.questions, q), s.Rules
	x := appliance.Explanation{ServiceID: s.ID, Service: s.Label, By: appliance.ByServer, Sentence: "The request goes to the pool of " + name(s.ID) + "."}
	e.answer(&x, q)
	return x, nil
}

func TestExplainAnswersItsAddress(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.fill()
	status, _, body := r.get(r.client, explainPath)
	if status != http.StatusOK || strings.Contains(body, `id="explanation"`) || !strings.Contains(body, `value="127.0.0.1"`) || len(r.engine.questions) != 0 {
		t.Errorf("without a question: %d %s", status, body)
	}
	q := url.Values{"client": {"10.0.0.7"}, "url": {"https://www.example.org/img/a.png?<b>"}, "headers": {"X-One: 1\r\nX-Two: <b>\r\n"}, "virtual_service": {r.id("HL7")}}
	status, _, body = r.get(r.client, explainPath+"?"+q.Encode())
	text := html.UnescapeString(body)
	if status != http.StatusOK || !strings.Contains(text, "10.0.0.7 is served by Corepoint2") || !strings.Contains(body, serverPath(r.id("HL7"), r.id("HL7", "Corepoint2"))) || strings.Contains(body, "<b>\r\n") ||
		!strings.Contains(text, "It does not hold: path begins with /admin") || !strings.Contains(text, "X-Forwarded-For: 10.0.0.7") {
		t.Errorf("%d %s", status, body)
	}
	if got := r.engine.questions[0]; len(got.Headers) != 2 || got.Headers[1] != "X-Two: <b>" || got.Client != netip.MustParseAddr("10.0.0.7") || got.Service != r.id("HL7") {
		t.Errorf("asked %+v", got)
	}
	for query, want := range map[string]string{
		"?client=me": "is no IP address", "?client=10.0.0.7&virtual_service=nothing": `No service "nothing" runs.`, "?client=10.0.0.7": "Name a virtual service", "?url=/&headers=a": "is no header",
	} {
		status, _, body = r.get(r.client, explainPath+query)
		if status != http.StatusUnprocessableEntity || !strings.Contains(html.UnescapeString(body), want) {
			t.Errorf("%s: %d, no %q", query, status, want)
		}
	}
	viola := r.operator("viola", appliance.Viewer)
	if status, _, _ = r.get(viola, explainPath+"?"+q.Encode()); status != http.StatusOK {
		t.Errorf("a viewer: %d", status)
	}
}

// TestReportsLeadToExplain: who stands there is one click from why.
func TestReportsLeadToExplain(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.fill()
	client := netip.MustParseAddr("10.0.0.7")
	r.engine.open = []appliance.Connection{{ID: "0-1", Client: netip.AddrPortFrom(client, 50000), ServiceID: r.id("HL7"), ServerID: r.id("HL7", "Corepoint1")}}
	r.engine.entries = []appliance.PersistenceEntry{
		{ServiceID: r.id("HL7"), ServerID: r.id("HL7", "Corepoint1"), Kind: "address", Key: "10.0.0.7", Client: netip.PrefixFrom(client, 32)}, {ServiceID: r.id("HL7"), ServerID: r.id("HL7", "Corepoint1"), Kind: "tls", Key: "tls:00"},
	}
	to := html.EscapeString(explainOf(r.id("HL7"), client))
	for _, path := range []string{connectionsPath, persistencePath} {
		if _, _, body := r.get(r.client, path); strings.Count(body, to) != 1 {
			t.Errorf("%s: no %s in %s", path, to, body)
		}
	}
	if status, _, body := r.get(r.client, explainOf(r.id("HL7"), client)); status != http.StatusOK || !strings.Contains(body, "10.0.0.7 is served by") {
		t.Errorf("%d %s", status, body)
	}
}

func TestRulesAreTriedAsTheyAreTyped(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.web()
	path := layer7 + "/" + r.id("WEB")
	_, _, body := r.get(r.client, path)
	before := r.control.Saved().Revision.Number
	in := sent(body, "try")
	in.Set("rules[0].label", "typed now")
	in.Set("try.client", "10.0.0.7")
	in.Set("try.url", "/img/a.png")
	in.Set("try.headers", "Accept: */*")
	status, _, body := r.postForm(r.client, path, in)
	text := html.UnescapeString(body)
	if status != http.StatusOK || !strings.Contains(text, "It holds: set request header X-Images: 1") || !strings.Contains(text, "Accept: */*") || !strings.Contains(text, `value="typed now"`) {
		t.Errorf("%d %s", status, body)
	}
	if r.engine.rules[0].Label != "typed now" || r.control.Saved().Revision.Number != before {
		t.Errorf("tried %+v", r.engine.rules)
	}
	in.Set("try.client", "you")
	if status, _, body = r.postForm(r.client, path, in); status != http.StatusUnprocessableEntity || !strings.Contains(body, "is no IP address") {
		t.Errorf("a client that is none: %d", status)
	}
	in.Set("rules[0].then[0].do", "deny")
	in.Set("rules[0].then[0].status", "200")
	if status, _, body = r.postForm(r.client, path, in); status != http.StatusUnprocessableEntity || !strings.Contains(body, "A refusal has a status from 400 to 599") {
		t.Errorf("a rule that is none: %d", status)
	}
}
