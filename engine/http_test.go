package engine

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/appliance"
)

// webServer is an HTTP server for tests.
type webServer struct {
	address netip.AddrPort
	conns   atomic.Int64 // accepted so far
}

func serveHandler(t *testing.T, h http.Handler) *webServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &webServer{address: ln.Addr().(*net.TCPAddr).AddrPort()}
	srv := &http.Server{Handler: h, ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			w.conns.Add(1)
		}
	}}
	done := make(chan struct{})
	go func() { _ = srv.Serve(ln); close(done) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return w
}

// serveHTTP answers every request with its name.
func serveHTTP(t *testing.T, name string) netip.AddrPort {
	t.Helper()
	return serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, name) })).address
}

func web(t *testing.T, label string, servers ...netip.AddrPort) appliance.VirtualService {
	t.Helper()
	return vip(t, appliance.HTTP, label, servers...)
}

func countingClient(dials *atomic.Int64) *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
			dials.Add(1)
			return (&net.Dialer{}).DialContext(ctx, network, to)
		},
	}}
}

func client(t *testing.T) *http.Client {
	c := countingClient(new(atomic.Int64))
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func get(t *testing.T, c *http.Client, to string) string {
	t.Helper()
	code, body := fetch(t, c, to)
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	return body
}

func fetch(t *testing.T, c *http.Client, to string) (int, string) {
	t.Helper()
	resp, err := c.Get("http://" + to + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestHTTPModeKeepsBothSidesAliveAndCounts(t *testing.T) {
	h := serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-For"))
	}))
	r := start(t, Options{Loops: 1})
	v := web(t, "svc", h.address)
	r.apply(v)
	var dials atomic.Int64
	c := countingClient(&dials)
	defer c.CloseIdleConnections()
	for range 50 {
		if got := get(t, c, address(v)); got != "127.0.0.1" {
			t.Fatalf("X-Forwarded-For %q", got)
		}
	}
	if dials.Load() != 1 || h.conns.Load() != 1 {
		t.Errorf("%d connections of the client, %d to the server", dials.Load(), h.conns.Load())
	}
	st := r.status(v.ID)
	if st.Requests != 50 || st.Total != 1 || st.Connections != 1 || st.Servers[0].Total != 50 || st.BytesIn == 0 || st.BytesOut == 0 {
		t.Errorf("%+v", st)
	}
}

func TestHTTPModeBalancesRequestsOfOneConnection(t *testing.T) {
	r := start(t, Options{})
	v := web(t, "svc", serveHTTP(t, "a"), serveHTTP(t, "b"))
	v.Scheduler = appliance.RoundRobin
	v.RealServers[0].Weight = 300
	r.apply(v)
	c, names := client(t), map[string]int{}
	for range 40 {
		names[get(t, c, address(v))]++
	}
	if names["a"] != 30 || names["b"] != 10 {
		t.Error(names)
	}
}

func TestHTTPModeUsesTheFallbackPageWhenNoServerAnswers(t *testing.T) {
	page := serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "we will be back")
	}))
	r := start(t, Options{FallbackPage: page.address})
	v := web(t, "svc", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), freePort(t)))
	none := v.Clone()
	v.Fallback.Kind = appliance.FallbackPage
	r.apply(v)
	if code, body := fetch(t, client(t), address(v)); code != http.StatusServiceUnavailable || body != "we will be back" {
		t.Errorf("%d %q", code, body)
	}
	r.apply(none)
	if code, body := fetch(t, client(t), address(v)); code != http.StatusServiceUnavailable || strings.Contains(body, "back") {
		t.Errorf("%d %q", code, body)
	}
}

func TestHTTPModeGoesToAnotherServerWhenAConnectIsRefused(t *testing.T) {
	r := start(t, Options{})
	v := web(t, "svc", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), freePort(t)), serveHTTP(t, "alive"))
	v.Mode = appliance.Failover
	r.apply(v)
	c := client(t)
	for range 10 {
		if got := get(t, c, address(v)); got != "alive" {
			t.Fatal(got)
		}
		if err := post(c, address(v), []byte("alive")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCookiePersistenceKeepsAClientThroughDrainAndLetsItGoOnHalt(t *testing.T) {
	r := start(t, Options{CookieKey: []byte("0123456789abcdef0123456789abcdef")})
	v := web(t, "svc", serveHTTP(t, "a"), serveHTTP(t, "b"))
	v.Persistence.Kind = appliance.PersistCookie
	v.Scheduler = appliance.RoundRobin
	r.apply(v)
	c := client(t)
	c.Jar, _ = cookiejar.New(nil)
	home := get(t, c, address(v))
	for range 10 {
		if got := get(t, c, address(v)); got != home {
			t.Fatalf("moved from %s to %s", home, got)
		}
	}
	own, other := 0, 1
	if home == "b" {
		own, other = 1, 0
	}
	v.RealServers[own].State = appliance.Drain
	r.apply(v)
	if got := get(t, c, address(v)); got != home {
		t.Errorf("a drained server lost its client to %s", got)
	}
	stranger := client(t)
	if got := get(t, stranger, address(v)); got == home {
		t.Errorf("a drained server got a new client")
	}
	v.RealServers[own].State = appliance.Halt
	r.apply(v)
	moved := get(t, c, address(v))
	if moved == home {
		t.Errorf("a halted server still serves")
	}
	v.RealServers[own].State, v.RealServers[other].State = appliance.Online, appliance.Online
	r.apply(v)
	if got := get(t, c, address(v)); got != moved {
		t.Errorf("the cookie was not rewritten: back on %s", got)
	}
}

func TestDrainedServersLoseTheirIdleConnections(t *testing.T) {
	h := serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "h") }))
	r := start(t, Options{})
	v := web(t, "svc", h.address)
	r.apply(v)
	get(t, client(t), address(v))
	idle := func() (n int) {
		for _, l := range r.lanes {
			_ = l.loop.Call(soon(t), func() { n += l.idle.Len() })
		}
		return n
	}
	if idle() != 1 {
		t.Fatalf("%d idle connections", idle())
	}
	v.RealServers[0].State = appliance.Drain
	r.apply(v)
	if idle() != 0 {
		t.Errorf("%d idle connections to a drained server", idle())
	}
}
