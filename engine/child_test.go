package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"evenkeel/appliance"

	"golang.org/x/sys/unix"
)

// child is what this test binary does when it runs as a process of its own.
func child(what string) int {
	tasks := map[string]func() error{"starve": starve}
	if err := tasks[what](); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// logLines collects log lines.
type logLines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *logLines) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(b)
}

func (j *logLines) count(line string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return bytes.Count(j.b.Bytes(), []byte(line))
}

// starve runs an engine whose process may have few descriptors: it prints its port, serves until its input ends, then says what happened.
func starve() error {
	server := netip.MustParseAddrPort(os.Getenv("ENGINE_TEST_SERVER"))
	var log logLines
	alerts := &board{}
	e := New(Options{Loops: 1, Log: slog.New(slog.NewTextHandler(&log, nil)), Alert: alerts.raise, Clear: alerts.clear})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { _ = e.Run(ctx) }()
	v := appliance.NewService(appliance.TCP)
	v.ID, v.Label, v.Address = "svc", "svc", netip.MustParseAddr("127.0.0.1")
	v.Monitor.Kind = appliance.MonitorNone
	port, err := strconv.ParseUint(os.Getenv("ENGINE_TEST_PORT"), 10, 16)
	if err != nil {
		return err
	}
	onPort(&v, uint16(port))
	r := appliance.NewRealServer()
	r.ID, r.Label, r.Address, r.Port = "s", "s", appliance.Host(server.Addr().String()), server.Port()
	v.RealServers = []appliance.RealServer{r}
	if err := e.Apply(ctx, config(v)); err != nil {
		return err
	}
	limit := unix.Rlimit{Cur: uint64(descriptors() + 12), Max: uint64(descriptors() + 12)} // room for about six sessions
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	fmt.Println(v.Ports[0].First)
	_, _ = io.Copy(io.Discard, os.Stdin)
	stats := e.lanes[0].loop.Stats()
	if stats.Starved == 0 || int(stats.Starved) != log.count("accepting paused") || stats.Turns > 20000 {
		return fmt.Errorf("starved %d times, said it %d times, in %d turns", stats.Starved, log.count("accepting paused"), stats.Turns)
	}
	for started := time.Now(); log.count("accepting again") == 0; {
		if time.Since(started) > time.Minute {
			return errors.New("accepting was never resumed")
		}
	}
	for started := time.Now(); alerts.has(codeDescriptors); {
		if time.Since(started) > time.Minute {
			return errors.New("the alert was never taken back")
		}
	}
	if alerts.raised == 0 {
		return errors.New("operators were not told")
	}
	return nil
}

// fullQueue listens with the shortest queue and never accepts.
func fullQueue(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*unix.SockaddrInet4).Port))
}
