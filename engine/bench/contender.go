package bench

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The contenders, as the table names them.
const (
	haproxyName = "HAProxy"
	threadsName = "HAProxy, two threads"
	splicedName = "HAProxy, 64 KiB, spliced"
	noIFMAName  = "HAProxy, RSA without AVX-512"
	nginxName   = "nginx"
	reverseName = "Go ReverseProxy"
	oursName    = "Evenkeel"
	twoName     = "Evenkeel, two loops"
)

// contender is a proxy that runs as a process of its own.
type contender struct {
	name string
	base int
	cmd  *exec.Cmd
	said bytes.Buffer // on its standard output
	logs bytes.Buffer
}

// startContender starts a command on that processor (negative: on all) and waits until it listens.
func startContender(name string, base, processor int, argv ...string) (*contender, error) {
	c := &contender{name: name, base: base, cmd: exec.Command(argv[0], argv[1:]...)}
	c.cmd.Stdout, c.cmd.Stderr = &c.said, &c.logs
	runtime.LockOSThread() // the child inherits the processor of this thread
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("read affinity: %w", err)
	}
	if processor >= 0 {
		if err := pin(processor); err != nil {
			return nil, err
		}
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
	_ = c.cmd.Process.Signal(unix.SIGTERM)
	gone := make(chan struct{})
	go func() {
		_ = c.cmd.Wait()
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(5 * time.Second):
		_ = c.cmd.Process.Kill()
		<-gone
	}
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

// processes are those of the contender: nginx forwards in a child.
func (c *contender) processes() []int {
	list := []int{c.cmd.Process.Pid}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", c.cmd.Process.Pid, c.cmd.Process.Pid))
	for _, f := range strings.Fields(string(children)) {
		if n, err := strconv.Atoi(f); err == nil {
			list = append(list, n)
		}
	}
	return list
}

// cpu returns the processor time that the contender has used.
func (c *contender) cpu() time.Duration {
	var sum time.Duration
	for _, pid := range c.processes() {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
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
	}
	return sum
}

// memory returns the bytes of the contender that are in memory.
func (c *contender) memory() float64 {
	var sum float64
	for _, pid := range c.processes() {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil {
			continue
		}
		pages, _ := strconv.ParseFloat(strings.Fields(string(b))[1], 64)
		sum += pages * float64(os.Getpagesize())
	}
	return sum
}
