package engine

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

// TestANamedPoolServesWhatRulesLeadToIt: it never listens, is checked and counted, and its changes reach those who were led there.
func TestANamedPoolServesWhatRulesLeadToIt(t *testing.T) {
	own, one, two := serve(t, echo("own")), serve(t, echo("one")), serve(t, echo("two"))
	front, pool := tcp(t, "front", own.address), tcp(t, "pool", one.address, two.address)
	pool.PoolOnly, pool.Address, pool.Ports = true, netip.Addr{}, nil
	pool.Scheduler, pool.Persistence.Kind = appliance.FirstAvailable, appliance.PersistSourceIP
	pool.Monitor = appliance.NewMonitor(appliance.MonitorConnect)
	pool.Monitor.Interval = appliance.Duration(100 * time.Millisecond)
	front.Rules = []appliance.Rule{{
		ID: "rule-1", Label: "r", When: []appliance.Condition{{Subject: appliance.SubjectSource, Operator: appliance.OpEqual, Value: "127.0.0.2, 127.0.0.3"}},
		Then: []appliance.RuleAction{{Kind: appliance.DoPool, Pool: pool.ID}},
	}}
	e := start(t, Options{})
	if err := appliance.Validate(config(front, pool), appliance.Site{}); err != nil {
		t.Fatal(err)
	}
	if err := e.Check(soon(t), config(front, pool)); err != nil {
		t.Fatal(err)
	}
	e.apply(front, pool)
	if n := len(e.groups); n != 1 {
		t.Fatalf("%d listeners", n)
	}
	until(t, "the pool is checked", func() bool {
		s := e.status(pool.ID)
		return s.Health == appliance.ServiceUp && s.Servers[0].Check.Health == appliance.Up && s.Servers[1].Check.Health == appliance.Up
	})
	led := dialFrom(t, "127.0.0.2", address(front))
	if got := readName(t, led); got != "one" {
		t.Fatal(got)
	}
	if got := readName(t, dialFrom(t, "127.0.0.4", address(front))); got != "own" {
		t.Fatal(got)
	}
	ping(t, led, "hello")
	if s := e.status(pool.ID); s.Connections != 1 || s.Total != 1 || s.BytesIn != 5 || s.Servers[0].Connections != 1 {
		t.Errorf("%+v", s)
	}
	for _, m := range e.Measure() {
		if m.Service == pool.ID && m.Server == "" && (m.Open != 1 || m.BytesIn != 5 || m.Up != 1) {
			t.Errorf("%+v", m.Counters)
		}
	}
	if entries := e.remembered(pool.ID); len(entries) != 1 {
		t.Errorf("%d entries", len(entries))
	}
	if _, err := e.Explain(soon(t), appliance.Question{Client: netip.MustParseAddr("127.0.0.2"), Service: "pool"}); err == nil || !strings.Contains(err.Error(), "is a pool") {
		t.Error(err)
	}
	if said, err := e.Explain(soon(t), appliance.Question{Client: netip.MustParseAddr("127.0.0.3"), Service: "front"}); err != nil || said.Server != "s0" || said.ServerID != "pool-s0" {
		t.Errorf("%v %+v", err, said)
	}
	pool.RealServers[0].State = appliance.Drain
	e.apply(front, pool)
	ping(t, led, "still here")
	if got := readName(t, dialFrom(t, "127.0.0.3", address(front))); got != "two" {
		t.Error(got)
	}
	pool.RealServers[0].State = appliance.Halt
	e.apply(front, pool)
	wantEOF(t, led)
	again := dialFrom(t, "127.0.0.2", address(front))
	if got := readName(t, again); got != "two" {
		t.Error(got)
	}
	pool.PoolOnly, pool.Address = false, front.Address // and it may begin to listen
	onPort(&pool, freePort(t))
	e.apply(front, pool)
	ping(t, again, "and on")
	if got := readName(t, dial(t, address(pool))); got != "two" {
		t.Error(got)
	}
}

// TestClientsWaitInTheQueueOfThePool that a rule leads them to, and look again when the rule or the pool goes.
func TestClientsWaitInTheQueueOfThePool(t *testing.T) {
	var g gauge
	one, own := serve(t, g.session(0)), serve(t, echo("own"))
	front, pool := tcp(t, "front", own.address), tcp(t, "pool", one.address)
	pool.PoolOnly, pool.Address, pool.Ports = true, netip.Addr{}, nil
	queued(&pool, 10, 1)
	pool.Limits.QueueTimeout = appliance.Duration(20 * time.Second)
	front.Limits.QueueTimeout = appliance.Duration(10 * time.Millisecond) // is that of its own queue
	front.Rules = []appliance.Rule{{ID: "rule-1", Label: "r", Then: []appliance.RuleAction{{Kind: appliance.DoPool, Pool: pool.ID}}}}
	e := start(t, Options{})
	e.apply(front, pool)
	var line []*net.TCPConn
	for i := range 4 {
		line = append(line, dial(t, address(front)))
		until(t, fmt.Sprintf("client %d waits", i), func() bool { return g.now.Load() == 1 && e.status(pool.ID).Waiting == i })
	}
	line[0].Close()
	if got := readName(t, line[1]); got != "in" {
		t.Fatal(got)
	}
	e.apply(front) // neither pool nor, in effect, its rule
	for _, c := range line[2:] {
		if got := readName(t, c); got != "own" {
			t.Errorf("%q", got)
		}
	}
}
