package proof

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine"
	"evenkeel/engine/tlsterm/tlstest"
	"evenkeel/engine/wire/wiretest"
)

const (
	applies     = 1000
	applyEvery  = 20 * time.Millisecond
	idlers      = 1000
	streamBytes = 1 << 30
)

// crowd is the traffic that must not notice anything.
type crowd struct {
	t       *testing.T
	ctx     context.Context
	all     sync.WaitGroup
	done    atomic.Int64 // exchanges that were right
	failed  atomic.Int64
	mu      sync.Mutex
	reasons []string
}

// run repeats one client's exchange until the end; the error of one is a failure.
func (k *crowd) run(name string, exchange func() error) {
	k.all.Go(func() {
		for k.ctx.Err() == nil {
			if err := exchange(); err != nil {
				k.fail(name, err)
				return
			}
			k.done.Add(1)
		}
	})
}

func (k *crowd) fail(name string, err error) {
	k.failed.Add(1)
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.reasons) < 10 {
		k.reasons = append(k.reasons, name+": "+err.Error())
	}
}

// held is certificates in memory.
type held map[string]appliance.KeyPair

// KeyPair returns one.
func (h held) KeyPair(id string) (appliance.KeyPair, error) { return h[id], nil }

// Authority returns none.
func (h held) Authority(string) (appliance.Authority, error) { return appliance.Authority{}, nil }

// TestAThousandAppliesAreNotNoticed: fifty times a second the configuration changes while requests with bodies, HTTP/2 over TLS, fresh TLS connections, WebSockets,
// a stream of a gibibyte and a thousand silent sessions go on. None fails, none is reset, and nothing is left behind.
func TestAThousandAppliesAreNotNoticed(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	ca := tlstest.NewAuthority(t, "proof")
	issued := []*tlstest.Issued{ca.Issue("www.example.com"), ca.Issue("www.example.com")}
	config := scene(t, issued)
	e := serving(t, engine.Options{Loops: 2, Certificates: held{issued[0].ID: issued[0].Pair, issued[1].ID: issued[1].Pair}}, config)
	ctx, end := context.WithCancel(context.Background())
	defer end()
	k := &crowd{t: t, ctx: ctx}
	silent := k.idle(at(config, "tcp"))
	before := resources()
	k.posts(at(config, "web"))
	k.http2(at(config, "tls"), ca)
	k.fresh(at(config, "tls"), ca)
	k.webSockets(at(config, "web"), at(config, "tls"), ca)
	k.stream(at(config, "bulk"))

	random := rand.New(rand.NewPCG(seed, 2))
	tick := time.NewTicker(applyEvery)
	defer tick.Stop()
	for range applies {
		<-tick.C
		config = changed(config, random, issued)
		if err := e.Apply(ctx, config); err != nil {
			t.Fatal(err)
		}
	}
	end()
	k.all.Wait()
	for i, c := range silent {
		if err := echoed(c, fmt.Appendf(nil, "idle %d", i)); err != nil {
			k.fail("silent session", err)
		}
	}
	t.Logf("%d exchanges, %d failed", k.done.Load(), k.failed.Load())
	if k.failed.Load() > 0 || k.done.Load() < applies {
		t.Errorf("%d of %d failed: %s", k.failed.Load(), k.done.Load(), strings.Join(k.reasons, "; "))
	}
	for i := range config.Cluster.VirtualServices { // draining closes the idle connections to servers
		for j := range config.Cluster.VirtualServices[i].RealServers {
			config.Cluster.VirtualServices[i].RealServers[j].State = appliance.Drain
		}
	}
	if err := e.Apply(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	before.wasAll(t)
	for _, c := range silent {
		c.Close()
	}
}

// resources are what a leak would make grow.
type usage struct {
	files, routines int
	heap            uint64 // bytes in use behind a collection
}

func resources() usage {
	list, _ := os.ReadDir("/proc/self/fd")
	runtime.GC()
	runtime.GC() // what the first one let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{len(list), runtime.NumGoroutine(), m.HeapAlloc}
}

// grows is how many bytes more may be in use behind a thousand Applies: what connections that wait in pools hold, of clients, servers and engine alike.
const grows = 6 << 20

// wasAll waits until no more is used than before, but for what a pool of idle connections may keep.
func (u usage) wasAll(t *testing.T) {
	t.Helper()
	const pooled = 150
	for end := time.Now().Add(time.Minute); ; <-time.After(10 * time.Millisecond) {
		now := resources()
		if now.files <= u.files+pooled && now.routines <= u.routines+pooled && (raced || now.heap <= u.heap+grows) {
			t.Logf("%+v before, %+v now", u, now)
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%+v before, %+v now", u, now)
		}
	}
}

// scene is the servers and the services before them.
func scene(t *testing.T, issued []*tlstest.Issued) appliance.Config {
	t.Helper()
	web, echo, bulk := answering(t), listening(t, copyBack), listening(t, pour)
	var c appliance.Config
	c.Cluster.Settings.AllowLoopback = true
	for label, s := range map[string]struct {
		protocol appliance.Protocol
		servers  [2]netip.AddrPort
	}{
		"web":  {appliance.HTTP, [2]netip.AddrPort{web, web}},
		"tls":  {appliance.HTTP, [2]netip.AddrPort{web, web}},
		"tcp":  {appliance.TCP, [2]netip.AddrPort{echo, echo}},
		"bulk": {appliance.TCP, [2]netip.AddrPort{bulk, bulk}},
	} {
		v := appliance.NewService(s.protocol)
		port := wiretest.Port(t, 1)
		v.ID, v.Label, v.Address, v.Ports = label, label, netip.MustParseAddr("127.0.0.1"), appliance.Ports{{First: port, Last: port}}
		v.Monitor.Kind, v.Fallback.Kind = appliance.MonitorNone, appliance.FallbackNone
		if label == "tls" {
			v.TLS.Certificates = []string{issued[0].ID}
		}
		for i, a := range s.servers {
			r := appliance.NewRealServer()
			r.ID, r.Label, r.Address, r.Port = fmt.Sprint(label, i), fmt.Sprint("s", i), appliance.Host(a.Addr().String()), a.Port()
			v.RealServers = append(v.RealServers, r)
		}
		c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, v)
	}
	extra := c.Cluster.VirtualServices[0].Clone()
	port := wiretest.Port(t, 1)
	extra.ID, extra.Label, extra.Ports = "extra", "extra", appliance.Ports{{First: port, Last: port}}
	for i := range extra.RealServers {
		extra.RealServers[i].ID = fmt.Sprint("extra", i)
	}
	c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, extra)
	c.Cluster.Normalize()
	return c
}

