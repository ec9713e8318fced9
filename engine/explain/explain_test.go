package explain

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/rules"
	"evenkeel/engine/wire"
)

// site is a service in HTTP Mode with two servers, A and B.
func site(edit ...func(*appliance.VirtualService)) *appliance.VirtualService {
	v := appliance.NewService(appliance.HTTP)
	v.ID, v.Label, v.Address, v.Ports = "web", "WEB", netip.MustParseAddr("192.168.0.188"), appliance.Ports{{First: 80, Last: 80}}
	for _, label := range []string{"A", "B"} {
		r := appliance.NewRealServer()
		r.ID, r.Label, r.Address = "id-"+label, label, "10.0.0.1"
		v.RealServers = append(v.RealServers, r)
	}
	for _, e := range edit {
		e(&v)
	}
	return &v
}

func scene(t *testing.T, v *appliance.VirtualService, f Finding) *Scene {
	t.Helper()
	p, err := rules.Compile(v.Rules, nil)
	if err != nil {
		t.Fatal(err)
	}
	if f.Config == nil {
		f.Config = v
	}
	for len(f.Seats) < len(v.RealServers) {
		f.Seats = append(f.Seats, Seat{Found: true, Usable: true, Percent: 100})
	}
	return &Scene{
		Service: v, Local: netip.AddrPortFrom(v.Address, 80), Program: p, Now: 1, Pick: func(wire.Query) ([]Finding, error) { return []Finding{f}, nil },
		Name: func(id string) string { return strings.TrimPrefix(id, "id-") },
	}
}

func chosen(id string, why wire.Reason) wire.Choice {
	return wire.Choice{Server: &wire.Server{ID: id}, Address: netip.MustParseAddrPort("10.0.0.1:80"), Reason: why}
}

var client = netip.MustParseAddr("172.16.0.7")

