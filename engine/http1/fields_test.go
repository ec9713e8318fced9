package http1

import (
	"strings"
	"testing"

	"evenkeel/appliance"
)

func TestForwardedFor(t *testing.T) {
	in := "X-Forwarded-For: 1.1.1.1\r\nA: b\r\nX-Forwarded-For: 2.2.2.2 , 3.3.3.3\r\nX-Real-IP: 4.4.4.4\r\nForwarded: for=5.5.5.5\r\nX_Forwarded_For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n"
	for mode, want := range map[appliance.ForwardedFor]string{
		appliance.ForwardedOff:     in,
		appliance.ForwardedReplace: "A: b\r\nX-Forwarded-For: 203.0.113.7\r\n",
		appliance.ForwardedAppend: "A: b\r\nX-Real-IP: 4.4.4.4\r\nForwarded: for=5.5.5.5\r\nX-Forwarded-Proto: https\r\n" +
			"X-Forwarded-For: 1.1.1.1, 2.2.2.2 , 3.3.3.3, 203.0.113.7\r\n",
	} {
		r := newRig(t, func(s *appliance.VirtualService) { s.HTTP.ForwardedFor = mode })
		r.client.Arrive([]byte("GET / HTTP/1.1\r\nHost: x\r\n" + in + "\r\n"))
		r.equal(string(mode), take(r.connected(0)), "GET / HTTP/1.1\r\nHost: x\r\n"+want+"\r\n")
	}
}

func TestPersistenceCookieIsReadRemovedAndSet(t *testing.T) {
	for in, want := range map[string][2]string{
		"Cookie: SERVERID=v\r\n":                                  {"v", ""},
		"Cookie: a=1; SERVERID=v; b=2\r\n":                        {"v", "Cookie: a=1; b=2\r\n"},
		"Cookie: SERVERID=v; b=2\r\n":                             {"v", "Cookie: b=2\r\n"},
		"Cookie: a=1; SERVERID=v\r\n":                             {"v", "Cookie: a=1\r\n"},
		"Cookie: a=1; SERVERID=v; SERVERID=w\r\n":                 {"v", "Cookie: a=1\r\n"},
		"Cookie: SERVERID=v; a=1; SERVERID=w; b=2; SERVERID=\r\n": {"v", "Cookie: a=1; b=2\r\n"},
		"Cookie:SERVERID=v;SERVERID=w\r\nCookie: q=1\r\n":         {"v", "Cookie: q=1\r\n"},
		"Cookie: XSERVERID=v; SERVERIDX=w; serverid=u\r\n":        {"", "Cookie: XSERVERID=v; SERVERIDX=w; serverid=u\r\n"},
		"A: SERVERID=v\r\n":                                       {"", "A: SERVERID=v\r\n"},
		"cookie: a=1;SERVERID=v ;\r\n":                            {"v", "cookie: a=1\r\n"},
	} {
		r := newRig(t, func(s *appliance.VirtualService) { s.Persistence.Kind = appliance.PersistCookie })
		r.service.choice.SetCookie = []byte("SERVERID=new; Path=/")
		r.client.Arrive([]byte("GET / HTTP/1.1\r\nHost: x\r\n" + in + "\r\n"))
		s := r.connected(0)
		r.equal(in, take(s), "GET / HTTP/1.1\r\nHost: x\r\n"+want[1]+"\r\n")
		r.equal("cookie", strings.Join(r.service.cookies, "|"), want[0])
		s.Arrive([]byte(ok2))
		r.equal("answer", take(r.client), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: SERVERID=new; Path=/\r\n\r\nhi")
	}
}

func TestSecureClientIsTold(t *testing.T) {
	r := newRig(t, func(s *appliance.VirtualService) { s.HTTP.ForwardedFor = appliance.ForwardedReplace })
	r.core = New(Options{Service: r.service, Client: r.client, Idle: r.pool, Secure: true})
	r.client.Bind(r.core)
	r.client.Arrive([]byte(get))
	r.equal("forwarded", take(r.connected(0)), "GET /a HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n\r\n")
}

func TestEveryFieldThatConnectionNamesIsDropped(t *testing.T) {
	for _, fields := range [][]string{
		{"X-Foo: 1", "X-Bar: 2", "X-Baz: 3", "Connection: X-Foo, X-Bar, X-Baz"},
		{"Connection: X-Foo, X-Bar, X-Baz", "X-Foo: 1", "X-Bar: 2", "X-Baz: 3"},
		{"X-Foo: 1", "Connection: X-Foo", "X-Bar: 2", "TE: trailers", "Connection: x-baz, X-Bar, TE", "X-Baz: 3", "x-foo: 4"},
	} {
		bothWays(t, func(t *testing.T, bytewise bool) {
			r := newRig(t)
			hop := strings.Join(fields, "\r\n") + "\r\n"
			feed(r.client, "GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\n"+hop+"B: 2\r\n\r\n", bytewise)
			s := r.connected(0)
			r.equal("forwarded", take(s), "GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 2\r\n\r\n")
			feed(s, "HTTP/1.1 200 OK\r\nA: 1\r\n"+hop+"Content-Length: 2\r\n\r\nhi", bytewise)
			r.equal("answer", take(r.client), "HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 2\r\n\r\nhi")
		})
	}
}

// TestAnOfferOfH2CIsIgnored: RFC 9110, 7.8. It is what Java's client sends with its first request.
func TestAnOfferOfH2CIsIgnored(t *testing.T) {
	for _, offer := range []string{
		"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n",
		"HTTP2-Settings: AAMAAABk\r\nUpgrade: H2C, foo/1\r\nConnection: HTTP2-Settings\r\nConnection: keep-alive, upgrade\r\n",
		"Connection: Upgrade\r\nUpgrade: h2c\r\n",
	} {
		bothWays(t, func(t *testing.T, bytewise bool) {
			r := newRig(t)
			feed(r.client, "POST /a HTTP/1.1\r\nHost: x\r\n"+offer+"Content-Length: 2\r\nA: 1\r\n\r\nhi", bytewise)
			s := r.connected(0)
			r.equal("forwarded", take(s), "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nA: 1\r\n\r\nhi")
			feed(s, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nho", bytewise)
			r.equal("answer", take(r.client), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nho")
			r.true("the connection is kept", !r.client.Over())
		})
	}
}
