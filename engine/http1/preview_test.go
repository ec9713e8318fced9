package http1

import (
	"strings"
	"testing"

	"evenkeel/appliance"
	"evenkeel/engine/wire"

	"pgregory.net/rapid"
)

// TestAPreviewIsWhatHappens holds for requests, rules and services of many kinds: what is told is, byte for byte, what the server or the client gets.
func TestAPreviewIsWhatHappens(t *testing.T) {
	targets := []string{"/", "/a?b=c", "//a/../admin", "/%61dmin;JSESSIONID=abc?q", "http://inner.example:81/a?x", "*", "/ä"}
	fields := []string{
		"X-One: 1", "x-one: 2", "X-Forwarded-For: 9.9.9.9", "X-Forwarded-Proto: https", "X-Request-ID: mine", "Cookie: a=b; SERVERID=sealed; JSESSIONID=xyz", "Connection: close, X-One",
		"Content-Length: 0", "Transfer-Encoding: gzip", "Keep-Alive: 3", "Host: two.example", " bad: space",
	}
	then := []appliance.RuleAction{
		{Kind: set, Header: "X-One", Value: "{scheme} {source} {port}"},
		{Kind: addOne, Header: "X-Two", Value: "{host}{path}{query}"},
		{Kind: remove, Header: "Cookie"},
		{Kind: replace, Header: "X-One", Find: "1", Value: "one"},
		{Kind: set, Header: "Host", Value: "fresh.example"},
		{Kind: appliance.DoRewrite, Find: "^/a", Value: "/b"},
		{Kind: appliance.DoDeny, Status: 403},
		{Kind: appliance.DoRedirect, Status: 301, Value: "https://{host}{path}"},
		{Kind: appliance.DoServer, Server: "b"},
		{Kind: set, Header: "X-Forwarded-For", Value: "{source}"},
		{Kind: appliance.DoLimit, Requests: 1000, Period: appliance.Duration(3600e9), MaskIPv4: 32, MaskIPv6: 64},
	}
	rapid.Check(t, func(rt *rapid.T) {
		secure := rapid.Bool().Draw(rt, "secure")
		redirects := rapid.Bool().Draw(rt, "redirects")
		r := newRig(t, func(s *appliance.VirtualService) {
			s.HTTP.ForwardedFor = rapid.SampledFrom([]appliance.ForwardedFor{appliance.ForwardedAppend, appliance.ForwardedReplace, appliance.ForwardedOff}).Draw(rt, "forwarded")
			s.HTTP.KeepAlive = rapid.SampledFrom([]appliance.KeepAlive{appliance.KeepAliveBoth, appliance.KeepAliveClient}).Draw(rt, "keep")
			s.Persistence.Kind = rapid.SampledFrom([]appliance.PersistenceKind{appliance.PersistCookie, appliance.PersistNone, appliance.PersistApplication}).Draw(rt, "persistence")
			s.Scheduler = rapid.SampledFrom(appliance.Schedulers()).Draw(rt, "scheduler")
			s.HashHeader = "X-One"
			if redirects {
				s.TLS.Redirect = "308"
			}
		})
		rules := fix(t, onPath("/a", rapid.SliceOfN(rapid.SampledFrom(then), 0, 3).Draw(rt, "on a")...), always(rapid.SliceOfN(rapid.SampledFrom(then), 0, 2).Draw(rt, "always")...))
		head := rapid.SampledFrom([]string{"GET", "POST", "HEAD", "TRACE"}).Draw(rt, "method") + " " + rapid.SampledFrom(targets).Draw(rt, "target") + " HTTP/1.1\r\nHost: h.example:8080\r\n"
		for _, f := range rapid.SliceOfNDistinct(rapid.SampledFrom(fields), 0, 3, rapid.ID[string]).Draw(rt, "fields") {
			head += f + "\r\n"
		}
		head += "\r\n"

		o := PreviewOptions{Config: r.service.config, Program: rules.program, Head: []byte(head), Client: clientAddr, Local: vipAddr, Secure: secure, Now: r.loop.Now()}
		told := PreviewRequest(o)
		r.client = r.loop.Accept(clientAddr, vipAddr)
		r.core = New(Options{Service: r.service, Client: r.client, Idle: r.pool, Ruled: rules, Secure: secure, Refused: func(why string) { r.reasons = append(r.reasons, why) }})
		r.client.Bind(r.core)
		r.client.Arrive([]byte(head))
		switch {
		case !told.Refused.OK():
			if len(r.loop.Dialed) > 0 || len(r.reasons) == 0 || r.reasons[0] != told.Refused.Reason {
				rt.Fatalf("%q: told it is refused because %s; refused %q", head, told.Refused.Reason, r.reasons)
			}
		case told.Answer != nil:
			if got, want := string(r.client.Sent), strings.TrimSuffix(string(told.Answer), "\r\n"); len(r.loop.Dialed) > 0 || !strings.HasPrefix(strings.Replace(got, "Connection: close\r\n", "", 1), strings.Replace(want, "Connection: close\r\n", "", 1)) {
				rt.Fatalf("%q: told %q, got %q", head, want, got)
			}
		default:
			if got := string(r.connected(0).Sent); got != string(told.Sent) {
				rt.Fatalf("%q: told %q, sent %q", head, told.Sent, got)
			}
			k := r.core.(*core)
			if told.Query.Client != k.x.client || told.Query.Key != k.x.key || told.Query.Rule != k.x.route || string(told.Query.Session) != string(k.x.session) || told.Query.Secure != secure ||
				len(r.service.cookies) > 0 && string(told.Query.Cookie) != r.service.cookies[0] {
				rt.Fatalf("%q: told %+v, asked by %+v", head, told.Query, k.x)
			}
		}
	})
}

func TestAPreviewOfAnAnswer(t *testing.T) {
	config := appliance.NewService(appliance.HTTP)
	config.TLS.HSTS = appliance.Duration(60e9)
	p := fix(t, always(appliance.RuleAction{Kind: appliance.DoRemoveResponse, Header: "Server"}, appliance.RuleAction{Kind: appliance.DoSetResponse, Header: "X-Frame-Options", Value: "DENY"})).program
	o := PreviewOptions{Config: &config, Program: p, Head: []byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), Client: clientAddr, Local: vipAddr, Secure: true, Now: wire.Time(1)}
	v := PreviewRequest(o)
	got, verdict := PreviewAnswer(o, []byte("HTTP/1.1 200 OK\r\nServer: IIS\r\nContent-Length: 0\r\n\r\n"), v.Edits)
	const want = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Frame-Options: DENY\r\nStrict-Transport-Security: max-age=60\r\n\r\n"
	if string(got) != want || !verdict.OK() {
		t.Errorf("got %q, %+v", got, verdict)
	}
	if _, verdict = PreviewAnswer(o, []byte("HTTP/1.1 200 OK\r\nServer IIS\r\n\r\n"), v.Edits); verdict.OK() {
		t.Error("a malformed answer passes")
	}
}
