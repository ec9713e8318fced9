package http1

import (
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/rules"
	"evenkeel/engine/wire"
)

// fixed is a Ruled whose rules stand still.
type fixed struct{ program *rules.Program }

func (f fixed) Program() *rules.Program { return f.program }

func fix(t testing.TB, list ...appliance.Rule) fixed {
	t.Helper()
	p, err := rules.Compile(list, nil)
	if err != nil {
		t.Fatal(err)
	}
	return fixed{p}
}

func always(then ...appliance.RuleAction) appliance.Rule { return appliance.Rule{ID: "r", Then: then} }

func onPath(path string, then ...appliance.RuleAction) appliance.Rule {
	return appliance.Rule{ID: path, When: []appliance.Condition{{Subject: appliance.SubjectPath, Operator: appliance.OpBegins, Value: path}}, Then: then}
}

// ruled makes the rig's next client one whose requests go through rules.
func (r *rig) ruled(list ...appliance.Rule) {
	r.client = r.loop.Accept(clientAddr, vipAddr)
	r.core = New(Options{Service: r.service, Client: r.client, Idle: r.pool, Ruled: fix(r.t, list...), Refused: func(why string) { r.reasons = append(r.reasons, why) }})
	r.client.Bind(r.core)
}

const set, addOne, remove, replace = appliance.DoSetRequest, appliance.DoAddRequest, appliance.DoRemoveRequest, appliance.DoReplaceRequest

func TestRulesEditTheRequest(t *testing.T) {
	const head = "GET /a?b=c HTTP/1.1\r\nHost: h.example\r\nX-One: 1\r\nCookie: a=b; SERVERID=x\r\nX-Two: 2\r\nx-one: 3\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n"
	for _, c := range []struct {
		name string
		then []appliance.RuleAction
		want string
	}{
		{"set", []appliance.RuleAction{{Kind: set, Header: "X-One", Value: "{source} {host}{path}"}}, "GET /a?b=c HTTP/1.1\r\nHost: h.example\r\nCookie: a=b\r\nX-Two: 2\r\nX-One: 203.0.113.7 h.example/a\r\nX-Forwarded-For: 9.9.9.9, 203.0.113.7\r\n\r\n"},
		{"add", []appliance.RuleAction{{Kind: addOne, Header: "X-One", Value: "4"}}, "GET /a?b=c HTTP/1.1\r\nHost: h.example\r\nX-One: 1\r\nCookie: a=b\r\nX-Two: 2\r\nx-one: 3\r\nX-One: 4\r\nX-Forwarded-For: 9.9.9.9, 203.0.113.7\r\n\r\n"},
		{"remove", []appliance.RuleAction{{Kind: remove, Header: "x-ONE"}}, "GET /a?b=c HTTP/1.1\r\nHost: h.example\r\nCookie: a=b\r\nX-Two: 2\r\nX-Forwarded-For: 9.9.9.9, 203.0.113.7\r\n\r\n"},
		{"replace", []appliance.RuleAction{{Kind: replace, Header: "X-One", Find: "^(3)$", Value: "<$1>"}}, "GET /a?b=c HTTP/1.1\r\nHost: h.example\r\nX-One: 1\r\nCookie: a=b\r\nX-Two: 2\r\nX-One: <3>\r\nX-Forwarded-For: 9.9.9.9, 203.0.113.7\r\n\r\n"},
		{"the cookie that is cut stays cut", []appliance.RuleAction{{Kind: replace, Header: "Cookie", Find: "a=", Value: "z="}}, "GET /a?b=c HTTP/1.1\r\nHost: h.example\r\nX-One: 1\r\nX-Two: 2\r\nx-one: 3\r\nCookie: z=b\r\nX-Forwarded-For: 9.9.9.9, 203.0.113.7\r\n\r\n"},
		{"remove the cookies", []appliance.RuleAction{{Kind: remove, Header: "Cookie"}}, "GET /a?b=c HTTP/1.1\r\nHost: h.example\r\nX-One: 1\r\nX-Two: 2\r\nx-one: 3\r\nX-Forwarded-For: 9.9.9.9, 203.0.113.7\r\n\r\n"},
		{"one after the other", []appliance.RuleAction{{Kind: set, Header: "X-New", Value: "a"}, {Kind: replace, Header: "X-New", Find: "a", Value: "b"}, {Kind: addOne, Header: "X-New", Value: "c"}, {Kind: set, Header: "X-Two", Value: "t"}, {Kind: remove, Header: "X-Two"}}, "GET /a?b=c HTTP/1.1\r\nHost: h.example\r\nX-One: 1\r\nCookie: a=b\r\nx-one: 3\r\nX-New: b\r\nX-New: c\r\nX-Forwarded-For: 9.9.9.9, 203.0.113.7\r\n\r\n"},
		{"forwarding of our own", []appliance.RuleAction{{Kind: set, Header: "X-Forwarded-For", Value: "{source}"}}, "GET /a?b=c HTTP/1.1\r\nHost: h.example\r\nX-One: 1\r\nCookie: a=b\r\nX-Two: 2\r\nx-one: 3\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n"},
		{"host", []appliance.RuleAction{{Kind: set, Header: "Host", Value: "inner.example"}}, "GET /a?b=c HTTP/1.1\r\nX-One: 1\r\nCookie: a=b\r\nX-Two: 2\r\nx-one: 3\r\nHost: inner.example\r\nX-Forwarded-For: 9.9.9.9, 203.0.113.7\r\n\r\n"},
		{"rewrite", []appliance.RuleAction{{Kind: appliance.DoRewrite, Find: "^/a", Value: "/new"}, {Kind: remove, Header: "X-One"}}, "GET /new?b=c HTTP/1.1\r\nHost: h.example\r\nCookie: a=b\r\nX-Two: 2\r\nX-Forwarded-For: 9.9.9.9, 203.0.113.7\r\n\r\n"},
	} {
		r := newRig(t, func(s *appliance.VirtualService) {
			s.HTTP.ForwardedFor, s.Persistence.Kind = appliance.ForwardedAppend, appliance.PersistCookie
		})
		r.ruled(always(c.then...))
		r.client.Arrive([]byte(head))
		r.equal(c.name, take(r.connected(0)), c.want)
	}
}