// TestSentences: what people read.
func TestSentences(t *testing.T) {
	sourceIP := func(v *appliance.VirtualService) { v.Persistence.Kind = appliance.PersistSourceIP }
	denies := func(v *appliance.VirtualService) {
		v.Rules = []appliance.Rule{
			{ID: "1", Label: "off", Disabled: true},
			{ID: "2", Label: "beta", When: []appliance.Condition{{Subject: appliance.SubjectCookie, Name: "beta", Operator: appliance.OpEqual, Value: "1"}}, Then: []appliance.RuleAction{{Kind: appliance.DoServer, Server: "id-B"}}},
			{ID: "3", Label: "admin", When: []appliance.Condition{{Subject: appliance.SubjectPath, Operator: appliance.OpBegins, Value: "/admin"}}, Then: []appliance.RuleAction{{Kind: appliance.DoSetRequest, Header: "X-A", Value: "1"}, {Kind: appliance.DoDeny, Status: 403}}},
			{ID: "4", Label: "late", Then: []appliance.RuleAction{{Kind: appliance.DoDeny, Status: 410}}},
		}
	}
	for name, c := range map[string]struct {
		service *appliance.VirtualService
		finding Finding
		q       appliance.Question
		by      appliance.ServedBy
		want    []string
	}{
		"the entry's server is down": {
			site(sourceIP), Finding{
				Served: true, Choice: chosen("id-B", wire.ByScheduler), Seats: []Seat{{Found: true, Down: true, Health: appliance.ServerHealth{Sentence: "Connection refused on port 80."}}},
				Memory: Memory{Named: "id-A", Key: "172.16.0.7", Keyed: true, Known: true, Age: time.Minute, Remaining: 29 * time.Minute},
			}, appliance.Question{}, appliance.ByServer, []string{
				"The entry for 172.16.0.7 leads to A, since 1m0s and for 29m0s more, which cannot serve (down: Connection refused on port 80): another one is chosen.",
				"1 of 2 real servers of WEB take new clients.", "The entry for 172.16.0.7 will lead to B.", "172.16.0.7 is served by B (10.0.0.1:80) of WEB: it has the fewest connections for its weight, 0 for 100.",
			},
		},
		"drained, and comes back": {
			site(sourceIP, func(v *appliance.VirtualService) { v.RealServers[0].State = appliance.Drain }), Finding{
				Served: true, Choice: chosen("id-A", wire.ByPersistence), Memory: Memory{Named: "id-A", Returns: true, Key: "172.16.0.7", Keyed: true, Known: true, Remaining: time.Second},
			}, appliance.Question{}, appliance.ByServer, []string{"The entry for 172.16.0.7 leads to A, since a moment and for 1s more, which serves it again.", "Drained by an operator: only clients that return are served.", "it had that server before"},
		},
		"nobody serves": {
			site(),
			Finding{Seats: []Seat{{Found: true}, {}}},
			appliance.Question{},
			appliance.ByNobody,
			[]string{"None of the 2 real servers of WEB takes new clients.", "Its name has no address.", "No server can serve the client, and there is no fallback: it gets 503."},
		},
		"agents keep one back and slow one down, and a name leads nowhere": {
			site(func(v *appliance.VirtualService) {
				v.RealServers = append(v.RealServers, appliance.RealServer{ID: "id-C", Label: "C", Weight: 100, State: appliance.Online})
			}),
			Finding{
				Served: true, Choice: chosen("id-B", wire.ByScheduler), Seats: []Seat{
					{Found: true, Held: true, Agent: "The agent says drain (backup)."},
					{Found: true, Usable: true, Percent: 75, Advised: true, Agent: "The agent says 75%."},
					{Health: appliance.ServerHealth{Sentence: "The name c.example does not resolve: there is no such name."}},
				},
			},
			appliance.Question{},
			appliance.ByServer,
			[]string{
				"Kept back by its agent: The agent says drain (backup).", "Takes new clients with 75 % of its weight: The agent says 75%.",
				"It has no address: The name c.example does not resolve: there is no such name.",
			},
		},
		"the page serves": {
			site(),
			Finding{Served: true, Choice: wire.Choice{Server: &wire.Server{ID: "fallback"}, Fallback: true, Reason: wire.ByFallback, Address: netip.MustParseAddrPort("127.0.0.1:9081")}},
			appliance.Question{},
			appliance.ByFallback,
			[]string{"No real server can serve the client: the appliance's own page at 127.0.0.1:9081 does."},
		},
		"a rule denies": {
			site(denies), Finding{}, appliance.Question{URL: "http://www.example.org/x/../admin", Cookies: "beta=2"}, appliance.ByAppliance, []string{
				"It is switched off.", "It does not hold: cookie beta is 1, but it is 2.", "It holds: set request header X-A: 1, deny (403).", "It was not looked at: an earlier rule had answered.",
				"A rule answers with 403 Forbidden; no server is asked.", "HTTP/1.1 403 Forbidden",
			},
		},
		"in clear where TLS is": {
			site(func(v *appliance.VirtualService) { v.TLS.Certificates = []string{"x"} }),
			Finding{},
			appliance.Question{URL: "http://www.example.org/"},
			appliance.ByNobody,
			[]string{"WEB expects TLS here: a client that begins in clear is broken off."},
		},
		"a proxy that is not trusted": {
			site(func(v *appliance.VirtualService) { v.ProxyProtocol.In = true }),
			Finding{},
			appliance.Question{Proxy: netip.MustParseAddr("172.16.0.1")},
			appliance.ByNobody,
			[]string{"172.16.0.1 is no trusted proxy, and only those may connect: the connection is closed."},
		},
		"a request that is not served": {
			site(),
			Finding{},
			appliance.Question{Headers: []string{"Content-Length: 1", "Content-Length: 2"}},
			appliance.ByNobody,
			[]string{"The request is refused with 400 Bad Request: there are two Content-Lengths."},
		},
		"a response may be kept": {
			site(func(v *appliance.VirtualService) { v.HTTP.CacheSize = 16 }),
			Finding{Served: true, Choice: chosen("id-A", wire.ByScheduler)},
			appliance.Question{},
			appliance.ByServer,
			[]string{"The service keeps responses: when it has a fresh one for this request, it gives that, and no server is asked."},
		},
		"the answer is edited": {
			site(func(v *appliance.VirtualService) {
				v.Rules = []appliance.Rule{{ID: "1", Label: "all", Then: []appliance.RuleAction{{Kind: appliance.DoRemoveResponse, Header: "Server"}}}}
			}),
			Finding{Served: true, Choice: chosen("id-A", wire.ByScheduler)},
			appliance.Question{Answer: []string{"404 Not Found", "Server: IIS", "X-A: b"}},
			appliance.ByServer,
			[]string{"HTTP/1.1 404 Not Found\r\nX-A: b\r\nContent-Length: 0\r\n\r\n", "X-Forwarded-For: 172.16.0.7"},
		},
	} {
		c.q.Service, c.q.Client = "web", client
		s := scene(t, c.service, c.finding)
		s.TLS = c.service.TLS.On()
		x, err := s.Explain(c.q)
		if err != nil || x.By != c.by || x.Sentence == "" {
			t.Errorf("%s: %+v, %v", name, x, err)
		}
		said := []string{x.Sentence, x.Sent, x.Answer}
		for _, step := range x.Steps {
			said = append(said, step.Sentence)
		}
		for _, r := range x.Rules {
			said = append(said, r.Sentence)
		}
		for _, k := range x.Candidates {
			said = append(said, k.Sentence)
		}
		for _, want := range c.want {
			if !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, want) }) {
				t.Errorf("%s: nothing says %q:\n%s", name, want, strings.Join(said, "\n"))
			}
		}
	}
}

