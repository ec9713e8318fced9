package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
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
	"evenkeel/engine/names"

	"github.com/miekg/dns"
)

// zone is a name server in memory, whose names lead to addresses; those that it does not hold do not exist.
type zone struct {
	mu     sync.Mutex
	names  map[string][]string
	silent bool
}

func (z *zone) lead(name string, to ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.names == nil {
		z.names = map[string][]string{}
	}
	if z.names[name] = to; to == nil {
		delete(z.names, name)
	}
}

func (z *zone) exchange(ctx context.Context, q *dns.Msg, _ netip.AddrPort) (*dns.Msg, error) {
	z.mu.Lock()
	list, known := z.names[strings.TrimSuffix(q.Question[0].Name, ".")]
	silent := z.silent
	z.mu.Unlock()
	if silent {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	in := new(dns.Msg)
	in.SetReply(q)
	if !known {
		in.Rcode = dns.RcodeNameError
	}
	for _, a := range list {
		kind := uint16(dns.TypeA)
		if strings.Contains(a, ":") {
			kind = dns.TypeAAAA
		}
		if record, err := dns.NewRR(fmt.Sprintf("%s 0 IN %s %s", q.Question[0].Name, dns.TypeToString[kind], a)); err == nil && kind == q.Question[0].Qtype {
			in.Answer = append(in.Answer, record)
		}
	}
	return in, nil
}

// options returns those of an engine that asks z, and soon again.
func (z *zone) options() Options {
	server := netip.MustParseAddrPort("192.0.2.53:53")
	// One loop: when one client has come to an address, the next one does.
	return Options{Loops: 1, Names: names.Options{Exchange: z.exchange, Servers: []netip.AddrPort{server}, Shortest: 20 * time.Millisecond, HostsFile: "/nonexistent", ResolvConf: "/nonexistent"}}
}

// onLoopback runs an echo server, named after its address, on the same port of several addresses.
func onLoopback(t *testing.T, addresses ...string) (port uint16) {
	t.Helper()
	port = freePort(t)
	for _, a := range addresses {
		serveOn(t, netip.AddrPortFrom(netip.MustParseAddr(a), port).String(), echo(a))
	}
	return port
}

// atName makes the first server of a service one with a host name.
func atName(v *appliance.VirtualService, name string, port uint16) {
	v.RealServers[0].Address, v.RealServers[0].Port = appliance.Host(name), port
}

// reached is where a new client of a service comes; empty: nowhere.
func reached(t *testing.T, v appliance.VirtualService) string {
	t.Helper()
	c := dial(t, address(v))
	defer c.Close()
	name, _ := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSuffix(name, "\n")
}

func (r *rig) resolved(v appliance.VirtualService) string {
	return r.status(v.ID).Servers[0].Resolved.String()
}

func TestANameThatLeadsElsewhereTakesNewConnectionsAlongAndKeepsOpenOnes(t *testing.T) {
	z := &zone{}
	z.lead("pacs1.example", "127.0.0.2")
	port := onLoopback(t, "127.0.0.2", "127.0.0.3", "::1")
	r := start(t, z.options())
	v := tcp(t, "svc", netip.AddrPort{})
	atName(&v, "pacs1.example", port)
	v.Monitor = appliance.NewMonitor(appliance.MonitorConnect)
	v.Monitor.Interval = appliance.Duration(100 * time.Millisecond)
	r.apply(v)
	until(t, "the server to be up", func() bool { return r.status(v.ID).Servers[0].Check.Health == appliance.Up })
	until(t, "the loops to know", func() bool { return reached(t, v) == "127.0.0.2" })
	old := dial(t, address(v))
	if got := readName(t, old); got != "127.0.0.2" {
		t.Fatal(got)
	}
	for _, to := range []string{"127.0.0.3", "::1"} {
		z.lead("pacs1.example", to)
		until(t, "the name to lead to "+to, func() bool { return r.resolved(v) == to })
		until(t, "the loops to know", func() bool { return reached(t, v) == to })
	}
	z.lead("pacs1.example", "127.0.0.2", "127.0.0.3", "::1")
	until(t, "a better check", func() bool { return r.status(v.ID).Servers[0].Check.Health == appliance.Up })
	if got := readName(t, dial(t, address(v))); got != "::1" {
		t.Errorf("a new connection comes to %s although the address in use is still one of the name's", got)
	}
	ping(t, old, "still here")
	until(t, "no check to be bad", func() bool {
		s := r.status(v.ID).Servers[0]
		return len(s.Check.Changes) == 1 && s.Check.Health == appliance.Up
	})
}

func TestRequestsFollowANameOnTheClientsOwnConnection(t *testing.T) {
	z := &zone{}
	z.lead("web.example", "127.0.0.2")
	port := freePort(t)
	for _, a := range []string{"127.0.0.2", "127.0.0.3"} {
		ln, err := net.Listen("tcp", netip.AddrPortFrom(netip.MustParseAddr(a), port).String())
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, a) })}
		done := make(chan struct{})
		go func() { _ = s.Serve(ln); close(done) }()
		t.Cleanup(func() { _ = s.Close(); <-done })
	}
	r := start(t, z.options())
	v := vip(t, appliance.HTTP, "svc", netip.AddrPort{})
	atName(&v, "web.example", port)
	r.apply(v)
	var dials atomic.Int64
	c := countingClient(&dials)
	defer c.CloseIdleConnections()
	until(t, "the loops to know", func() bool { status, _, _ := askFor(t, c, v, "x", "/"); return status == 200 })
	dials.Store(1)
	for _, to := range []string{"127.0.0.2", "127.0.0.3"} {
		z.lead("web.example", to)
		until(t, "the name to lead to "+to, func() bool { return r.resolved(v) == to })
		until(t, "the loops to know", func() bool { _, body, _ := askFor(t, c, v, "x", "/"); return body == to })
		for range 10 {
			if status, body, _ := askFor(t, c, v, "x", "/"); status != 200 || body != to {
				t.Errorf("%d from %s", status, body)
			}
		}
	}
	if n := dials.Load(); n != 1 {
		t.Errorf("%d connections of the client", n)
	}
}

