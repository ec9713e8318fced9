package story

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"evenkeel/engine/wire/wiretest"
)

var binary string

// TestMain builds the program once.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "evenkeel-story-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = os.Chmod(dir, 0o755) // other users run it too
	binary = filepath.Join(dir, "evenkeel")
	build := exec.Command("go", "build", "-o", binary, "evenkeel")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// need skips when a program is missing, or fails where CI promises it.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			unmet(t, p+" is not installed")
		}
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		unmet(t, "this test needs root for its network namespace or mount")
	}
}

func unmet(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("EVENKEEL_TEST_REQUIRE") == "all" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// log collects what a process says, for the report of a failed test.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// process is one run of the program.
type process struct {
	cmd    *exec.Cmd
	tmp    string // its folder for temporary files, gone with the test however the process ends
	stderr *log
	lines  *bufio.Reader // of stdout
	ended  chan struct{}
	err    error
}

// start runs the binary; it is killed when the test ends.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	return startWith(t, append([]string{binary}, args...)...)
}

// startWith runs a command line, such as the binary inside a namespace.
func startWith(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(args[0], args[1:]...), stderr: &log{}, ended: make(chan struct{})}
	p.tmp = temporary(t)
	p.cmd.Env = append(os.Environ(), "TMPDIR="+p.tmp)
	p.cmd.Stderr = p.stderr
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout = in
	p.lines = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	go p.wait()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		out.Close()
		if t.Failed() {
			t.Logf("%s said:\n%s", strings.Join(args, " "), tail(p.stderr.String(), 4000))
		}
	})
	return p
}

// temporary makes a folder whose name is short enough for the sockets in it.
func temporary(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ek-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (p *process) wait() {
	p.err = p.cmd.Wait()
	close(p.ended)
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// line reads one line of standard output, or fails after four minutes.
func (p *process) line(t *testing.T) string {
	t.Helper()
	type result struct {
		text string
		err  error
	}
	got := make(chan result, 1)
	go func() {
		text, err := p.lines.ReadString('\n')
		got <- result{text, err}
	}()
	select {
	case r := <-got:
		if r.err != nil {
			<-p.ended
			t.Fatalf("no line on standard output: %v\n%s", r.err, p.stderr)
		}
		return strings.TrimSpace(r.text)
	case <-time.After(slack * time.Minute):
		t.Fatalf("nothing on standard output\n%s", p.stderr)
	}
	return ""
}

// stop sends SIGTERM and waits for the end.
func (p *process) stop(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(2 * time.Minute):
		t.Fatal("the program does not end")
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// run runs the binary to its end and returns its exit status and what it said.
func run(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return command(t, stdin, binary, args...)
}

func command(t *testing.T, stdin, name string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Minute) // clean-ups run commands too
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", name, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// demoLine is the one line of `evenkeel demo --json`.
type demoLine struct {
	WebUI    string `json:"webui"`
	User     string `json:"user"`
	Password string `json:"password"`
	Token    string `json:"token"`
	Services []struct {
		Label       string   `json:"label"`
		Address     string   `json:"address"`
		RealServers []string `json:"real_servers"`
	} `json:"services"`
}

func (d demoLine) address(t *testing.T, label string) string {
	t.Helper()
	for _, s := range d.Services {
		if s.Label == label {
			return s.Address
		}
	}
	t.Fatalf("no service %s in %+v", label, d)
	return ""
}

// demo starts the demo beside whatever else runs on this machine and waits until it serves.
func demo(t *testing.T, args ...string) (*process, demoLine) {
	t.Helper()
	p := start(t, append([]string{"demo", "--json", "--port-offset", strconv.Itoa(offset(t))}, args...)...)
	var d demoLine
	if err := json.Unmarshal([]byte(p.line(t)), &d); err != nil {
		t.Fatal(err)
	}
	return p, d
}

// offset finds a port offset at which every port of the demo is free.
func offset(t *testing.T) int {
	t.Helper()
	return wiretest.Offset(t, 9443, 9081, 11112, 6667, 5104, 8080)
}

// slack is how much longer things may take where other programs want the processors too.
const slack = 4

// eventually polls until ok or the deadline, which is what a quiet machine would need, times slack, and fails with what.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(slack * within)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("not within %s: %s", slack*within, what)
		case <-tick.C:
		}
	}
}
