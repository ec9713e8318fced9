package bench

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine"

	"golang.org/x/sys/unix"
)

// Proxy serves the contender's side of the benchmark with the engine until the context ends: it is what runs in the process of its own.
func Proxy(ctx context.Context, base int) error {
	e := engine.New(engine.Options{Loops: 1})
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	var c appliance.Config
	c.Cluster.Settings.AllowLoopback = true
	c.Cluster.VirtualServices = []appliance.VirtualService{
		service(appliance.HTTP, base+webPort, webServer), service(appliance.TCP, base+echoPort, echoServer), service(appliance.TCP, base+bulkPort, bulkServer),
	}
	c.Cluster.Normalize()
	if err := e.Apply(ctx, c); err != nil {
		return err
	}
	return <-done
}

func service(p appliance.Protocol, port, server int) appliance.VirtualService {
	v := appliance.NewService(p)
	v.ID, v.Label, v.Address = fmt.Sprintf("v%d", port), fmt.Sprintf("v%d", port), netip.AddrFrom4([4]byte{127, 0, 0, 1})
	v.Ports = appliance.Ports{{First: uint16(port), Last: uint16(port)}}
	v.Monitor.Kind = appliance.MonitorNone
	v.Limits.MaxConnections = 100000
	v.Limits.ClientTimeout, v.Limits.ServerTimeout = appliance.Duration(10*time.Minute), appliance.Duration(10*time.Minute)
	for i := range serverIPs {
		r := appliance.NewRealServer()
		r.ID, r.Label = fmt.Sprintf("v%d-s%d", port, i), fmt.Sprintf("s%d", i)
		r.Address, r.Port = appliance.Host(serverAddress(i).String()), uint16(server)
		v.RealServers = append(v.RealServers, r)
	}
	return v
}

// haproxyConfig gives HAProxy the same work, on one thread, with buffers as they come.
func haproxyConfig(base int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "global\n nbthread 1\n maxconn %d\n\ndefaults\n timeout connect 4s\n timeout client 10m\n timeout server 10m\n timeout http-keep-alive 10m\n balance leastconn\n", sessions())
	section := func(name string, port, server int, lines string) {
		fmt.Fprintf(&b, "\nlisten %s\n bind 127.0.0.1:%d\n%s", name, port, lines)
		for i := range serverIPs {
			fmt.Fprintf(&b, " server s%d %s:%d\n", i, serverAddress(i), server)
		}
	}
	section("web", base+webPort, webServer, " mode http\n option forwardfor\n")
	section("echo", base+echoPort, echoServer, " mode tcp\n")
	section("bulk", base+bulkPort, bulkServer, " mode tcp\n")
	section("spliced", base+splicePort, bulkServer, " mode tcp\n option splice-request\n option splice-response\n")
	return b.String()
}

// contender is a proxy that runs.
type contender struct {
	name string
	base int
	cmd  *exec.Cmd
	logs bytes.Buffer
}

// startContender starts a command on that processor and waits until it listens.
func startContender(name string, base, processor int, argv ...string) (*contender, error) {
	c := &contender{name: name, base: base, cmd: exec.Command(argv[0], argv[1:]...)}
	c.cmd.Stderr = &c.logs
	runtime.LockOSThread() // the child inherits the processor of this thread
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("read affinity: %w", err)
	}
	if err := pin(processor); err != nil {
		return nil, err
	}
	err := c.cmd.Start()
	_ = unix.SchedSetaffinity(0, &before)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", base+webPort))
		if err == nil {
			conn.Close()
			return c, nil
		}
	}
	c.stop()
	return nil, fmt.Errorf("%s does not listen: %s", name, c.logs.String())
}

func (c *contender) stop() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// pin keeps this thread on one processor.
func pin(processor int) error {
	var set unix.CPUSet
	set.Set(processor % runtime.NumCPU())
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("set affinity: %w", err)
	}
	return nil
}

// cpu returns the processor time that the contender has used.
func (c *contender) cpu() time.Duration {
	var sum time.Duration
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", c.cmd.Process.Pid))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		if fields := strings.Fields(string(b)); len(fields) > 0 {
			n, _ := strconv.ParseInt(fields[0], 10, 64)
			sum += time.Duration(n)
		}
	}
	return sum
}

// memory returns the bytes of the contender that are in memory.
func (c *contender) memory() float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", c.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseFloat(strings.Fields(string(b))[1], 64)
	return pages * float64(os.Getpagesize())
}
