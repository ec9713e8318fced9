package engine

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/loop"
	"evenkeel/engine/tlsterm/tlstest"
)

// seen lists connections, which must work.
func (r *rig) seen(q appliance.ConnectionQuery) appliance.ConnectionList {
	r.t.Helper()
	list, err := r.Connections(soon(r.t), q)
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

func TestConnectionsAreListedWithWhatTheyDo(t *testing.T) {
	for _, loops := range []int{1, 2} {
		r := start(t, Options{Loops: loops})
		v := tcp(t, "svc", serve(t, echo("a")).address)
		h := web(t, "web", serveHTTP(t, "b"))
		h.Limits.ClientTimeout = appliance.Duration(time.Minute)
		r.apply(v, h)
		began := time.Now()
		c := dialFrom(t, "127.0.0.2", address(v))
		readName(t, c)
		ping(t, c, "hello")
		w := dialFrom(t, "127.0.0.3", address(h))
		if _, err := io.WriteString(w, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(w, make([]byte, 40)); err != nil {
			t.Fatal(err)
		}
		half := dialFrom(t, "127.0.0.4", address(h))
		if _, err := io.WriteString(half, "GET / HT"); err != nil {
			t.Fatal(err)
		}
		until(t, "the half request to be read", func() bool { return r.seen(appliance.ConnectionQuery{Text: "reading"}).Total == 1 })
		until(t, "the answer to be given", func() bool { return r.seen(appliance.ConnectionQuery{Text: "idle"}).Total == 1 })
		list := r.seen(appliance.ConnectionQuery{Sort: appliance.ConnectionsByClient})
		if list.Total != 3 {
			t.Fatalf("%+v", list)
		}
		one := list.Connections[0]
		if one.Client != c.LocalAddr().(*net.TCPAddr).AddrPort() || one.ServiceID != v.ID || one.ServerID != v.RealServers[0].ID || one.State != "open" || one.BytesIn != 5 || one.BytesOut != 7 ||
			one.Protocol != appliance.TCP || one.TLS || one.Local.Port() != v.Ports[0].First || one.Age > time.Since(began)+time.Second {
			t.Errorf("%+v", one)
		}
		if two := list.Connections[1]; two.State != "idle" || two.ServerID != "" || two.BytesIn == 0 || two.BytesOut == 0 {
			t.Errorf("%+v", two)
		}
		for query, want := range map[appliance.ConnectionQuery]int{
			{Service: v.ID}: 1, {Service: h.ID}: 2, {Server: v.RealServers[0].ID}: 1, {Server: "nobody"}: 0, {Client: netip.MustParsePrefix("127.0.0.2/31")}: 2,
			{Text: "WEB"}: 2, {Text: "127.0.0.4"}: 1, {Limit: 1}: 3, {Offset: 9}: 3,
		} {
			if got := r.seen(query); got.Total != want || query.Limit > 0 && len(got.Connections) != query.Limit || query.Offset > 0 && len(got.Connections) != 0 {
				t.Errorf("%+v: %+v", query, got)
			}
		}
		r.stop()
	}
}

func TestSplicedBytesCountToo(t *testing.T) {
	const size = 8 << 20
	s := serve(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c); _, _ = c.Write(noise(size)) })
	r := start(t, Options{})
	v := tcp(t, "svc", s.address)
	r.apply(v)
	c := dial(t, address(v))
	if _, err := c.Write(noise(size)); err != nil {
		t.Fatal(err)
	}
	until(t, "all to be received", func() bool {
		list := r.seen(appliance.ConnectionQuery{})
		return list.Total == 1 && list.Connections[0].BytesIn == size
	})
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := io.CopyN(io.Discard, c, size); n != size || err != nil {
		t.Fatal(n, err)
	}
	// the connection ends behind its last byte, and is gone or closing
	for _, one := range r.seen(appliance.ConnectionQuery{}).Connections {
		if one.BytesOut != size {
			t.Errorf("%+v", one)
		}
	}
}

func TestOneConnectionIsClosedByItsName(t *testing.T) {
	r := start(t, Options{})
	v := tcp(t, "svc", serve(t, echo("a")).address)
	r.apply(v)
	one, other := dialFrom(t, "127.0.0.2", address(v)), dialFrom(t, "127.0.0.3", address(v))
	readName(t, one)
	readName(t, other)
	list := r.seen(appliance.ConnectionQuery{Text: "127.0.0.2"})
	if list.Total != 1 {
		t.Fatalf("%+v", list)
	}
	id := list.Connections[0].ID
	if err := r.CloseConnection(soon(t), id); err != nil {
		t.Fatal(err)
	}
	wantEOF(t, one)
	ping(t, other, "still here")
	one.Close()
	until(t, "it to be gone", func() bool { return r.seen(appliance.ConnectionQuery{}).Total == 1 })
	for _, id := range []string{id, "", "0-0", "9-100000001", "-1-1", "0-ffffffffffffffff", "0-1x", "0-0x1"} {
		if err := r.CloseConnection(soon(t), id); appliance.KindOf(err) != appliance.NotFound {
			t.Errorf("%q: %v", id, err)
		}
	}
	ping(t, other, "and now")
}

