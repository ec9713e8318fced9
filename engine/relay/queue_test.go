package relay

import (
	"net/netip"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
	"evenkeel/engine/wire/wiretest"
)

// crowd is a service whose servers are full: who asks waits, until the test lets in.
type crowd struct {
	desk
	full, crowded bool
	waiters       []wire.Waiter
	left          int
}

type numbered struct{ of *crowd }

func (n numbered) Leave()                  { n.of.left++ }
func (n numbered) Patience() time.Duration { return n.of.config.Limits.QueueTimeout.D() }

func (c *crowd) Pick(q *wire.Query) (wire.Choice, bool) {
	if !c.full {
		return c.desk.Pick(q)
	}
	if q.Crowded = c.crowded; !q.Crowded {
		q.Waits, q.Ticket = true, numbered{c}
		c.waiters = append(c.waiters, q.Waiter)
	}
	return wire.Choice{}, false
}

func (c *crowd) letIn() {
	w := c.waiters[0]
	c.full, c.waiters = false, c.waiters[1:]
	w.Turn()
	c.loop.Settle()
}

// arrive begins a session with a crowded service of one server.
func arrive(edit ...func(*crowd)) (*crowd, *wiretest.Conn, wire.Core) {
	c := &crowd{desk: desk{loop: wiretest.NewLoop(), config: appliance.NewService(appliance.TCP), servers: []*wire.Server{{ID: "a", Label: "a"}}}, full: true}
	for _, e := range edit {
		e(c)
	}
	client := c.loop.Accept(netip.MustParseAddrPort("192.0.2.9:1000"), netip.MustParseAddrPort("192.0.2.1:104"))
	core := New(Options{Service: c, Client: client, Recorder: &c.records})
	client.Bind(core)
	return c, client, core
}

func TestASessionWaitsForAPlace(t *testing.T) {
	c, client, core := arrive()
	client.Arrive([]byte("hel"))
	client.Arrive([]byte("lo"))
	var told wire.Session
	core.(wire.Teller).Tell(&told)
	if len(c.waiters) != 1 || len(c.loop.Dialed) != 0 || client.Paused || told.State != "waiting in the queue" {
		t.Fatalf("%d wait, %d dialed, paused %v, %q", len(c.waiters), len(c.loop.Dialed), client.Paused, told.State)
	}
	c.loop.Advance(29 * time.Second)
	c.letIn()
	c.loop.Advance(3 * time.Second) // longer than the queue's time, within that of the connect
	c.loop.Dialed[0].Connect()
	if got := string(c.loop.Dialed[0].Sent); got != "hello" {
		t.Errorf("the server got %q", got)
	}
	client.Finish()
	c.loop.Dialed[0].Finish()
	if r := c.records.Records; len(r) != 1 || r[0].Queued != 29*time.Second || r[0].End != wire.EndDone || c.open != 0 || c.left != 0 {
		t.Errorf("%+v, %d open, %d left", r, c.open, c.left)
	}
}

func TestASessionThatWaitsTooLongIsClosed(t *testing.T) {
	c, client, _ := arrive()
	c.loop.Advance(29900 * time.Millisecond)
	if client.Over() {
		t.Fatal("closed too early")
	}
	c.loop.Advance(200 * time.Millisecond)
	if !client.Closed || c.left != 1 || c.counters.Refused != 1 {
		t.Errorf("closed %v, left %d, refused %d", client.Closed, c.left, c.counters.Refused)
	}
	if r := c.records.Records; len(r) != 1 || r[0].Why != "waited 30 s in the queue" || r[0].End != wire.EndQueueTimeout || r[0].Queued < 30*time.Second {
		t.Errorf("%+v", r)
	}
	c.letIn()
	if len(c.loop.Dialed) != 0 {
		t.Error("a session that is over got a server")
	}
}

func TestASessionWhoseClientGoesLeavesTheQueue(t *testing.T) {
	for name, goes := range map[string]func(*wiretest.Conn, wire.Core){
		"FIN":              func(c *wiretest.Conn, _ wire.Core) { c.Finish() },
		"FIN behind bytes": func(c *wiretest.Conn, _ wire.Core) { c.Arrive([]byte("hello")); c.Finish() },
		"reset":            func(c *wiretest.Conn, _ wire.Core) { c.Break(nil) },
		"evicted":          func(_ *wiretest.Conn, core wire.Core) { core.Evict(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			c, client, core := arrive()
			goes(client, core)
			if !client.Over() || c.left != 1 || len(c.records.Records) != 1 {
				t.Errorf("over %v, left %d, %+v", client.Over(), c.left, c.records.Records)
			}
		})
	}
}

func TestAFullQueueClosesAtOnce(t *testing.T) {
	c, client, _ := arrive(func(c *crowd) { c.crowded = true })
	if r := c.records.Records; !client.Closed || len(r) != 1 || r[0].Why != "every server is at its limit, and the queue is full" || r[0].End != wire.EndNoServer {
		t.Errorf("%v, %+v", client.Closed, r)
	}
}

// TestTheWaitDoesNotCountAsTimeOfConnecting: one server was silent before it, the next is tried all the same.
func TestTheWaitDoesNotCountAsTimeOfConnecting(t *testing.T) {
	c, client, _ := arrive(func(c *crowd) { c.full, c.servers = false, append(c.servers, &wire.Server{ID: "b", Label: "b"}) })
	c.full = true
	c.loop.Advance(5 * time.Second) // a does not accept; then all are full
	if len(c.waiters) != 1 || client.Over() {
		t.Fatalf("%d wait", len(c.waiters))
	}
	c.loop.Advance(20 * time.Second)
	c.letIn()
	if len(c.loop.Dialed) != 2 {
		t.Fatalf("%d dialed", len(c.loop.Dialed))
	}
	c.loop.Dialed[1].Connect()
	c.wrote(t, "pick a, failed a connection timed out, release a, pick b")
}
