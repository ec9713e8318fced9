package proof

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine"
	"evenkeel/engine/wire/wiretest"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if os.Getenv("PROOF_SUBJECT") != "" {
		if err := beSubject(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// order is what a subject is told first.
type order struct {
	Config   appliance.Config
	Loops    int
	Memory   int64
	Files    uint64 // limit of descriptors; 0: as it is
	Fallback netip.AddrPort
	Pairs    held // certificates
}

// vitals is what a subject tells of itself.
type vitals struct {
	Heap     uint64 // bytes in use behind a collection, with stacks
	Files    int
	Routines int
	CPU      time.Duration // since the start
	Status   appliance.Status
	Said     map[string]int // log lines
	Alerts   map[string]string
	Applied  int
}

// beSubject is the engine in a process of its own, so that what it uses can be told from what its clients and servers use. It reads an order and then a byte for each
// time that it is to tell its vitals; '+' has it apply changed configurations fifty times a second from then on, '-' no more.
func beSubject() error {
	in := bufio.NewReader(os.Stdin)
	text, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	var o order
	if err := json.Unmarshal(text, &o); err != nil {
		return err
	}
	if o.Files > 0 {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: o.Files, Max: o.Files}); err != nil {
			return err
		}
	}
	j := &journal{said: map[string]int{}, alerts: map[string]string{}}
	e := engine.New(engine.Options{
		Loops: o.Loops, Memory: o.Memory, FallbackPage: o.Fallback, Certificates: o.Pairs, Log: slog.New(slog.NewJSONHandler(j, nil)), Alert: j.raise, Clear: j.clear,
	})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	err = e.Apply(ctx, o.Config)
	restless := &editor{engine: e, config: o.Config}
	for err == nil {
		if err = json.NewEncoder(os.Stdout).Encode(j.vitals(e, int(restless.applied.Load()))); err == nil {
			var what byte
			what, err = in.ReadByte()
			err = errors.Join(err, restless.told(what))
		}
	}
	_ = restless.told('-')
	stop()
	if ended := <-done; ended != nil || !errors.Is(err, io.EOF) {
		return fmt.Errorf("%v, %w", ended, err)
	}
	return nil
}

// journal counts log lines by their message, and keeps alerts.
type journal struct {
	mu     sync.Mutex
	said   map[string]int
	alerts map[string]string
}

// Write takes one line.
func (j *journal) Write(b []byte) (int, error) {
	var line struct{ Msg string }
	if err := json.Unmarshal(b, &line); err != nil {
		return 0, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.said[line.Msg]++
	return len(b), nil
}

func (j *journal) raise(a appliance.Alert) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.alerts[a.Code] = a.Sentence
}

func (j *journal) clear(code string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.alerts, code)
}

func (j *journal) vitals(e *engine.Engine, applied int) vitals {
	runtime.GC()
	runtime.GC() // what the first one let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	used := resources()
	v := vitals{
		Heap: m.HeapAlloc + m.StackInuse, Files: used.files, Routines: used.routines, CPU: time.Duration(u.Utime.Nano() + u.Stime.Nano()), Status: e.Status(),
		Said: map[string]int{}, Alerts: map[string]string{}, Applied: applied,
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for k, n := range j.said {
		v.Said[k] = n
	}
	for k, s := range j.alerts {
		v.Alerts[k] = s
	}
	return v
}

// subject is the engine that is measured.
type subject struct {
	t   *testing.T
	in  io.WriteCloser
	out *json.Decoder
}

// examine starts the engine as a process of its own, which ends with the test.
func examine(t *testing.T, o order) *subject {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PROOF_SUBJECT=yes")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said strings.Builder
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the engine's process: %v\n%s", err, said.String())
		}
	})
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write(append(text, '\n')); err != nil {
		t.Fatal(err)
	}
	s := &subject{t: t, in: in, out: json.NewDecoder(out)}
	s.read()
	return s
}

func (s *subject) read() (v vitals) {
	s.t.Helper()
	if err := s.out.Decode(&v); err != nil {
		s.t.Fatal("the engine's process says nothing: ", err)
	}
	return v
}

// vitals asks how the engine is.
func (s *subject) vitals() vitals {
	s.t.Helper()
	return s.tell('?')
}

func (s *subject) tell(what byte) vitals {
	s.t.Helper()
	if _, err := s.in.Write([]byte{what}); err != nil {
		s.t.Fatal(err)
	}
	return s.read()
}

// slack is how much longer things may take where other programs want the processors too.
const slack = 4

// until asks until the answer is as it should be, within a time that a quiet machine would need, and returns how long that took.
func (s *subject) until(what string, within time.Duration, met func(vitals) bool) (took time.Duration) {
	s.t.Helper()
	began := time.Now()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		v := s.vitals()
		if took = time.Since(began); met(v) {
			return took
		}
		if took > slack*within {
			v.Status = appliance.Status{}
			s.t.Fatalf("not within %s: %s; %+v", slack*within, what, v)
		}
		<-look.C
	}
}

// before returns a configuration with one service of that protocol before these servers, and where it listens.
func before(t *testing.T, p appliance.Protocol, servers ...netip.AddrPort) (appliance.Config, string) {
	t.Helper()
	v := appliance.NewService(p)
	port := wiretest.Port(t, 1)
	v.ID, v.Label, v.Address, v.Ports = "proof", "proof", netip.MustParseAddr("127.0.0.1"), appliance.Ports{{First: port, Last: port}}
	v.Monitor.Kind, v.Fallback.Kind = appliance.MonitorNone, appliance.FallbackNone
	for i, a := range servers {
		r := appliance.NewRealServer()
		r.ID, r.Label, r.Address, r.Port = fmt.Sprint("s", i), fmt.Sprint("s", i), appliance.Host(a.Addr().String()), a.Port()
		v.RealServers = append(v.RealServers, r)
	}
	var c appliance.Config
	c.Cluster.Settings.AllowLoopback = true
	c.Cluster.VirtualServices = []appliance.VirtualService{v}
	c.Cluster.Normalize()
	return c, netip.AddrPortFrom(v.Address, port).String()
}
