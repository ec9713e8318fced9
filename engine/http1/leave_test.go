package http1

import (
	"strings"
	"testing"
	"time"
)

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
