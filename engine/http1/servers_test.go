package http1

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"evenkeel/engine/wire"
)

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

func TestSplicedConnectionIsNotReusedInTheSameTurn(t *testing.T) {
	r := newRig(t)
	r.client.Arrive([]byte(get + get))
	s := r.connected(0)
	s.Arrive([]byte("HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n"))
	s.Arrive([]byte(strings.Repeat("x", 50000) + ok2)) // what is too much comes behind the splice
	r.true("not taken for an answer", s.Aborted && len(r.client.Sent) == len("HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n")+50000)
	r.equal("second request", take(r.connected(1)), get)
}

func TestEveryServerIsTriedBeforeTheRequestIsRefused(t *testing.T) {
	const dead = 40
	r := newRig(t)
	r.service.servers = nil
	for i := range dead + 1 {
		r.service.servers = append(r.service.servers, &wire.Server{ID: fmt.Sprint(i)})
	}
	r.client.Arrive([]byte(get))
	for i := range dead {
		r.server(i).Break(syscall.ECONNREFUSED)
	}
	s := r.connected(dead)
	r.equal("the last one is reached", take(s), get)
	s.Arrive([]byte(ok2))
	r.equal("answer", take(r.client), ok2)
	r.true("each told once", len(r.service.failed) == dead)
	r.balanced()
}

func TestServerThatIsPickedAgainIsNotTriedAgain(t *testing.T) {
	r := newRig(t)
	r.service.again = true
	r.client.Arrive([]byte(get))
	r.server(0).Break(syscall.ECONNREFUSED)
	r.refusedWith("503")
	r.true("one try", len(r.loop.Dialed) == 1)
}

// TestSilentServersHoldAClientForTwoConnectTimeouts: any number of servers that refuse is tried, but only two that are silent.
func TestSilentServersHoldAClientForTwoConnectTimeouts(t *testing.T) {
	r := newRig(t)
	r.service.servers = nil
	for range 20 {
		r.service.servers = append(r.service.servers, &wire.Server{ID: "s"})
	}
	r.client.Arrive([]byte(get))
	for n := range 10 {
		r.server(n).Break(syscall.ECONNREFUSED)
	}
	timeout := r.service.config.Limits.ConnectTimeout.D()
	r.server(10)
	r.loop.Advance(timeout + 10*time.Millisecond)
	r.server(11)
	r.true("not yet given up", len(r.client.Sent) == 0)
	r.loop.Advance(timeout + 10*time.Millisecond)
	r.true("no third is tried", len(r.loop.Dialed) == 12)
	r.refusedWith("503")
}