func TestANameThatDoesNotResolveSaysSo(t *testing.T) {
	for _, kind := range []appliance.MonitorKind{appliance.MonitorConnect, appliance.MonitorNone} {
		z := &zone{}
		port := onLoopback(t, "127.0.0.2")
		r := start(t, z.options())
		v := tcp(t, "svc", netip.AddrPort{})
		atName(&v, "pacs1.example", port)
		v.Monitor = appliance.NewMonitor(kind)
		v.Monitor.Interval, v.Monitor.Rise = appliance.Duration(100*time.Millisecond), 1
		r.apply(v)
		check := func() appliance.ServerHealth { return r.status(v.ID).Servers[0].Check }
		until(t, "the server to be down", func() bool { return check().Health == appliance.Down })
		until(t, "the reason", func() bool {
			return check().Sentence == "The name pacs1.example does not resolve: there is no such name, says the name server 192.0.2.53."
		})
		if s := r.status(v.ID); s.Health != appliance.ServiceDown {
			t.Errorf("%s: %s", s.Health, s.Sentence)
		}
		wantEOF(t, dial(t, address(v)))
		z.lead("pacs1.example", "127.0.0.2")
		until(t, "the server to be up", func() bool { return check().Health == appliance.Up })
		until(t, "the loops to know", func() bool { return reached(t, v) == "127.0.0.2" })
		z.lead("pacs1.example")
		until(t, "the sentence", func() bool {
			return strings.HasSuffix(check().Sentence, " The name pacs1.example does not resolve any more: there is no such name, says the name server 192.0.2.53; its last address 127.0.0.2 is used.")
		})
		if got := readName(t, dial(t, address(v))); got != "127.0.0.2" || check().Health != appliance.Up {
			t.Errorf("%s serves, and the health is %s", got, check().Health)
		}
	}
}

func TestApplyDoesNotWaitForNameServers(t *testing.T) {
	z := &zone{silent: true}
	port := onLoopback(t, "127.0.0.1")
	r := start(t, z.options())
	v := tcp(t, "svc", netip.MustParseAddrPort("127.0.0.1:1"))
	v.RealServers[0].Port = port
	r.apply(v)
	v = v.Clone()
	atName(&v, "pacs1.example", port)
	began := time.Now()
	r.apply(v)
	if took := time.Since(began); took > time.Second {
		t.Errorf("Apply took %s", took)
	}
	if got := readName(t, dial(t, address(v))); got != "127.0.0.1" { // where the server was before it had a name
		t.Errorf("%s serves", got)
	}
	w := tcp(t, "fresh", netip.AddrPort{})
	atName(&w, "pacs2.example", port)
	r.apply(v, w)
	if c := r.status(w.ID).Servers[0].Check; c.Health != appliance.Unknown || c.Sentence != "The name pacs2.example is being looked up." {
		t.Errorf("%+v", c)
	}
}