func at(c appliance.Config, label string) string {
	v := c.Cluster.Service(label)
	return netip.AddrPortFrom(v.Address, v.Ports[0].First).String()
}

// changed returns the configuration with some changes of the kind that operators make all day.
func changed(c appliance.Config, r *rand.Rand, issued []*tlstest.Issued) appliance.Config {
	next := c.Clone()
	list := next.Cluster.VirtualServices
	v := &list[r.IntN(len(list))]
	switch r.IntN(8) {
	case 0:
		v.RealServers[r.IntN(2)].Weight = 1 + r.IntN(200)
	case 1: // one is drained, the other not
		i := r.IntN(2)
		v.RealServers[i].State, v.RealServers[1-i].State = appliance.Drain, appliance.Online
	case 2:
		v.RealServers[0].State, v.RealServers[1].State = appliance.Online, appliance.Online
	case 3:
		v.Persistence.Kind = []appliance.PersistenceKind{appliance.PersistNone, appliance.PersistSourceIP}[r.IntN(2)]
	case 4:
		v.Scheduler = []appliance.Scheduler{appliance.LeastConnections, appliance.RoundRobin, appliance.SourceHash}[r.IntN(3)]
	case 5:
		v.Limits.ClientTimeout = appliance.Duration(time.Duration(60+r.IntN(60)) * time.Second)
		v.Limits.ServerTimeout = v.Limits.ClientTimeout
	case 6:
		next.Cluster.Service("tls").TLS.Certificates = []string{issued[r.IntN(len(issued))].ID}
	case 7: // a service that nobody uses comes and goes
		x := next.Cluster.Service("extra")
		x.Address = netip.MustParseAddr([]string{"127.0.0.1", "127.0.0.2"}[r.IntN(2)])
	}
	return next
}

// listening serves connections with f.
func listening(t *testing.T, f func(net.Conn)) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c)
			}()
		}
	}()
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

