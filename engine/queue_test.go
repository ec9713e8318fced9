package engine

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
)

// gauge counts what is open on a server, and the most that there was.
type gauge struct{ now, most, all atomic.Int64 }

func (g *gauge) enter() {
	n := g.now.Add(1)
	g.all.Add(1)
	for m := g.most.Load(); n > m && !g.most.CompareAndSwap(m, n); m = g.most.Load() {
	}
}

// web is a server of HTTP that counts requests; each takes some turns of the scheduler.
func (g *gauge) web(turns int) func(net.Conn) {
	return func(c net.Conn) {
		b := bufio.NewReader(c)
		for {
			r, err := http.ReadRequest(b)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			g.enter()
			yield(turns)
			g.now.Add(-1)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}
}

// session is a server of TCP whose sessions last some turns, or until the client goes.
func (g *gauge) session(turns int) func(net.Conn) {
	return func(c net.Conn) {
		g.enter()
		_, _ = io.WriteString(c, "in\n")
		if turns > 0 {
			yield(turns)
		} else {
			_, _ = io.Copy(io.Discard, c)
		}
		g.now.Add(-1)
	}
}

func yield(turns int) {
	for range turns {
		runtime.Gosched()
	}
}

// held is a server of HTTP that answers when it is told to.
func (g *gauge) held(answer chan struct{}) func(net.Conn) {
	return func(c net.Conn) {
		for {
			if _, err := c.Read(make([]byte, 4096)); err != nil {
				return
			}
			g.enter()
			<-answer
			g.now.Add(-1)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}
}

func queued(v *appliance.VirtualService, most int, limits ...int) {
	v.Limits.Queue = most
	for i, n := range limits {
		v.RealServers[i].MaxConnections = n
	}
}

func (r *rig) waiting(id string, n int) {
	r.t.Helper()
	until(r.t, fmt.Sprintf("%d wait", n), func() bool { return r.status(id).Waiting == n })
}

// TestThousandsAreServedThroughAFewPlaces: nobody is forgotten, and no server has one too many, with several loops and clients that come and go.
func TestThousandsAreServedThroughAFewPlaces(t *testing.T) {
	for _, p := range []appliance.Protocol{appliance.HTTP, appliance.TCP} {
		t.Run(string(p), func(t *testing.T) {
			var gauges [3]gauge
			v := vip(t, p, "svc")
			for i := range gauges {
				handle := gauges[i].web(50)
				if p == appliance.TCP {
					handle = gauges[i].session(50)
				}
				s := serve(t, handle)
				one := appliance.NewRealServer()
				one.ID, one.Label, one.Address, one.Port = fmt.Sprint("s", i), fmt.Sprint("s", i), "127.0.0.1", s.address.Port()
				v.RealServers = append(v.RealServers, one)
			}
			queued(&v, 10000, 1, 2, 3)
			r := start(t, Options{Loops: 3})
			r.apply(v)
			var all sync.WaitGroup
			var served, failed atomic.Int64
			const clients, each = 200, 15
			for range clients {
				all.Go(func() {
					for range each {
						if err := once(p, address(v)); err != nil {
							t.Error(err)
							failed.Add(1)
							return
						}
						served.Add(1)
					}
				})
			}
			all.Wait()
			if served.Load() != clients*each {
				t.Errorf("%d of %d were served", served.Load(), clients*each)
			}
			for i := range gauges {
				if most := gauges[i].most.Load(); most > int64(i+1) || p == appliance.HTTP && most < int64(i+1) {
					t.Errorf("server %d had %d at once, its limit is %d", i, most, i+1)
				}
			}
			until(t, "all places are free", func() bool {
				s := r.status(v.ID)
				return s.Waiting == 0 && s.Servers[0].Connections+s.Servers[1].Connections+s.Servers[2].Connections == 0
			})
			for _, server := range r.services[v.ID].running.Load().servers {
				until(t, "no place is counted", func() bool { return server.taken.Load() == 0 })
			}
		})
	}
}

// once is one request or one session.
func once(p appliance.Protocol, to string) error {
	c, err := net.DialTimeout("tcp", to, 20*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	want := "in\n"
	if p == appliance.HTTP {
		want = "ok"
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
			return err
		}
	}
	b, err := io.ReadAll(c)
	if err != nil || !strings.HasSuffix(string(b), want) {
		return fmt.Errorf("got %q, %w", b, err)
	}
	return nil
}

// TestWhoComesFirstIsServedFirst on whatever loop they are.
func TestWhoComesFirstIsServedFirst(t *testing.T) {
	var g gauge
	s := serve(t, g.session(0))
	v := tcp(t, "svc", s.address)
	queued(&v, 100, 1)
	r := start(t, Options{Loops: 3})
	r.apply(v)
	var line []*net.TCPConn
	for i := range 12 {
		line = append(line, dial(t, address(v)))
		until(t, "one is served", func() bool { return g.now.Load() == 1 })
		r.waiting(v.ID, i)
	}
	if got := r.status(v.ID); !strings.HasSuffix(got.Sentence, " 11 clients wait for a free place.") {
		t.Errorf("%q", got.Sentence)
	}
	e, err := r.Explain(soon(t), appliance.Question{Client: netip.MustParseAddr("192.0.2.7"), Service: v.ID})
	if err != nil || e.Sentence != "The client waits in the queue of svc for a free place, behind 11 others, for up to 30s." || r.status(v.ID).Waiting != 11 {
		t.Errorf("%v, %q", err, e.Sentence)
	}
	for i, c := range line {
		if got := readName(t, c); got != "in" {
			t.Fatal(got)
		}
		for j, later := range line[i+1:] {
			_ = later.SetReadDeadline(time.Now().Add(time.Millisecond))
			if n, err := later.Read(make([]byte, 1)); n > 0 || err == io.EOF {
				t.Fatalf("client %d was served before %d", i+1+j, i)
			}
			_ = later.SetReadDeadline(time.Now().Add(time.Minute))
		}
		c.Close()
	}
	r.waiting(v.ID, 0)
}

// TestWhoGoesLeavesTheQueue: some go by FIN, some by reset, some with bytes on their way; those who stay are served.
func TestWhoGoesLeavesTheQueue(t *testing.T) {
	for _, p := range []appliance.Protocol{appliance.HTTP, appliance.TCP} {
		t.Run(string(p), func(t *testing.T) {
			var g gauge
			answer := make(chan struct{})
			handle := g.session(0)
			if p == appliance.HTTP {
				handle = g.held(answer)
			}
			s := serve(t, handle)
			v := vip(t, p, "svc", s.address)
			queued(&v, 100, 1)
			r := start(t, Options{})
			r.apply(v)
			come := func() *net.TCPConn {
				c := dial(t, address(v))
				_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				return c
			}
			first := come()
			until(t, "the first is served", func() bool { return g.now.Load() == 1 })
			var line []*net.TCPConn
			for i := range 30 {
				line = append(line, come())
				r.waiting(v.ID, i+1)
			}
			for i, c := range line[:27] {
				if i%3 == 0 {
					_ = c.SetLinger(0)
				}
				c.Close()
			}
			r.waiting(v.ID, 3)
			end := func(c net.Conn) {
				if p == appliance.HTTP {
					answer <- struct{}{}
				}
				c.Close()
			}
			end(first)
			for n := range int64(3) {
				until(t, "the next is served", func() bool { return g.all.Load() == n+2 })
				r.waiting(v.ID, int(2-n))
				end(line[27+n])
			}
			until(t, "the last has gone", func() bool { return g.now.Load() == 0 && r.status(v.ID).Connections == 0 })
			if g.all.Load() != 4 { // a reset frees the place before the server has seen it, so two may overlap there
				t.Errorf("%d sessions", g.all.Load())
			}
		})
	}
}

// TestTheQueueHasAnEndAndATime with real sockets and a log.
func TestTheQueueHasAnEndAndATime(t *testing.T) {
	var g gauge
	answer := make(chan struct{})
	s := serve(t, g.held(answer))
	defer close(answer)
	v := vip(t, appliance.HTTP, "svc", s.address)
	queued(&v, 1, 1)
	v.Limits.QueueTimeout = appliance.Duration(3 * time.Second)
	r := start(t, Options{LogsDir: t.TempDir()})
	r.apply(v)
	ask := func() *net.TCPConn {
		c := dial(t, address(v))
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		return c
	}
	ask()
	until(t, "the first is served", func() bool { return g.now.Load() == 1 })
	second, began := ask(), time.Now()
	r.waiting(v.ID, 1)
	third, _ := io.ReadAll(ask())
	if !strings.HasPrefix(string(third), "HTTP/1.1 503 ") || strings.Contains(string(third), "Retry-After") || time.Since(began) > 2900*time.Millisecond {
		t.Errorf("%q after %s", third, time.Since(began))
	}
	late, _ := io.ReadAll(second)
	if !strings.HasPrefix(string(late), "HTTP/1.1 503 ") || !strings.Contains(string(late), "\r\nRetry-After: 3\r\n") || time.Since(began) < 3*time.Second {
		t.Errorf("%q after %s", late, time.Since(began))
	}
	r.waiting(v.ID, 0)
	until(t, "both are in the log", func() bool {
		lines := strings.Join(logged(r, v.Label), "\n")
		return strings.Contains(lines, `end=timeout_queue why="waited 3 s in the queue"`) && strings.Contains(lines, " queued=3") &&
			strings.Contains(lines, `why="every server is at its limit, and the queue is full"`)
	})
}

// TestWhatChangesWakesTheQueue: limits that are raised, servers that come, go and are halted, a queue that is no more.
func TestWhatChangesWakesTheQueue(t *testing.T) {
	type scene struct {
		a, b *gauge
		v    *appliance.VirtualService
		port uint16 // of b
	}
	second := func(s scene) {
		one := appliance.NewRealServer()
		one.ID, one.Label, one.Address, one.Port, one.MaxConnections = "b", "b", "127.0.0.1", s.port, 1
		s.v.RealServers = append(s.v.RealServers, one)
	}
	for name, tc := range map[string]struct {
		change       func(scene)
		served, wait int // in all, of five clients
	}{
		"limit raised":  {func(s scene) { s.v.RealServers[0].MaxConnections = 3 }, 3, 2},
		"no limit":      {func(s scene) { s.v.RealServers[0].MaxConnections = 0 }, 5, 0},
		"server added":  {second, 2, 3},
		"server drains": {func(s scene) { second(s); s.v.RealServers[0].State = appliance.Drain }, 2, 3},
		"other changes": {func(s scene) { s.v.Limits.ClientTimeout = appliance.Duration(time.Hour) }, 1, 4},
		"queue off":     {func(s scene) { s.v.Limits.Queue = 0 }, 1, 0},
		"halted":        {func(s scene) { s.v.RealServers[0].State = appliance.Halt }, 1, 0},
		"replaced":      {func(s scene) { second(s); s.v.RealServers = s.v.RealServers[1:] }, 2, 3},
		"none left":     {func(s scene) { s.v.RealServers = nil }, 1, 0},
		"removed":       {func(s scene) { s.v = nil }, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var a, b gauge
			one, two := serve(t, a.session(0)), serve(t, b.session(0))
			v := tcp(t, "svc", one.address)
			queued(&v, 10, 1)
			r := start(t, Options{})
			r.apply(v)
			var clients []*net.TCPConn
			for i := range 5 {
				clients = append(clients, dial(t, address(v)))
				until(t, "one is served", func() bool { return a.now.Load() == 1 })
				r.waiting(v.ID, i)
			}
			next := v.Clone()
			if tc.change(scene{&a, &b, &next, two.address.Port()}); name == "removed" {
				r.apply()
			} else {
				r.apply(next)
			}
			until(t, "the change is felt", func() bool {
				return a.all.Load()+b.all.Load() == int64(tc.served) && (name == "removed" || r.status(v.ID).Waiting == tc.wait)
			})
			for _, c := range clients[tc.served+tc.wait:] {
				wantEOF(t, c)
			}
		})
	}
}

// TestAClientWaitsForItsOwnServer though another one has room, until that server goes down.
func TestAClientWaitsForItsOwnServer(t *testing.T) {
	var a, b gauge
	one, two := serve(t, a.session(0)), serve(t, b.session(0))
	v := tcp(t, "svc", one.address, two.address)
	v.Scheduler, v.Persistence.Kind = appliance.FirstAvailable, appliance.PersistSourceIP
	queued(&v, 10, 1, 1)
	v.Monitor = appliance.NewMonitor(appliance.MonitorConnect)
	v.Monitor.Interval, v.Monitor.Timeout, v.Monitor.Fall = appliance.Duration(100*time.Millisecond), appliance.Duration(10*time.Second), 1
	r := start(t, Options{})
	r.apply(v)
	until(t, "both are up", func() bool {
		s := r.status(v.ID).Servers
		return s[0].Check.Health == appliance.Up && s[1].Check.Health == appliance.Up
	})
	base := a.all.Load()
	first := dial(t, address(v))
	readName(t, first)
	mine := dial(t, address(v)) // from the same address: it belongs to a
	r.waiting(v.ID, 1)
	other := dialFrom(t, "127.0.0.2", address(v))
	if readName(t, other); a.all.Load() < base+1 || r.status(v.ID).Waiting != 1 {
		t.Error("the other did not get the server that is free")
	}
	other.Close()
	third := dial(t, address(v))
	r.waiting(v.ID, 2)
	first.Close()
	readName(t, mine)
	r.waiting(v.ID, 1)
	one.ln.Close()
	readName(t, third) // by b, since a takes no new connection
	r.waiting(v.ID, 0)
	if s := r.status(v.ID); s.Servers[0].Connections != 1 || s.Servers[1].Connections != 1 {
		t.Errorf("%+v", s.Servers)
	}
}

// TestTheLimitGrowsWithTheLoad: with a minimum, few clients are served at a time while few wait, and as many as the maximum at the full load.
func TestTheLimitGrowsWithTheLoad(t *testing.T) {
	for _, c := range []struct {
		least, most, load, full int
		want                    int64
	}{
		{0, 50, 1, 100, 50},
		{2, 50, 1, 100, 2},
		{2, 50, 4, 100, 2},
		{2, 50, 20, 100, 10},
		{2, 50, 99, 100, 49},
		{2, 50, 100, 100, 50},
		{2, 50, 5000, 100, 50},
		{0, 0, 10, 100, 0},
		{5, 5, 10, 100, 5},
		{2, 50, 400, 0, 5},
		{2, 50, 4000, 0, 50},
	} {
		v := appliance.NewService(appliance.TCP)
		v.Limits.FullLoad = c.full
		if got := placesOf(&v, &appliance.RealServer{MinConnections: c.least, MaxConnections: c.most}, int64(c.load)); got != c.want {
			t.Errorf("%+v: %d places", c, got)
		}
	}
	var g gauge
	s := serve(t, g.session(0))
	v := tcp(t, "svc", s.address)
	queued(&v, 100, 8)
	v.RealServers[0].MinConnections, v.Limits.FullLoad = 2, 16
	r := start(t, Options{})
	r.apply(v)
	var clients []*net.TCPConn
	for _, served := range []int64{1, 2, 2, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 8} {
		clients = append(clients, dial(t, address(v)))
		until(t, fmt.Sprintf("%d of %d are served", served, len(clients)), func() bool {
			return g.now.Load() == served && r.status(v.ID).Waiting == len(clients)-int(served)
		})
	}
	for _, c := range clients {
		c.Close()
	}
	until(t, "all have gone", func() bool {
		return g.now.Load() == 0 && r.status(v.ID).Waiting == 0 && r.status(v.ID).Connections == 0
	})
}

// TestLimitsHoldExactly: of service and servers, over two loops, in both modes, without a queue.
func TestLimitsHoldExactly(t *testing.T) {
	var a, b gauge
	one, two := serve(t, a.session(0)), serve(t, b.session(0))
	v := tcp(t, "svc", one.address, two.address)
	v.RealServers[0].MaxConnections, v.RealServers[1].MaxConnections, v.Limits.MaxConnections = 3, 4, 20
	r := start(t, Options{Loops: 2})
	r.apply(v)
	for range 20 { // rounds of 15 clients at once, of whom 7 are served and 8 closed
		var served, closed sync.WaitGroup
		var in, out atomic.Int64
		end := make(chan struct{})
		served.Add(7)
		closed.Add(8)
		for range 15 {
			go func() {
				c, err := net.Dial("tcp", address(v))
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				if _, err := io.ReadFull(c, make([]byte, 3)); err != nil {
					if out.Add(1) <= 8 {
						closed.Done()
					}
					return
				}
				if in.Add(1) <= 7 {
					served.Done()
				}
				<-end
			}()
		}
		served.Wait()
		closed.Wait()
		if a.now.Load() != 3 || b.now.Load() != 4 || in.Load() != 7 || out.Load() != 8 {
			t.Fatalf("%d and %d are open; %d served, %d closed", a.now.Load(), b.now.Load(), in.Load(), out.Load())
		}
		close(end)
		until(t, "all have gone", func() bool { return a.now.Load()+b.now.Load() == 0 && r.status(v.ID).Connections == 0 })
	}
	v.RealServers[0].MaxConnections, v.RealServers[1].MaxConnections, v.Limits.MaxConnections = 0, 0, 5
	r.apply(v)
	var line []net.Conn
	for range 12 {
		line = append(line, dial(t, address(v)))
	}
	total := func() int64 { return a.now.Load() + b.now.Load() }
	for left := 12; left > 0; left-- {
		want := int64(min(left, 5))
		until(t, "the service is at its limit", func() bool { return total() == want && r.status(v.ID).Connections == int(want) })
		i := servedOf(line)
		line[i].Close()
		line = append(line[:i], line[i+1:]...)
	}
	if most := a.most.Load() + b.most.Load(); most > 7+5 {
		t.Errorf("%d at once", most)
	}
}

// servedOf finds a client that has heard of its server; the kernel may hand them to the loops in any order.
func servedOf(line []net.Conn) int {
	for {
		for i, c := range line {
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			if n, _ := c.Read(make([]byte, 1)); n > 0 {
				return i
			}
		}
	}
}

// nobody is a waiter whom no turn comes to.
type nobody struct{ t *testing.T }

func (n nobody) Turn() { n.t.Error("it was told though it has a place or has left") }

// TestAPlaceThatBecameFreeBeforeWeWereSeenIsOurs: between the look at the servers and the place in the queue.
func TestAPlaceThatBecameFreeBeforeWeWereSeenIsOurs(t *testing.T) {
	v := tcp(t, "svc", netip.MustParseAddrPort("127.0.0.1:9"), netip.MustParseAddrPort("127.0.0.1:9"))
	queued(&v, 10, 1, 1)
	r := start(t, Options{Loops: 1})
	r.apply(v)
	r.onLoop(func(s *shard) {
		for i := range s.servers { // waiting for a certain server, too
			q := wire.Query{Waiter: nobody{t}, Port: v.Ports[0].First}
			c, ok, waits := s.wait(&q, memory{server: i})
			if !ok || !waits || c.Server.ID != s.servers[i].id {
				t.Fatalf("%v %v %+v", ok, waits, c)
			}
			defer s.Release(c)
		}
		q := wire.Query{Waiter: nobody{t}, Port: v.Ports[0].First}
		if _, ok, waits := s.wait(&q, memory{server: -1}); ok || !waits || !q.Waits || s.service.queue.Waiting() != 1 {
			t.Fatal("all are full")
		}
		q.Ticket.Leave()
		if q.Ticket.Leave(); s.service.queue.Waiting() != 0 {
			t.Error("it has left")
		}
	})
	r.onLoop(func(s *shard) { // one who leaves while its place is on the way gives it back
		full := make([]wire.Choice, 2)
		for i := range full {
			full[i], _ = s.Pick(&wire.Query{Port: v.Ports[0].First})
		}
		q := wire.Query{Waiter: nobody{t}, Port: v.Ports[0].First}
		if _, ok := s.Pick(&q); ok || !q.Waits {
			t.Fatal("there was no place")
		}
		s.Release(full[0])
		if s.servers[0].taken.Load()+s.servers[1].taken.Load() != 2 {
			t.Error("the place is not kept for who waits")
		}
		q.Ticket.Leave()
		s.Release(full[1])
	})
	until(t, "all places are free", func() bool {
		list := r.services[v.ID].running.Load().servers
		return list[0].taken.Load()+list[1].taken.Load() == 0
	})
}

// TestStreamsOfHTTP2WaitInTheQueue, of one connection and in any number, with and without bodies; a stream that is reset leaves it, and the others are served.
func TestStreamsOfHTTP2WaitInTheQueue(t *testing.T) {
	var g gauge
	answer := make(chan struct{})
	v, _ := clear2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.enter()
		defer g.now.Add(-1)
		n, _ := io.Copy(io.Discard, r.Body)
		<-answer
		fmt.Fprint(w, n)
	}))
	queued(&v, 100, 2)
	pool := v.Clone() // the same by a rule: they wait in the queue of the pool
	pool.ID, pool.Label, pool.PoolOnly, pool.Address, pool.Ports = "pool-id", "pool", true, netip.Addr{}, nil
	pool.RealServers[0].ID = "pool-s"
	v.RealServers, v.Limits.Queue = nil, 0
	v.Rules = []appliance.Rule{{ID: "rule-1", Label: "r", Then: []appliance.RuleAction{{Kind: appliance.DoPool, Pool: pool.ID}}}}
	r := start(t, Options{})
	r.apply(v, pool)
	c, dials := client2(t)
	const streams = 12
	results := make(chan string, streams)
	gone, goAway := context.WithCancel(soon(t))
	for i := range streams {
		ctx, size := soon(t), i%3*30000
		if i == streams-1 {
			ctx = gone
			r.waiting(pool.ID, streams-3)
		}
		go func() {
			q, _ := http.NewRequestWithContext(ctx, "POST", "http://"+address(v)+"/", strings.NewReader(strings.Repeat("x", size)))
			a, err := c.Do(q)
			if err != nil {
				results <- "broken off"
				return
			}
			b, _ := io.ReadAll(a.Body)
			a.Body.Close()
			if string(b) != fmt.Sprint(size) {
				t.Errorf("%d: %q", size, b)
			}
			results <- a.Status
		}()
	}
	r.waiting(pool.ID, streams-2)
	goAway()
	if got := <-results; got != "broken off" {
		t.Error(got)
	}
	r.waiting(pool.ID, streams-3)
	for range streams - 1 {
		answer <- struct{}{}
		if got := <-results; got != "200 OK" {
			t.Error(got)
		}
	}
	if most := g.most.Load(); most != 2 || dials.Load() != 1 || g.all.Load() != streams-1 {
		t.Errorf("%d at once, %d in all, %d connections of the client", most, g.all.Load(), dials.Load())
	}
	r.waiting(pool.ID, 0)
}
