package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire/wiretest"
)

func TestApplyKeepsOldRevisionWhenBindFails(t *testing.T) {
	s := serve(t, echo("s"))
	r := start(t, Options{})
	v := tcp(t, "old", s.address)
	r.apply(v)
	c := dial(t, address(v))
	readName(t, c)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	changed, good, bad := v.Clone(), tcp(t, "good", s.address), tcp(t, "bad", s.address)
	changed.RealServers = nil
	onPort(&bad, busy.Addr().(*net.TCPAddr).AddrPort().Port())
	for name, try := range map[string]func(context.Context, appliance.Config) error{"Check": r.Check, "Apply": r.Apply} {
		err := try(soon(t), config(changed, good, bad))
		var e *appliance.Error
		if !errors.As(err, &e) || e.Kind != appliance.Conflict || e.Field != "virtual_services[bad].ports" || e.Subject != bad.ID ||
			!strings.Contains(e.Message, busy.Addr().String()[len("127.0.0.1:"):]) || !strings.Contains(e.Message, "127.0.0.1") {
			t.Errorf("%s: %v", name, err)
		}
	}
	ping(t, c, "the old connection lives")
	if name := readName(t, dial(t, address(v))); name != "s" {
		t.Fatal(name)
	}
	if c, err := net.Dial("tcp", address(good)); err == nil {
		c.Close()
		t.Error("a part of the refused configuration serves")
	}
	if n := len(r.Status().Services); n != 1 {
		t.Errorf("%d services", n)
	}
}

func TestASecondEngineIsRefusedThePortThatTheFirstHas(t *testing.T) {
	s := serve(t, echo("s"))
	first, second := start(t, Options{}), start(t, Options{})
	v := tcp(t, "svc", s.address)
	first.apply(v)
	wild := v.Clone()
	wild.Address = netip.IPv4Unspecified()
	for _, w := range []appliance.VirtualService{v, wild} {
		err := second.Apply(soon(t), config(w))
		if appliance.KindOf(err) != appliance.Conflict || !strings.Contains(err.Error(), "already in use by another program") {
			t.Errorf("%s: %v", w.Address, err)
		}
	}
	first.stop()
	second.apply(v)
	readName(t, dial(t, address(v)))
}

