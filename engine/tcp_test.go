package engine

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"evenkeel/appliance"
)

func TestTCPModePassesBytesAndBothHalfCloses(t *testing.T) {
	s := serve(t, func(c net.Conn) {
		b, _ := io.ReadAll(c) // until the client's FIN
		_, _ = c.Write(append([]byte("got:"), b...))
	})
	r := start(t, Options{})
	v := tcp(t, "svc", s.address)
	r.apply(v)
	c := dial(t, address(v))
	if _, err := io.WriteString(c, "request"); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil || string(b) != "got:request" {
		t.Fatalf("%q, %v", b, err)
	}
	until(t, "the session to be over", func() bool {
		st := r.status(v.ID)
		return st.Connections == 0 && st.Servers[0].Connections == 0 && st.Servers[0].Oldest.IsZero()
	})
	st := r.status(v.ID)
	if st.Total != 1 || st.BytesIn != 7 || st.BytesOut != 11 || st.Servers[0].BytesIn != 7 || st.Servers[0].BytesOut != 11 || st.Servers[0].Total != 1 {
		t.Errorf("%+v", st)
	}
}

func TestServersThatSpeakFirstAreHeard(t *testing.T) {
	s := serve(t, echo("one"))
	r := start(t, Options{})
	v := tcp(t, "svc", s.address)
	r.apply(v)
	c := dial(t, address(v))
	if name := readName(t, c); name != "one" {
		t.Fatal(name)
	}
	ping(t, c, "hello")
}

func TestTwentyMegabytesArriveBitIdenticalBothWaysAtOnce(t *testing.T) {
	const size = 20 << 20
	up, down := noise(size), noise(size + 7)[7:]
	got := make(chan []byte, 1)
	s := serve(t, func(c net.Conn) {
		var both sync.WaitGroup
		both.Go(func() { b, _ := io.ReadAll(c); got <- b })
		both.Go(func() { _, _ = c.Write(down); _ = c.(*net.TCPConn).CloseWrite() })
		both.Wait()
	})
	r := start(t, Options{})
	v := tcp(t, "svc", s.address)
	r.apply(v)
	c := dial(t, address(v))
	var writing sync.WaitGroup
	writing.Go(func() { _, _ = c.Write(up); _ = c.CloseWrite() })
	b, err := io.ReadAll(c)
	writing.Wait()
	if err != nil {
		t.Fatal(err)
	}
	same(t, "down", b, down)
	same(t, "up", <-got, up)
	until(t, "the bytes to be counted", func() bool {
		st := r.status(v.ID)
		return st.Connections == 0 && st.BytesIn == size && st.BytesOut == size
	})
}

func TestASlowReaderLosesNothing(t *testing.T) {
	body := noise(32 << 20)
	s := serve(t, func(c net.Conn) { _, _ = c.Write(body) })
	r := start(t, Options{})
	v := tcp(t, "svc", s.address)
	r.apply(v)
	c := dial(t, address(v))
	until(t, "every buffer on the way to be full", func() bool { before := r.status(v.ID).BytesOut; return before > 1<<20 && before < 32<<20 })
	var got []byte
	for b := make([]byte, 4096); ; {
		n, err := c.Read(b)
		got = append(got, b[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	same(t, "body", got, body)
}

func TestRefusedConnectGoesToAnotherServerAtOnce(t *testing.T) {
	s := serve(t, echo("alive"))
	dead := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), freePort(t))
	r := start(t, Options{})
	v := tcp(t, "svc", dead, s.address, netip.AddrPortFrom(dead.Addr(), freePort(t)))
	v.Mode = appliance.Failover // the dead one is always tried first
	r.apply(v)
	for range 20 {
		c := dial(t, address(v))
		ping(t, c, "")
		if name := readName(t, c); name != "alive" {
			t.Fatal(name)
		}
		ping(t, c, "first words of the client")
		c.Close()
	}
}

func TestConnectTimeoutGoesToAnotherServer(t *testing.T) {
	full := deaf(t)
	s := serve(t, echo("alive"))
	r := start(t, Options{})
	v := tcp(t, "svc", full, s.address)
	v.Mode = appliance.Failover
	v.Limits.ConnectTimeout = appliance.Duration(time.Second)
	r.apply(v)
	c := dial(t, address(v))
	if name := readName(t, c); name != "alive" {
		t.Fatal(name)
	}
}

// deaf returns an address whose queue of connections is full, so that a connect to it gets no answer.
func deaf(t *testing.T) netip.AddrPort {
	t.Helper()
	at := fullQueue(t)
	for range 8 {
		d := net.Dialer{Timeout: 100 * time.Millisecond}
		c, err := d.Dial("tcp", at.String())
		if err != nil {
			return at
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the queue never fills")
	return at
}

func TestNoServerClosesAtOnce(t *testing.T) {
	r := start(t, Options{})
	v := tcp(t, "svc", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), freePort(t)))
	empty := tcp(t, "empty")
	r.apply(v, empty)
	for _, at := range []string{address(v), address(empty)} {
		wantEOF(t, dial(t, at))
	}
	until(t, "refusals to be counted", func() bool {
		a := r.status(v.ID)
		b := r.status(empty.ID)
		return a.Refused == 1 && b.Refused == 1
	})
}

func TestFallbackServerServesWhenNoServerCan(t *testing.T) {
	s := serve(t, echo("fallback"))
	r := start(t, Options{})
	v := tcp(t, "svc", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), freePort(t)))
	v.Fallback = appliance.Fallback{Kind: appliance.FallbackServer, Address: s.address}
	r.apply(v)
	if name := readName(t, dial(t, address(v))); name != "fallback" {
		t.Fatal(name)
	}
}

