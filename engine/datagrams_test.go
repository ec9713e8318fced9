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

// answerer is a UDP server that says its name, who asked and what.
type answerer struct {
	*net.UDPConn
	address netip.AddrPort
}

func answering(t *testing.T, at, name string) answerer {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(at)))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for b := make([]byte, 65535); ; {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			_, _ = c.WriteToUDPAddrPort(fmt.Appendf(nil, "%s %s", name, b[:n]), from)
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return answerer{c, c.LocalAddr().(*net.UDPAddr).AddrPort()}
}

// asking returns a client's socket, connected, so that it takes answers from where it asks only.
func asking(t *testing.T, to string) *net.UDPConn {
	t.Helper()
	c, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return c.(*net.UDPConn)
}

func inquire(t *testing.T, c *net.UDPConn, text string) string {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 65535)
	n, err := c.Read(b)
	if err != nil {
		t.Fatalf("no answer to %.20q: %v", text, err)
	}
	return string(b[:n])
}

func TestDatagramsAreAnsweredFromTheServicesAddress(t *testing.T) {
	for _, at := range []string{"127.0.0.1", "::1", "0.0.0.0", "::"} {
		home := netip.MustParseAddr(at)
		server := answering(t, netip.AddrPortFrom(map[bool]netip.Addr{true: netip.MustParseAddr("127.0.0.1"), false: netip.IPv6Loopback()}[home.Is4()], 0).String(), "one")
		v := vip(t, appliance.UDP, "U", server.address)
		v.Address = home
		r := start(t, Options{})
		r.apply(v)
		port := v.Ports[0].First
		clients := map[string][]string{"127.0.0.1": {"127.0.0.1"}, "::1": {"::1"}, "0.0.0.0": {"127.0.0.1", "127.0.0.9"}, "::": {"::1", "127.0.0.9"}}[at]
		for _, to := range clients {
			c := asking(t, net.JoinHostPort(to, fmt.Sprint(port)))
			for i := range 3 {
				if got := inquire(t, c, fmt.Sprint("question ", i)); got != fmt.Sprint("one question ", i) {
					t.Errorf("%s by %s: %q", at, to, got)
				}
			}
			if got := inquire(t, c, string(noise(9000))); len(got) != 9004 {
				t.Errorf("%d bytes of 9004", len(got))
			}
			if got := inquire(t, c, ""); got != "one " {
				t.Errorf("an empty datagram: %q", got)
			}
		}
		s := r.Status().Services[0]
		if s.Connections != len(clients) || s.Total != uint64(len(clients)) || s.BytesOut == 0 || s.BytesIn == 0 {
			t.Errorf("%s: %+v", at, s)
		}
		r.stop()
	}
}

func TestDatagramsGoToAnotherServerWhenNobodyIsThere(t *testing.T) {
	gone := answering(t, "127.0.0.1:0", "gone")
	gone.Close()
	here := answering(t, "127.0.0.1:0", "here")
	v := vip(t, appliance.UDP, "U", gone.address, here.address)
	v.Mode = appliance.Failover
	r := start(t, Options{})
	r.apply(v)
	for range 3 { // the refusal comes back as ICMP; the first question is asked again
		if got := inquire(t, asking(t, address(v)), "who"); got != "here who" {
			t.Errorf("%q", got)
		}
	}
}

func TestDatagramsOfOneClientStayWithOneServer(t *testing.T) {
	a, b := answering(t, "127.0.0.1:0", "a"), answering(t, "127.0.0.1:0", "b")
	v := vip(t, appliance.UDP, "U", a.address, b.address)
	v.Scheduler = appliance.RoundRobin
	v.Persistence.Kind = appliance.PersistSourceIP
	r := start(t, Options{})
	r.apply(v)
	want := inquire(t, asking(t, address(v)), "x")
	for range 8 {
		if got := inquire(t, asking(t, address(v)), "x"); got != want {
			t.Errorf("one address got %q and %q", want, got)
		}
	}
	v.Persistence.Kind = appliance.PersistNone
	r.apply(v)
	seen := map[string]bool{}
	for range 8 {
		seen[inquire(t, asking(t, address(v)), "x")] = true
	}
	if len(seen) != 2 {
		t.Errorf("without persistence only %v", seen)
	}
}

func TestDatagramsOfAFloodAreBoundedAndShutNobodyOut(t *testing.T) {
	server := answering(t, "127.0.0.1:0", "one")
	v := vip(t, appliance.UDP, "U", server.address)
	v.Limits.MaxConnections = 20
	r := start(t, Options{Loops: 1})
	r.apply(v)
	for i := range 300 { // each from a port of its own
		if got := inquire(t, asking(t, address(v)), "x"); got != "one x" {
			t.Fatalf("client %d: %q", i, got)
		}
		if n := r.Status().Services[0].Connections; n > 20 {
			t.Fatalf("%d clients are remembered, the limit is 20", n)
		}
	}
}

