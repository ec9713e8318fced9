package http1

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
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

func TestForwardedFor(t *testing.T) {
	in := "X-Forwarded-For: 1.1.1.1\r\nA: b\r\nX-Forwarded-For: 2.2.2.2 , 3.3.3.3\r\nX-Real-IP: 4.4.4.4\r\nForwarded: for=5.5.5.5\r\nX_Forwarded_For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n"
	for mode, want := range map[appliance.ForwardedFor]string{
		appliance.ForwardedOff:     in,
		appliance.ForwardedReplace: "A: b\r\nX-Forwarded-For: 203.0.113.7\r\n",
		appliance.ForwardedAppend: "A: b\r\nX-Real-IP: 4.4.4.4\r\nForwarded: for=5.5.5.5\r\nX_Forwarded_For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n" +
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

func TestRefusedConnectGoesToAnotherServer(t *testing.T) {
	r := newRig(t)
	post := "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
	r.client.Arrive([]byte(post))
	r.server(0).Break(syscall.ECONNREFUSED)
	s := r.connected(1)
	r.equal("forwarded", take(s), post)
	r.equal("failed", fmt.Sprint(r.service.failed), "[a]")
	s.Arrive([]byte(ok2))
	r.equal("answer", take(r.client), ok2)
	r.balanced()
}

func TestConnectTimeoutAndErrorAtOnceGoToAnotherServer(t *testing.T) {
	r := newRig(t)
	r.service.servers = append(r.service.servers, &wire.Server{ID: "c"})
	r.loop.DialErr = errors.New("unreachable")
	r.client.Arrive([]byte(get))
	r.loop.Advance(3900 * time.Millisecond)
	r.true("one dialed", len(r.loop.Dialed) == 1)
	r.loop.Advance(200 * time.Millisecond)
	r.true("given up", r.server(0).Aborted)
	r.equal("forwarded", take(r.connected(1)), get)
	r.equal("failed", fmt.Sprint(r.service.failed), "[a b]")
}

func TestNoServerAnswers503(t *testing.T) {
	r := newRig(t)
	r.client.Arrive([]byte(get))
	r.server(0).Break(syscall.ECONNREFUSED)
	r.server(1).Break(syscall.ECONNREFUSED)
	r.refusedWith("503")
}

func TestDeadPooledConnectionIsRetriedOnce(t *testing.T) {
	warm := func(t *testing.T) *rig {
		r := newRig(t)
		r.client.Arrive([]byte(get))
		r.connected(0).Arrive([]byte(ok2))
		take(r.client)
		return r
	}
	t.Run("idempotent, later", func(t *testing.T) {
		r := warm(t)
		r.client.Arrive([]byte(get))
		r.loop.Advance(time.Second)
		r.server(0).Finish()
		r.equal("again", take(r.connected(1)), get)
		r.server(1).Finish()
		r.refusedWith("502")
	})
	t.Run("post in the same turn", func(t *testing.T) {
		r := warm(t)
		post := "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
		r.client.Arrive([]byte(post))
		r.client.Arrive([]byte("hello"))
		r.server(0).Break(nil)
		r.equal("again", take(r.connected(1)), post+"hello")
		r.server(1).Arrive([]byte(ok2))
		r.equal("answer", take(r.client), ok2)
		r.true("no failure told", len(r.service.failed) == 0)
		r.balanced()
	})
	t.Run("post later", func(t *testing.T) {
		r := warm(t)
		r.client.Arrive([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"))
		r.loop.Advance(time.Second)
		r.server(0).Break(nil)
		r.refusedWith("502")
	})
	t.Run("after a byte of the answer", func(t *testing.T) {
		r := warm(t)
		r.client.Arrive([]byte(get))
		r.server(0).Arrive([]byte("H"))
		r.server(0).Break(nil)
		r.refusedWith("502")
	})
	t.Run("too large to be held", func(t *testing.T) {
		r := warm(t)
		r.client.Arrive([]byte("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5000\r\n" + strings.Repeat("x", 0x5000)))
		r.server(0).Break(nil)
		r.refusedWith("502")
	})
	t.Run("dead and refused", func(t *testing.T) {
		r := warm(t)
		r.client.Arrive([]byte(get))
		r.server(0).Break(nil)
		r.server(1).Break(syscall.ECONNREFUSED)
		r.equal("other server", take(r.connected(2)), get)
		r.equal("failed", fmt.Sprint(r.service.failed), "[a]")
	})
}

func TestBrokenAnswerIsSeenByTheClient(t *testing.T) {
	for name, end := range map[string]func(r *rig){
		"fin":   func(r *rig) { r.server(0).Finish() },
		"reset": func(r *rig) { r.server(0).Break(nil) },
	} {
		for _, head := range []string{"Content-Length: 100", "Content-Length: 1000000", "Transfer-Encoding: chunked"} {
			r := newRig(t)
			r.client.Arrive([]byte(get))
			r.connected(0).Arrive([]byte("HTTP/1.1 200 OK\r\n" + head + "\r\n\r\n5\r\nhello\r\n"))
			end(r)
			r.true(name+" "+head, r.client.Aborted && r.server(0).Over() && r.pool.Len() == 0)
			r.balanced()
		}
	}
}

func TestTimeouts(t *testing.T) {
	limits := func(s *appliance.VirtualService) {
		s.Limits.ClientTimeout, s.Limits.ServerTimeout = appliance.Duration(20*time.Second), appliance.Duration(30*time.Second)
	}
	t.Run("slow head", func(t *testing.T) {
		r := newRig(t, limits)
		r.loop.Advance(10 * time.Second)
		r.client.Arrive([]byte("GET / HT"))
		r.loop.Advance(4 * time.Second)
		r.client.Arrive([]byte("TP/1.1\r\n"))
		r.true("still open", !r.client.Over())
		r.loop.Advance(1001 * time.Millisecond)
		r.refusedWith("408")
	})
	t.Run("slow first chunk", func(t *testing.T) {
		r := newRig(t, limits)
		r.client.Arrive([]byte("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"))
		r.loop.Advance(6 * time.Second)
		r.refusedWith("408")
		r.true("nothing dialed", len(r.loop.Dialed) == 0)
	})
	t.Run("idle client", func(t *testing.T) {
		r := newRig(t, limits)
		r.loop.Advance(15 * time.Second)
		r.client.Arrive([]byte(get))
		r.connected(0).Arrive([]byte(ok2))
		take(r.client)
		r.loop.Advance(19 * time.Second)
		r.true("still open", !r.client.Over())
		r.loop.Advance(2 * time.Second)
		r.true("closed in silence", r.client.Closed && len(r.client.Sent) == 0 && len(r.reasons) == 0)
	})
	t.Run("slow body", func(t *testing.T) {
		r := newRig(t, limits)
		r.client.Arrive([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nh"))
		s := r.connected(0)
		r.loop.Advance(15 * time.Second)
		r.client.Arrive([]byte("e"))
		r.loop.Advance(15 * time.Second)
		r.true("still open", !r.client.Over())
		r.loop.Advance(6 * time.Second)
		r.refusedWith("408")
		r.true("server destroyed", s.Aborted)
	})
	t.Run("slow spliced body", func(t *testing.T) {
		r := newRig(t, limits)
		r.client.Arrive([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n"))
		s := r.connected(0)
		for range 5 {
			r.client.Arrive(make([]byte, 5000))
			r.loop.Advance(15 * time.Second)
		}
		r.true("still open", !r.client.Over() && r.client.Splicing())
		r.true("counted on the way", r.service.counters.BytesIn > 24000)
		r.loop.Advance(10 * time.Second)
		r.refusedWith("408")
		r.true("server destroyed", s.Aborted)
	})
	t.Run("silent server", func(t *testing.T) {
		r := newRig(t, limits)
		r.client.Arrive([]byte(get))
		s := r.connected(0)
		r.loop.Advance(29 * time.Second)
		r.true("still open", !r.client.Over())
		r.loop.Advance(2 * time.Second)
		r.refusedWith("504")
		r.true("server destroyed", s.Aborted)
	})
	t.Run("silent within the answer", func(t *testing.T) {
		r := newRig(t, limits)
		r.client.Arrive([]byte(get))
		s := r.connected(0)
		s.Arrive([]byte("HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\nhello"))
		r.loop.Advance(29 * time.Second)
		s.Arrive([]byte("hello"))
		r.loop.Advance(29 * time.Second)
		r.true("still open", !r.client.Over())
		r.loop.Advance(5 * time.Second)
		r.true("reset", r.client.Aborted && s.Aborted)
		r.balanced()
	})
	t.Run("client does not read", func(t *testing.T) {
		r := newRig(t, limits)
		r.client.Room = 10
		r.client.Arrive([]byte(get))
		s := r.connected(0)
		s.Arrive([]byte("HTTP/1.1 200 OK\r\nContent-Length: 16000\r\n\r\nhello"))
		r.true("server waits", s.Paused)
		r.loop.Advance(15 * time.Second)
		r.client.Unblock(10)
		r.loop.Advance(15 * time.Second)
		r.true("still open", !r.client.Over())
		r.loop.Advance(45 * time.Second)
		r.true("reset", r.client.Aborted && s.Aborted)
		r.balanced()
	})
	t.Run("client does not read its last answer", func(t *testing.T) {
		r := newRig(t, limits)
		r.client.Room = 10
		r.client.Arrive([]byte(get))
		r.connected(0).Arrive([]byte(ok2))
		r.client.Arrive([]byte(get))
		r.true("no second request", len(r.server(0).Sent) == len(get))
		r.loop.Advance(25 * time.Second)
		r.true("reset", r.client.Aborted)
	})
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

func TestEarlyAnswerIsPassedAndBothAreClosed(t *testing.T) {
	r := newRig(t)
	r.client.Arrive([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\nExpect: 100-continue\r\n\r\n"))
	s := r.connected(0)
	r.true("expectation forwarded", strings.Contains(take(s), "Expect: 100-continue\r\n"))
	s.Arrive([]byte("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"))
	r.equal("answer", take(r.client), "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
	r.true("both closed", r.client.Closed && s.Aborted && r.pool.Len() == 0)
	r.balanced()
}

func TestContinueIsForwarded(t *testing.T) {
	r := newRig(t)
	head := "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
	r.client.Arrive([]byte(head))
	s := r.connected(0)
	r.equal("head at once", take(s), "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
	s.Arrive([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	r.equal("100", take(r.client), "HTTP/1.1 100 Continue\r\n\r\n")
	r.client.Arrive([]byte("2\r\nhi\r\n0\r\n\r\n"))
	r.equal("body", take(s), "2\r\nhi\r\n0\r\n\r\n")
	s.Arrive([]byte(ok2))
	r.equal("answer", take(r.client), ok2)
}

func TestWebSocketBecomesATunnel(t *testing.T) {
	handshake := "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n\r\n"
	forwarded := "GET /ws HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	begin := func(t *testing.T) *rig {
		r := newRig(t)
		r.client.Arrive([]byte(handshake + "early"))
		r.equal("forwarded", take(r.connected(0)), forwarded)
		return r
	}
	t.Run("accepted", func(t *testing.T) {
		r := begin(t)
		s := r.server(0)
		s.Arrive([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: a\r\n\r\nfirst"))
		r.equal("switched", take(r.client), "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst")
		r.equal("early", take(s), "early")
		r.client.Arrive([]byte("ping"))
		s.Arrive([]byte("pong"))
		r.equal("up", take(s), "ping")
		r.equal("down", take(r.client), "pong")
		r.loop.Advance(30 * time.Minute)
		r.true("still open", !r.client.Over())
		r.client.Finish()
		r.true("half closed", s.FIN && !s.Over() && !r.client.Over())
		s.Arrive([]byte("rest"))
		s.Finish()
		r.equal("down", take(r.client), "rest")
		r.true("closed", r.client.Closed && s.Closed)
		r.true("counted", r.service.counters.BytesIn == uint64(len(handshake)+len("earlyping")))
		r.balanced()
	})
	t.Run("a long way, then broken", func(t *testing.T) {
		r := begin(t)
		r.server(0).Arrive([]byte("HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"))
		r.client.Arrive([]byte("ping"))
		r.server(0).Arrive(make([]byte, 1000))
		r.client.Break(nil)
		r.true("counted", r.service.counters.BytesIn == uint64(len(handshake)+len("earlyping")) && r.service.counters.BytesOut > 1000 && r.server(0).Over())
		r.balanced()
	})
	t.Run("silent", func(t *testing.T) {
		r := begin(t)
		r.server(0).Arrive([]byte("HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"))
		r.loop.Advance(59 * time.Minute)
		r.true("still open", !r.client.Over())
		r.loop.Advance(2 * time.Minute)
		r.true("closed", r.client.Closed && r.server(0).Closed)
	})
	t.Run("broken", func(t *testing.T) {
		r := begin(t)
		r.server(0).Arrive([]byte("HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"))
		r.server(0).Break(nil)
		r.true("closed", r.client.Over())
		r.balanced()
	})
	t.Run("refused by the server", func(t *testing.T) {
		r := begin(t)
		r.server(0).Arrive([]byte(ok2))
		r.equal("answer", take(r.client), strings.Replace(ok2, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
		r.true("what came behind is not a request", r.client.Closed && len(r.server(0).Sent) == 0)
	})
	t.Run("without key", func(t *testing.T) {
		r := newRig(t)
		r.client.Arrive([]byte(strings.Replace(handshake, "Sec-WebSocket-Key: k\r\n", "", 1)))
		r.refusedWith("400")
	})
}

func TestClientThatLeaves(t *testing.T) {
	t.Run("idle", func(t *testing.T) {
		r := newRig(t)
		r.client.Finish()
		r.true("closed", r.client.Closed)
	})
	t.Run("half a head", func(t *testing.T) {
		r := newRig(t)
		r.client.Arrive([]byte("GET / HTT"))
		r.client.Finish()
		r.true("closed", r.client.Closed && len(r.loop.Dialed) == 0)
	})
	t.Run("behind its request", func(t *testing.T) {
		r := newRig(t)
		r.client.Arrive([]byte(get))
		r.client.Finish()
		r.connected(0).Arrive([]byte(ok2))
		r.equal("answer", take(r.client), ok2)
		r.true("closed", r.client.Closed && r.pool.Len() == 1)
	})
	for _, head := range []string{"Content-Length: 50", "Content-Length: 50000", "Transfer-Encoding: chunked"} {
		t.Run("half a body, "+head, func(t *testing.T) {
			r := newRig(t)
			r.client.Arrive([]byte("POST / HTTP/1.1\r\nHost: x\r\n" + head + "\r\n\r\n5\r\nhello\r\n0\r\nX"))
			s := r.connected(0)
			r.client.Finish()
			r.refusedWith("400")
			r.true("server destroyed", s.Aborted)
		})
	}
	t.Run("half a body while connecting", func(t *testing.T) {
		r := newRig(t)
		r.client.Arrive([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n"))
		r.client.Arrive([]byte("hello"))
		r.client.Finish()
		s := r.connected(0)
		r.refusedWith("400")
		r.true("server destroyed", s.Aborted)
	})
	t.Run("reset", func(t *testing.T) {
		r := newRig(t)
		r.client.Arrive([]byte(get))
		s := r.connected(0)
		r.client.Break(nil)
		r.true("server destroyed", s.Aborted)
		r.balanced()
	})
}

func TestEvict(t *testing.T) {
	t.Run("idle", func(t *testing.T) {
		r := newRig(t)
		r.core.Evict(r.service.servers[0])
		r.true("not concerned", !r.client.Over())
		r.core.Evict(nil)
		r.true("closed", r.client.Closed)
	})
	for name, server := range map[string]int{"all": -1, "its server": 0} {
		t.Run("busy, "+name, func(t *testing.T) {
			r := newRig(t)
			r.client.Arrive([]byte(get))
			s := r.connected(0)
			r.core.Evict(r.service.servers[1])
			if server < 0 {
				r.core.Evict(nil)
			} else {
				r.core.Evict(r.service.servers[server])
			}
			s.Arrive([]byte(ok2))
			r.equal("answer", take(r.client), strings.Replace(ok2, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
			r.true("closed", r.client.Closed && !r.client.Aborted && s.Closed)
			r.balanced()
		})
	}
	t.Run("other server", func(t *testing.T) {
		r := newRig(t)
		r.client.Arrive([]byte(get))
		s := r.connected(0)
		r.core.Evict(r.service.servers[1])
		s.Arrive([]byte(ok2))
		r.equal("answer", take(r.client), ok2)
	})
	t.Run("half a head", func(t *testing.T) {
		r := newRig(t)
		r.client.Arrive([]byte(get[:9]))
		r.core.Evict(nil)
		r.client.Arrive([]byte(get[9:]))
		r.connected(0).Arrive([]byte(ok2))
		r.true("answered", strings.Contains(take(r.client), "Connection: close") && r.client.Closed)
	})
	t.Run("an answer without end", func(t *testing.T) {
		r := newRig(t)
		r.client.Arrive([]byte(get))
		s := r.connected(0)
		s.Arrive([]byte("HTTP/1.1 200 OK\r\n\r\nevent"))
		r.core.Evict(r.service.servers[0])
		for range 29 {
			r.loop.Advance(time.Second)
			s.Arrive([]byte("event"))
		}
		r.true("gets a while", !r.client.Over())
		r.loop.Advance(2 * time.Second)
		r.true("then ends", r.client.Over() && s.Over())
		r.balanced()
	})
}

func TestSecureClientIsTold(t *testing.T) {
	r := newRig(t, func(s *appliance.VirtualService) { s.HTTP.ForwardedFor = appliance.ForwardedReplace })
	r.core = New(Options{Service: r.service, Client: r.client, Idle: r.pool, Secure: true})
	r.client.Bind(r.core)
	r.client.Arrive([]byte(get))
	r.equal("forwarded", take(r.connected(0)), "GET /a HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n\r\n")
}

func TestDrippingHeadIsScannedWhenItHasDoubled(t *testing.T) {
	r := newRig(t)
	feed(r.client, "GET / HTTP/1.1\r\nHost: x\r\nA: "+strings.Repeat("a", 972), true)
	if s := r.core.(*core).search; s.rescan != 1024 || s.looked != 1000 {
		t.Fatalf("%+v", s)
	}
	r.client.Arrive([]byte("\r\n\r\n"))
	r.true("complete", len(r.loop.Dialed) == 1)
	feed(r.connected(0), "HTTP/1.1 200 OK\r\nA: "+strings.Repeat("a", 980), true)
	if s := r.core.(*core).x.search; s.rescan != 1024 || s.looked != 1000 {
		t.Fatalf("%+v", s)
	}
}

func TestSplicedConnectionIsNotReusedInTheSameTurn(t *testing.T) {
	r := newRig(t)
	r.client.Arrive([]byte(get + get))
	s := r.connected(0)
	s.Arrive([]byte("HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n"))
	s.Arrive([]byte(strings.Repeat("x", 50000) + ok2)) // what is too much comes behind the splice
	r.true("not taken for an answer", s.Aborted && len(r.client.Sent) == len("HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n")+50000)
	r.equal("second request", take(r.connected(1)), get)
}
