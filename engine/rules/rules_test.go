package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"

	"pgregory.net/rapid"
)

func get(target string, fields ...string) *Request {
	var f string
	for _, line := range fields {
		f += line + "\r\n"
	}
	return &Request{Method: []byte("GET"), Target: []byte(target), Host: []byte("WWW.Example.org:8080"), Fields: []byte(f), Source: netip.MustParseAddr("10.1.2.3"), Port: 80, TLSName: "pacs.example.org"}
}

func when(then []appliance.RuleAction, when ...appliance.Condition) appliance.Rule {
	return appliance.Rule{ID: "r", Label: "r", When: when, Then: then}
}

func deny(status int) []appliance.RuleAction {
	return []appliance.RuleAction{{Kind: appliance.DoDeny, Status: status}}
}

func compiled(t testing.TB, list ...appliance.Rule) *Program {
	t.Helper()
	p, err := Compile(list, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestConditions(t *testing.T) {
	const eq, begins, ends, contains, re, present = appliance.OpEqual, appliance.OpBegins, appliance.OpEnds, appliance.OpContains, appliance.OpRegexp, appliance.OpPresent
	cookies := []string{"Accept: text/html", "Cookie: a=1; session=Xy=z; b", "X-Team: one", "x-team: Two"}
	for _, c := range []struct {
		cond   appliance.Condition
		target string
		want   bool
	}{
		{appliance.Condition{Subject: "path", Operator: begins, Value: "/api"}, "/api/v1?x=/no", true},
		{appliance.Condition{Subject: "path", Operator: begins, Value: "/api"}, "/x?/api", false},
		{appliance.Condition{Subject: "path", Operator: begins, Value: "/api"}, "/API/v1", false},
		{appliance.Condition{Subject: "path", Operator: begins, Value: "/api", IgnoreCase: true}, "/API/v1", true},
		{appliance.Condition{Subject: "path", Operator: eq, Value: "/"}, "", true},
		{appliance.Condition{Subject: "path", Operator: eq, Value: "/admin"}, "/%61dmin", true},
		{appliance.Condition{Subject: "path", Operator: eq, Value: "/admin"}, "//admin", true},
		{appliance.Condition{Subject: "path", Operator: eq, Value: "/admin"}, "/x/../admin", true},
		{appliance.Condition{Subject: "path", Operator: eq, Value: "/admin"}, "/x/%2e%2e/./admin", true},
		{appliance.Condition{Subject: "path", Operator: eq, Value: "/admin"}, "/x%5c..%5cadmin", true},
		{appliance.Condition{Subject: "path", Operator: eq, Value: "/admin"}, "/../../admin", true},
		{appliance.Condition{Subject: "path", Operator: eq, Value: "/admin/"}, "/admin/x/..", true},
		{appliance.Condition{Subject: "path", Operator: ends, Value: ".jpg"}, "/a/b.jpg?c=.png", true},
		{appliance.Condition{Subject: "path", Operator: contains, Value: "secret"}, "/a/secretly", true},
		{appliance.Condition{Subject: "path", Operator: contains, Value: "secret", IgnoreCase: true}, "/a/SeCrEtly", true},
		{appliance.Condition{Subject: "path", Operator: re, Value: `^/user/\d+$`}, "/user/12", true},
		{appliance.Condition{Subject: "path", Operator: re, Value: `^/user/\d+$`}, "/user/12a", false},
		{appliance.Condition{Subject: "path", Operator: re, Value: `^/USER`, IgnoreCase: true}, "/user/12a", true},
		{appliance.Condition{Subject: "host", Operator: eq, Value: "a.org, www.example.ORG"}, "/", true},
		{appliance.Condition{Subject: "host", Operator: ends, Value: ".example.org"}, "/", true},
		{appliance.Condition{Subject: "host", Operator: eq, Value: "www.example.org:8080"}, "/", false},
		{appliance.Condition{Subject: "host", Operator: re, Value: `^www\.`}, "/", true},
		{appliance.Condition{Subject: "header", Name: "X-TEAM", Operator: eq, Value: "Two"}, "/", true},
		{appliance.Condition{Subject: "header", Name: "X-Team", Operator: eq, Value: "two"}, "/", false},
		{appliance.Condition{Subject: "header", Name: "X-Team", Operator: present}, "/", true},
		{appliance.Condition{Subject: "header", Name: "X-Teams", Operator: present}, "/", false},
		{appliance.Condition{Subject: "header", Name: "X-Teams", Operator: present, Not: true}, "/", true},
		{appliance.Condition{Subject: "query", Name: "q", Operator: eq, Value: "a b"}, "/?x=1&q=a+b", true},
		{appliance.Condition{Subject: "query", Name: "q", Operator: eq, Value: "a b"}, "/?%71=a%20b", true},
		{appliance.Condition{Subject: "query", Name: "q", Operator: present}, "/?q", true},
		{appliance.Condition{Subject: "query", Name: "q", Operator: present}, "/?qq=1", false},
		{appliance.Condition{Subject: "query", Operator: contains, Value: "x=1"}, "/?x=1&q=a", true},
		{appliance.Condition{Subject: "query", Operator: present}, "/", false},
		{appliance.Condition{Subject: "method", Operator: eq, Value: "POST, GET"}, "/", true},
		{appliance.Condition{Subject: "method", Operator: eq, Value: "get"}, "/", false},
		{appliance.Condition{Subject: "cookie", Name: "session", Operator: eq, Value: "Xy=z"}, "/", true},
		{appliance.Condition{Subject: "cookie", Name: "Session", Operator: present}, "/", false},
		{appliance.Condition{Subject: "source", Operator: eq, Value: "192.168.0.0/16, 10.0.0.0/8"}, "/", true},
		{appliance.Condition{Subject: "source", Operator: eq, Value: "10.1.2.3"}, "/", true},
		{appliance.Condition{Subject: "source", Operator: eq, Value: "10.1.2.4", Not: true}, "/", true},
		{appliance.Condition{Subject: "source", Operator: eq, Value: "fd00::/8"}, "/", false},
		{appliance.Condition{Subject: "tls_name", Operator: eq, Value: "PACS.example.org"}, "/", true},
	} {
		var e Evaluator
		d := e.Run(compiled(t, when(deny(403), c.cond)), get(c.target, cookies...), 1, false)
		if got := d.Status == 403; got != c.want {
			t.Errorf("%s on %s: %v", c.cond, c.target, got)
		}
	}
}

func TestAllConditionsMustHoldAndTheFirstAnswerEnds(t *testing.T) {
	a := appliance.Condition{Subject: "path", Operator: appliance.OpBegins, Value: "/a"}
	b := appliance.Condition{Subject: "path", Operator: appliance.OpEnds, Value: "b"}
	p := compiled(t, when(deny(403), a, b), when(deny(404), a), when(deny(410)))
	var e Evaluator
	for target, want := range map[string]int{"/ab": 403, "/a": 404, "/b": 410} {
		if d := e.Run(p, get(target), 1, false); d.Status != want {
			t.Errorf("%s: %d, want %d", target, d.Status, want)
		}
	}
}

func TestTheFirstRouteCountsAndLaterRulesStillAct(t *testing.T) {
	p := compiled(t,
		when([]appliance.RuleAction{{Kind: appliance.DoPool, Pool: "images"}}),
		appliance.Rule{ID: "off", Disabled: true, Then: deny(403)},
		when([]appliance.RuleAction{{Kind: appliance.DoServer, Server: "s1"}, {Kind: appliance.DoSetRequest, Header: "X-A", Value: "1"}}))
	var e Evaluator
	d := e.Run(p, get("/"), 1, false)
	if d.Route != 1 || p.Routes()[0].Pool != "images" || len(d.Request) != 1 || !slices.Equal(d.Matched, []int{0, 2}) {
		t.Errorf("%+v of %+v", d, p.Routes())
	}
}

func TestRedirectsAndRewrites(t *testing.T) {
	for _, c := range []struct {
		a        appliance.RuleAction
		target   string
		location string
		to       string
	}{
		{appliance.RuleAction{Kind: appliance.DoRedirect, Status: 301, Value: "https://{host}{path}{query}"}, "/a?b=c", "https://WWW.Example.org/a?b=c", ""},
		{appliance.RuleAction{Kind: appliance.DoRedirect, Status: 302, Value: "{path}"}, "//evil.example/x", "/evil.example/x", ""},
		{appliance.RuleAction{Kind: appliance.DoRedirect, Status: 302, Value: "/{path}"}, "/\\evil", "/evil", ""},
		{appliance.RuleAction{Kind: appliance.DoRedirect, Status: 302, Value: "/?from={source}&m={method}&p={port}&s={scheme}{x}"}, "/", "/?from=10.1.2.3&m=GET&p=80&s=http{x}", ""},
		{appliance.RuleAction{Kind: appliance.DoRewrite, Value: "/new{path}"}, "/a?b", "", "/new/a?b"},
		{appliance.RuleAction{Kind: appliance.DoRewrite, Value: "/new?own=1"}, "/a?b", "", "/new?own=1"},
		{appliance.RuleAction{Kind: appliance.DoRewrite, Find: "^/app/(.*)$", Value: "/$1"}, "/app/x/y?z=1", "", "/x/y?z=1"},
		{appliance.RuleAction{Kind: appliance.DoRewrite, Find: "^/app", Value: ""}, "/app?z=1", "", "/?z=1"},
		{appliance.RuleAction{Kind: appliance.DoRewrite, Find: "^/other", Value: ""}, "/app?z=1", "", ""},
	} {
		var e Evaluator
		d := e.Run(compiled(t, when([]appliance.RuleAction{c.a})), get(c.target), 1, false)
		if string(d.Location) != c.location || string(d.Target) != c.to {
			t.Errorf("%s on %s: %q %q", c.a.Value, c.target, d.Location, d.Target)
		}
	}
}

func TestTextTooLongForAnExpressionIsRefused(t *testing.T) {
	p := compiled(t, when(deny(403), appliance.Condition{Subject: "path", Operator: appliance.OpRegexp, Value: "admin$"}))
	var e Evaluator
	if d := e.Run(p, get("/"+strings.Repeat("a", maxMatched)+"/admin"), 1, false); d.Status != 431 {
		t.Errorf("status %d", d.Status)
	}
}

func limited(t testing.TB, n int, per time.Duration, old *Program) *Program {
	p, err := Compile([]appliance.Rule{when([]appliance.RuleAction{{Kind: appliance.DoLimit, Requests: n, Period: appliance.Duration(per), MaskIPv4: 24, MaskIPv6: 64}})}, old)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRateLimitSlides(t *testing.T) {
	p, r := limited(t, 10, 10*time.Second, nil), get("/")
	var e Evaluator
	now := int64(95 * time.Second) // in the middle of a window
	try := func() *Decision { return e.Run(p, r, now, false) }
	for i := range 10 {
		if d := try(); d.Status != 0 {
			t.Fatalf("request %d: %d", i+1, d.Status)
		}
	}
	d := try()
	if d.Status != 429 || d.Retry < 5 || d.Retry > 7 {
		t.Errorf("the eleventh: %+v", d)
	}
	r.Source = netip.MustParseAddr("10.1.2.77")
	if d := try(); d.Status != 429 {
		t.Error("a neighbour in the same network is another source")
	}
	r.Source = netip.MustParseAddr("10.1.3.77")
	if d := try(); d.Status != 0 {
		t.Error("another network is the same source")
	}
	r.Source = netip.MustParseAddr("10.1.2.3")
	now += int64(6 * time.Second) // ten in the window before, of which nine tenths count
	if d := try(); d.Status != 0 {
		t.Error("nothing becomes free while the window slides")
	}
	if d := try(); d.Status != 429 {
		t.Error("all becomes free at once")
	}
	now += int64(60 * time.Second)
	for i := range 10 {
		if d := e.Run(p, r, now, i%2 == 1); d.Status != 0 {
			t.Fatalf("after a pause, request %d: %d", i+1, d.Status)
		}
	}
	kept := limited(t, 10, 10*time.Second, p)
	for range 5 {
		e.Run(kept, r, now, false)
	}
	if d := e.Run(kept, r, now, true); d.Status != 429 {
		t.Error("an Apply forgot what was counted, or a dry run counts")
	}
	if d := e.Run(limited(t, 11, 10*time.Second, p), r, now, false); d.Status != 0 {
		t.Error("another rate began with old counts")
	}
}

// TestWaitIsEnough holds for every rate: who waits as long as told is let in, and within any period no more than twice the rate passes.
func TestWaitIsEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, per := rapid.IntRange(1, 20).Draw(t, "requests"), time.Duration(rapid.IntRange(1, 20).Draw(t, "seconds"))*time.Second
		l := NewLimiter(Rate{Requests: n, Period: per, MaskIPv4: 32, MaskIPv6: 64}, nil)
		now, client := int64(1000*time.Second), netip.MustParseAddr("10.0.0.1")
		var let []int64
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now += int64(rapid.IntRange(0, 3000).Draw(t, "ms")) * int64(time.Millisecond)
			wait := l.Take(client, now, false)
			if wait > 0 {
				now += int64(wait) + int64(time.Millisecond)
				if l.Take(client, now, false) > 0 {
					t.Fatalf("waited %v in vain", wait)
				}
			}
			let = append(let, now)
			recent := 0
			for _, at := range let {
				if at > now-int64(per) {
					recent++
				}
			}
			if recent > 2*n {
				t.Fatalf("%d within %v, the rate is %d", recent, per, n)
			}
		}
	})
}

