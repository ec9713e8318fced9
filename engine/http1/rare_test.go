package http1

import (
	"strings"
	"testing"

	"evenkeel/appliance"
)

func TestTraceAndOptionsOfTheServerPassWhereTheServiceSaysSo(t *testing.T) {
	serve := func(v *appliance.VirtualService) { v.HTTP.TraceAndOptions = true }
	for name, c := range map[string]struct{ sent, want string }{
		"trace":                  {"TRACE /a?b HTTP/1.1\r\nHost: x\r\n\r\n", "TRACE /a?b HTTP/1.1\r\nHost: x\r\n\r\n"},
		"options *":              {"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"},
		"options * of HTTP/1.0":  {"OPTIONS * HTTP/1.0\r\nHost: x\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"},
		"options * with a body":  {"OPTIONS * HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", "OPTIONS * HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"},
		"trace in absolute form": {"TRACE http://x HTTP/1.1\r\nHost: x\r\n\r\n", "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n"},
	} {
		for _, bytewise := range []bool{false, true} {
			r := newRig(t, serve)
			feed(r.client, c.sent, bytewise)
			r.equal(name, take(r.connected(0)), c.want)
			r.server(0).Arrive([]byte(ok2))
			r.true("answered", strings.HasPrefix(take(r.client), "HTTP/1.1 200 OK\r\n"))
			r.balanced()

			r = newRig(t)
			feed(r.client, c.sent, bytewise)
			r.refusedWith("405")
		}
	}
	for name, c := range map[string]struct{ sent, status string }{
		"connect":                     {"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", "405"},
		"get *":                       {"GET * HTTP/1.1\r\nHost: x\r\n\r\n", "405"},
		"options *x":                  {"OPTIONS *x HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
		"trace *":                     {"TRACE * HTTP/1.1\r\nHost: x\r\n\r\n", "405"},
		"trace with a body":           {"TRACE / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", "400"},
		"trace with a body in chunks": {"TRACE / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
		"options * without host":      {"OPTIONS * HTTP/1.1\r\n\r\n", "400"},
	} {
		r := newRig(t, serve)
		r.client.Arrive([]byte(c.sent))
		r.refusedWith(c.status)
		r.true(name+" is not forwarded", len(r.loop.Dialed) == 0)
	}
}

func TestOptionsOfTheServerIsForetoldAndLedToHTTPSWithoutAPath(t *testing.T) {
	config := appliance.NewService(appliance.HTTP)
	config.HTTP.TraceAndOptions = true
	ask := PreviewOptions{Config: &config, Head: []byte("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"), Client: clientAddr, Local: vipAddr}
	if p := PreviewRequest(ask); !p.Refused.OK() || !strings.HasPrefix(string(p.Sent), "OPTIONS * HTTP/1.1\r\n") {
		t.Errorf("%+v", p)
	}
	config.TLS.Redirect = appliance.RedirectFound
	if p := PreviewRequest(ask); !p.Redirected || !strings.Contains(string(p.Answer), "\r\nLocation: https://x/\r\n") {
		t.Errorf("%q", p.Answer)
	}
}
