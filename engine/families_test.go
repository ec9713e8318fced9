package engine

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/proxyproto"
	"evenkeel/engine/tlsterm/tlstest"
)

// journey is a way through the appliance: a client, the service's address, and a server.
type journey struct {
	client, service, server string
	wildcard                string // the service listens on, instead; empty: on its address
}

// inNamespace says that the test runs in a network namespace of its own.
const inNamespace = "ENGINE_TEST_NAMESPACE"

// routes mixes both families: on loopback, or, in a namespace, on addresses as networks have them.
func routes() []journey {
	if os.Getenv(inNamespace) != "" {
		return []journey{
			{"fd00:1::20", "fd00:1::188", "fd00:9::40", ""},
			{"10.1.0.20", "10.1.0.188", "fd00:9::40", ""},
			{"fd00:1::20", "fd00:1::188", "10.9.0.40", ""},
			{"fd00:1::20", "fd00:1::188", "fd00:9::40", "::"},
			{"10.1.0.20", "10.1.0.188", "fd00:9::40", "::"},
			{"10.1.0.20", "10.1.0.188", "10.9.0.40", "::"},
		}
	}
	return []journey{
		{"::1", "::1", "::1", ""},
		{"127.0.0.1", "127.0.0.1", "::1", ""},
		{"::1", "::1", "127.0.0.1", ""},
		{"::1", "::1", "::1", "::"},
		{"127.0.0.1", "127.0.0.1", "::1", "::"},
	}
}

func (w journey) String() string {
	return fmt.Sprintf("%s to %s%s to %s", w.client, w.service, w.wildcard, w.server)
}

// of makes the route that of a service with one server.
func (w journey) of(v appliance.VirtualService) appliance.VirtualService {
	v.Address = netip.MustParseAddr(w.service)
	if w.wildcard != "" {
		v.Address = netip.MustParseAddr(w.wildcard)
	}
	return v
}

// place is where clients find the service.
func (w journey) place(v appliance.VirtualService) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(w.service), v.Ports[0].First)
}

// listen is where a server may listen.
func (w journey) listen() string {
	return netip.AddrPortFrom(netip.MustParseAddr(w.server), 0).String()
}

func everyRoute(t *testing.T, f func(t *testing.T, w journey)) {
	for _, w := range routes() {
		t.Run(w.String(), func(t *testing.T) { f(t, w) })
	}
}

// TestFamiliesInANamespace runs what follows once more, on addresses that are not loopback's.
func TestFamiliesInANamespace(t *testing.T) {
	if _, err := exec.LookPath("ip"); err != nil || os.Getuid() != 0 {
		if os.Getenv("EVENKEEL_TEST_REQUIRE") == "all" {
			t.Fatal("needs root, and ip of iproute2")
		}
		t.Skip("needs root, and ip of iproute2")
	}
	again := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestFamily", "-test.timeout=90s", "-test.v")
	again.Env = append(os.Environ(), inNamespace+"=1")
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := again.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "fd00:1::20_to_fd00:1::188_to_fd00:9::40") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// prepareNamespace gives loopback the addresses of the routes.
func prepareNamespace() error {
	if os.Getenv(inNamespace) == "" {
		return nil
	}
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"addr", "add", "10.1.0.20/32", "dev", "lo"},
		{"addr", "add", "10.1.0.188/32", "dev", "lo"},
		{"addr", "add", "10.9.0.40/32", "dev", "lo"},
		{"addr", "add", "10.9.0.1/32", "dev", "lo"},
		{"addr", "add", "fd00:1::20/128", "dev", "lo", "nodad"},
		{"addr", "add", "fd00:1::188/128", "dev", "lo", "nodad"},
		{"addr", "add", "fd00:9::40/128", "dev", "lo", "nodad"},
		{"addr", "add", "fd00:9::1/128", "dev", "lo", "nodad"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
	}
	return nil
}

func TestFamilyTCPMode(t *testing.T) {
	everyRoute(t, func(t *testing.T, w journey) {
		v := w.of(tcp(t, "svc", serveOn(t, w.listen(), echo("a")).address, serveOn(t, w.listen(), echo("b")).address))
		v.Persistence.Kind, v.Log = appliance.PersistSourceIP, appliance.LogAll
		v.Monitor = appliance.NewMonitor(appliance.MonitorConnect)
		r := start(t, Options{LogsDir: t.TempDir()})
		r.apply(v)
		until(t, "the servers to be up", func() bool { return r.status(v.ID).Sentence == "All 2 real servers are up." })
		c := dialFrom(t, w.client, w.place(v).String())
		name := readName(t, c)
		ping(t, c, string(noise(100_000)))
		one := c.LocalAddr().(*net.TCPAddr).AddrPort()
		list := r.seen(appliance.ConnectionQuery{})
		if list.Total != 1 || list.Connections[0].Client != netip.AddrPortFrom(one.Addr().Unmap(), one.Port()) || list.Connections[0].Local != w.place(v) {
			t.Errorf("%+v", list)
		}
		c.Close()
		for range 3 {
			if got := readName(t, dialFrom(t, w.client, w.place(v).String())); got != name {
				t.Errorf("the client comes back to %s, and not to %s", got, name)
			}
		}
		until(t, "the line", func() bool { return len(logged(r, "svc")) > 0 })
		server := r.status(v.ID).Servers[0].ID
		at := v.Server(server)
		if line := logged(r, "svc")[0]; !strings.Contains(line, " client="+one.String()+" ") || !strings.Contains(line, " address="+bracketed(w.server)+":") {
			t.Errorf("%s, server %+v", line, at)
		}
	})
}

