package relay

import (
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
	"evenkeel/engine/wire/wiretest"

	"pgregory.net/rapid"
)

// desk is a wire.Service that gives its servers in order and writes down what it is told.
type desk struct {
	loop     *wiretest.Loop
	config   appliance.VirtualService
	servers  []*wire.Server
	counters wire.Counters
	log      []string
	answers  []time.Duration
	open     int
	records  wiretest.Recorder
}

func (d *desk) Loop() wire.Loop                   { return d.loop }
func (d *desk) Config() *appliance.VirtualService { return &d.config }
func (d *desk) Counters() *wire.Counters          { return &d.counters }
func (d *desk) Dial(c wire.Choice, _ wire.Conn, core wire.Core) (wire.Conn, error) {
	return d.loop.Dial(c.Address, core)
}

func (d *desk) Pick(q *wire.Query) (wire.Choice, bool) {
	for i, s := range d.servers {
		if !q.Spent && !slices.Contains(q.Tried, s) {
			d.open++
			d.log = append(d.log, "pick "+s.Label)
			return wire.Choice{Server: s, Address: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(i+1))}, true
		}
	}
	d.log = append(d.log, "none")
	return wire.Choice{}, false
}

func (d *desk) Answered(_ wire.Choice, status int, took time.Duration) {
	d.answers = append(d.answers, took)
}

func (d *desk) Failed(c wire.Choice, err error) {
	d.log = append(d.log, "failed "+c.Server.Label+" "+err.Error())
}

func (d *desk) Release(c wire.Choice) {
	d.open--
	d.log = append(d.log, "release "+c.Server.Label)
}

func (d *desk) wrote(t *testing.T, want string) {
	t.Helper()
	if got := strings.Join(d.log, ", "); got != want {
		t.Errorf("the service was told %q, not %q", got, want)
	}
}

// open begins a session with servers of these names.
func open(names ...string) (*desk, *wiretest.Conn, wire.Core) {
	d := &desk{loop: wiretest.NewLoop(), config: appliance.NewService(appliance.TCP)}
	for _, n := range names {
		d.servers = append(d.servers, &wire.Server{ID: n, Label: n})
	}
	client := d.loop.Accept(netip.MustParseAddrPort("192.0.2.9:1000"), netip.MustParseAddrPort("192.0.2.1:104"))
	core := New(Options{Service: d, Client: client, Recorder: &d.records})
	client.Bind(core)
	return d, client, core
}

func TestBytesGoBothWaysAndHalfClosesToo(t *testing.T) {
	d, client, _ := open("a")
	client.Arrive([]byte("hello"))
	server := d.loop.Dialed[0]
	if len(server.Sent) > 0 {
		t.Fatal("bytes were sent before the connection was there")
	}
	server.Connect()
	server.Arrive([]byte("welcome"))
	if string(server.Sent) != "hello" || string(client.Sent) != "welcome" {
		t.Fatalf("%q %q", server.Sent, client.Sent)
	}
	client.Finish()
	if !server.FIN || client.FIN || client.Over() {
		t.Fatal("the client's FIN was not passed on alone")
	}
	server.Arrive([]byte(", bye"))
	server.Finish()
	if string(client.Sent) != "welcome, bye" || !client.Closed || !server.Closed {
		t.Fatalf("%q, closed %v %v", client.Sent, client.Closed, server.Closed)
	}
	d.wrote(t, "pick a, release a")
	if c := d.counters; c.BytesIn != 5 || c.BytesOut != 12 || d.servers[0].Counters.BytesIn != 5 || d.servers[0].Counters.BytesOut != 12 {
		t.Errorf("%+v", c)
	}
}

func TestRefusedAndTimedOutConnectsGoToTheNextServer(t *testing.T) {
	d, client, _ := open("a", "b", "c")
	client.Arrive([]byte("first words"))
	d.loop.Dialed[0].Break(syscall.ECONNREFUSED)
	d.loop.Advance(d.config.Limits.ConnectTimeout.D())
	if !d.loop.Dialed[1].Aborted {
		t.Fatal("the silent server was not given up")
	}
	d.loop.Dialed[2].Connect()
	if got := string(d.loop.Dialed[2].Sent); got != "first words" {
		t.Errorf("%q", got)
	}
	d.wrote(t, "pick a, failed a connection refused, release a, pick b, failed b connection timed out, release b, pick c")
}

func TestDialErrorsAtOnceGoToTheNextServerToo(t *testing.T) {
	d := &desk{loop: wiretest.NewLoop(), config: appliance.NewService(appliance.TCP), servers: []*wire.Server{{Label: "a"}, {Label: "b"}}}
	d.loop.DialErr = syscall.ENETUNREACH
	New(Options{Service: d, Client: d.loop.Accept(netip.AddrPort{}, netip.AddrPort{})})
	d.wrote(t, "pick a, failed a network is unreachable, release a, pick b")
}