func TestTheRDPCookieIsReadAsFromTheWire(t *testing.T) {
	v := site(func(v *appliance.VirtualService) {
		v.Protocol, v.Persistence.Kind = appliance.TCP, appliance.PersistRDPCookie
	})
	for cookie, want := range map[string]wire.Query{
		"mstshash=DOMAIN\\Alice":     {Session: []byte("domain\\alice")},
		"msts=3640205228.15629.0000": {Route: netip.MustParseAddrPort("172.31.249.216:3389")},
		"msts=not-a-route":           {BySource: true},
		"":                           {BySource: true},
	} {
		var got wire.Query
		s := scene(t, v, Finding{})
		s.Pick = func(q wire.Query) ([]Finding, error) { got = q; return nil, errors.New("enough") }
		if _, err := s.Explain(appliance.Question{Service: "web", Client: client, RDP: cookie}); err == nil {
			t.Fatal("the error of the loops is lost")
		}
		if string(got.Session) != string(want.Session) || got.Route != want.Route || got.BySource != want.BySource || !got.Dry {
			t.Errorf("%q: %+v", cookie, got)
		}
	}
}

// FuzzQuestion holds for whatever is typed: what is taken for a request is one request with as many lines as were typed.
func FuzzQuestion(f *testing.F) {
	f.Add("http://www.example.org/a?b", "X-One: 1\nHost: a", "a=b", "GET", "200 OK\nServer: x")
	f.Add("/\r\nX: y", "Host:\x00", "a\r\nb", "PUT ", "HTTP/1.1 404")
	f.Fuzz(func(t *testing.T, url, headers, cookies, method, answer string) {
		typed := map[string]string{"virtual_service": "web", "client": client.String(), "url": url, "headers": headers, "cookies": cookies, "method": method, "answer": answer}
		q, errs := appliance.ReadQuestion(func(field string) string { return typed[field] })
		if len(errs) > 0 {
			return
		}
		v := site(func(v *appliance.VirtualService) {
			v.Rules = []appliance.Rule{{ID: "1", Label: "all", Then: []appliance.RuleAction{{Kind: appliance.DoSetResponse, Header: "X-A", Value: "b"}}}}
		})
		x, err := scene(t, v, Finding{Served: true, Choice: chosen("id-A", wire.ByScheduler)}).Explain(q)
		if err != nil || x.Sentence == "" {
			t.Fatalf("%+v, %v", x, err)
		}
		lines := 2 + len(q.Headers)
		if !names(q.Headers, "host") {
			lines++
		}
		if q.Cookies != "" {
			lines++
		}
		if n := strings.Count(x.Request, "\r\n"); n != lines || strings.Count(x.Request, "\n") != n || strings.Count(x.Request, "\r") != n {
			t.Fatalf("%d lines were typed: %q", lines, x.Request)
		}
	})
}