func TestThousandsOfConnectionsAreLookedAtInShortSteps(t *testing.T) {
	const many = 600
	r := start(t, Options{Loops: 1})
	v := tcp(t, "svc", serve(t, echo("a")).address)
	r.apply(v)
	ports := make([]string, many)
	for i := range many {
		c := dial(t, address(v))
		readName(t, c)
		ports[i] = c.LocalAddr().String()
	}
	list := r.seen(appliance.ConnectionQuery{Limit: 10, Sort: appliance.ConnectionsByClient})
	slices.SortFunc(ports, func(a, b string) int { return netip.MustParseAddrPort(a).Compare(netip.MustParseAddrPort(b)) })
	if list.Total != many || len(list.Connections) != 10 || list.Connections[9].Client.String() != ports[9] {
		t.Errorf("%d, %+v", list.Total, list.Connections)
	}
	look, most := r.lanes[0].loop, 0
	if err := look.Call(soon(t), func() {
		for from := 0; from >= 0; {
			before := from
			from = look.Look(from, lookAt, func(loop.Sight) {})
			most = max(most, from-before)
		}
	}); err != nil || most > lookAt {
		t.Error(most, err)
	}
}

func TestAnEngineThatDoesNotRunHasNoConnections(t *testing.T) {
	e := New(Options{})
	if list, err := e.Connections(context.Background(), appliance.ConnectionQuery{}); err != nil || list.Total != 0 {
		t.Error(list, err)
	}
	if err := e.CloseConnection(context.Background(), "0-1"); appliance.KindOf(err) != appliance.NotFound {
		t.Error(err)
	}
	r := start(t, Options{})
	r.stop()
	if _, err := r.Connections(context.Background(), appliance.ConnectionQuery{}); appliance.KindOf(err) != appliance.Unavailable {
		t.Error(err)
	}
	if err := r.CloseConnection(context.Background(), "0-1"); err == nil {
		t.Error(err)
	}
}

func TestConnectionsOfHTTP2TellTheirStreams(t *testing.T) {
	release, began := make(chan struct{}), make(chan struct{}, 2)
	v, _ := clear2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-release
	}))
	r := start(t, Options{Loops: 1})
	r.apply(v)
	silent := dialFrom(t, "127.0.0.9", address(v))
	if _, err := io.WriteString(silent, "PRI"); err != nil {
		t.Fatal(err)
	}
	c, _ := client2(t)
	done := make(chan error, 2)
	for range 2 {
		go func() {
			resp, err := c.Get("http://" + address(v) + "/")
			if err == nil {
				err = resp.Body.Close()
			}
			done <- err
		}()
	}
	<-began
	<-began
	list := r.seen(appliance.ConnectionQuery{Text: "http/2, 2 streams"})
	if list.Total != 1 || list.Connections[0].ServerID != v.RealServers[0].ID {
		t.Fatalf("%+v", r.seen(appliance.ConnectionQuery{}))
	}
	first := list.Connections[0]
	if list = r.seen(appliance.ConnectionQuery{Text: "127.0.0.9"}); list.Total != 1 || list.Connections[0].State != "first bytes" {
		t.Errorf("%+v", list)
	}
	if err := r.CloseConnection(soon(t), first.ID); err != nil {
		t.Error(err)
	}
	close(release)
	for range 2 {
		if err := <-done; err != nil {
			t.Errorf("an open stream of a connection that is closed: %v", err)
		}
	}
	until(t, "the connection to end behind its streams", func() bool { return r.seen(appliance.ConnectionQuery{Text: "http/2"}).Total == 0 })
	again := func() appliance.Connection {
		resp, err := c.Get("http://" + address(v) + "/")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		until(t, "an idle connection", func() bool { return r.seen(appliance.ConnectionQuery{Text: "http/2, idle"}).Total == 1 })
		return r.seen(appliance.ConnectionQuery{Text: "http/2, idle"}).Connections[0]
	}
	second := again()
	if err := r.CloseConnection(soon(t), second.ID); err != nil || second.Client == first.Client {
		t.Errorf("%+v, %v", second, err)
	}
	until(t, "a connection without streams to end", func() bool { return r.seen(appliance.ConnectionQuery{Text: "http/2"}).Total == 0 })
	if third := again(); third.Client == second.Client {
		t.Error("a connection without streams was not closed")
	}
}

func TestConnectionsInTLSSaySo(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	certificate := ca.Issue("a.test")
	r := start(t, Options{Certificates: keep(certificate)})
	v := web(t, "svc", serveHTTP(t, "a"))
	v.TLS.Certificates = []string{certificate.ID}
	r.apply(v)
	half := dialFrom(t, "127.0.0.9", address(v))
	if _, err := half.Write([]byte{22, 3, 1}); err != nil {
		t.Fatal(err)
	}
	resp, err := https(t, ca, address(v)).Get("https://a.test/")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	until(t, "an idle connection in TLS and a handshake", func() bool {
		list := r.seen(appliance.ConnectionQuery{})
		states := map[string]bool{}
		for _, one := range list.Connections {
			states[one.State] = one.TLS
		}
		return list.Total == 2 && states["idle"] && states["TLS handshake"]
	})
}

func TestConnectionsBehindAProxyShowTheClientItSpeaksFor(t *testing.T) {
	r := start(t, Options{Loops: 1})
	v := tcp(t, "svc", serve(t, echo("a")).address)
	v.ProxyProtocol.In, v.ProxyProtocol.Trusted = true, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	r.apply(v)
	c := dial(t, address(v))
	until(t, "the connection to wait for its header", func() bool { return r.seen(appliance.ConnectionQuery{Text: "proxy header"}).Total == 1 })
	if _, err := io.WriteString(c, "PROXY TCP4 198.51.100.7 192.0.2.1 4711 104\r\n"); err != nil {
		t.Fatal(err)
	}
	readName(t, c)
	if list := r.seen(appliance.ConnectionQuery{Client: netip.MustParsePrefix("198.51.100.0/24")}); list.Total != 1 || list.Connections[0].Client.String() != "198.51.100.7:4711" || list.Connections[0].State != "open" {
		t.Errorf("%+v", r.seen(appliance.ConnectionQuery{}))
	}
}
