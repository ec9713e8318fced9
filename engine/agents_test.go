package engine

import (
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/appliance"
)

// speaker is an agent that says what the test wants.
type speaker struct{ line atomic.Pointer[string] }

func (p *speaker) says(line string) { p.line.Store(&line) }

func (p *speaker) serve(c net.Conn) {
	if line := p.line.Load(); line != nil {
		_, _ = io.WriteString(c, *line+"\n")
	}
}

// agents runs two echo servers, a and b, on the same port of two addresses, each with an agent, and a service that asks these often.
func agents(t *testing.T) (v appliance.VirtualService, a, b *speaker) {
	t.Helper()
	a, b = &speaker{}, &speaker{}
	port, at := freePort(t), freePort(t)
	v = tcp(t, "svc")
	for _, s := range []struct {
		address, name string
		agent         *speaker
	}{{"127.0.0.2", "a", a}, {"127.0.0.3", "b", b}} {
		address := netip.MustParseAddr(s.address)
		serveOn(t, netip.AddrPortFrom(address, port).String(), echo(s.name))
		serveOn(t, netip.AddrPortFrom(address, at).String(), s.agent.serve)
		r := appliance.NewRealServer()
		r.ID, r.Label, r.Address, r.Port = "svc-"+s.name, s.name, appliance.Host(s.address), port
		v.RealServers = append(v.RealServers, r)
		s.agent.says("ready")
	}
	v.Scheduler, v.SlowStart = appliance.RoundRobin, 0
	v.Monitor = appliance.NewMonitor(appliance.MonitorConnect)
	v.Monitor.Interval, v.Monitor.Rise = appliance.Duration(100*time.Millisecond), 1
	v.Monitor.Agent.Enabled, v.Monitor.Agent.Port = true, at
	return v, a, b
}

// heard waits until the agent of the first server is heard to say something.
func (r *rig) heard(v appliance.VirtualService, sentence string) appliance.ServerStatus {
	r.t.Helper()
	var s appliance.ServerStatus
	until(r.t, "the agent to be heard: "+sentence, func() bool {
		s = r.status(v.ID).Servers[0]
		said, _ := r.agents.State(v.RealServers[0].ID)
		return r.view.Load().servers[v.RealServers[0].ID].advised() == adviceOf(said) && s.Agent != nil && s.Agent.Sentence == sentence && s.Check.Health != appliance.Unknown && r.status(v.ID).Servers[1].Agent.State == ""
	})
	return s
}

// shares counts which servers serve twelve new clients.
func shares(t *testing.T, v appliance.VirtualService) map[string]int {
	t.Helper()
	got := map[string]int{}
	for range 12 {
		got[readName(t, dial(t, address(v)))]++
	}
	return got
}

func TestAgentsDecideHowMuchTheirServersGet(t *testing.T) {
	r := start(t, Options{Loops: 1})
	v, a, _ := agents(t)
	r.apply(v)
	for _, c := range []struct {
		says, sentence string
		a              int // of twelve clients
		health         appliance.Health
		state          appliance.State
		service        string
	}{
		{"ready up", "The agent says ready up.", 6, appliance.Up, "", "All 2 real servers are up."},
		{"50%", "The agent says 50% ready up.", 4, appliance.Up, "", "All 2 real servers are up."},
		{"200%", "The agent says 200% ready up.", 8, appliance.Up, "", "All 2 real servers are up."},
		{"0%", "The agent says 0% ready up.", 0, appliance.Up, appliance.Drain, "The real server is up; 1 more is kept back by its agent."},
		{"100% drain#backup", "The agent says 100% drain up (backup).", 0, appliance.Up, appliance.Drain, "The real server is up; 1 more is kept back by its agent."},
		{"maint", "The agent says 100% maint up.", 0, appliance.Up, appliance.Halt, "The real server is up; 1 more is kept back by its agent."},
		{"ready", "The agent says 100% ready up.", 6, appliance.Up, "", "All 2 real servers are up."},
		{"fail#disk", "The agent says 100% ready fail (disk).", 0, appliance.Down, "", "a is down; 1 other serves."},
		{"nonsense", "The agent on port PORT is not heard: none of the words of its answer is known. Nothing that it may have said counts.", 6, appliance.Up, "", "All 2 real servers are up."},
	} {
		a.says(c.says)
		seen := r.heard(v, strings.ReplaceAll(c.sentence, "PORT", portText(v.Monitor.Agent.Port)))
		if seen.Check.Health != c.health || seen.Agent.State != c.state || seen.State != appliance.Online || seen.Agent.Down != (c.health == appliance.Down) {
			t.Errorf("%s: %+v %+v", c.says, seen, seen.Agent)
		}
		if c.health == appliance.Down && !strings.HasPrefix(seen.Check.Sentence, c.sentence) {
			t.Errorf("%s: the check says %q", c.says, seen.Check.Sentence)
		}
		var got map[string]int
		until(t, "the share of "+c.says, func() bool { got = shares(t, v); return got["a"] == c.a })
		if s := r.status(v.ID); s.Sentence != c.service {
			t.Errorf("%s: %s", c.says, s.Sentence)
		}
	}
}

