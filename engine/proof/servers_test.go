package proof

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/fallback"
	"evenkeel/engine/wire/wiretest"
)

// badly is how a server treats a request, and what the client may get for it.
type badly struct {
	name  string
	serve func(c net.Conn)
	gets  string // the status; "cut": an answer that breaks off
	slow  bool   // it is the time that ends it
}

// manners are those of bad servers. Each has read the request when it is asked.
func manners() []badly {
	part := "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 30000)
	return []badly{
		{"silence", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, "504", true},
		{"a head in drips that never ends", func(c net.Conn) { drip(c, "HTTP/1.1 200 OK\r\nX-A: ", "b") }, "504", true},
		{"a head without end", func(c net.Conn) {
			flood(c, "HTTP/1.1 200 OK\r\n", strings.Repeat("X-A: "+strings.Repeat("b", 1000)+"\r\n", 16))
		}, "502", false},
		{"1xx without end", func(c net.Conn) { flood(c, "", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 100)) }, "502", false},
		{"nonsense", func(c net.Conn) { _, _ = io.WriteString(c, "\x00\x01SSH-2.0-x\r\n\r\n") }, "502", false},
		{"a reset for an answer", reset, "502", false},
		{"a reset within the answer", func(c net.Conn) {
			_, _ = io.WriteString(c, part)
			reset(c)
		}, "cut", false},
		{"silence within the answer", func(c net.Conn) {
			_, _ = io.WriteString(c, part)
			_, _ = io.Copy(io.Discard, c)
		}, "cut", true},
	}
}

func reset(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }

func flood(c net.Conn, first, then string) {
	_, err := io.WriteString(c, first)
	for err == nil {
		_, err = io.WriteString(c, then)
	}
}

// drip sends a byte whenever a tenth of a second has passed without one.
func drip(c net.Conn, first, then string) {
	_, err := io.WriteString(c, first)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for err == nil {
		<-tick.C
		_, err = io.WriteString(c, then)
	}
}

// misbehaving reads a request from each connection and then treats it.
func misbehaving(t *testing.T, m badly) netip.AddrPort {
	t.Helper()
	return listening(t, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			m.serve(c)
		}
	})
}

// neighbours returns a configuration with two services in HTTP Mode, and where they listen: one before a bad server, one before a good one.
func neighbours(t *testing.T, bad, good netip.AddrPort) (c appliance.Config, addresses [2]string) {
	t.Helper()
	c, addresses[0] = before(t, appliance.HTTP, bad)
	other, address := before(t, appliance.HTTP, good)
	v := other.Cluster.VirtualServices[0]
	v.ID, v.Label, v.RealServers[0].ID = "good", "good", "good0"
	c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, v)
	c.Cluster.Normalize()
	addresses[1] = address
	return c, addresses
}

// TestBadServersHurtOnlyTheirOwnClients: hundreds of clients of a server that misbehaves each get what belongs to it, in time; the clients of the service beside it
// notice nothing, and nothing is left.
func TestBadServersHurtOnlyTheirOwnClients(t *testing.T) {
	n, each := 500, 300
	if raced {
		n, each = 60, 30
	}
	for _, m := range manners() {
		t.Run(m.name, func(t *testing.T) {
			good, _ := library(t)
			config, addresses := neighbours(t, misbehaving(t, m), good)
			timeout := 20 * time.Second
			if m.slow {
				timeout = 2 * time.Second
			}
			config.Cluster.Service("proof").Limits.ServerTimeout = appliance.Duration(timeout)
			s := examine(t, order{Config: config, Loops: 2})
			quiet := healthy(t, addresses[1], each)
			at := s.vitals()
			began := time.Now()
			var clients sync.WaitGroup
			got := make([]string, n)
			for i := range n {
				clients.Go(func() { got[i] = outcome(addresses[0]) })
			}
			meanwhile := healthy(t, addresses[1], each)
			most := s.vitals()
			clients.Wait()
			took := time.Since(began)
			for _, g := range got {
				if g != m.gets {
					t.Errorf("a client got %q, not %s", g, m.gets)
					break
				}
			}
			back := s.until("everything is given back", 30*time.Second, func(v vitals) bool { return v.Files <= at.Files+pooledPipes })
			tell(t, "30 "+m.name, fmt.Sprintf("%d clients at once, server timeout %s", n, timeout), fmt.Sprintf("all get %s, the last behind %.1f s; %.1f KiB each; %s; all returned in %.1f s",
				m.gets, took.Seconds(), max(0, kibibytes(most.Heap, at.Heap, n)), compared(quiet, meanwhile), back.Seconds()))
		})
	}
}