// bracketed is an address as it stands before a port.
func bracketed(a string) string {
	if strings.Contains(a, ":") {
		return "[" + a + "]"
	}
	return a
}

func TestFamilyProxyProtocol(t *testing.T) {
	everyRoute(t, func(t *testing.T, w journey) {
		for _, out := range []appliance.ProxyOut{appliance.ProxyOutV1, appliance.ProxyOutV2} {
			got := make(chan proxyproto.Header, 10)
			server := serveOn(t, w.listen(), func(c net.Conn) {
				h, err := hear(c)
				if err != nil {
					return
				}
				got <- h.header
				_, _ = io.Copy(c, h.rest)
			})
			v := w.of(tcp(t, "svc", server.address))
			v.ProxyProtocol.Out = out
			r := start(t, Options{})
			r.apply(v)
			c := dialFrom(t, w.client, w.place(v).String())
			ping(t, c, "hello")
			if h := next(t, got); h.Source.String() != c.LocalAddr().String() || h.Destination != w.place(v) {
				t.Errorf("%s out: %+v", out, h)
			}
			v = trusting(v.Clone(), netip.PrefixFrom(netip.MustParseAddr(w.client), netip.MustParseAddr(w.client).BitLen()).String())
			r.apply(v)
			for _, other := range []string{"[2001:db8::7]:40000", "192.0.2.7:40000"} {
				told := proxyproto.Header{Source: netip.MustParseAddrPort(other), Destination: netip.MustParseAddrPort(strings.Replace(strings.Replace(other, "7", "8", 1), "40000", "104", 1))}
				for _, header := range [][]byte{told.AppendLine(nil), told.AppendBinary(nil)} {
					c := dialFrom(t, w.client, w.place(v).String())
					ping(t, &prefixed{Conn: c, first: string(header)}, "hello")
					if h := next(t, got); h.Source != told.Source || h.Destination != told.Destination {
						t.Errorf("%q in, %s out: %+v", header, out, h)
					}
				}
			}
			r.stop()
		}
	})
}

// webClient speaks to a service from the route's client, over one connection.
func (w journey) webClient(t *testing.T, v appliance.VirtualService, secure *tls.Config) *http.Client {
	t.Helper()
	transport := &http.Transport{
		DialContext:     (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(w.client)}}).DialContext,
		TLSClientConfig: secure, ForceAttemptHTTP2: secure != nil,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// tells is a web server that answers with what it was told of the client.
func tells(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s host=%s for=%s proto=%s", name, r.Host, r.Header.Get("X-Forwarded-For"), r.Proto)
	})
}

// serveWeb runs a web server on the route's server, over TLS when secure is not nil.
func (w journey) serveWeb(t *testing.T, h http.Handler, secure *tls.Config) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", w.listen())
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().(*net.TCPAddr).AddrPort()
	s := &http.Server{Handler: h, TLSConfig: secure}
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	done := make(chan struct{})
	go func() { _ = s.Serve(l); close(done) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return at
}

func fetchFrom(t *testing.T, c *http.Client, to string, fields ...string) (*http.Response, string) {
	t.Helper()
	q, err := http.NewRequest(http.MethodGet, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		q.Header.Set(fields[i], fields[i+1])
	}
	a, err := c.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a, string(b)
}

