package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine"

	"golang.org/x/sys/unix"
)

// A large installation: so many services with so many servers each, checked by a connection every 4 s.
const (
	scaleName    = "many"
	manyServices = 1000
	manyServers  = 10
	manyBase     = 20000
	checkServer  = 9006
	settleTime   = 10 * time.Second // until the checks run evenly
	watchedTime  = 20 * time.Second
)

// Many is the engine as a contender with a large installation. It writes how long the application of one change takes, in milliseconds, and serves.
func Many(ctx context.Context, out io.Writer) error {
	e := engine.New(engine.Options{Loops: 1, Garbage: garbage()})
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	c := manyConfig()
	if err := e.Apply(ctx, c); err != nil {
		return err
	}
	var took []time.Duration
	for i := range 21 {
		next := c.Clone()
		next.Cluster.VirtualServices[i*47%manyServices].RealServers[i%manyServers].Weight = 50 + i
		begun := time.Now()
		if err := e.Apply(ctx, next); err != nil {
			return err
		}
		took = append(took, time.Since(begun))
		c = next
	}
	slices.Sort(took)
	if _, err := fmt.Fprintf(out, "%g\n", float64(took[len(took)/2].Microseconds())/1e3); err != nil {
		return err
	}
	return <-done
}

func manyConfig() appliance.Config {
	var c appliance.Config
	c.Cluster.Settings.AllowLoopback = true
	for i := range manyServices {
		v := service(appliance.TCP, manyBase+i, checkServer)
		v.Monitor = appliance.NewMonitor(appliance.MonitorConnect)
		v.RealServers = v.RealServers[:manyServers]
		c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, v)
	}
	c.Cluster.Normalize()
	return c
}

func manyHAProxy() string {
	var b strings.Builder
	b.WriteString("global\n nbthread 1\n maxconn 1000\n\ndefaults\n mode tcp\n timeout connect 4s\n timeout client 12h\n timeout server 12h\n timeout check 3s\n balance leastconn\n default-server inter 4s rise 2 fall 3\n")
	for i := range manyServices {
		fmt.Fprintf(&b, "\nlisten v%d\n bind 127.0.0.1:%d\n", i, manyBase+i)
		for s := range manyServers {
			fmt.Fprintf(&b, " server s%d %s:%d check\n", s, serverAddress(s), checkServer)
		}
	}
	return b.String()
}

// alone is a work for which each contender runs alone, and its one value of each.
type alone struct {
	work
	values map[string][]float64
}

// scale measures the large installation: each contender alone.
func (f *arena) scale(self []string, dir string, out io.Writer) ([]row, error) {
	for i := range manyServers {
		if err := f.load.listen(netip.AddrPortFrom(serverAddress(i), checkServer), unix.EPOLLIN|unix.EPOLLRDHUP, swallowCheck); err != nil {
			return nil, err
		}
	}
	file := filepath.Join(dir, "many.cfg")
	if err := os.WriteFile(file, []byte(manyHAProxy()), 0o600); err != nil {
		return nil, err
	}
	fresh := func(name, unit string, goal float64) alone {
		return alone{work{name: name, unit: unit, goal: goal, once: true, who: []string{haproxyName, oursName}}, map[string][]float64{}}
	}
	cpu, memory := fresh("checks of 10,000 servers every 4 s", "% of a core", 1), fresh("1,000 services with 10 servers", "MB", 0)
	burst, waits, apply := fresh("most checks in 100 ms ÷ their mean", "", 0), fresh("connections in TIME_WAIT by them", "", 0), fresh("one change applied to 1,000 services", "ms", 0)
	for name, argv := range map[string][]string{haproxyName: {f.options.HAProxy, "-db", "-f", file}, oursName: append(slices.Clone(self), "many", "0", "1")} {
		c, err := startContender(name, manyBase-webPort, 1, argv...)
		if err != nil {
			return nil, err
		}
		f.current = c
		f.load.during(settleTime)
		used := c.cpu()
		begun := f.watch(watchedTime)
		sum := 0
		for _, n := range begun {
			sum += n
		}
		cpu.values[name] = []float64{100 * float64(c.cpu()-used) / float64(watchedTime)}
		memory.values[name] = []float64{c.memory() / 1e6}
		burst.values[name] = []float64{float64(slices.Max(begun)*len(begun)) / float64(max(sum, 1))}
		waits.values[name] = []float64{float64(timeWaits())}
		c.stop()
		if sum < manyServices*manyServers*int(watchedTime/(4*time.Second))*9/10 {
			return nil, fmt.Errorf("%s made only %d checks", name, sum)
		}
		if v, err := strconv.ParseFloat(strings.TrimSpace(c.said.String()), 64); err == nil {
			apply.values[name] = []float64{v}
		}
		f.load.during(time.Second)
	}
	var rows []row
	for _, a := range []alone{cpu, memory, burst, waits, apply} {
		r := newRow(a.work, a.values)
		fmt.Fprintln(out, r)
		rows = append(rows, r)
	}
	return rows, nil
}

// watch returns how many connections were begun in each 100 ms. They are counted by the kernel: HAProxy resets before the server's side is complete.
func (f *arena) watch(long time.Duration) (begun []int) {
	const step = 100 * time.Millisecond
	before := activeOpens()
	for range long / step {
		f.load.during(step)
		now := activeOpens()
		begun = append(begun, now-before)
		before = now
	}
	return begun
}

// activeOpens returns how many connections were begun in this network namespace (RFC 4022, tcpActiveOpens).
func activeOpens() int {
	b, _ := os.ReadFile("/proc/net/snmp")
	var names []string
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, "Tcp:") {
			continue
		}
		fields := strings.Fields(line)
		if names == nil {
			names = fields
			continue
		}
		n, _ := strconv.Atoi(fields[slices.Index(names, "ActiveOpens")])
		return n
	}
	return 0
}

// swallowCheck ends the server's side of a check.
func swallowCheck(l *load, p *peer, _ uint32) { l.drop(p) }

// timeWaits returns how many connections of this network namespace wait for their end.
func timeWaits() int {
	b, _ := os.ReadFile("/proc/net/sockstat")
	_, behind, _ := bytes.Cut(b, []byte(" tw "))
	fields := bytes.Fields(behind)
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(string(fields[0]))
	return n
}