func copyBack(c net.Conn) { _, _ = io.Copy(c, c) }

// pour sends a gibibyte of numbers.
func pour(c net.Conn) {
	b := make([]byte, 64<<10)
	for n := uint64(0); n < streamBytes; n += uint64(len(b)) {
		for i := 0; i < len(b); i += 8 {
			binary.LittleEndian.PutUint64(b[i:], n+uint64(i))
		}
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// answering is a web server that gives bodies back, and switches to WebSockets whose messages it gives back.
func answering(t *testing.T) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			c, buffered, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			_, _ = io.Copy(c, buffered)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		_, _ = w.Write(body)
	})}
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close() })
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// echoed sends b and demands it back.
func echoed(c net.Conn, b []byte) error {
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := c.Write(b); err != nil {
		return err
	}
	got := make([]byte, len(b))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if !bytes.Equal(got, b) {
		return fmt.Errorf("%q came back for %q", got, b)
	}
	return nil
}

// idle opens sessions that say nothing until the end.
func (k *crowd) idle(address string) []net.Conn {
	list := make([]net.Conn, idlers)
	for i := range list {
		c, err := net.Dial("tcp", address)
		if err != nil {
			k.t.Fatal(err)
		}
		if err := echoed(c, []byte("hello")); err != nil {
			k.t.Fatal(err)
		}
		list[i] = c
	}
	return list
}

// ask posts a body and demands it back.
func ask(client *http.Client, url string, n int) error {
	body := bytes.Repeat([]byte("0123456789abcdef"), n)
	answer, err := client.Post(url, "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK || !bytes.Equal(got, body) {
		return fmt.Errorf("%s, %d of %d bytes", answer.Status, len(got), len(body))
	}
	return nil
}

func (k *crowd) posts(address string) {
	for i := range 8 {
		client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
		k.run("POST", func() error { return ask(client, "http://"+address+"/", 1+i*700) })
	}
}

func (k *crowd) http2(address string, ca *tlstest.Authority) {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), ServerName: "www.example.com", MinVersion: tls.VersionTLS12},
	}}
	for i := range 8 {
		k.run("HTTP/2", func() error { return ask(client, "https://"+address+"/", 1+i*500) })
	}
}

func (k *crowd) fresh(address string, ca *tlstest.Authority) {
	for range 2 {
		client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), ServerName: "www.example.com", MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}},
		}}
		k.run("fresh TLS", func() error { return ask(client, "https://"+address+"/", 10) })
	}
}

func (k *crowd) webSockets(plain, secured string, ca *tlstest.Authority) {
	for i := range 4 {
		var c net.Conn
		var err error
		if i%2 == 0 {
			c, err = net.Dial("tcp", plain)
		} else {
			c, err = tls.Dial("tcp", secured, &tls.Config{RootCAs: ca.Pool(), ServerName: "www.example.com", MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
		}
		if err != nil {
			k.t.Fatal(err)
		}
		k.t.Cleanup(func() { c.Close() })
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
		answer, err := http.ReadResponse(bufio.NewReaderSize(c, 16), nil)
		if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
			k.t.Fatalf("%v %v", answer, err)
		}
		n := 0
		k.run("WebSocket", func() error { n++; return echoed(c, fmt.Appendf(nil, "message %d", n)) })
	}
}

// stream reads a gibibyte through the whole time, slowly enough to last.
func (k *crowd) stream(address string) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		k.t.Fatal(err)
	}
	k.all.Go(func() {
		defer c.Close()
		b := make([]byte, 1<<20)
		pace := time.NewTicker(applies * applyEvery / (streamBytes / (1 << 20)))
		defer pace.Stop()
		for n := uint64(0); n < streamBytes; n += uint64(len(b)) {
			<-pace.C
			_ = c.SetDeadline(time.Now().Add(30 * time.Second))
			if _, err := io.ReadFull(c, b); err != nil {
				k.fail("stream", fmt.Errorf("after %d bytes: %w", n, err))
				return
			}
			for i := 0; i < len(b); i += 8 {
				if got := binary.LittleEndian.Uint64(b[i:]); got != n+uint64(i) {
					k.fail("stream", fmt.Errorf("at %d stands %d", n+uint64(i), got))
					return
				}
			}
		}
		k.done.Add(1)
	})
}
