package http1

import (
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire/wiretest"
)

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
	t.Run("ended by the client before the answer", func(t *testing.T) {
		r := newRig(t)
		r.client.Arrive([]byte(handshake))
		s := r.connected(0)
		r.core.Ended(r.client) // told once, long before there is a tunnel
		s.Arrive([]byte("HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"))
		r.true("passed on", s.FIN && !s.Over() && !r.client.Over())
		take(r.client)
		s.Arrive([]byte("rest"))
		s.Finish()
		r.equal("down", take(r.client), "rest")
		r.true("closed", r.client.Closed && s.Closed)
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

// TestWebSocketIsCopiedWhereTheKernelCannotMoveIt plays the same with a client that is in TLS, or a stream of HTTP/2.
func TestWebSocketIsCopiedWhereTheKernelCannotMoveIt(t *testing.T) {
	const handshake = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n\r\n"
	const answer = "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
	begin := func(t *testing.T) (*rig, *wiretest.Conn) {
		r := newRig(t, func(v *appliance.VirtualService) { v.HTTP.WebSocketTimeout = appliance.Duration(time.Minute) })
		r.client.Adapted = true
		r.client.Arrive([]byte(handshake + "early"))
		s := r.connected(0)
		take(s)
		s.Arrive([]byte(answer + "first"))
		r.equal("early", take(s), "early")
		r.true("switched", strings.HasSuffix(take(r.client), "\r\n\r\nfirst"))
		r.true("not spliced", !r.client.Splicing() && !s.Splicing())
		return r, s
	}
	t.Run("both ways, half-closed", func(t *testing.T) {
		r, s := begin(t)
		r.client.Arrive([]byte("ping"))
		s.Arrive([]byte("pong"))
		r.equal("up", take(s), "ping")
		r.equal("down", take(r.client), "pong")
		r.client.Finish()
		r.true("half closed", s.FIN && !s.Over() && !r.client.Over())
		s.Arrive([]byte("rest"))
		s.Finish()
		r.equal("down", take(r.client), "rest")
		r.true("closed", r.client.Closed && s.Closed)
		r.true("counted", r.service.counters.BytesIn == uint64(len(handshake)+len("earlyping")) && r.service.counters.BytesOut == uint64(len("firstpongrest"))+uint64(len("HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")))
		r.balanced()
	})
	t.Run("who is slow makes the other wait", func(t *testing.T) {
		r, s := begin(t)
		r.client.Room = 2
		s.Arrive([]byte("slow"))
		r.true("server waits", s.Paused && r.client.Queued() == 2)
		s.Arrive([]byte("er"))
		r.equal("taken", take(r.client), "sl")
		r.client.Unblock(-1)
		r.equal("the rest", take(r.client), "ower")
		s.Room = 0
		r.client.Arrive([]byte("slow"))
		r.true("client waits", r.client.Paused)
		s.Unblock(-1)
		r.true("client goes on", !r.client.Paused)
		r.equal("up", take(s), "slow")
	})
	t.Run("silence", func(t *testing.T) {
		r, s := begin(t)
		for range 3 {
			r.loop.Advance(40 * time.Second)
			r.client.Arrive([]byte("."))
		}
		r.true("alive", !r.client.Over())
		r.loop.Advance(61 * time.Second)
		r.true("ended", r.client.Closed && s.Closed)
		r.balanced()
	})
	t.Run("the client had finished before the answer", func(t *testing.T) {
		r := newRig(t)
		r.client.Adapted = true
		r.client.Arrive([]byte(handshake + "last words"))
		s := r.connected(0)
		take(s)
		r.core.Ended(r.client)
		s.Arrive([]byte(answer))
		r.equal("nothing is lost", take(s), "last words")
		r.true("half closed behind them", s.FIN && !s.Over())
	})
}
