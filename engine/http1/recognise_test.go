package http1

import (
	"net/netip"
	"strings"
	"testing"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
)

// witness is a service that writes down by what clients are recognised and what is learned.
type witness struct {
	*service
	clients, sessions, learned []string
}

func (w *witness) Pick(q *wire.Query) (wire.Choice, bool) {
	w.clients, w.sessions = append(w.clients, q.Client.Addr().String()), append(w.sessions, string(q.Session))
	return w.service.Pick(q)
}

func (w *witness) Learn(c wire.Choice, q *wire.Query) {
	w.learned = append(w.learned, c.Server.ID+" "+string(q.Session))
}

func watched(t *testing.T, edit func(*appliance.Persistence)) (*rig, *witness) {
	r := newRig(t, func(s *appliance.VirtualService) { edit(&s.Persistence) })
	w := &witness{service: r.service}
	r.core = New(Options{Service: w, Client: r.client, Idle: r.pool, Refused: func(why string) { r.reasons = append(r.reasons, why) }})
	r.client.Bind(r.core)
	return r, w
}

func TestTheServersOwnCookieIsRecognisedAndForwarded(t *testing.T) {
	long := strings.Repeat("x", maxSession+1)
	for name, c := range map[string]struct{ path, fields, want string }{
		"none":            {"/", "", ""},
		"alone":           {"/", "Cookie: JSESSIONID=A1\r\n", "A1"},
		"among others":    {"/", "Cookie: a=b; JSESSIONID=A1.node1; c=d\r\n", "A1.node1"},
		"in a second":     {"/", "Cookie: a=b\r\nCookie: JSESSIONID=A1\r\n", "A1"},
		"another's case":  {"/", "Cookie: jsessionid=A1\r\n", ""},
		"a longer name":   {"/", "Cookie: XJSESSIONID=A1; JSESSIONIDX=A2\r\n", ""},
		"empty":           {"/", "Cookie: JSESSIONID=\r\n", ""},
		"huge":            {"/", "Cookie: JSESSIONID=" + long + "\r\n", ""},
		"path":            {"/a;jsessionid=P1?x=;jsessionid=P2", "", "P1"},
		"path in between": {"/a;v=1;JSESSIONID=P1/b", "", "P1"},
		"query only":      {"/a?;jsessionid=P2", "", ""},
		"cookie first":    {"/a;jsessionid=P1", "Cookie: JSESSIONID=A1\r\n", "A1"},
		"field's name":    {"/", "X-Cookie: JSESSIONID=A1\r\nCookie2: JSESSIONID=A1\r\n", ""},
	} {
		r, w := watched(t, func(p *appliance.Persistence) { p.Kind = appliance.PersistApplication })
		head := "GET " + c.path + " HTTP/1.1\r\nHost: x\r\n" + c.fields + "\r\n"
		feed(r.client, head, false)
		if len(w.sessions) != 1 || w.sessions[0] != c.want {
			t.Errorf("%s: %q", name, w.sessions)
		}
		if got := take(r.connected(0)); got != head {
			t.Errorf("%s: forwarded %.200q", name, got)
		}
	}
}

func TestSessionsAreLearnedFromAnswersOnly(t *testing.T) {
	for name, c := range map[string]struct{ fields, want string }{
		"none":      {"", ""},
		"begun":     {"Set-Cookie: JSESSIONID=N1; Path=/; HttpOnly\r\n", "a N1"},
		"second":    {"Set-Cookie: a=b\r\nset-cookie: JSESSIONID=N1\r\n", "a N1"},
		"the last":  {"Set-Cookie: JSESSIONID=N1\r\nSet-Cookie: JSESSIONID=N2\r\n", "a N2"},
		"taken":     {"Set-Cookie: JSESSIONID=; Max-Age=0\r\n", ""},
		"deleted":   {"Set-Cookie: JSESSIONID=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; max-age=0\r\n", ""},
		"another":   {"Set-Cookie: OTHER=1; JSESSIONID=N1\r\n", ""},
		"too large": {"Set-Cookie: JSESSIONID=" + strings.Repeat("x", maxSession+1) + "\r\n", ""},
	} {
		r, w := watched(t, func(p *appliance.Persistence) { p.Kind = appliance.PersistApplication })
		feed(r.client, "GET / HTTP/1.1\r\nHost: x\r\nCookie: JSESSIONID=A1\r\n\r\n", false)
		answer := "HTTP/1.1 200 OK\r\n" + c.fields + "Content-Length: 2\r\n\r\nhi"
		r.connected(0).Arrive([]byte(answer))
		if got := strings.Join(w.learned, ","); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
		if got := take(r.client); got != answer {
			t.Errorf("%s: the client got %.200q", name, got)
		}
	}
}

func TestOnlyAnAnswerThatIsNoFailureIsASuccess(t *testing.T) {
	for status, want := range map[string]string{"200 OK": "a ", "404 Not Found": "a ", "500 Oops": "", "503 Busy": ""} {
		r, w := watched(t, func(p *appliance.Persistence) { p.Kind = appliance.PersistLastSuccessful })
		feed(r.client, get, false)
		if len(w.learned) > 0 {
			t.Fatal("learned before there was an answer")
		}
		r.connected(0).Arrive([]byte("HTTP/1.1 " + status + "\r\nContent-Length: 0\r\n\r\n"))
		if got := strings.Join(w.learned, ","); got != want {
			t.Errorf("%s: %q", status, got)
		}
	}
}