func TestManySourcesAreBounded(t *testing.T) {
	l := NewLimiter(Rate{Requests: 1, Period: time.Second, MaskIPv4: 32, MaskIPv6: 128}, nil)
	for i := range 200_000 {
		l.Take(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), int64(time.Hour), false)
	}
	held := 0
	for i := range l.part {
		held += len(l.part[i].sets) * ways
	}
	if held != stripes*sets*ways {
		t.Errorf("%d places", held)
	}
	if l.Take(netip.AddrFrom4([4]byte{10, 3, 0x0d, 0x3f}), int64(time.Hour), false) == 0 {
		t.Error("the newest source is forgotten")
	}
}

// twenty are rules as a busy site has them, of which none but the last holds.
func twenty(t testing.TB) *Program {
	var list []appliance.Rule
	for i := range 19 {
		c := appliance.Condition{Subject: "path", Operator: appliance.OpBegins, Value: fmt.Sprintf("/app%d/", i)}
		switch i % 5 {
		case 1:
			c = appliance.Condition{Subject: "host", Operator: appliance.OpEqual, Value: fmt.Sprintf("site%d.example.org", i)}
		case 2:
			c = appliance.Condition{Subject: "header", Name: "User-Agent", Operator: appliance.OpContains, Value: "badbot"}
		case 3:
			c = appliance.Condition{Subject: "cookie", Name: "beta", Operator: appliance.OpEqual, Value: "1"}
		case 4:
			c = appliance.Condition{Subject: "source", Operator: appliance.OpEqual, Value: "192.168.7.0/24"}
		}
		list = append(list, when(deny(403), c))
	}
	return compiled(t, append(list, when([]appliance.RuleAction{
		{Kind: appliance.DoSetRequest, Header: "X-Rule", Value: "{host}"},
		{Kind: appliance.DoPool, Pool: "p"},
		{Kind: appliance.DoLimit, Requests: 1 << 30, Period: appliance.Duration(time.Second), MaskIPv4: 32, MaskIPv6: 64},
		{Kind: appliance.DoSetResponse, Header: "X-Frame-Options", Value: "DENY"},
	}))...)
}