func TestRulesEditTheResponse(t *testing.T) {
	r := newRig(t)
	r.ruled(onPath("/x", appliance.RuleAction{Kind: appliance.DoRemoveResponse, Header: "server"}, appliance.RuleAction{Kind: appliance.DoSetResponse, Header: "X-Frame-Options", Value: "DENY"},
		appliance.RuleAction{Kind: appliance.DoReplaceResponse, Header: "Location", Find: "^http://inner/", Value: "https://outer/"}, appliance.RuleAction{Kind: appliance.DoAddResponse, Header: "Vary", Value: "X"}))
	const answer = "HTTP/1.1 302 Found\r\nServer: IIS\r\nLocation: http://inner/a\r\nVary: A\r\nX-Frame-Options: ALL\r\nContent-Length: 2\r\n\r\nok"
	for _, c := range [][2]string{
		{"/x", "HTTP/1.1 302 Found\r\nVary: A\r\nContent-Length: 2\r\nX-Frame-Options: DENY\r\nLocation: https://outer/a\r\nVary: X\r\n\r\nok"},
		{"/y", answer},
	} {
		r.client.Arrive([]byte("GET " + c[0] + " HTTP/1.1\r\nHost: h\r\n\r\n"))
		if len(r.loop.Dialed) == 1 && r.loop.Dialed[0].Sent == nil {
			r.connected(0)
		}
		r.server(0).Arrive([]byte(answer))
		r.equal(c[0], take(r.client), c[1])
	}
	r.balanced()
}

func TestRulesAnswerAndTheConnectionStays(t *testing.T) {
	r := newRig(t)
	r.ruled(onPath("/old", appliance.RuleAction{Kind: appliance.DoRedirect, Status: 301, Value: "https://{host}/new{query}"}), onPath("/secret", appliance.RuleAction{Kind: appliance.DoDeny, Status: 403}))
	r.client.Arrive([]byte("GET /old?a=b HTTP/1.1\r\nHost: h.example:81\r\n\r\nPOST /secret HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcHEAD /%73ecret HTTP/1.1\r\nHost: h\r\n\r\n" + get))
	r.equal("answers", take(r.client), "HTTP/1.1 301 Moved Permanently\r\nLocation: https://h.example/new?a=b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 23\r\n\r\nThe page is elsewhere.\n"+
		"HTTP/1.1 403 Forbidden\r\nCache-Control: no-store\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 25\r\n\r\nThe request was refused.\n"+
		"HTTP/1.1 403 Forbidden\r\nCache-Control: no-store\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 25\r\n\r\n")
	r.true("what follows is served", take(r.connected(0)) == get)
	r.true("the connection stays", !r.client.Over())
	if r.service.counters.Requests != 4 || r.service.counters.Refused != 2 {
		t.Errorf("%+v", r.service.counters)
	}
}

func TestARefusedRequestWithABodyToComeEndsTheConnection(t *testing.T) {
	for _, framing := range []string{"Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n"} {
		r := newRig(t)
		r.ruled(always(appliance.RuleAction{Kind: appliance.DoDeny, Status: 403}))
		r.client.Arrive([]byte("POST / HTTP/1.1\r\nHost: h\r\n" + framing))
		r.true("refused and closed", strings.HasPrefix(take(r.client), "HTTP/1.1 403 Forbidden\r\n") && r.client.Closed)
		r.true("nothing was forwarded", len(r.loop.Dialed) == 0)
	}
}

