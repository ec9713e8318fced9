package proof

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine"
	"evenkeel/engine/wire/wiretest"
)

// seen is one request as a server understood it.
type seen struct {
	method, path, body string
}

// recorder is a server that keeps every byte of each connection, and what it understood.
type recorder struct {
	address netip.AddrPort
	mu      sync.Mutex
	raw     []*bytes.Buffer // by connection
	heard   []seen
}

func record(t *testing.T) *recorder {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{address: ln.Addr().(*net.TCPAddr).AddrPort()}
	s := &http.Server{Handler: r, ReadHeaderTimeout: 20 * time.Second}
	done := make(chan struct{})
	go func() {
		_ = s.Serve(tapped{ln, r})
		close(done)
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return r
}

// ServeHTTP keeps what it understood and answers.
func (r *recorder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.heard = append(r.heard, seen{q.Method, q.URL.RequestURI(), string(body)})
	r.mu.Unlock()
	w.Header().Set("Content-Length", "2")
	_, _ = io.WriteString(w, "ok")
}

// take returns what was heard and the bytes of each connection since it was last called.
func (r *recorder) take() (heard []seen, raw [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	heard, r.heard = r.heard, nil
	for _, b := range r.raw {
		if b.Len() > 0 {
			raw = append(raw, bytes.Clone(b.Bytes()))
			b.Reset()
		}
	}
	return heard, raw
}

// tapped is a listener whose connections are recorded.
type tapped struct {
	net.Listener
	r *recorder
}

// Accept returns the next connection.
func (l tapped) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	b := &bytes.Buffer{}
	l.r.mu.Lock()
	l.r.raw = append(l.r.raw, b)
	l.r.mu.Unlock()
	return &tap{Conn: c, to: b, r: l.r}, nil
}

type tap struct {
	net.Conn
	to *bytes.Buffer
	r  *recorder
}

// Read keeps what it read.
func (c *tap) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.r.mu.Lock()
	c.to.Write(b[:n])
	c.r.mu.Unlock()
	return n, err
}

// ours runs the engine with one service before that server.
func ours(t *testing.T, server netip.AddrPort) string {
	t.Helper()
	c := configOf(t, server)
	serving(t, engine.Options{Loops: 1}, c)
	return at(c, "proof")
}

// configOf is one service of HTTP Mode, "proof", before that server.
func configOf(t *testing.T, server netip.AddrPort) appliance.Config {
	t.Helper()
	v := appliance.NewService(appliance.HTTP)
	port := wiretest.Port(t, 1)
	v.ID, v.Label, v.Address = "proof", "proof", netip.MustParseAddr("127.0.0.1")
	v.Ports = appliance.Ports{{First: port, Last: port}}
	v.Monitor.Kind, v.Fallback.Kind = appliance.MonitorNone, appliance.FallbackNone
	r := appliance.NewRealServer()
	r.ID, r.Label, r.Address, r.Port = "s", "s", appliance.Host(server.Addr().String()), server.Port()
	v.RealServers = []appliance.RealServer{r}
	var c appliance.Config
	c.Cluster.Settings.AllowLoopback = true
	c.Cluster.VirtualServices = []appliance.VirtualService{v}
	return c
}

// serving runs an engine with that configuration until the test ends.
func serving(t *testing.T, o engine.Options, c appliance.Config) *engine.Engine {
	t.Helper()
	e := engine.New(o)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	if err := e.Apply(ctx, c); err != nil {
		t.Fatal(err)
	}
	return e
}

// program returns the path of a program that the test needs, or skips it.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("EVENKEEL_TEST_REQUIRE") == "all" {
			t.Fatal(name + " is missing")
		}
		t.Skip(name + " is not installed")
	}
	return path
}

// run starts a program and waits until it accepts connections.
func run(t *testing.T, address string, argv ...string) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with what it starts itself
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-time.After(5 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return
		}
	}
	t.Fatalf("%s does not listen: %s", argv[0], said.String())
}