func TestSilenceInBothDirectionsEndsASessionAndTrafficKeepsIt(t *testing.T) {
	s := serve(t, echo("s"))
	r := start(t, Options{})
	v := tcp(t, "svc", s.address)
	v.Limits.ClientTimeout = appliance.Duration(2 * time.Second)
	r.apply(v)
	busy, silent := dial(t, address(v)), dial(t, address(v))
	readName(t, busy)
	readName(t, silent)
	over := make(chan error, 1)
	go func() {
		_, err := silent.Read(make([]byte, 1))
		over <- err
	}()
	for {
		ping(t, busy, "still here")
		select {
		case err := <-over:
			if err != io.EOF {
				t.Fatal(err)
			}
			ping(t, busy, "and after it")
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestAClientsResetReachesTheServer(t *testing.T) {
	end := make(chan error, 1)
	s := serve(t, func(c net.Conn) {
		_, err := io.Copy(io.Discard, c)
		end <- err
	})
	r := start(t, Options{})
	v := tcp(t, "svc", s.address)
	r.apply(v)
	c := dial(t, address(v))
	ping(t, c, "")
	until(t, "the server to be reached", func() bool { return s.open() == 1 })
	_ = c.SetLinger(0)
	c.Close()
	if err := <-end; err == nil {
		t.Error("the server saw a clean end")
	}
}

func TestTheLimitOfConnectionsLetsOthersWait(t *testing.T) {
	s := serve(t, echo("s"))
	r := start(t, Options{})
	v := tcp(t, "svc", s.address)
	v.Limits.MaxConnections = 3
	r.apply(v)
	var in []*net.TCPConn
	for range 3 {
		c := dial(t, address(v))
		readName(t, c)
		in = append(in, c)
	}
	waiting := make(chan string, 2)
	for range 2 {
		c := dial(t, address(v))
		go func() {
			b := make([]byte, 2)
			_, _ = io.ReadFull(c, b)
			waiting <- string(b)
		}()
	}
	ping(t, in[0], "the others are served")
	select {
	case <-waiting:
		t.Fatal("a fourth client was served")
	case <-time.After(50 * time.Millisecond):
	}
	in[1].Close()
	if got := <-waiting; got != "s\n" {
		t.Fatalf("%q", got)
	}
	v.Limits.MaxConnections = 10
	r.apply(v)
	if got := <-waiting; got != "s\n" {
		t.Fatalf("%q", got)
	}
}

func TestAServersLimitOfConnectionsHolds(t *testing.T) {
	small, large := serve(t, echo("small")), serve(t, echo("large"))
	r := start(t, Options{})
	v := tcp(t, "svc", small.address, large.address)
	v.RealServers[0].MaxConnections = 2
	r.apply(v)
	names := map[string]int{}
	var held []net.Conn
	for range 10 {
		c := dial(t, address(v))
		names[readName(t, c)]++
		held = append(held, c)
	}
	if names["small"] != 2 || names["large"] != 8 {
		t.Fatal(names)
	}
	for _, c := range held {
		c.Close()
	}
	until(t, "all to be gone", func() bool { st := r.status(v.ID); return st.Connections == 0 })
	if name := readName(t, dial(t, address(v))); name != "small" && name != "large" {
		t.Fatal(name)
	}
}

func TestPortsListsRangesAndTheSamePortTowardsTheServer(t *testing.T) {
	s := serve(t, echo("s"))
	same := serveOn(t, "127.0.0.2:0", echo("same port"))
	r := start(t, Options{})
	v := tcp(t, "svc", s.address)
	p := freePort(t)
	v.Ports = appliance.Ports{{First: v.Ports[0].First, Last: v.Ports[0].First}, {First: p, Last: p}}
	w := tcp(t, "same", same.address)
	w.RealServers[0].Port = 0
	onPort(&w, same.address.Port())
	r.apply(v, w)
	for _, port := range v.Ports.All() {
		onPort(&v, port)
		if name := readName(t, dial(t, address(v))); name != "s" {
			t.Fatal(name)
		}
	}
	if name := readName(t, dial(t, address(w))); name != "same port" {
		t.Fatal(name)
	}
}

func TestAnIPv6WildcardServesIPv4Too(t *testing.T) {
	s := serve(t, echo("s"))
	r := start(t, Options{})
	v := tcp(t, "svc", s.address)
	v.Address = netip.IPv6Unspecified()
	r.apply(v)
	port := v.Ports[0].First
	for _, at := range []string{"127.0.0.1", "::1"} {
		if name := readName(t, dial(t, netip.AddrPortFrom(netip.MustParseAddr(at), port).String())); name != "s" {
			t.Fatal(name)
		}
	}
}