func TestDrainOfAnAgentKeepsReturningClientsAndMaintDoesNot(t *testing.T) {
	r := start(t, Options{Loops: 1})
	v, a, b := agents(t)
	v.Persistence.Kind = appliance.PersistSourceIP
	b.says("maint")
	r.apply(v)
	until(t, "b to be kept back", func() bool {
		s := r.status(v.ID).Servers
		return len(s) == 2 && s[1].Agent != nil && s[1].Agent.State == appliance.Halt
	})
	if got := readName(t, dial(t, address(v))); got != "a" {
		t.Fatal(got)
	}
	b.says("ready")
	a.says("drain")
	r.heard(v, "The agent says drain.")
	if got := readName(t, dialFrom(t, "127.0.0.1", address(v))); got != "a" {
		t.Errorf("the returning client comes to %s", got)
	}
	if got := readName(t, dialFrom(t, "127.0.0.9", address(v))); got != "b" {
		t.Errorf("a new client comes to %s", got)
	}
	a.says("maint")
	r.heard(v, "The agent says maint.")
	if got := readName(t, dialFrom(t, "127.0.0.1", address(v))); got != "b" {
		t.Errorf("the returning client comes to %s", got)
	}
}

func TestWhatTheOperatorWantsWinsOverTheAgent(t *testing.T) {
	r := start(t, Options{Loops: 1})
	v, a, _ := agents(t)
	a.says("ready up 300%")
	for _, state := range []appliance.State{appliance.Halt, appliance.Drain} {
		v = v.Clone()
		v.RealServers[0].State = state
		r.apply(v)
		seen := r.heard(v, "The agent says 300% ready up.")
		if got := shares(t, v); got["a"] != 0 || seen.State != state || seen.Held() {
			t.Errorf("%s: %v %+v", state, got, seen)
		}
	}
}

func TestAnAgentThatIsNotAskedAnyMoreHasNoSay(t *testing.T) {
	r := start(t, Options{Loops: 1})
	v, a, _ := agents(t)
	a.says("maint")
	r.apply(v)
	r.heard(v, "The agent says maint.")
	open := v.Clone()
	open.Monitor.Agent.Enabled = false
	r.apply(open)
	until(t, "a to serve again", func() bool { return shares(t, open)["a"] == 6 })
	if s := r.status(v.ID).Servers[0]; s.Agent != nil {
		t.Errorf("%+v", s.Agent)
	}
}

// TestConnectionsEndWhenAnAgentSaysDown holds when the service wants that of checks.
func TestConnectionsEndWhenAnAgentSaysDown(t *testing.T) {
	r := start(t, Options{Loops: 1})
	v, a, b := agents(t)
	b.says("drain")
	v.Monitor.CloseOnDown = true
	r.apply(v)
	until(t, "b to be kept back", func() bool { return r.status(v.ID).Servers[1].Held() })
	c := dial(t, address(v))
	if got := readName(t, c); got != "a" {
		t.Fatal(got)
	}
	a.says("drain")
	until(t, "a to be kept back", func() bool { return r.status(v.ID).Servers[0].Held() })
	ping(t, c, "still here")
	if s := r.status(v.ID); s.Health != appliance.ServiceDrained || !strings.HasPrefix(s.Sentence, "Every real server is kept back by its agent; 1 connection is still open") {
		t.Errorf("%s: %s", s.Health, s.Sentence)
	}
	a.says("down")
	wantEOF(t, c)
}

// TestWhoWaitsIsServedWhenAnAgentIsReady again, and asks no server in vain whose agent says maint.
func TestWhoWaitsIsServedWhenAnAgentIsReady(t *testing.T) {
	r := start(t, Options{Loops: 2})
	v, a, b := agents(t)
	queued(&v, 10, 1, 1)
	b.says("maint")
	r.apply(v)
	until(t, "b to be kept back", func() bool { return r.status(v.ID).Servers[1].Held() })
	first := dial(t, address(v))
	if got := readName(t, first); got != "a" {
		t.Fatal(got)
	}
	second := dial(t, address(v))
	r.waiting(v.ID, 1)
	b.says("ready")
	if got := readName(t, second); got != "b" {
		t.Errorf("%s serves who waited", got)
	}
	third := dial(t, address(v))
	r.waiting(v.ID, 1)
	a.says("down")
	b.says("down")
	wantEOF(t, third) // nobody can serve it any more
	ping(t, first, "still here")
	ping(t, second, "still here")
}

func portText(port uint16) string { return strconv.Itoa(int(port)) }
