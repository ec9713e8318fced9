package http1

import (
	"testing"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
)

// TestTheSchedulersKeyIsTakenFromTheRequest holds also for the second try, when the client's bytes are gone.
func TestTheSchedulersKeyIsTakenFromTheRequest(t *testing.T) {
	key := func(s string) uint64 { return wire.HashKey([]byte(s)) }
	for name, c := range map[string]struct {
		scheduler appliance.Scheduler
		request   string
		want      uint64
	}{
		"path":              {appliance.URIHash, "GET /studies/1?token=a HTTP/1.1\r\nHost: x\r\n\r\n", key("/studies/1")},
		"absolute form":     {appliance.URIHash, "GET http://x/studies/1?b HTTP/1.1\r\nHost: x\r\n\r\n", key("/studies/1")},
		"header":            {appliance.HeaderHash, "GET / HTTP/1.1\r\nHost: x\r\nX-Tenant-: no\r\nx-TENANT:  clinic \r\nX-Tenant: other\r\n\r\n", key("clinic")},
		"header is empty":   {appliance.HeaderHash, "GET / HTTP/1.1\r\nHost: x\r\nX-Tenant:\r\n\r\n", 0},
		"no header":         {appliance.HeaderHash, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0},
		"another scheduler": {appliance.LeastConnections, "GET /a HTTP/1.1\r\nHost: x\r\nX-Tenant: clinic\r\n\r\n", 0},
	} {
		r := newRig(t, func(v *appliance.VirtualService) { v.Scheduler, v.HashHeader = c.scheduler, "X-Tenant" })
		r.client.Arrive([]byte(c.request))
		r.server(0).Break(nil)
		r.server(1)
		if len(r.service.keys) != 2 || r.service.keys[0] != c.want || r.service.keys[1] != c.want {
			t.Errorf("%s: asked with %v, not %d twice", name, r.service.keys, c.want)
		}
	}
}

func TestNamesAreComparedAsLettersOnly(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"X-Tenant", "x-tENANT", true}, {"X-Tenant", "X-Tenan", false}, {"X^", "X~", false}, {"A@", "A`", false}, {"M[", "m{", false}} {
		if got := sameName([]byte(c.a), c.b); got != c.want {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
	}
}

func TestTheServiceIsToldOfEachAnswer(t *testing.T) {
	r := newRig(t)
	r.client.Arrive([]byte(get))
	r.connected(0).Arrive([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"))
	r.client.Arrive([]byte(get))
	r.server(0).Arrive([]byte(ok2))
	if len(r.service.answers) != 2 || r.service.answers[0] != 503 || r.service.answers[1] != 200 {
		t.Errorf("told %v", r.service.answers)
	}
}