func TestANameMustNotLeadToTheApplianceItself(t *testing.T) {
	z := &zone{}
	o := z.options()
	o.Site = appliance.Site{
		Listeners: []appliance.Listener{{Address: netip.MustParseAddrPort("0.0.0.0:9443"), Name: "the WebUI"}},
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
	}
	r := start(t, o)
	own := tcp(t, "own", netip.MustParseAddrPort("192.0.2.9:80"))
	named := tcp(t, "svc", netip.AddrPort{})
	for _, c := range []struct {
		to       []string
		port     uint16
		loopback bool
		want     string
	}{
		{[]string{"127.0.0.1"}, 1, false, "127.0.0.1 is this appliance itself"},
		{[]string{"::1"}, 1, false, "::1 is this appliance itself"},
		{[]string{"::ffff:127.0.0.1"}, 1, false, "127.0.0.1 is this appliance itself"},
		{[]string{"169.254.169.254"}, 1, true, "link-local"},
		{[]string{"fe80::1"}, 1, true, "link-local"},
		{[]string{"0.0.0.0"}, 1, true, "no server's address"},
		{[]string{"224.0.0.1"}, 1, true, "multicast"},
		{[]string{"127.0.0.1"}, own.Ports[0].First, true, "is the service own of this appliance itself"},
		{[]string{"127.0.0.1"}, named.Ports[0].First, true, "is the service svc of this appliance itself"},
		{[]string{"127.0.0.1"}, 9443, true, "is the WebUI of this appliance itself"},
		{[]string{"192.0.2.1"}, 9443, true, "is the WebUI of this appliance itself"},
		{[]string{"192.0.2.2"}, 9443, true, ""},
		{[]string{"127.0.0.1", "192.0.2.2"}, 9443, true, ""},
	} {
		name := fmt.Sprintf("n%s-%d.example", strings.Map(func(r rune) rune {
			if r == '.' || r == ':' {
				return '-'
			}
			return r
		}, strings.Join(c.to, "-")), c.port)
		z.lead(name, c.to...)
		v := named.Clone()
		atName(&v, name, c.port)
		whole := config(own, v)
		whole.Cluster.Settings.AllowLoopback = c.loopback
		if err := r.Apply(soon(t), whole); err != nil {
			t.Fatal(err)
		}
		seen := func() appliance.ServerStatus { return r.status(v.ID).Servers[0] }
		until(t, "the name to be looked up", func() bool { return !strings.Contains(seen().Check.Sentence, "being looked up") })
		got := seen()
		if c.want == "" {
			if got.Resolved != netip.MustParseAddr("192.0.2.2") {
				t.Errorf("%v: %+v", c.to, got)
			}
			continue
		}
		if got.Resolved.IsValid() || got.Check.Health != appliance.Down || !strings.HasPrefix(got.Check.Sentence, "The name "+name+" leads where no server may be: ") || !strings.Contains(got.Check.Sentence, c.want) {
			t.Errorf("%v: %+v", c.to, got)
		}
		v.Monitor = appliance.NewMonitor(appliance.MonitorConnect)
		if probe, _, err := r.Test(soon(t), v, v.RealServers[0]); err != nil || probe.Good || !strings.Contains(probe.Sentence, c.want) {
			t.Errorf("%v: the test says %+v, %v", c.to, probe, err)
		}
	}
}

func TestAServerCanBeTestedByANameThatNobodyWatches(t *testing.T) {
	z := &zone{}
	z.lead("pacs1.example", "127.0.0.2")
	port := onLoopback(t, "127.0.0.2")
	r := start(t, z.options())
	v := tcp(t, "svc", netip.AddrPort{})
	v.Monitor = appliance.NewMonitor(appliance.MonitorConnect)
	r.apply(tcp(t, "other"))
	for name, want := range map[string]string{"pacs1.example": fmt.Sprintf("Port %d opened", port), "pacs2.example": "The name pacs2.example does not resolve: there is no such name"} {
		atName(&v, name, port)
		p, transcript, err := r.Test(soon(t), v, v.RealServers[0])
		if err != nil || !strings.HasPrefix(p.Sentence, want) || p.Good && !strings.Contains(transcript, "pacs1.example leads to 127.0.0.2") {
			t.Errorf("%s: %+v, %v\n%s", name, p, err, transcript)
		}
	}
}

