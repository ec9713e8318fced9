package engine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/loop"
	"evenkeel/engine/wire/wiretest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv("ENGINE_TEST_CHILD") != "" {
		os.Exit(child(os.Getenv("ENGINE_TEST_CHILD")))
	}
	if err := prepareNamespace(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	before := descriptors()
	code := m.Run()
	if testDriver = loop.IOURing; ringed() {
		code = max(code, m.Run())
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		after := descriptors()
		for end := time.Now().Add(5 * time.Second); after > before+3 && time.Now().Before(end); after = descriptors() { // the runtime's own epoll and eventfd stay
			runtime.GC() // io.Copy of the samples keeps pipes until it is collected
		}
		if after > before+3 {
			fmt.Fprintf(os.Stderr, "%d descriptors before the tests, %d behind them: %v\n", before, after, openFiles())
			code = 1
		}
	}
	os.Exit(code)
}

// testDriver is the one that the tests run on: all of them run on each that this kernel has.
var testDriver = loop.Epoll

func ringed() bool {
	l, err := loop.Open(loop.Options{Driver: loop.IOURing})
	if err == nil {
		l.Close()
	}
	return err == nil
}

func descriptors() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}

func openFiles() (links []string) {
	list, _ := os.ReadDir("/proc/self/fd")
	for _, f := range list {
		link, _ := os.Readlink("/proc/self/fd/" + f.Name())
		links = append(links, link)
	}
	return links
}

// rig is a running engine.
type rig struct {
	*Engine
	t    *testing.T
	stop func()
}

func start(t *testing.T, o Options) *rig {
	t.Helper()
	if o.Loops == 0 {
		o.Loops = 2
	}
	if o.Driver == "" {
		o.Driver = testDriver
	}
	if o.Grace == 0 {
		o.Grace = 200 * time.Millisecond
	}
	e := New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			buf := make([]byte, 1<<20)
			t.Errorf("Run does not end\n%s", buf[:runtime.Stack(buf, true)])
		}
	})
	t.Cleanup(stop)
	return &rig{Engine: e, t: t, stop: stop}
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// apply applies services, which must work.
func (r *rig) apply(list ...appliance.VirtualService) {
	r.t.Helper()
	if err := r.Apply(soon(r.t), config(list...)); err != nil {
		r.t.Fatal(err)
	}
}

func config(list ...appliance.VirtualService) appliance.Config {
	c := appliance.Config{Cluster: appliance.Cluster{VirtualServices: list, Settings: appliance.Settings{AllowLoopback: true}}}.Clone()
	c.Cluster.Normalize()
	return c
}

// until waits for what somebody else brings about.
func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !met(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// freePort returns a port that nobody listens on, reserved for the test.
func freePort(t *testing.T) uint16 {
	t.Helper()
	return wiretest.Port(t, 1)
}

// tcp returns a service in TCP Mode on a free port, without checks, whose servers are at these addresses.
func tcp(t *testing.T, label string, servers ...netip.AddrPort) appliance.VirtualService {
	t.Helper()
	return vip(t, appliance.TCP, label, servers...)
}

func vip(t *testing.T, p appliance.Protocol, label string, servers ...netip.AddrPort) appliance.VirtualService {
	t.Helper()
	v := appliance.NewService(p)
	v.ID, v.Label, v.Address = label+"-id", label, netip.MustParseAddr("127.0.0.1")
	v.Monitor = appliance.NewMonitor(appliance.MonitorNone)
	v.Fallback.Kind = appliance.FallbackNone
	onPort(&v, freePort(t))
	for i, s := range servers {
		r := appliance.NewRealServer()
		r.ID, r.Label = fmt.Sprintf("%s-s%d", label, i), fmt.Sprintf("s%d", i)
		r.Address, r.Port = appliance.Host(s.Addr().String()), s.Port()
		v.RealServers = append(v.RealServers, r)
	}
	return v
}

func onPort(v *appliance.VirtualService, port uint16) {
	v.Ports = appliance.Ports{{First: port, Last: port}}
}

func address(v appliance.VirtualService) string {
	return net.JoinHostPort(v.Address.String(), strconv.Itoa(int(v.Ports[0].First)))
}

// sample is a server for tests.
type sample struct {
	address netip.AddrPort
	ln      net.Listener
	mu      sync.Mutex
	conns   map[net.Conn]bool
	wait    sync.WaitGroup
}

// serve runs a server whose connections are handled by f and closed behind it.
func serve(t *testing.T, f func(net.Conn)) *sample {
	t.Helper()
	return serveOn(t, "127.0.0.1:0", f)
}

func serveOn(t *testing.T, at string, f func(net.Conn)) *sample {
	t.Helper()
	ln, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	s := &sample{ln: ln, address: ln.Addr().(*net.TCPAddr).AddrPort(), conns: map[net.Conn]bool{}}
	s.wait.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[c] = true
			s.mu.Unlock()
			s.wait.Go(func() {
				f(c)
				c.Close()
				s.mu.Lock()
				delete(s.conns, c)
				s.mu.Unlock()
			})
		}
	})
	t.Cleanup(s.close)
	return s
}

func (s *sample) close() {
	s.ln.Close()
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wait.Wait()
}

func (s *sample) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// echo returns what it gets, and its name first.
func echo(name string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, name+"\n")
		_, _ = io.Copy(c, c)
		_ = c.(*net.TCPConn).CloseWrite()
	}
}

func dial(t *testing.T, to string) *net.TCPConn {
	t.Helper()
	return dialFrom(t, "", to)
}

func dialFrom(t *testing.T, from, to string) *net.TCPConn {
	t.Helper()
	d := net.Dialer{Timeout: time.Minute}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	c, err := d.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// readName reads the line that echo sends first.
func readName(t *testing.T, c net.Conn) string {
	t.Helper()
	var name []byte
	for b := make([]byte, 1); ; {
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatalf("reading the server's name: %v (got %q)", err, name)
		}
		if b[0] == '\n' {
			return string(name)
		}
		name = append(name, b[0])
	}
}

// ping sends a text to an echo server and wants it back.
func ping(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("got %q, %v", got, err)
	}
}

// wantEOF wants a FIN and nothing before it.
func wantEOF(t *testing.T, c net.Conn) {
	t.Helper()
	if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
		t.Fatalf("wanted FIN, got %q, %v", b, err)
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	x := uint32(2463534242)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}

func same(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Fatalf("%s: %d bytes differ from the %d sent", what, len(got), len(want))
	}
}

// status returns what is observed of one service.
func (r *rig) status(id string) appliance.ServiceStatus {
	all := r.Status()
	s, _ := all.Service(id)
	return s
}