func browser() *Request {
	return get("/index.html?x=1", "Host: www.example.org", "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0", "Accept: text/html", "Accept-Language: en", "Cookie: session=0123456789abcdef")
}

func TestTwentyRulesDoNotAllocate(t *testing.T) {
	p, r := twenty(t), browser()
	var e Evaluator
	if n := testing.AllocsPerRun(100, func() {
		if d := e.Run(p, r, 1, false); d.Status != 0 || len(d.Request) != 1 {
			t.Fatal(d)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTwentyRules(b *testing.B) {
	p, r := twenty(b), browser()
	var e Evaluator
	for b.Loop() {
		e.Run(p, r, 1, false)
	}
}

// FuzzRun runs an expression and a comparison on whatever stands in a head.
func FuzzRun(f *testing.F) {
	f.Add("/a/%2e%2e/b?x=%", "X: y\r\nCookie: a=b; c\r\n", "^/(a|b)*$", "$1{path}")
	f.Add("/%", ":\r\n\n", "(", "{")
	f.Add("0", "\x87", "", "7")
	f.Fuzz(func(t *testing.T, target, fields, find, value string) {
		var list []appliance.Rule
		for _, s := range appliance.Subjects() {
			for _, op := range appliance.Comparisons() {
				list = append(list, when([]appliance.RuleAction{
					{Kind: appliance.DoRewrite, Find: find, Value: value}, {Kind: appliance.DoReplaceRequest, Header: "X", Find: find, Value: value}, {Kind: appliance.DoSetRequest, Header: "X", Value: value},
				}, appliance.Condition{Subject: s, Name: "a", Operator: op, Value: find}))
			}
		}
		list = slices.DeleteFunc(list, func(r appliance.Rule) bool { _, err := Compile([]appliance.Rule{r}, nil); return err != nil })
		p, err := Compile(list, nil)
		if err != nil {
			t.Fatal(err)
		}
		if p == nil {
			return
		}
		r := get(target, fields)
		var e Evaluator
		d := e.Run(p, r, 1, false)
		for _, c := range d.Target {
			if c <= ' ' || c >= 0x7f {
				t.Fatalf("target %q", d.Target)
			}
		}
		for _, edit := range d.Request {
			lines := []string{}
			if edit.Verb() == Replace {
				out, _ := edit.AppendReplaced(nil, []byte(fields))
				lines = append(lines, string(out))
			} else {
				lines = append(lines, string(edit.AppendLine(nil, r)))
			}
			for _, text := range lines {
				if n := strings.Count(text, "\n"); n > 1 || n == 1 && !strings.HasSuffix(text, "\r\n") || strings.Count(text, "\r") > n {
					t.Fatalf("a split message: %q", text)
				}
			}
		}
	})
}

// TestRoutesKeepTheirNumbers: who was routed before an Apply may still be on its way behind it.
func TestRoutesKeepTheirNumbers(t *testing.T) {
	to := func(id string) appliance.Rule {
		return appliance.Rule{ID: id, Then: []appliance.RuleAction{{Kind: appliance.DoPool, Pool: id}}}
	}
	first, _ := Compile([]appliance.Rule{to("a"), to("b")}, nil)
	second, _ := Compile([]appliance.Rule{to("c"), to("b")}, first)
	if got := second.Routes(); len(got) != 3 || got[0].Pool != "a" || got[1].Pool != "b" || got[2].Pool != "c" {
		t.Errorf("%+v", got)
	}
	if d := new(Evaluator).Run(second, &Request{}, 1, false); d.Route != 3 {
		t.Errorf("route %d", d.Route)
	}
	if d := new(Evaluator).Run(first, &Request{}, 1, false); d.Route != 1 {
		t.Errorf("route %d", d.Route)
	}
}

func TestAProgramSaysWhatItAsks(t *testing.T) {
	name := appliance.Rule{When: []appliance.Condition{{Subject: appliance.SubjectTLS, Operator: appliance.OpPresent}}, Then: []appliance.RuleAction{{Kind: appliance.DoDeny, Status: 403}}}
	asks, _ := Compile([]appliance.Rule{name}, nil)
	name.When[0].Subject = appliance.SubjectSource
	name.When[0].Value = "10.0.0.0/8"
	other, _ := Compile([]appliance.Rule{name}, nil)
	if !asks.Asks(appliance.SubjectTLS) || other.Asks(appliance.SubjectTLS) || (*Program)(nil).Asks(appliance.SubjectTLS) {
		t.Error(asks.Asks(appliance.SubjectTLS), other.Asks(appliance.SubjectTLS))
	}
}