func TestFamilyHTTPMode(t *testing.T) {
	everyRoute(t, func(t *testing.T, w journey) {
		v := w.of(web(t, "web", w.serveWeb(t, tells("a"), nil), w.serveWeb(t, tells("b"), nil)))
		v.Persistence.Kind, v.Log = appliance.PersistCookie, appliance.LogAll
		v.Rules = []appliance.Rule{{
			ID: "rule-1", Label: "mine", When: []appliance.Condition{{Subject: appliance.SubjectSource, Operator: appliance.OpEqual, Value: "2001:db8::/32," + w.client}, {Subject: appliance.SubjectPath, Operator: appliance.OpEqual, Value: "/mine"}},
			Then: []appliance.RuleAction{{Kind: appliance.DoDeny, Status: 404}},
		}}
		moved := w.of(web(t, "clear"))
		moved.TLS.Redirect = appliance.RedirectFound
		r := start(t, Options{LogsDir: t.TempDir()})
		r.apply(v, moved)
		c := w.webClient(t, v, nil)
		at := "http://" + w.place(v).String()
		first, body := fetchFrom(t, c, at+"/")
		if want := fmt.Sprintf(" host=%s for=%s proto=HTTP/1.1", w.place(v), w.client); body[1:] != want || len(first.Cookies()) != 1 {
			t.Fatalf("%q, want %q; cookies %v", body, want, first.Cookies())
		}
		cookie := first.Cookies()[0].Name + "=" + first.Cookies()[0].Value
		for range 3 {
			if _, got := fetchFrom(t, c, at+"/", "Cookie", cookie, "X-Forwarded-For", "2001:db8::9"); got[:1] != body[:1] || !strings.Contains(got, " for=2001:db8::9, "+w.client+" ") {
				t.Errorf("%q behind %q", got, body)
			}
		}
		if a, _ := fetchFrom(t, c, at+"/mine"); a.StatusCode != 404 {
			t.Errorf("the rule does not hold: %d", a.StatusCode)
		}
		if a, _ := fetchFrom(t, c, "http://"+w.place(moved).String()+"/x"); a.StatusCode != 302 || a.Header.Get("Location") != "https://"+bracketed(w.service)+"/x" {
			t.Errorf("%d %s", a.StatusCode, a.Header.Get("Location"))
		}
		old := dialFrom(t, w.client, w.place(v).String())
		_, _ = io.WriteString(old, "GET / HTTP/1.0\r\n\r\n")
		if b, _ := io.ReadAll(old); !strings.Contains(string(b), " host="+w.place(v).String()+" ") {
			t.Errorf("without Host: %q", b)
		}
		until(t, "the lines", func() bool { return len(logged(r, "web")) == 6 })
		for _, line := range logged(r, "web") {
			if !strings.Contains(line, " client="+bracketed(w.client)+":") || strings.Contains(line, " server=a ") && !strings.Contains(line, " address="+bracketed(w.server)+":") {
				t.Error(line)
			}
		}
	})
}

func TestFamilyTLSAndHTTP2(t *testing.T) {
	ca := tlstest.NewAuthority(t, "ca")
	everyRoute(t, func(t *testing.T, w journey) {
		issued := ca.Issue(w.service, w.server)
		k := keep(issued)
		k.set(authorityID, ca.Bundle())
		v := w.of(web(t, "web", w.serveWeb(t, tells("a"), &tls.Config{Certificates: []tls.Certificate{issued.TLS}, NextProtos: []string{"http/1.1"}})))
		v.TLS.Certificates, v.ServerTLS.Enabled, v.ServerTLS.Verify, v.ServerTLS.CA = []string{issued.ID}, true, true, authorityID
		r := start(t, Options{Certificates: k})
		r.apply(v)
		a, body := fetchFrom(t, w.webClient(t, v, &tls.Config{RootCAs: ca.Pool()}), "https://"+w.place(v).String()+"/")
		if want := fmt.Sprintf("a host=%s for=%s proto=HTTP/1.1", w.place(v), w.client); body != want || a.Proto != "HTTP/2.0" {
			t.Errorf("%s %q, want %q", a.Proto, body, want)
		}
	})
}

func TestFamilyUDPMode(t *testing.T) {
	everyRoute(t, func(t *testing.T, w journey) {
		v := w.of(vip(t, appliance.UDP, "udp", answering(t, w.listen(), "one").address))
		r := start(t, Options{})
		r.apply(v)
		d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(w.client)}}
		c, err := d.DialContext(t.Context(), "udp", w.place(v).String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		if got := inquire(t, c.(*net.UDPConn), "hello"); got != "one hello" {
			t.Errorf("%q", got)
		}
	})
}

func TestFamilySourceAddressAndFallback(t *testing.T) {
	everyRoute(t, func(t *testing.T, w journey) {
		from := map[string]string{"::1": "::1", "127.0.0.1": "127.0.0.7", "fd00:9::40": "fd00:9::1", "10.9.0.40": "10.9.0.1"}[w.server]
		who := func(c net.Conn) { _, _ = io.WriteString(c, c.RemoteAddr().(*net.TCPAddr).IP.String()+"\n") }
		v := w.of(tcp(t, "svc", serveOn(t, w.listen(), who).address))
		v.SourceAddress.Addr = netip.MustParseAddr(from)
		r := start(t, Options{})
		r.apply(v)
		if got := readName(t, dialFrom(t, w.client, w.place(v).String())); got != from {
			t.Errorf("the server sees %s", got)
		}
		spare := v.Clone()
		spare.RealServers[0].State = appliance.Halt
		spare.Fallback = appliance.Fallback{Kind: appliance.FallbackServer, Address: serveOn(t, w.listen(), echo("spare")).address}
		r.apply(spare)
		if got := readName(t, dialFrom(t, w.client, w.place(v).String())); got != "spare" {
			t.Errorf("%s serves", got)
		}
	})
}