func TestDatagramClientsAreListedClosedAndLogged(t *testing.T) {
	server := answering(t, "127.0.0.1:0", "one")
	mute, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	v, m, none := vip(t, appliance.UDP, "U", server.address), vip(t, appliance.UDP, "MUTE", mute.LocalAddr().(*net.UDPAddr).AddrPort()), vip(t, appliance.UDP, "NONE")
	v.Log, m.Log, none.Log = appliance.LogAll, appliance.LogAll, appliance.LogErrors
	none.Limits.ClientTimeout = appliance.Duration(50 * time.Millisecond)
	r := start(t, Options{Loops: 2, LogsDir: t.TempDir()})
	r.apply(v, m, none)
	first, second, quiet := asking(t, address(v)), asking(t, address(v)), asking(t, address(m))
	inquire(t, first, "hello")
	inquire(t, second, "x")
	for _, c := range []*net.UDPConn{quiet, asking(t, address(none))} {
		if _, err := c.Write([]byte("log line")); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "three clients in sight", func() bool {
		return r.seen(appliance.ConnectionQuery{Service: v.ID}).Total+r.seen(appliance.ConnectionQuery{Service: m.ID}).Total == 3
	})
	list := r.seen(appliance.ConnectionQuery{Service: v.ID, Sort: appliance.ConnectionsByIn, Reverse: true}).Connections
	if got := list[0]; len(list) != 2 || got.Client != first.LocalAddr().(*net.UDPAddr).AddrPort() || got.ServerID != v.RealServers[0].ID || got.State != "open" || got.BytesIn != 5 || got.BytesOut != 9 ||
		got.Protocol != appliance.UDP || got.Local.String() != address(v) {
		t.Errorf("%+v", list)
	}
	if got := r.seen(appliance.ConnectionQuery{Text: "no answer"}).Connections; len(got) != 1 || got[0].ServiceID != m.ID || got[0].BytesIn != 8 {
		t.Errorf("%+v", got)
	}
	if err := r.CloseConnection(soon(t), list[0].ID); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{list[0].ID, "0-u", "0-u1", "0-U" + list[1].ID[3:], "9-u100000000", "-1-u100000000", list[1].ID + " "} {
		if err := r.CloseConnection(soon(t), id); appliance.KindOf(err) != appliance.NotFound {
			t.Errorf("%q: %v", id, err)
		}
	}
	until(t, "the lines", func() bool { return len(logged(r, "U")) == 1 && len(logged(r, "NONE")) == 1 })
	if line := logged(r, "U")[0]; !strings.Contains(line, "client="+first.LocalAddr().String()+" server=s0 address="+server.address.String()+" connect=- first=") ||
		!strings.HasSuffix(line, ` in=5 out=9 by=scheduler end=evicted why="an operator or a new configuration ended it"`) {
		t.Error(line)
	}
	if line := logged(r, "NONE")[0]; !strings.Contains(line, " server=- ") || !strings.HasSuffix(line, ` in=8 out=0 end=no_server why="no server can serve the client"`) {
		t.Error(line)
	}
	if got := inquire(t, first, "again"); got != "one again" {
		t.Errorf("%q", got)
	}
	v.Limits.ClientTimeout = appliance.Duration(2 * time.Second)
	r.apply(v, m, none)
	inquire(t, first, "once more")
	until(t, "silence ends them all", func() bool {
		return r.seen(appliance.ConnectionQuery{Service: v.ID}).Total == 0 && len(logged(r, "U")) >= 3
	})
	if lines := logged(r, "U"); !strings.HasSuffix(lines[len(lines)-1], " end=done") {
		t.Errorf("%q", lines)
	}
}

func TestSilentDatagramClientsAreForgotten(t *testing.T) {
	server := answering(t, "127.0.0.1:0", "one")
	v := vip(t, appliance.UDP, "U", server.address)
	v.Limits.ClientTimeout = appliance.Duration(2 * time.Second)
	r := start(t, Options{})
	r.apply(v)
	c := asking(t, address(v))
	inquire(t, c, "x")
	until(t, "the client is forgotten", func() bool { s := r.Status().Services[0]; return s.Connections == 0 && s.Servers[0].Connections == 0 })
	if got := inquire(t, c, "again"); got != "one again" {
		t.Errorf("%q", got)
	}
}

func TestDatagramServiceComesBesideTCPAndGoes(t *testing.T) {
	server := answering(t, "127.0.0.1:0", "one")
	u := vip(t, appliance.UDP, "U", server.address)
	s := tcp(t, "T", serve(t, echo("tcp")).address)
	s.Ports = u.Ports
	r := start(t, Options{})
	r.apply(u, s)
	c := asking(t, address(u))
	inquire(t, c, "x")
	ping := readName(t, dial(t, address(s)))
	if ping != "tcp" {
		t.Errorf("%q", ping)
	}
	u.RealServers[0].State = appliance.Halt
	r.apply(u, s)
	if n := r.Status().Services[1]; n.Servers[0].Connections != 0 {
		t.Errorf("clients of a halted server: %+v", n)
	}
	r.apply(s)
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 10)); err == nil {
		t.Error("a removed service still answers")
	}
	holder, err := net.ListenPacket("udp", address(u))
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	defer holder.Close()
	if err := r.Check(soon(t), config(u, s)); appliance.KindOf(err) != appliance.Conflict {
		t.Errorf("a port that another program has: %v", err)
	}
}
