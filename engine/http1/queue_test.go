package http1

import (
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
)

// crowd is a service whose servers are full: who asks waits, until the test lets in.
type crowd struct {
	*service
	full, crowded bool
	waiters       []wire.Waiter
	shown         int // questions with a ticket
	left          int
}

type numbered struct{ of *crowd }

func (n numbered) Leave()                  { n.of.left++ }
func (n numbered) Patience() time.Duration { return n.of.config.Limits.QueueTimeout.D() }

func (c *crowd) Pick(q *wire.Query) (wire.Choice, bool) {
	if q.Ticket != nil {
		c.shown++
	}
	if !c.full {
		return c.service.Pick(q)
	}
	if q.Crowded = c.crowded; !q.Crowded {
		q.Waits, q.Ticket = true, numbered{c}
		c.waiters = append(c.waiters, q.Waiter)
	}
	return wire.Choice{}, false
}

// letIn tells the first waiter that there is a place.
func (c *crowd) letIn() {
	w := c.waiters[0]
	c.full, c.waiters = false, c.waiters[1:]
	w.Turn()
}

func newCrowd(t *testing.T, edit ...func(*appliance.VirtualService)) (*rig, *crowd) {
	r := newRig(t, edit...)
	c := &crowd{service: r.service, full: true}
	r.client = r.loop.Accept(clientAddr, vipAddr)
	r.core = New(Options{Service: c, Client: r.client, Idle: r.pool, Recorder: &r.records, Refused: func(why string) { r.reasons = append(r.reasons, why) }})
	r.client.Bind(r.core)
	return r, c
}

func TestARequestWaitsForAPlaceAndIsServedThen(t *testing.T) {
	for name, request := range map[string]string{
		"GET":        get,
		"POST":       "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
		"long body":  "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" + strings.Repeat("b", 60000),
		"chunked":    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\na\r\n0123456789\r\n0\r\n\r\n",
		"no body ok": "DELETE /x HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, bytewise bool) {
				r, c := newCrowd(t)
				feed(r.client, request, bytewise)
				r.true("waits", len(c.waiters) == 1 && len(r.loop.Dialed) == 0 && len(r.client.Sent) == 0 && !r.client.Paused)
				var told wire.Session
				r.core.(wire.Teller).Tell(&told)
				r.equal("state", told.State, "waiting in the queue")
				r.loop.Advance(7 * time.Second)
				c.letIn()
				r.loop.Settle()
				s := r.connected(0)
				r.equal("forwarded", take(s), request)
				s.Arrive([]byte(ok2))
				r.equal("answered", take(r.client), ok2)
				r.true("recorded", len(r.records.Records) == 1 && r.records.Records[0].Queued == 7*time.Second && r.records.Records[0].End == wire.EndDone)
				r.true("stayed", c.left == 0 && !r.client.Over())
				r.balanced()
			})
		})
	}
}

func TestARequestThatWaitsTooLongGets503(t *testing.T) {
	for _, patience := range []time.Duration{30 * time.Second, 1500 * time.Millisecond, 300 * time.Millisecond} {
		r, c := newCrowd(t, func(s *appliance.VirtualService) { s.Limits.QueueTimeout = appliance.Duration(patience) })
		r.client.Arrive([]byte(get))
		r.loop.Advance(patience - 20*time.Millisecond)
		r.true("still waits", !r.client.Over() && c.left == 0)
		r.loop.Advance(50 * time.Millisecond)
		r.refusedWith("503")
		sentence, retry := map[time.Duration]string{30 * time.Second: "30 s", 1500 * time.Millisecond: "1 s", 300 * time.Millisecond: "300 ms"}[patience], "1"
		if patience == 30*time.Second {
			retry = "30"
		}
		r.true("Retry-After", strings.Contains(string(r.client.Sent), "\r\nRetry-After: "+retry+"\r\n"))
		last := r.records.Records[0]
		r.equal("why", last.Why, "waited "+sentence+" in the queue")
		r.true("end", last.End == wire.EndQueueTimeout && last.Status == 503 && last.Queued >= patience)
		r.true("left", c.left == 1)
		c.waiters[0].Turn() // a place that was on its way
		r.true("nothing follows", len(r.loop.Dialed) == 0)
		r.balanced()
	}
}