func TestWithoutServerTheClientIsClosedAtOnce(t *testing.T) {
	d, client, core := open("a")
	d.loop.Dialed[0].Break(syscall.ECONNREFUSED)
	if !client.Closed || d.open != 0 || d.counters.Refused != 1 {
		t.Errorf("closed %v, open %d, refused %d", client.Closed, d.open, d.counters.Refused)
	}
	core.Evict(nil)
	d.wrote(t, "pick a, failed a connection refused, release a, none")
}

func TestAResetIsPassedOn(t *testing.T) {
	for _, side := range []string{"client", "server"} {
		d, client, _ := open("a")
		server := d.loop.Dialed[0]
		server.Connect()
		broken, other := client, server
		if side == "server" {
			broken, other = server, client
		}
		broken.Break(syscall.ECONNRESET)
		if !other.Aborted || d.open != 0 {
			t.Errorf("%s: aborted %v, open %d", side, other.Aborted, d.open)
		}
	}
}

func TestAClientThatLeavesWhileConnectingTakesTheDialWithIt(t *testing.T) {
	d, client, _ := open("a")
	client.Break(nil)
	if !d.loop.Dialed[0].Aborted || d.open != 0 {
		t.Error("the dial goes on for nobody")
	}
}

func TestASlowReceiverPausesItsSender(t *testing.T) {
	d, client, _ := open("a")
	server := d.loop.Dialed[0]
	server.Connect()
	server.Room = 3
	client.Arrive([]byte("12345"))
	if !client.Paused {
		t.Fatal("the client was not paused")
	}
	client.Arrive([]byte("67"))
	if string(server.Sent) != "123" || server.Queued() != 2 {
		t.Fatalf("%q", server.Sent)
	}
	server.Unblock(-1)
	if string(server.Sent) != "1234567" || client.Paused {
		t.Fatalf("%q, paused %v", server.Sent, client.Paused)
	}
}

func TestSilenceInBothDirectionsEndsTheSessionPolitely(t *testing.T) {
	d, client, _ := open("a")
	d.config.Limits.ClientTimeout, d.config.Limits.ServerTimeout = appliance.Duration(time.Hour), appliance.Duration(2*time.Hour)
	server := d.loop.Dialed[0]
	server.Connect()
	for range 5 { // one direction is enough
		d.loop.Advance(59 * time.Minute)
		server.Arrive([]byte("x"))
	}
	d.loop.Advance(59 * time.Minute)
	if client.Over() {
		t.Fatal("a session with traffic was ended")
	}
	d.loop.Advance(time.Minute)
	if !client.Closed || !server.Closed || d.open != 0 {
		t.Errorf("closed %v %v, open %d", client.Closed, server.Closed, d.open)
	}
}

func TestAPeerThatReadsSlowlyIsNotSilentAndOneThatStopsIs(t *testing.T) {
	for _, side := range []string{"client", "server"} {
		d, client, _ := open("a")
		d.config.Limits.ClientTimeout = appliance.Duration(time.Minute)
		server := d.loop.Dialed[0]
		server.Connect()
		slow := client
		if side == "server" {
			slow = server
		}
		for n := range 10 {
			slow.Held = 1000 - n
			d.loop.Advance(time.Minute)
			if client.Over() {
				t.Fatalf("the %s was cut while it read, after %d minutes", side, n+1)
			}
		}
		d.loop.Advance(time.Minute)
		if !client.Closed || !server.Closed {
			t.Errorf("the %s reads no more and the session goes on", side)
		}
	}
}

func TestTwelveHoursOfSilenceAreNormal(t *testing.T) {
	d, client, _ := open("a")
	d.loop.Dialed[0].Connect()
	d.loop.Advance(12*time.Hour - time.Minute)
	client.Arrive([]byte("x"))
	d.loop.Advance(12*time.Hour - time.Minute)
	if client.Over() {
		t.Error("an idle association was ended")
	}
}

func TestTwoLargeReadsBeginASpliceThatCountsWhileItRuns(t *testing.T) {
	d, client, _ := open("a")
	server := d.loop.Dialed[0]
	server.Connect()
	large := make([]byte, largeRead)
	client.Arrive(large)
	client.Arrive([]byte("small"))
	client.Arrive(large)
	if client.Splicing() {
		t.Fatal("spliced without two large reads in a row")
	}
	client.Arrive(large)
	if !client.Splicing() || server.Splicing() {
		t.Fatal("not spliced")
	}
	sent := uint64(3*largeRead + 5)
	client.Arrive(large)
	if d.counters.BytesIn != sent {
		t.Fatalf("%d", d.counters.BytesIn)
	}
	d.loop.Advance(watchSplice)
	if sent += largeRead; d.counters.BytesIn != sent || d.servers[0].Counters.BytesIn != sent {
		t.Errorf("%d of %d counted while the splice runs", d.counters.BytesIn, sent)
	}
	client.Arrive(large)
	server.Arrive([]byte("answer"))
	client.Finish()
	if sent += largeRead; d.counters.BytesIn != sent || !server.FIN || string(client.Sent) != "answer" {
		t.Errorf("%d counted, FIN %v", d.counters.BytesIn, server.FIN)
	}
	server.Finish()
	if d.open != 0 || !client.Closed {
		t.Error("not over")
	}
}

