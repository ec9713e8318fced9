package story

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"evenkeel/engine/wire/wiretest"
)

// takeovers is how often a new process takes over: the promise is a hundred times, which EVENKEEL_TEST_LONG tries.
func takeovers() int {
	if os.Getenv("EVENKEEL_TEST_LONG") != "" {
		return 100
	}
	return 10
}

// appliance is a folder with a service in HTTP Mode and one in TCP Mode, and how to serve it.
type applianceRig struct {
	dir, web, echo string
	webui          string
	fallback       string
}

func newApplianceRig(t *testing.T) applianceRig {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello") }))
	t.Cleanup(web.Close)
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { echo.Close() })
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); c.Close() }()
		}
	}()
	port := int(wiretest.Port(t, 4))
	at := func(n int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port+n)) }
	r := applianceRig{dir: t.TempDir(), web: at(0), echo: at(1), webui: at(2), fallback: at(3)}
	if code, _, said := run(t, "correct horse battery\n", "setup", "--data", r.dir, "--password-stdin"); code != 0 {
		t.Fatal(said)
	}
	service := func(label, protocol, persistence string, port int, server net.Addr) string {
		_, serverPort, _ := net.SplitHostPort(server.String())
		return fmt.Sprintf(`{"id":"%[1]s","label":"%[1]s","address":"127.0.0.1","ports":"%[2]d","layer":7,"protocol":"%[3]s","persistence":"%[4]s",
			"real_servers":[{"id":"%[1]s-1","label":"one","address":"127.0.0.1","port":%[5]s}]}`, label, port, protocol, persistence, serverPort)
	}
	config := fmt.Sprintf(`{"evenkeel":1,"cluster":{"settings":{"allow_loopback":true},"virtual_services":[%s,%s]}}`,
		service("web", "http", "none", port, web.Listener.Addr()), service("echo", "tcp", "source_ip", port+1, echo.Addr()))
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, said := run(t, "", "config", "import", "--data", r.dir, file); code != 0 {
		t.Fatal(said)
	}
	return r
}

// serve starts a process on the folder and waits until it serves there.
func (r applianceRig) serve(t *testing.T, more ...string) *process {
	t.Helper()
	p := start(t, append([]string{"serve", "--data", r.dir, "--webui", r.webui, "--fallback", r.fallback, "--drain", "10m"}, more...)...)
	eventually(t, 30*time.Second, "the new process serves", func() bool {
		select {
		case <-p.ended:
			t.Fatalf("serve %v ended: %s", more, p.stderr)
		default:
		}
		holder, _ := os.ReadFile(filepath.Join(r.dir, "lock"))
		said := p.stderr.String()
		return strings.TrimSpace(string(holder)) == strconv.Itoa(p.cmd.Process.Pid) && (strings.Contains(said, "taken over\"") || strings.Contains(said, "configuration applied at start"))
	})
	return p
}

// strain opens new connections until the context ends; every one must be served.
func (r applianceRig) strain(ctx context.Context, t *testing.T, served *atomic.Int64) {
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	keeping := &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}
	defer keeping.CloseIdleConnections()
	for n := 0; ctx.Err() == nil; n++ {
		var err error
		switch n % 3 {
		case 0:
			err = getHello(client, "http://"+r.web)
		case 1:
			err = echoOnce(r.echo)
		case 2:
			err = getHello(keeping, "http://"+r.web)
		}
		if err != nil {
			t.Errorf("after %d connections: %v", served.Load(), err)
			return
		}
		served.Add(1)
	}
}

func getHello(c *http.Client, url string) error {
	got, err := c.Post(url, "text/plain", strings.NewReader("x")) // net/http does not try a POST again by itself
	if err != nil {
		return err
	}
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	if err == nil && (got.StatusCode != 200 || string(b) != "hello") {
		err = fmt.Errorf("%d %q", got.StatusCode, b)
	}
	return err
}

func echoOnce(address string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	return exchange(c, "ping")
}

func exchange(c net.Conn, text string) error {
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	b := make([]byte, len(text))
	if _, err := io.ReadFull(c, b); err != nil {
		return err
	}
	if string(b) != text {
		return fmt.Errorf("got %q", b)
	}
	return nil
}

func TestTakeoverRefusesNothingAndKeepsConnections(t *testing.T) {
	r := newApplianceRig(t)
	now := r.serve(t)
	first := now
	old, err := net.Dial("tcp", r.echo)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := exchange(old, "before"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	var served atomic.Int64
	for range 6 {
		work.Go(func() { r.strain(ctx, t, &served) })
	}
	for i := range takeovers() {
		if t.Failed() {
			break
		}
		before, last := served.Load(), now
		now = r.serve(t, "--takeover", "--loops", strconv.Itoa(1+i%3))
		eventually(t, 20*time.Second, "connections are served by the new process", func() bool { return t.Failed() || served.Load() > before+20 })
		if last != first {
			select {
			case <-last.ended:
				if last.err != nil {
					t.Errorf("the process that was replaced ended with %v", last.err)
				}
			case <-time.After(slack * time.Minute):
				t.Error("the process that was replaced does not end")
			}
		}
	}
	cancel()
	work.Wait()
	if err := exchange(old, "after"); err != nil {
		t.Errorf("a connection from before the first takeover: %v", err)
	}
	select {
	case <-first.ended:
		t.Error("the first process ended though it has a connection")
	default:
	}
	old.Close()
	select {
	case <-first.ended:
	case <-time.After(time.Minute):
		t.Error("the first process does not end though its last connection has")
	}
	if code, out, said := run(t, "", "lb", "persistence", "--service", "echo", "--data", r.dir); code != 0 || !strings.Contains(out, "127.0.0.1") {
		t.Errorf("the control socket and the persistence table of the last process: %d %s %s", code, out, said)
	}
	t.Logf("%d connections while %d processes took over", served.Load(), takeovers())
}

func TestTakeoverByTheProgramOnDiskAtSIGUSR2(t *testing.T) {
	r := newApplianceRig(t)
	p := r.serve(t)
	if err := p.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "the process ends behind SIGUSR2", func() bool { return errors.Is(p.cmd.Process.Signal(syscall.Signal(0)), os.ErrProcessDone) })
	holder, err := os.ReadFile(filepath.Join(r.dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(holder)))
	if err != nil || pid == p.cmd.Process.Pid {
		t.Fatalf("the folder is held by %s", holder)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	if err := echoOnce(r.echo); err != nil {
		t.Error(err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "the heir ends at SIGTERM", func() bool { return errors.Is(echoOnce(r.echo), syscall.ECONNREFUSED) })
}

func TestTakeoverThatFailsLeavesTheOldProcessAsItWas(t *testing.T) {
	r := newApplianceRig(t)
	r.serve(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	code, _, said := run(t, "", "serve", "--data", r.dir, "--takeover", "--webui", busy.Addr().String(), "--fallback", r.fallback)
	if code != 1 || !strings.Contains(said, busy.Addr().String()) {
		t.Errorf("a takeover whose WebUI's port is taken: %d %s", code, said)
	}
	if err := echoOnce(r.echo); err != nil {
		t.Error(err)
	}
	if code, _, said := run(t, "", "lb", "server", "drain", "web", "one", "--data", r.dir); code != 0 {
		t.Errorf("a change behind a takeover that failed: %d %s", code, said)
	}
	if code, _, said := run(t, "", "serve", "--data", r.dir, "--webui", "127.0.0.1:0"); code != 1 || !strings.Contains(said, "in use") {
		t.Errorf("a second process on the folder: %d %s", code, said)
	}
}
