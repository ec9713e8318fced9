package http1

import (
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

func redirecting(status appliance.HTTPSRedirect, port uint16) func(*appliance.VirtualService) {
	return func(s *appliance.VirtualService) { s.TLS.Redirect, s.TLS.RedirectPort = status, port }
}

func TestForceToHTTPSAnswersEveryRequestAndForwardsNothing(t *testing.T) {
	for _, c := range []struct {
		status  appliance.HTTPSRedirect
		port    uint16
		request string
		want    string
	}{
		{"301", 0, "GET /a?b=c HTTP/1.1\r\nHost: www.clinic.test\r\n\r\n", "HTTP/1.1 301 Moved Permanently\r\nLocation: https://www.clinic.test/a?b=c\r\n"},
		{"302", 8443, "GET / HTTP/1.1\r\nHost: www.clinic.test:8080\r\n\r\n", "HTTP/1.1 302 Found\r\nLocation: https://www.clinic.test:8443/\r\n"},
		{"303", 0, "POST /x HTTP/1.1\r\nHost: [fd00::1]:80\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 303 See Other\r\nLocation: https://[fd00::1]/x\r\n"},
		{"307", 443, "GET http://a.test HTTP/1.1\r\nHost: a.test\r\n\r\n", "HTTP/1.1 307 Temporary Redirect\r\nLocation: https://a.test/\r\n"},
		{"308", 0, "GET / HTTP/1.1\r\nHost: fd.test\r\n\r\n", "HTTP/1.1 308 Permanent Redirect\r\nLocation: https://fd.test/\r\n"},
	} {
		r := newRig(t, redirecting(c.status, c.port))
		r.client.Arrive([]byte(c.request))
		if got := string(r.client.Sent); !strings.HasPrefix(got, c.want) || !strings.HasSuffix(got, "Content-Length: 0\r\nConnection: close\r\n\r\n") {
			t.Errorf("%s: %q", c.request, got)
		}
		r.true("nothing was dialed", len(r.loop.Dialed) == 0 && r.client.Closed)
	}
	r := newRig(t, redirecting("301", 0))
	r.client.Arrive([]byte("GET / HTTP/1.0\r\n\r\n"))
	r.refusedWith("400")
}

func TestHSTSStandsOnAnswersOverTLSOnceAndInsteadOfTheServers(t *testing.T) {
	for _, c := range []struct {
		secure bool
		age    time.Duration
		want   []string
	}{
		{true, 180 * 24 * time.Hour, []string{"Strict-Transport-Security: max-age=15552000"}},
		{true, 0, []string{"Strict-Transport-Security: max-age=1"}},
		{false, time.Hour, []string{"Strict-Transport-Security: max-age=1"}},
	} {
		r := newRig(t, func(s *appliance.VirtualService) { s.TLS.HSTS = appliance.Duration(c.age) })
		r.core = New(Options{Service: r.service, Client: r.client, Idle: r.pool, Secure: c.secure})
		r.client.Bind(r.core)
		r.client.Arrive([]byte(get))
		r.connected(0).Arrive([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=1\r\nA: b\r\nContent-Length: 0\r\n\r\n"))
		var got []string
		for line := range strings.SplitSeq(string(r.client.Sent), "\r\n") {
			if strings.HasPrefix(line, "Strict") {
				got = append(got, line)
			}
		}
		r.equal("HSTS", strings.Join(got, "|"), strings.Join(c.want, "|"))
	}
}

func TestAServerIsToldThatItsClientCameByTLS(t *testing.T) {
	for _, c := range []struct {
		mode appliance.ForwardedFor
		came string
		want string
	}{
		{appliance.ForwardedAppend, "", "https"},
		{appliance.ForwardedAppend, "X-Forwarded-Proto: http\r\n", "http"}, // a proxy before us knows better
		{appliance.ForwardedReplace, "X-Forwarded-Proto: http\r\n", "https"},
		{appliance.ForwardedOff, "", ""},
	} {
		r := newRig(t, func(s *appliance.VirtualService) { s.HTTP.ForwardedFor = c.mode })
		r.core = New(Options{Service: r.service, Client: r.client, Idle: r.pool, Secure: true})
		r.client.Bind(r.core)
		r.client.Arrive([]byte("GET / HTTP/1.1\r\nHost: x\r\n" + c.came + "\r\n"))
		var got []string
		for line := range strings.SplitSeq(string(r.connected(0).Sent), "\r\n") {
			if value, found := strings.CutPrefix(line, "X-Forwarded-Proto: "); found {
				got = append(got, value)
			}
		}
		r.equal(string(c.mode), strings.Join(got, "|"), c.want)
	}
}
