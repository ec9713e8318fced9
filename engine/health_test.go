package engine

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

func checked(t *testing.T, label string, servers ...netip.AddrPort) appliance.VirtualService {
	v := tcp(t, label, servers...)
	v.Monitor = appliance.NewMonitor(appliance.MonitorConnect)
	v.Monitor.Interval, v.Monitor.Timeout = appliance.Duration(100*time.Millisecond), appliance.Duration(time.Second)
	v.Monitor.Rise, v.Monitor.Fall = 1, 1
	return v
}

func TestAServerThatGoesDownGetsNoNewClientsAndKeepsItsOwn(t *testing.T) {
	a, b := serve(t, echo("a")), serve(t, echo("b"))
	r := start(t, Options{})
	v := checked(t, "svc", a.address, b.address)
	v.Mode = appliance.Failover
	r.apply(v)
	c := dial(t, address(v))
	if name := readName(t, c); name != "a" {
		t.Fatal(name)
	}
	a.ln.Close()
	until(t, "a to be down", func() bool { return r.status(v.ID).Servers[0].Check.Health == appliance.Down })
	st := r.status(v.ID)
	if st.Health != appliance.ServiceDegraded || !strings.Contains(st.Sentence, "s0 is down") || st.Servers[0].Check.Sentence == "" {
		t.Errorf("%s: %s", st.Health, st.Sentence)
	}
	if name := readName(t, dial(t, address(v))); name != "b" {
		t.Fatal(name)
	}
	ping(t, c, "the open connection stays")
	serveOn(t, a.address.String(), echo("a again"))
	until(t, "a to be up", func() bool { return r.status(v.ID).Health == appliance.ServiceUp })
	if name := readName(t, dial(t, address(v))); name != "a again" {
		t.Fatal(name)
	}
}

func TestAServerThatGoesDownLosesItsConnectionsWhereTheServiceSaysSo(t *testing.T) {
	a, b := serve(t, echo("a")), serve(t, echo("b"))
	r := start(t, Options{})
	v := checked(t, "svc", a.address, b.address)
	v.Mode, v.Monitor.CloseOnDown = appliance.Failover, true
	r.apply(v)
	c := dial(t, address(v))
	if name := readName(t, c); name != "a" {
		t.Fatal(name)
	}
	a.ln.Close()
	wantEOF(t, c)
	if name := readName(t, dial(t, address(v))); name != "b" {
		t.Fatal(name)
	}
}

func TestHealthFollowsAServerWhoseServiceIsMadeAnew(t *testing.T) {
	b := serve(t, echo("b"))
	r := start(t, Options{})
	dead := netip.AddrPortFrom(b.address.Addr(), freePort(t))
	v := checked(t, "svc", dead, b.address)
	r.apply(v)
	until(t, "the first to be down", func() bool { return r.status(v.ID).Servers[0].Check.Health == appliance.Down })
	v.Protocol = appliance.HTTP // a new service with the same servers, whose health is known already
	r.apply(v)
	if s := r.view.Load().servers[v.RealServers[0].ID]; !s.down.Load() {
		t.Error("a server that is down counts as usable")
	}
}

func TestTestProbesWithoutSaving(t *testing.T) {
	s := serve(t, echo("s"))
	r := start(t, Options{})
	v := checked(t, "svc", s.address)
	probe, transcript, err := r.Test(soon(t), v, v.RealServers[0])
	if err != nil || !probe.Good || probe.Sentence == "" || transcript == "" {
		t.Errorf("%+v %q %v", probe, transcript, err)
	}
}

func TestEveryStateOfAServiceHasItsSentence(t *testing.T) {
	server := func(state appliance.State, h appliance.Health) appliance.ServerStatus {
		return appliance.ServerStatus{Label: "A", State: state, Check: appliance.ServerHealth{Health: h}}
	}
	up, down, unknown := server(appliance.Online, appliance.Up), server(appliance.Online, appliance.Down), server(appliance.Online, appliance.Unknown)
	off := server(appliance.Drain, appliance.Up)
	offDown := server(appliance.Halt, appliance.Down)
	busy := off
	busy.Connections = 3
	none, page := appliance.Fallback{Kind: appliance.FallbackNone}, appliance.Fallback{Kind: appliance.FallbackPage}
	other := appliance.Fallback{Kind: appliance.FallbackServer, Address: netip.MustParseAddrPort("192.0.2.1:80")}
	for _, c := range []struct {
		servers  []appliance.ServerStatus
		protocol appliance.Protocol
		fallback appliance.Fallback
		health   appliance.ServiceHealth
		sentence string
	}{
		{nil, appliance.TCP, none, appliance.ServiceDown, "There is no real server; clients are disconnected at once."},
		{nil, appliance.HTTP, none, appliance.ServiceDown, "There is no real server; clients get the answer 503."},
		{nil, appliance.HTTP, page, appliance.ServiceFallback, "There is no real server; clients get the fallback page."},
		{[]appliance.ServerStatus{down}, appliance.TCP, none, appliance.ServiceDown, "A is down and there is no other real server online; clients are disconnected at once."},
		{[]appliance.ServerStatus{down, down}, appliance.TCP, other, appliance.ServiceFallback, "All 2 real servers that are online are down; the fallback server 192.0.2.1:80 serves."},
		{[]appliance.ServerStatus{down, off}, appliance.TCP, none, appliance.ServiceDown, "A is down and there is no other real server online; clients are disconnected at once."},
		{[]appliance.ServerStatus{up, down}, appliance.TCP, none, appliance.ServiceDegraded, "A is down; 1 other serves."},
		{[]appliance.ServerStatus{up, up, down, down}, appliance.TCP, none, appliance.ServiceDegraded, "A and A are down; 2 others serve."},
		{[]appliance.ServerStatus{up, down, down, down, down}, appliance.TCP, none, appliance.ServiceDegraded, "A, A and 2 more are down; 1 other serves."},
		{[]appliance.ServerStatus{up}, appliance.TCP, none, appliance.ServiceUp, "The real server is up."},
		{[]appliance.ServerStatus{up, up}, appliance.TCP, none, appliance.ServiceUp, "All 2 real servers are up."},
		{[]appliance.ServerStatus{up, off}, appliance.TCP, none, appliance.ServiceUp, "The real server is up; 1 more is drained or halted by an operator."},
		{[]appliance.ServerStatus{up, offDown, off}, appliance.TCP, none, appliance.ServiceUp, "The real server is up; 2 more are drained or halted by an operator."},
		{[]appliance.ServerStatus{up, unknown}, appliance.TCP, none, appliance.ServiceUp, "1 of 2 real servers are up, the others are being checked."},
		{[]appliance.ServerStatus{unknown}, appliance.TCP, none, appliance.ServiceUnknown, "The first checks are still under way; clients are served meanwhile."},
		{[]appliance.ServerStatus{off}, appliance.TCP, none, appliance.ServiceDrained, "Every real server is drained or halted by an operator; new clients are turned away."},
		{[]appliance.ServerStatus{busy}, appliance.HTTP, page, appliance.ServiceDrained, "Every real server is drained or halted by an operator; 3 connections are still open; new clients get the fallback."},
	} {
		health, sentence := judge(&appliance.VirtualService{Protocol: c.protocol, Fallback: c.fallback}, c.servers)
		if health != c.health || sentence != c.sentence {
			t.Errorf("%s %q\n  wanted %s %q", health, sentence, c.health, c.sentence)
		}
	}
}