func TestALaterProcessKnowsWhereNamesLed(t *testing.T) {
	z := &zone{}
	z.lead("pacs1.example", "127.0.0.2")
	port := onLoopback(t, "127.0.0.2")
	v := tcp(t, "svc", netip.AddrPort{})
	atName(&v, "pacs1.example", port)
	first := start(t, z.options())
	first.apply(v)
	until(t, "the name to be looked up", func() bool { return first.resolved(v) == "127.0.0.2" })
	known := first.Names()
	first.stop()
	deaf := &zone{silent: true}
	next := start(t, deaf.options())
	next.RecallNames(known)
	next.apply(v)
	if got := readName(t, dial(t, address(v))); got != "127.0.0.2" {
		t.Errorf("%s serves", got)
	}
}

func TestANameOfTheWrongFamilyIsNotUsed(t *testing.T) {
	z := &zone{}
	z.lead("pacs1.example", "fd00::7", "127.0.0.2")
	e := New(z.options())
	v := tcp(t, "svc", netip.AddrPort{})
	atName(&v, "pacs1.example", 104)
	answer := e.names.Lookup(t.Context(), "pacs1.example")
	e.loopback = true
	for from, want := range map[string]string{"192.0.2.1": "127.0.0.2", "fd00::1": "fd00::7", "": "127.0.0.2"} {
		v.SourceAddress = appliance.Source{}
		if from != "" {
			v.SourceAddress.Addr = netip.MustParseAddr(from)
		}
		if n := e.placeOf(&v, &v.RealServers[0], nil, answer); n.address.String() != want {
			t.Errorf("from %q: %+v", from, n)
		}
	}
	v.SourceAddress, v.Address = appliance.Source{Transparent: true}, netip.MustParseAddr("fd00::188")
	if n := e.placeOf(&v, &v.RealServers[0], nil, answer); n.address.String() != "fd00::7" {
		t.Errorf("transparent: %+v", n)
	}
	v.SourceAddress = appliance.Source{Addr: netip.MustParseAddr("192.0.2.1")}
	z.lead("pacs2.example", "fd00::7")
	atName(&v, "pacs2.example", 104)
	n := e.placeOf(&v, &v.RealServers[0], nil, e.names.Lookup(t.Context(), "pacs2.example"))
	if n.address.IsValid() || !strings.Contains(n.why, "cannot be reached from the source address 192.0.2.1") || errors.Is(n.err(), nil) {
		t.Errorf("%+v", n)
	}
}

// BenchmarkWatchNames is what an Apply costs beside all else when each of 10,000 servers has a name of its own.
func BenchmarkWatchNames(b *testing.B) {
	e := New(Options{Loops: 1})
	known := map[string][]netip.Addr{}
	var services []appliance.VirtualService
	for i := range 1000 {
		v := appliance.NewService(appliance.TCP)
		v.ID, v.Address, v.Ports = fmt.Sprint("v", i), netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), appliance.Ports{{First: 104, Last: 104}}
		for k := range 10 {
			r := appliance.NewRealServer()
			r.ID, r.Address = fmt.Sprint("v", i, "s", k), appliance.Host(fmt.Sprintf("s%d-%d.example", i, k))
			known[string(r.Address)] = []netip.Addr{netip.AddrFrom4([4]byte{10, 2, byte(i >> 8), byte(i)})}
			v.RealServers = append(v.RealServers, r)
		}
		services = append(services, v)
	}
	e.RecallNames(known)
	for i := range services {
		s := e.newService(services[i].ID)
		w := s.swapTo(&services[i])
		e.rename(&w)
		s.running.Store(&w.snapshot)
		e.services[s.id] = s
		at := place{netip.AddrPortFrom(services[i].Address, 104), false}
		e.groups[at] = &group{local: at, service: s}
	}
	for b.Loop() {
		e.homes = nil
		e.watchNames()
	}
}