func TestApplyWaitsForRunNoLongerThanItsContext(t *testing.T) {
	e := New(Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := e.Apply(ctx, config()); appliance.KindOf(err) != appliance.Unavailable {
		t.Error(err)
	}
}

func TestApplyBehindTheEndIsRefused(t *testing.T) {
	r := start(t, Options{})
	r.stop()
	if err := r.Apply(soon(t), config(tcp(t, "svc"))); appliance.KindOf(err) != appliance.Unavailable {
		t.Error(err)
	}
}

func TestApplyingTheSameAgainTouchesNothing(t *testing.T) {
	s := serve(t, echo("s"))
	r := start(t, Options{})
	v := tcp(t, "svc", s.address)
	r.apply(v)
	c := dial(t, address(v))
	readName(t, c)
	r.mu.Lock()
	before := r.services[v.ID].running.Load()
	r.mu.Unlock()
	for range 10 {
		r.apply(v)
	}
	if r.services[v.ID].running.Load() != before {
		t.Error("the snapshot of an unchanged service was replaced")
	}
	ping(t, c, "hello")
}

func TestDrainKeepsOpenConnectionsAndTakesNoNewOnes(t *testing.T) {
	a, b := serve(t, echo("a")), serve(t, echo("b"))
	r := start(t, Options{})
	v := tcp(t, "svc", a.address, b.address)
	v.Mode = appliance.Failover
	r.apply(v)
	c := dial(t, address(v))
	if name := readName(t, c); name != "a" {
		t.Fatal(name)
	}
	v.RealServers[0].State = appliance.Drain
	r.apply(v)
	ping(t, c, "still served")
	for range 5 {
		if name := readName(t, dial(t, address(v))); name != "b" {
			t.Fatal(name)
		}
	}
	st := r.status(v.ID).Servers[0]
	if st.Connections != 1 || st.State != appliance.Drain || st.Oldest.IsZero() || time.Since(st.Oldest) > time.Minute {
		t.Errorf("%+v", st)
	}
}

func TestHaltSendsFINToItsConnectionsOnly(t *testing.T) {
	a, b := serve(t, echo("a")), serve(t, echo("b"))
	r := start(t, Options{})
	v := tcp(t, "svc", a.address, b.address)
	v.Scheduler = appliance.RoundRobin
	r.apply(v)
	byName := map[string][]*net.TCPConn{}
	for range 8 {
		c := dial(t, address(v))
		name := readName(t, c)
		byName[name] = append(byName[name], c)
	}
	v.RealServers[0].State = appliance.Halt
	r.apply(v)
	for _, c := range byName["a"] {
		wantEOF(t, c)
	}
	for _, c := range byName["b"] {
		ping(t, c, "untouched")
	}
	if len(byName["a"]) == 0 || len(byName["b"]) == 0 {
		t.Error("one server had no client")
	}
	until(t, "the halted server to be rid of its connections", func() bool { return r.status(v.ID).Servers[0].Connections == 0 && a.open() == 0 })
}

func TestARemovedServerKeepsItsOpenConnections(t *testing.T) {
	a, b := serve(t, echo("a")), serve(t, echo("b"))
	r := start(t, Options{})
	v := tcp(t, "svc", a.address)
	r.apply(v)
	c := dial(t, address(v))
	readName(t, c)
	w := tcp(t, "svc", b.address)
	w.Ports, w.RealServers[0].ID = v.Ports, "another"
	r.apply(w)
	ping(t, c, "still on the removed server")
	if name := readName(t, dial(t, address(w))); name != "b" {
		t.Fatal(name)
	}
}

func TestARemovedServiceEndsPolitelyAndLeavesOthersAlone(t *testing.T) {
	s := serve(t, echo("s"))
	r := start(t, Options{})
	gone, stays := tcp(t, "gone", s.address), tcp(t, "stays", s.address)
	r.apply(gone, stays)
	a, b := dial(t, address(gone)), dial(t, address(stays))
	readName(t, a)
	readName(t, b)
	r.apply(stays)
	wantEOF(t, a)
	ping(t, b, "untouched")
	if c, err := net.Dial("tcp", address(gone)); err == nil {
		c.Close()
		t.Error("the removed service still listens")
	}
	r.apply(gone, stays)
	readName(t, dial(t, address(gone)))
}

func TestARemovedPortEndsItsConnectionsOnly(t *testing.T) {
	s := serve(t, echo("s"))
	r := start(t, Options{})
	v := tcp(t, "svc", s.address)
	kept, left := v.Ports[0].First, freePort(t)
	two := v.Clone()
	two.Ports = appliance.Ports{{First: kept, Last: kept}, {First: left, Last: left}}
	two.Normalize()
	r.apply(two)
	onPort(&two, left)
	a, b := dial(t, address(v)), dial(t, address(two))
	readName(t, a)
	readName(t, b)
	r.apply(v)
	wantEOF(t, b)
	ping(t, a, "untouched")
}

func TestAPortMovesFromOneServiceToAnother(t *testing.T) {
	a, b := serve(t, echo("a")), serve(t, echo("b"))
	r := start(t, Options{})
	v, w := tcp(t, "v", a.address), tcp(t, "w", b.address)
	r.apply(v, w)
	v.Ports, w.Ports = w.Ports, v.Ports
	r.apply(v, w)
	if one, two := readName(t, dial(t, address(v))), readName(t, dial(t, address(w))); one != "a" || two != "b" {
		t.Errorf("%s %s", one, two)
	}
}

func TestAnAddressBecomesTheWildcardAndBack(t *testing.T) {
	s := serve(t, echo("s"))
	r := start(t, Options{})
	v := tcp(t, "svc", s.address)
	wild := v.Clone()
	wild.Address = netip.IPv4Unspecified()
	r.apply(v)
	c := dial(t, address(v))
	readName(t, c)
	for _, w := range []appliance.VirtualService{wild, v} {
		if err := r.Check(soon(t), config(w)); err != nil {
			t.Fatal(err)
		}
		r.apply(w)
		readName(t, dial(t, address(v)))
	}
	ping(t, c, "lived through both")
}

func TestTheProtocolOfAServiceChanges(t *testing.T) {
	s := serve(t, echo("s"))
	h := serveHTTP(t, "h")
	r := start(t, Options{})
	v, w := tcp(t, "svc", s.address), web(t, "svc", h)
	w.Ports = v.Ports
	for range 3 {
		r.apply(v)
		c := dial(t, address(v))
		readName(t, c)
		r.apply(w)
		wantEOF(t, c)
		if got := get(t, client(t), address(w)); got != "h" {
			t.Fatal(got)
		}
	}
}

// TestAppliesUnderTrafficFailAndResetNothing is the promise: applying costs no connection that the change does not concern.
func TestAppliesUnderTrafficFailAndResetNothing(t *testing.T) {
	const applies, idle, posters = 200, 200, 4
	var served atomic.Int64
	h := serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
		served.Add(1)
	}))
	h2 := serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	body := noise(24 << 20)
	begun, release := make(chan bool), make(chan bool)
	long := serve(t, func(c net.Conn) {
		_, _ = c.Write(body[:1<<20])
		close(begun)
		<-release
		_, _ = c.Write(body[1<<20:])
	})
	e := serve(t, echo("e"))
	r := start(t, Options{})
	posts, transfer, sessions := web(t, "posts", h.address, h2.address), tcp(t, "transfer", long.address), tcp(t, "sessions", e.address)
	r.apply(posts, transfer, sessions)

	var quiet []*net.TCPConn
	for range idle {
		c := dial(t, address(sessions))
		readName(t, c)
		quiet = append(quiet, c)
	}
	big := dial(t, address(transfer))
	got := make(chan []byte, 1)
	go func() { b, _ := io.ReadAll(big); got <- b }()
	<-begun

	stop := make(chan bool)
	var ended wiretest.Ended
	var failed, done atomic.Int64
	posting := keepPosting(t, posters, address(posts), stop, &ended, &failed, &done)
	for i := range applies {
		next := posts.Clone()
		next.RealServers[i%2].Weight = 50 + i%50
		next.Limits.MaxConnections = 1000 + i
		if i%3 == 0 {
			next.RealServers[1].State = appliance.Drain
		}
		if i%5 == 0 {
			next.RealServers = next.RealServers[:1]
		}
		changed := sessions.Clone()
		changed.Scheduler = []appliance.Scheduler{appliance.LeastConnections, appliance.RoundRobin, appliance.SourceHash}[i%3]
		list := []appliance.VirtualService{next, transfer, changed}
		if i%2 == 0 {
			list = append(list, tcp(t, "passing", e.address))
		}
		before := done.Load()
		r.apply(list...)
		if i%10 == 0 { // traffic really runs between the applies
			until(t, "requests between two applies", func() bool { return done.Load() > before || failed.Load() > 0 })
		}
	}
	close(release)
	same(t, "the long transfer", <-got, body)
	close(stop)
	posting.Wait()
	for _, c := range quiet {
		ping(t, c, "idle and alive")
	}
	if failed.Load() > 0 || ended.Load() > 0 || done.Load() < applies/10 {
		t.Errorf("%d of %d posts failed, %d client connections were ended", failed.Load(), done.Load(), ended.Load())
	}
}

