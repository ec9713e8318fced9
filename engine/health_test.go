package engine

import (
	"io"
	"net"
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

func TestServiceThatOnlyRedirectsIsUp(t *testing.T) {
	v := appliance.NewService(appliance.HTTP)
	v.TLS.Redirect = appliance.RedirectMovedPermanently
	down := appliance.ServerStatus{State: appliance.Online, Check: appliance.ServerHealth{Health: appliance.Down}}
	for _, servers := range [][]appliance.ServerStatus{nil, {down}} {
		if health, sentence := judge(&v, servers); health != appliance.ServiceUp || sentence != "Every request is redirected to HTTPS; no real server is asked." {
			t.Errorf("%d servers: %s %q", len(servers), health, sentence)
		}
	}
}

func TestBackupsAndTheMinimumOfServersAreTold(t *testing.T) {
	seen := func(id string, h appliance.Health) appliance.ServerStatus {
		return appliance.ServerStatus{ID: id, Label: id, State: appliance.Online, Check: appliance.ServerHealth{Health: h}}
	}
	service := func(minimum int) *appliance.VirtualService {
		v := appliance.NewService(appliance.TCP)
		v.MinimumServers = minimum
		v.RealServers = []appliance.RealServer{{ID: "a"}, {ID: "b"}, {ID: "spare", Backup: true}}
		return &v
	}
	for _, c := range []struct {
		minimum int
		health  [3]appliance.Health
		want    string
	}{
		{0, [3]appliance.Health{appliance.Down, appliance.Down, appliance.Up}, "a and b are down; the backup spare serves."},
		{0, [3]appliance.Health{appliance.Down, appliance.Up, appliance.Up}, "a is down; 1 other serves."},
		{2, [3]appliance.Health{appliance.Down, appliance.Down, appliance.Up}, "a and b are down; because fewer than 2 are healthy, all that are online are used again."},
		{1, [3]appliance.Health{appliance.Down, appliance.Down, appliance.Down}, "All 3 real servers that are online are down; because fewer than 1 are healthy, all that are online are used again."},
	} {
		servers := []appliance.ServerStatus{seen("a", c.health[0]), seen("b", c.health[1]), seen("spare", c.health[2])}
		if health, got := judge(service(c.minimum), servers); got != c.want || health != appliance.ServiceDegraded {
			t.Errorf("%s: %q, not %q", health, got, c.want)
		}
	}
}

func TestABackupServesWhileTheOthersAreDown(t *testing.T) {
	a, spare := serve(t, echo("a")), serve(t, echo("spare"))
	r := start(t, Options{})
	v := checked(t, "svc", spare.address, a.address)
	v.RealServers[0].Backup = true
	r.apply(v)
	for range 4 {
		if name := readName(t, dial(t, address(v))); name != "a" {
			t.Fatal(name)
		}
	}
	a.ln.Close()
	if name := readName(t, dial(t, address(v))); name != "spare" { // at once, whatever is known of a
		t.Fatal(name)
	}
	until(t, "a to be down", func() bool { return r.status(v.ID).Servers[1].Check.Health == appliance.Down })
	serveOn(t, a.address.String(), echo("a again"))
	until(t, "a to be up", func() bool { return r.status(v.ID).Servers[1].Check.Health == appliance.Up })
	if name := readName(t, dial(t, address(v))); name != "a again" {
		t.Fatal(name)
	}
}

func TestBelowTheMinimumAllServersAreUsedAgain(t *testing.T) {
	a, b := serve(t, echo("a")), serve(t, echo("b"))
	r := start(t, Options{})
	v := tcp(t, "svc", a.address, b.address)
	v.Monitor = appliance.NewMonitor(appliance.MonitorConnect)
	v.Monitor.Port = freePort(t) // nobody listens: the check is wrong, the servers serve
	v.Monitor.Interval, v.Monitor.Fall = appliance.Duration(100*time.Millisecond), 1
	r.apply(v)
	until(t, "both to be down", func() bool { return r.status(v.ID).Health == appliance.ServiceDown })
	until(t, "nobody to be served", func() bool { return reached(t, v) == "" }) // the loops are told a moment later
	v.MinimumServers = 1
	r.apply(v)
	got := map[string]bool{}
	for range 8 {
		got[readName(t, dial(t, address(v)))] = true
	}
	if !got["a"] || !got["b"] {
		t.Errorf("only %v served", got)
	}
}

func TestAServerThatComesOnlineStartsSlowly(t *testing.T) {
	a, b := serve(t, echo("a")), serve(t, echo("b"))
	r := start(t, Options{})
	v := tcp(t, "svc", a.address, b.address)
	v.Scheduler, v.SlowStart = appliance.RoundRobin, appliance.Duration(time.Hour)
	r.apply(v)
	count := func() (of map[string]int) {
		of = map[string]int{}
		for range 64 {
			of[readName(t, dial(t, address(v)))]++
		}
		return of
	}
	if got := count(); got["b"] < 30 {
		t.Errorf("the first servers of a service waited: %v", got)
	}
	v.RealServers[1].State = appliance.Drain
	r.apply(v)
	v.RealServers[1].State = appliance.Online
	r.apply(v)
	if got := count(); got["b"] < 2 || got["b"] > 6 { // a sixteenth of its weight: one of 17
		t.Errorf("the server that came online got %v", got)
	}
	v.SlowStart = 0
	r.apply(v)
	if got := count(); got["b"] < 30 {
		t.Errorf("behind its slow start it got %v", got)
	}
}

func TestFastestResponsePrefersTheFasterServer(t *testing.T) {
	slow := func(c net.Conn) {
		for {
			if _, err := c.Read(make([]byte, 4096)); err != nil {
				return
			}
			<-time.After(20 * time.Millisecond) // this is what it is: slow
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ns")
		}
	}
	quick := func(c net.Conn) {
		for {
			if _, err := c.Read(make([]byte, 4096)); err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nq")
		}
	}
	a, b := serve(t, slow), serve(t, quick)
	r := start(t, Options{})
	v := vip(t, appliance.HTTP, "svc", a.address, b.address)
	v.Scheduler = appliance.FastestResponse
	r.apply(v)
	got := map[string]int{}
	for range 40 {
		c := dial(t, address(v))
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		b, err := io.ReadAll(c)
		if err != nil || len(b) == 0 {
			t.Fatal(err)
		}
		got[string(b[len(b)-1])]++
	}
	if got["s"] < 1 || got["q"] < 30 {
		t.Errorf("%v", got)
	}
}