func TestXForwardedForCountsFromTrustedProxiesOnly(t *testing.T) {
	peer := clientAddr.Addr().String() // 203.0.113.7
	proxies := []netip.Prefix{netip.MustParsePrefix("203.0.113.7/32"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, c := range map[string]struct {
		trusted []netip.Prefix
		fields  string
		want    string
	}{
		"no header":              {proxies, "", peer},
		"not trusted":            {proxies[1:], "X-Forwarded-For: 198.51.100.1\r\n", peer},
		"one":                    {proxies, "X-Forwarded-For: 198.51.100.1\r\n", "198.51.100.1"},
		"what the client forged": {proxies, "X-Forwarded-For: 192.0.2.66, 198.51.100.1\r\n", "198.51.100.1"},
		"behind two proxies":     {proxies, "X-Forwarded-For: 192.0.2.66, 198.51.100.1, 10.1.2.3\r\n", "198.51.100.1"},
		"in two lines":           {proxies, "X-Forwarded-For: 192.0.2.66, 198.51.100.1\r\nx-forwarded-for: 10.1.2.3\r\n", "198.51.100.1"},
		"all trusted":            {proxies, "X-Forwarded-For: 10.9.9.9,10.1.2.3\r\n", "10.9.9.9"},
		"rubbish at the end":     {proxies, "X-Forwarded-For: 198.51.100.1, unknown\r\n", peer},
		"rubbish behind a proxy": {proxies, "X-Forwarded-For: 198.51.100.1, unknown, 10.1.2.3\r\n", "10.1.2.3"},
		"empty":                  {proxies, "X-Forwarded-For:\r\n", peer},
		"commas":                 {proxies, "X-Forwarded-For: ,,\r\n", peer},
		"with a port":            {proxies, "X-Forwarded-For: 198.51.100.1:4711\r\n", "198.51.100.1"},
		"IPv6":                   {proxies, "X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1"},
		"IPv6 with a port":       {proxies, "X-Forwarded-For: [2001:db8::1]:4711, fd00::1\r\n", "2001:db8::1"},
		"mapped":                 {proxies, "X-Forwarded-For: ::ffff:198.51.100.1\r\n", "198.51.100.1"},
		"zone":                   {proxies, "X-Forwarded-For: fe80::1%eth0\r\n", peer},
		"leading zero":           {proxies, "X-Forwarded-For: 198.051.100.1\r\n", peer},
		"too long":               {proxies, "X-Forwarded-For: 198.51.100.1.1\r\n", peer},
		"too large":              {proxies, "X-Forwarded-For: 256.51.100.1\r\n", peer},
		"thousands":              {proxies, "X-Forwarded-For: 198.51.100.1" + strings.Repeat(",10.0.0.1", 3000) + "\r\n", "10.0.0.1"},
	} {
		r, w := watched(t, func(p *appliance.Persistence) { p.Kind, p.TrustedProxies = appliance.PersistForwardedFor, c.trusted })
		feed(r.client, "GET / HTTP/1.1\r\nHost: x\r\n"+c.fields+"\r\n", false)
		if len(w.clients) != 1 || w.clients[0] != c.want {
			t.Errorf("%s: %q", name, w.clients)
		}
	}
}

func TestARefusedConnectAsksForTheSameClientAgain(t *testing.T) {
	r, w := watched(t, func(p *appliance.Persistence) { p.Kind = appliance.PersistApplication })
	feed(r.client, "GET / HTTP/1.1\r\nHost: x\r\nCookie: JSESSIONID=A1\r\n\r\n", false)
	r.server(0).Break(nil)
	r.connected(1)
	if strings.Join(w.sessions, ",") != "A1,A1" {
		t.Errorf("%q", w.sessions)
	}
}

func TestRecognisingDoesNotAllocate(t *testing.T) {
	head := "GET /a;v=1 HTTP/1.1\r\nHost: x\r\nCookie: a=b; JSESSIONID=0123456789abcdef\r\nX-Forwarded-For: 192.0.2.66, 198.51.100.1, 10.1.2.3\r\n\r\n"
	answer := "HTTP/1.1 200 OK\r\nSet-Cookie: JSESSIONID=0123456789abcdef; Path=/\r\nContent-Length: 2\r\n\r\nhi"
	for _, kind := range []appliance.PersistenceKind{appliance.PersistApplication, appliance.PersistForwardedFor, appliance.PersistLastSuccessful, appliance.PersistCookieOrIP} {
		serve := flat(t, head, answer, func(p *appliance.Persistence) {
			p.Kind, p.TrustedProxies = kind, []netip.Prefix{netip.PrefixFrom(clientAddr.Addr(), 32), netip.MustParsePrefix("10.0.0.0/8")}
		})
		serve()
		if n := testing.AllocsPerRun(100, serve); n != 0 {
			t.Errorf("%s: %v allocations per request", kind, n)
		}
	}
}

func FuzzRecognise(f *testing.F) {
	f.Add("/a;jsessionid=1", "Cookie: JSESSIONID=2\r\nX-Forwarded-For: 10.0.0.1, [::1]:3\r\n")
	trusted := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	f.Fuzz(func(t *testing.T, path, fields string) {
		var h requestHead
		b := []byte("GET /" + path + " HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n")
		if h.scan(b, appliance.ForwardedOff, "") != complete {
			return
		}
		h.ownCookie(b, "JSESSIONID")
		pathParameter(h.path, "JSESSIONID")
		if a := h.forwardedFor(b, clientAddr.Addr(), trusted); a.IsValid() && (a.Zone() != "" || a.Is4In6()) {
			t.Errorf("%s counts as a client", a)
		}
		var answer responseHead
		if b = []byte("HTTP/1.1 200 OK\r\n" + fields + "\r\n"); answer.scan(b) == complete {
			answer.setCookie(b, "JSESSIONID")
		}
	})
}

// Learn implements wire.Learner.
func (s *flatService) Learn(wire.Choice, *wire.Query) {}