// keepPosting has n clients, each on one connection, post until stop.
func keepPosting(t *testing.T, n int, to string, stop <-chan bool, ended *wiretest.Ended, failed, done *atomic.Int64) *sync.WaitGroup {
	var posting sync.WaitGroup
	for range n {
		posting.Go(func() {
			c := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: ended.DialContext}}
			defer c.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := post(c, to, []byte("some request")); err != nil {
					failed.Add(1)
					t.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	return &posting
}

func post(c *http.Client, to string, body []byte) error {
	resp, err := c.Post("http://"+to+"/echo", "text/plain", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !bytes.Equal(b, body) {
		return errors.New(resp.Status + ": " + string(b))
	}
	return nil
}

func TestConcurrentAppliesChecksAndStatusesAgree(t *testing.T) {
	s := serve(t, echo("s"))
	r := start(t, Options{})
	lists := [][]appliance.VirtualService{{tcp(t, "a", s.address)}, {tcp(t, "b", s.address)}, {tcp(t, "a", s.address), tcp(t, "c", s.address)}}
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			for n := range 20 {
				c := config(lists[(i+n)%3]...)
				if err := r.Apply(soon(t), c); err != nil {
					t.Error(err)
				}
				_ = r.Status()
				_ = r.Check(soon(t), c)
			}
		})
	}
	all.Wait()
	r.apply(lists[2]...)
	for _, v := range lists[2] {
		readName(t, dial(t, address(v)))
	}
}

func TestARemovedServiceForgetsItsListeners(t *testing.T) {
	r := start(t, Options{})
	v := tcp(t, "svc")
	r.apply(v)
	retired := r.view.Load().services[0]
	r.apply()
	for _, shard := range retired.shards {
		if err := shard.lane.loop.Call(soon(t), func() {
			if len(shard.listeners) > 0 {
				t.Error("a removed service still has listeners")
			}
		}); err != nil {
			t.Error(err)
		}
	}
}