func TestASpliceThatMovesIsNotSilentAndOneThatDoesNotIs(t *testing.T) {
	d, client, _ := open("a")
	d.config.Limits.ClientTimeout = appliance.Duration(time.Minute)
	server := d.loop.Dialed[0]
	server.Connect()
	large := make([]byte, largeRead)
	client.Arrive(large)
	client.Arrive(large)
	for range 10 {
		d.loop.Advance(50 * time.Second)
		client.Arrive([]byte("slow"))
	}
	if client.Over() || !client.Splicing() {
		t.Fatal("ended while bytes moved")
	}
	d.loop.Advance(3 * time.Minute)
	if !client.Closed || !server.Closed {
		t.Error("a silent splice goes on")
	}
}

func TestEvictEndsThoseItConcerns(t *testing.T) {
	d, client, core := open("a", "b")
	server := d.loop.Dialed[0]
	server.Connect()
	core.Evict(d.servers[1])
	if client.Over() {
		t.Fatal("another server's eviction ended it")
	}
	core.Evict(d.servers[0])
	if !client.Closed || !server.Closed || d.open != 0 {
		t.Error("not ended politely")
	}
	d, client, core = open("a")
	core.Evict(nil)
	if !client.Closed || !d.loop.Dialed[0].Aborted || d.open != 0 {
		t.Error("not ended while connecting")
	}
}

// TestAnyOrderOfEventsReleasesOnceAndLosesNothing plays random events against a session.
func TestAnyOrderOfEventsReleasesOnceAndLosesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d, client, core := open("a", "b")
		var up, down []byte
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			server := d.loop.Dialed[len(d.loop.Dialed)-1]
			b := make([]byte, rapid.SampledFrom([]int{1, 100, largeRead, 2 * largeRead}).Draw(rt, "size"))
			for i := range b {
				b[i] = byte(len(up) + len(down) + i)
			}
			switch rapid.IntRange(0, 9).Draw(rt, "event") {
			case 0, 1:
				if !client.Over() && !server.FIN {
					up = append(up, b...)
					client.Arrive(b)
				}
			case 2, 3:
				if !server.Over() && client.Waiting() != 0 && !client.FIN {
					down = append(down, b...)
					server.Arrive(b)
				}
			case 4:
				if !server.Over() && client.Waiting() == 0 {
					server.Connect()
				}
			case 5:
				server.Room = rapid.IntRange(0, 1000).Draw(rt, "room")
			case 6:
				server.Unblock(-1)
			case 7:
				client.Unblock(rapid.IntRange(-1, 1000).Draw(rt, "room"))
			case 8:
				d.loop.Advance(time.Duration(rapid.IntRange(0, 5000).Draw(rt, "ms")) * time.Millisecond)
			case 9:
				switch rapid.IntRange(0, 30).Draw(rt, "end") {
				case 0:
					client.Finish()
				case 1:
					server.Break(nil)
				case 2:
					core.Evict(nil)
				}
			}
			if !strings.HasPrefix(string(up), string(server.Sent)) || !strings.HasPrefix(string(down), string(client.Sent)) {
				rt.Fatal("bytes were changed")
			}
		}
		server := d.loop.Dialed[len(d.loop.Dialed)-1]
		if !client.Over() && client.Waiting() != 0 {
			server.Unblock(-1)
			client.Unblock(-1)
			if len(server.Sent) != len(up) || len(client.Sent) != len(down) {
				rt.Fatalf("%d of %d bytes up, %d of %d down", len(server.Sent), len(up), len(client.Sent), len(down))
			}
		}
		core.Evict(nil)
		if d.open != 0 {
			rt.Fatalf("%d choices are not released: %v", d.open, d.log)
		}
	})
}

func TestSilentServersHoldAClientForTwoConnectTimeouts(t *testing.T) {
	d, client, _ := open("a", "b", "c", "d")
	timeout := d.config.Limits.ConnectTimeout.D()
	d.loop.Dialed[0].Break(syscall.ECONNREFUSED)
	for range 2 {
		if client.Over() {
			t.Fatal("given up too early")
		}
		d.loop.Advance(timeout + 10*time.Millisecond)
	}
	if len(d.loop.Dialed) != 3 || !client.Closed {
		t.Errorf("%d servers were dialed", len(d.loop.Dialed))
	}
}