func TestARateIsLimitedBySource(t *testing.T) {
	r := newRig(t)
	r.ruled(always(appliance.RuleAction{Kind: appliance.DoLimit, Requests: 2, Period: appliance.Duration(10 * time.Second), MaskIPv4: 32, MaskIPv6: 64}))
	ask := func() string {
		r.client.Arrive([]byte(get))
		if n := len(r.loop.Dialed); n > 0 {
			if s := r.loop.Dialed[n-1]; !s.Over() {
				if len(s.Sent) == 0 {
					s.Connect()
				}
				if take(s) != "" {
					s.Arrive([]byte(ok2))
				}
			}
		}
		return take(r.client)
	}
	r.equal("first", ask(), ok2)
	r.equal("second", ask(), ok2)
	third := ask()
	r.true("the third is told to wait", strings.HasPrefix(third, "HTTP/1.1 429 Too Many Requests\r\nRetry-After: ") && !r.client.Over())
	r.loop.Advance(20 * time.Second)
	r.equal("later", ask(), ok2)
}

func TestNoRuleCanSplitAMessage(t *testing.T) {
	r := newRig(t)
	r.ruled(always(appliance.RuleAction{Kind: set, Header: "X-Path", Value: "{path}{query}"}, appliance.RuleAction{Kind: replace, Header: "X-Path", Find: "%0d%0a", Value: "\r\nEvil: 1"}, appliance.RuleAction{Kind: addOne, Header: "X-Bad", Value: "a\nb"}))
	r.client.Arrive([]byte("GET /%0d%0aA:%20b?%0d%0a HTTP/1.1\r\nHost: h\r\n\r\n"))
	r.equal("head", take(r.connected(0)), "GET /%0d%0aA:%20b?%0d%0a HTTP/1.1\r\nHost: h\r\nX-Path: /%0d%0aA:%20b?%0d%0a\r\n\r\n")
}

func TestRulesDoNotAllocate(t *testing.T) {
	var list []appliance.Rule
	for _, path := range strings.Split("abcdefghijklmnopqrs", "") {
		list = append(list, onPath("/"+path, appliance.RuleAction{Kind: appliance.DoDeny, Status: 403}))
	}
	list = append(list, always(appliance.RuleAction{Kind: set, Header: "X-A", Value: "{host}"}, appliance.RuleAction{Kind: appliance.DoSetResponse, Header: "Server", Value: "y"}))
	config := appliance.NewService(appliance.HTTP)
	loop := &flatLoop{now: 1, scratch: make([]byte, 0, 64<<10)}
	s := &flatService{service{loop: loop, config: &config, servers: []*wire.Server{{ID: "a"}}}}
	client := &flatConn{}
	k := New(Options{Service: s, Client: client, Idle: NewIdlePool(loop, 10), Ruled: fix(t, list...)})
	in, out := []byte("GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n\r\n"), []byte(page)
	serve := func() {
		k.Received(client, in)
		server := loop.dialed
		if server.core == nil {
			server.core = k
			k.Connected(server)
		}
		if server.core.Received(server, out) != len(out) {
			t.Fatal("the answer was not taken")
		}
	}
	serve()
	if n := testing.AllocsPerRun(100, serve); n != 0 {
		t.Errorf("%v allocations per request", n)
	}
}

// written keeps the records that a core made.
type written struct {
	flatRecorder
	records []wire.Record
}

func (w *written) Record(r *wire.Record) {
	c := *r
	c.Line = append([]byte(nil), r.Line...)
	w.records = append(w.records, c)
}

func TestWhatARuleAnswersStandsInTheTrafficLog(t *testing.T) {
	r, log := newRig(t), &written{}
	r.client = r.loop.Accept(clientAddr, vipAddr)
	r.core = New(Options{Service: r.service, Client: r.client, Idle: r.pool, Recorder: log, Ruled: fix(t, onPath("/no", appliance.RuleAction{Kind: appliance.DoDeny, Status: 403}), onPath("/to", appliance.RuleAction{Kind: appliance.DoRedirect, Status: 302, Value: "/x"}))})
	r.client.Bind(r.core)
	r.client.Arrive([]byte("GET /no?a HTTP/1.1\r\nHost: h\r\n\r\nGET /to HTTP/1.1\r\nHost: h\r\n\r\n"))
	if len(log.records) != 2 {
		t.Fatalf("%d records", len(log.records))
	}
	no, to := log.records[0], log.records[1]
	if no.Status != 403 || no.End != wire.EndRefused || string(no.Line) != "GET\x00h\x00/no?a\x00" || to.Status != 302 || to.End != wire.EndDone || !to.Own {
		t.Errorf("%+v", log.records)
	}
}
