package http1

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

func bothWays(t *testing.T, run func(t *testing.T, bytewise bool)) {
	t.Run("whole", func(t *testing.T) { run(t, false) })
	t.Run("bytes", func(t *testing.T) { run(t, true) })
}

func TestKeepAliveReusesBothConnections(t *testing.T) {
	bothWays(t, func(t *testing.T, bytewise bool) {
		r := newRig(t)
		for i := range 5 {
			feed(r.client, get, bytewise)
			if i == 0 {
				r.connected(0)
			}
			s := r.server(0)
			r.equal("forwarded", take(s), get)
			feed(s, ok2, bytewise)
			r.equal("answered", take(r.client), ok2)
			r.true("parked", r.pool.Len() == 1)
		}
		r.true("one connection", len(r.loop.Dialed) == 1)
		r.true("both open", !r.client.Over() && !r.server(0).Over())
		r.true("counted", r.service.counters.Requests == 5 && r.service.counters.BytesIn == uint64(5*len(get)) && r.service.counters.BytesOut == uint64(5*len(ok2)))
		r.true("server counted", r.service.servers[0].Counters.BytesOut == uint64(5*len(ok2)))
		r.balanced()
	})
}

func TestBodies(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 5000)
	for _, c := range []struct{ name, request, response, forwarded, answer string }{
		{"length up", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", ok2, "", ""},
		{"long up", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 80000\r\n\r\n" + long, ok2, "", ""},
		{"long down", get, "HTTP/1.1 200 OK\r\nContent-Length: 80000\r\n\r\n" + long, "", ""},
		{"empty", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", ""},
		{
			"chunked up", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0005;a=b\r\nhello\r\nA\r\n0123456789\r\n0\r\nX-T: 1\r\nHost: y\r\n\r\n", ok2,
			"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\na\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n", "",
		},
		{"chunked down", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n05\r\nhello\r\n0\r\n\r\n", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"204", get, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "", "HTTP/1.1 204 No Content\r\n\r\n"},
		{"304", get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n", "", ""},
		{"head", "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n", "", ""},
		{"no reason", get, "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", "", "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi"},
		{"interim", get, "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + ok2, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, bytewise bool) {
				r := newRig(t)
				for round := range 2 { // the second time on a connection that was used
					feed(r.client, c.request, bytewise)
					if round == 0 {
						r.connected(0)
					}
					r.equal("forwarded", take(r.server(0)), or(c.forwarded, c.request))
					feed(r.server(0), c.response, bytewise)
					r.equal("answer", take(r.client), or(c.answer, c.response))
					r.true("parked", r.pool.Len() == 1 && !r.client.Over())
					r.loop.Advance(time.Millisecond)
				}
				r.true("bytes", r.service.counters.BytesIn == uint64(2*len(c.request)) && r.service.counters.BytesOut == uint64(2*len(or(c.answer, c.response))))
				r.balanced()
			})
		})
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// TestHeadAndBodyGoWithOneCall, whether the head becomes shorter, stays, or becomes longer; a head that became longer has no room in front of a long body.
func TestHeadAndBodyGoWithOneCall(t *testing.T) {
	for _, c := range []struct {
		name, fields, cookie string
		size, sends          int
	}{
		{"as it came", "", "", 20000, 1},
		{"a field less", "Keep-Alive: timeout=5\r\n", "", 20000, 1},
		{"longer, a short body", "", "a=b", 10000, 1},
		{"longer, a long body", "", "a=b", 20000, 2},
		{"no body", "", "", 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.service.choice.SetCookie = []byte(c.cookie)
			body := strings.Repeat("0123456789", c.size/10)
			r.client.Arrive([]byte(get))
			s := r.connected(0)
			s.Arrive(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", c.fields, c.size, body))
			want := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n", c.size)
			if c.cookie != "" {
				want += "Set-Cookie: " + c.cookie + "\r\n"
			}
			r.equal("answered", take(r.client), want+"\r\n"+body)
			r.true("in as many calls", r.client.Sends == c.sends)
		})
	}
}

func TestBodyAfterHeadInPiecesWhileConnecting(t *testing.T) {
	r := newRig(t)
	r.client.Arrive([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01"))
	r.client.Arrive([]byte("234"))
	r.client.Arrive([]byte("56"))
	r.true("paused", r.client.Paused)
	s := r.connected(0)
	r.client.Arrive([]byte("789"))
	r.equal("forwarded", take(s), "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789")
}

func TestUntilClose(t *testing.T) {
	for _, size := range []int{0, 5, 100000} {
		r := newRig(t)
		body := strings.Repeat("x", size)
		r.client.Arrive([]byte(get))
		s := r.connected(0)
		s.Arrive([]byte("HTTP/1.1 200 OK\r\n\r\n"))
		s.Arrive([]byte(body))
		s.Finish()
		r.equal("answer", take(r.client), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"+body)
		r.true("closed", r.client.Closed && s.Over() && r.pool.Len() == 0)
		r.balanced()
	}
}

func TestPipeliningIsServedOneByOne(t *testing.T) {
	bothWays(t, func(t *testing.T, bytewise bool) {
		r := newRig(t)
		feed(r.client, get+strings.Replace(get, "/a", "/b", 1)+get, bytewise)
		r.client.Finish()
		s := r.connected(0)
		for _, path := range []string{"/a", "/b", "/a"} {
			r.equal("forwarded", take(s), strings.Replace(get, "/a", path, 1))
			feed(s, ok2, bytewise)
			r.equal("answer", take(r.client), ok2)
		}
		r.true("closed at the end", r.client.Closed)
		r.balanced()
	})
}

func TestConnectionSemantics(t *testing.T) {
	with := func(head, extra string) string { return strings.Replace(head, "\r\n\r\n", "\r\n"+extra+"\r\n\r\n", 1) }
	get10 := "GET /a HTTP/1.0\r\nHost: x\r\n\r\n"
	mode := func(m appliance.KeepAlive) func(*appliance.VirtualService) {
		return func(s *appliance.VirtualService) { s.HTTP.KeepAlive = m }
	}
	both, client, none := mode(appliance.KeepAliveBoth), mode(appliance.KeepAliveClient), mode(appliance.KeepAliveNone)
	closing := with(ok2, "Connection: close")
	for _, c := range []struct {
		name                                 string
		mode                                 func(*appliance.VirtualService)
		request, forwarded, response, answer string
		clientStays, serverStays             bool
	}{
		{"1.1", both, get, get, ok2, ok2, true, true},
		{"client closes", both, with(get, "Connection: close"), get, ok2, closing, false, true},
		{"client's options", both, with(get, "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nX-Stay: 2"), with(get, "X-Stay: 2"), ok2, ok2, true, true},
		{"server closes", both, get, get, closing, ok2, true, false},
		{"server's options", both, get, get, with(ok2, "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5"), ok2, true, true},
		{"old server", both, get, get, strings.Replace(ok2, "1.1", "1.0", 1), ok2, true, false},
		{"old server keeps", both, get, get, with(strings.Replace(ok2, "1.1", "1.0", 1), "Connection: Keep-Alive"), ok2, true, true},
		{"1.0", both, get10, get, ok2, closing, false, true},
		{"1.0 keeps", both, with(get10, "Connection: Keep-Alive"), get, ok2, with(ok2, "Connection: keep-alive"), true, true},
		{"1.0 without host", both, "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: 192.0.2.10:80\r\n\r\n", ok2, closing, false, true},
		{"1.0 chunked", both, get10, get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: y\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi", false, true},
		{"1.0 interim", both, get10, get, "HTTP/1.1 100 Continue\r\n\r\n" + ok2, closing, false, true},
		{"server close mode", client, get, with(get, "Connection: close"), ok2, ok2, true, false},
		{"close mode", none, get, with(get, "Connection: close"), ok2, closing, false, false},
		{"absolute form", both, "GET HTTP://x/a HTTP/1.1\r\nHost: X\r\n\r\n", "GET /a HTTP/1.1\r\nHost: X\r\n\r\n", ok2, ok2, true, true},
		{"absolute form bare", both, "GET http://x?q HTTP/1.1\r\nHost: x\r\n\r\n", "GET /?q HTTP/1.1\r\nHost: x\r\n\r\n", ok2, ok2, true, true},
		{"empty line before", both, "\r\n" + get, get, ok2, ok2, true, true},
		{"other upgrade", both, with(get, "Connection: Upgrade\r\nUpgrade: foo/2"), get, ok2, ok2, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, bytewise bool) {
				r := newRig(t, c.mode)
				feed(r.client, c.request, bytewise)
				s := r.connected(0)
				r.equal("forwarded", take(s), c.forwarded)
				feed(s, c.response, bytewise)
				r.equal("answer", take(r.client), c.answer)
				r.true("client stays", r.client.Over() != c.clientStays)
				r.true("server stays", r.pool.Len() == 1 == c.serverStays && s.Over() != c.serverStays)
				r.true("nothing reset", !r.client.Aborted && !s.Aborted)
				r.balanced()
			})
		})
	}
}

func TestBackPressure(t *testing.T) {
	r := newRig(t)
	r.client.Arrive([]byte("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"))
	s := r.connected(0)
	s.Room = 0
	r.client.Arrive([]byte("5\r\nhello\r\n"))
	r.true("client waits", r.client.Paused && s.Queued() == 10)
	r.client.Arrive([]byte("0\r\n\r\n"))
	r.true("nothing more queued", s.Queued() == 10)
	s.Unblock(-1)
	r.equal("forwarded", take(s), "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhello\r\n0\r\n\r\n")
	r.client.Room = 0
	s.Arrive([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"))
	r.true("server waits", s.Paused)
	s.Arrive([]byte("0\r\n\r\n"))
	r.client.Unblock(-1)
	r.equal("answer", take(r.client), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
	r.true("parked, not paused", r.pool.Len() == 1 && !s.Paused)
}

func TestPausedServerIsResumedWhenParked(t *testing.T) {
	r := newRig(t)
	r.client.Room = 10
	r.client.Arrive([]byte(get))
	s := r.connected(0)
	s.Arrive([]byte(ok2))
	r.true("parked, not paused", r.pool.Len() == 1 && !s.Paused && r.client.Queued() > 0)
}