func TestAClientThatGoesAwayLeavesTheQueue(t *testing.T) {
	for name, goes := range map[string]func(*rig){
		"FIN":       func(r *rig) { r.client.Finish() },
		"reset":     func(r *rig) { r.client.Break(nil) },
		"half body": func(r *rig) { r.client.Arrive([]byte("ell")); r.client.Finish() },
	} {
		t.Run(name, func(t *testing.T) {
			r, c := newCrowd(t)
			request := get
			if name == "half body" {
				request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nh"
			}
			r.client.Arrive([]byte(request))
			goes(r)
			r.true("left", c.left == 1 && r.client.Over() && len(r.client.Sent) == 0)
			r.true("recorded", len(r.records.Records) == 1 && r.records.Records[0].End == wire.EndClientClosed)
			c.waiters[0].Turn()
			r.true("nothing follows", len(r.loop.Dialed) == 0)
			r.balanced()
		})
	}
}

// TestAStreamThatHasSentItsRequestWhole is of HTTP/2: there the end of the request is told, and says nothing of the client.
func TestAStreamThatHasSentItsRequestWaits(t *testing.T) {
	r, c := newCrowd(t)
	r.client = r.loop.Accept(clientAddr, vipAddr)
	r.client.Bind(New(Options{Service: c, Client: r.client, Idle: r.pool, Stream: true}))
	r.client.Arrive([]byte(get))
	r.client.Finish()
	r.true("waits", len(c.waiters) == 1 && c.left == 0 && !r.client.Over())
	c.letIn()
	r.connected(0).Arrive([]byte(ok2))
	r.true("answered", strings.Contains(take(r.client), "200 OK"))
	c.full = true // and one with a body, which has come whole
	r.client = r.loop.Accept(clientAddr, vipAddr)
	r.client.Bind(New(Options{Service: c, Client: r.client, Idle: r.pool, Stream: true}))
	r.client.Arrive([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n"))
	for range 5 {
		r.client.Arrive(make([]byte, 10000))
	}
	r.client.Finish()
	r.true("waits", len(c.waiters) == 1 && !r.client.Over())
	c.letIn()
	r.loop.Settle()
	s := r.connected(1)
	r.true("forwarded", strings.HasSuffix(take(s), strings.Repeat("\x00", 50000)))
	s.Arrive([]byte(ok2))
	r.true("answered", strings.Contains(take(r.client), "200 OK"))
	r.balanced()
}

func TestAFullQueueAnswersAtOnce(t *testing.T) {
	r, c := newCrowd(t)
	c.crowded = true
	r.client.Arrive([]byte(get))
	r.refusedWith("503")
	r.equal("why", r.records.Records[0].Why, "every server is at its limit, and the queue is full")
	r.balanced()
}

// TestWhoWaitedKeepsItsTicketForAnotherServer: the server of the place refuses, all others are full again.
func TestWhoWaitedKeepsItsTicketForAnotherServer(t *testing.T) {
	r, c := newCrowd(t)
	r.client.Arrive([]byte(get))
	r.loop.Advance(20 * time.Second)
	c.letIn()
	c.full = true
	r.server(0).Break(nil)
	r.true("waits again, with its ticket", len(c.waiters) == 1 && c.shown == 2 && !r.client.Over())
	r.loop.Advance(9 * time.Second)
	r.true("still waits", !r.client.Over())
	r.loop.Advance(1100 * time.Millisecond) // of 30 s in all
	r.refusedWith("503")
	r.balanced()
}