// outcome asks once and returns the status, "cut" for an answer that breaks off, or what went wrong.
func outcome(address string) string {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(60 * time.Second))
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return err.Error()
	}
	a, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err.Error()
	}
	if _, err := io.Copy(io.Discard, a.Body); err != nil {
		return "cut"
	}
	return fmt.Sprint(a.StatusCode)
}

// TestWhileAllServersAreDownTheFallbackServesAndClientsOfTCPAreClosed: the page is static and comes at once, for a crowd too, and the servers serve again as soon as one is up.
func TestWhileAllServersAreDownTheFallbackServesAndClientsOfTCPAreClosed(t *testing.T) {
	n := 1000
	if raced {
		n = 100
	}
	page, err := fallback.Open("127.0.0.1:0", func() string { return "<h1>We are at lunch</h1>" })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(page.Close)
	go func() { _ = page.Run(t.Context()) }()
	dead := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), wiretest.Port(t, 1))
	config, web := before(t, appliance.HTTP, dead, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), dead.Port()))
	v := &config.Cluster.VirtualServices[0]
	v.Fallback.Kind, v.HTTP.KeepAlive = appliance.FallbackPage, appliance.KeepAliveClient
	v.Monitor = appliance.NewMonitor(appliance.MonitorConnect)
	v.Monitor.Interval, v.Monitor.Rise, v.Monitor.Fall = appliance.Duration(200*time.Millisecond), 1, 1
	other, raw := before(t, appliance.TCP, dead)
	o := other.Cluster.VirtualServices[0]
	o.ID, o.Label, o.RealServers[0].ID = "tcp", "tcp", "tcp0"
	config.Cluster.VirtualServices = append(config.Cluster.VirtualServices, o)
	config.Cluster.Normalize()
	s := examine(t, order{Config: config, Loops: 2, Fallback: page.Address().(*net.TCPAddr).AddrPort()})
	at := s.vitals()
	s.until("the checks have found both servers down", 20*time.Second, func(v vitals) bool {
		return slices.ContainsFunc(v.Status.Services, func(s appliance.ServiceStatus) bool { return s.Health == appliance.ServiceFallback })
	})
	began := time.Now()
	var clients sync.WaitGroup
	for range n {
		clients.Go(func() {
			a, err := http.Get("http://" + web + "/any/page")
			if err != nil {
				t.Error(err)
				return
			}
			defer a.Body.Close()
			body, err := io.ReadAll(a.Body)
			if err != nil || a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "at lunch") {
				t.Errorf("%s, %q, %v", a.Status, body, err)
			}
		})
	}
	clients.Wait()
	took := time.Since(began)
	for range 100 { // a web page would harm them
		c, err := net.Dial("tcp", raw)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		if b, err := io.ReadAll(c); err != nil || len(b) != 0 {
			t.Errorf("a client of TCP Mode got %q, %v", b, err)
		}
		c.Close()
	}
	ln, err := net.Listen("tcp", dead.String())
	if err != nil {
		t.Fatal(err)
	}
	up := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "back") })}
	go func() { _ = up.Serve(ln) }()
	t.Cleanup(func() { _ = up.Close() })
	back := s.until("a server is up and serves", 20*time.Second, func(vitals) bool {
		a, err := http.Get("http://" + web + "/")
		if err != nil {
			return false
		}
		defer a.Body.Close()
		return a.StatusCode == http.StatusOK
	})
	http.DefaultClient.CloseIdleConnections()
	s.until("everything is given back", 30*time.Second, func(v vitals) bool { return v.Files <= at.Files+pooledPipes })
	tell(t, "31 all servers down", fmt.Sprintf("%d clients at once", n), fmt.Sprintf("all get the page of the operator with 503, the last behind %.2f s; clients of TCP Mode get FIN; the servers serve again %.1f s behind their return, checked every 200 ms", took.Seconds(), back.Seconds()))
}
