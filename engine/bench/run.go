package bench

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// field is where the contenders meet.
type field struct {
	options Options
	load    *load
	current *contender
}

// Run measures everything in the namespace that it is called in, and writes the table to out as it comes. self is the command that runs Proxy, followed by the base port.
func Run(o Options, self []string, out io.Writer) ([]byte, error) {
	o.defaults()
	if err := Prepare(); err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(haproxyConfig(7000)), 0o600); err != nil {
		return nil, err
	}
	haproxy, err := startContender("HAProxy", 7000, 1, o.HAProxy, "-f", file, "-db")
	if err != nil {
		return nil, err
	}
	defer haproxy.stop()
	ours, err := startContender("Evenkeel", 8000, 1, append(slices.Clone(self), "8000")...)
	if err != nil {
		return nil, err
	}
	defer ours.stop()
	if err := pin(0); err != nil {
		return nil, err
	}
	f := &field{options: o}
	if f.load, err = newLoad(); err != nil {
		return nil, err
	}
	if err := f.servers(); err != nil {
		return nil, err
	}
	rows, err := f.measure(haproxy, ours, out)
	if err != nil {
		return nil, err
	}
	return report(o, rows), nil
}

func (f *field) servers() error {
	for i := range serverIPs {
		for port, s := range map[uint16]struct {
			events uint32
			act    func(*load, *peer, uint32)
		}{webServer: {unix.EPOLLIN, serveWeb}, echoServer: {unix.EPOLLIN, serveEcho}, bulkServer: {unix.EPOLLOUT | unix.EPOLLRDHUP, serveBulk}} {
			if err := f.load.listen(netip.AddrPortFrom(serverAddress(i), port), s.events, s.act); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *field) measure(haproxy, ours *contender, out io.Writer) ([]row, error) {
	two := []*contender{haproxy, ours}
	rows, err := f.memory(two, out) // first: what later work leaves behind would hide it
	if err != nil {
		return nil, err
	}
	for _, w := range []struct {
		work
		contenders []*contender
		ports      []int
		columns    []string
	}{
		{work{name: "W1 HTTP/1.1 keep-alive, 100 B", unit: "µs CPU/request", run: f.requests}, two, []int{webPort, webPort}, nil},
		{work{name: "W4 TCP connections, 100 B each way", unit: "µs CPU/connection", run: f.connections}, two, []int{echoPort, echoPort}, nil},
		{
			work{name: "W5 TCP bulk", unit: "ms CPU/GB", run: f.bulk},
			[]*contender{haproxy, haproxy, ours},
			[]int{bulkPort, splicePort, bulkPort},
			[]string{"HAProxy", "HAProxy, splice forced", "Evenkeel"},
		},
	} {
		r, err := f.interleaved(w.work, w.contenders, w.ports, w.columns)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		fmt.Fprintln(out, r)
		rows = append(rows, r)
	}
	return rows, nil
}

// memory measures idle connections.
func (f *field) memory(contenders []*contender, out io.Writer) ([]row, error) {
	var rows []row
	for _, w := range []work{
		{name: "W7 idle HTTP connection", unit: "B", port: webPort, run: f.idleWeb}, {name: "W7 idle TCP session", unit: "B", port: echoPort, run: f.idleTCP},
	} {
		r := row{name: w.name, unit: w.unit}
		for _, c := range contenders {
			f.current = c
			n, err := w.run(f, c.base+w.port)
			if err != nil {
				return nil, fmt.Errorf("%s of %s: %w", w.name, c.name, err)
			}
			r.columns, r.medians, r.spread = append(r.columns, c.name), append(r.medians, n), append(r.spread, 0)
		}
		fmt.Fprintln(out, r)
		rows = append(rows, r)
	}
	return rows, nil
}

// interleaved lets the contenders take turns and returns the medians.
func (f *field) interleaved(w work, contenders []*contender, ports []int, columns []string) (row, error) {
	values := make([][]float64, len(contenders))
	for range f.options.Rounds {
		for i, c := range contenders {
			f.current = c
			v, err := w.run(f, c.base+ports[i])
			if err != nil {
				return row{}, fmt.Errorf("%s: %w", c.name, err)
			}
			values[i] = append(values[i], v)
		}
	}
	r := row{name: w.name, unit: w.unit, columns: columns}
	for i, v := range values {
		slices.Sort(v)
		median := v[len(v)/2]
		r.medians, r.spread = append(r.medians, median), append(r.spread, (v[len(v)-1]-v[0])/median)
		if columns == nil {
			r.columns = append(r.columns, contenders[i].name)
		}
	}
	return r, nil
}

// steady warms up, then returns what was done and the CPU time of the contender while it was done.
func (f *field) steady() (done int64, cpu time.Duration) {
	f.load.during(f.options.Warm)
	before, used := f.load.done, f.current.cpu()
	f.load.during(f.options.Length)
	return f.load.done - before, f.current.cpu() - used
}

// clients begins n connections with act.
func (f *field) clients(n, port int, act func(*load, *peer, uint32)) error {
	to := &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
	for range n {
		if err := f.load.dial(to, unix.EPOLLOUT, act); err != nil {
			return err
		}
	}
	return nil
}

// dropClients closes what clients are left, and lets the contender notice. It is an error if one was not served.
func (f *field) dropClients() error {
	if f.load.failed > 0 {
		return fmt.Errorf("%d clients were not served", f.load.failed)
	}
	for _, p := range f.load.peers {
		if p != nil && p.to != nil {
			f.load.drop(p)
		}
	}
	f.load.paused = false
	f.load.during(200 * time.Millisecond)
	return nil
}

func (f *field) requests(_ *field, port int) (float64, error) {
	if err := f.clients(64, port, askWeb); err != nil {
		return 0, err
	}
	done, cpu := f.steady()
	return perUnit(cpu, done), f.dropClients()
}

func (f *field) connections(_ *field, port int) (float64, error) {
	if err := f.clients(64, port, askEcho); err != nil {
		return 0, err
	}
	done, cpu := f.steady()
	f.load.paused = true
	f.load.during(100 * time.Millisecond)
	return perUnit(cpu, done), f.dropClients()
}

func (f *field) bulk(_ *field, port int) (float64, error) {
	if err := f.clients(4, port, swallow); err != nil {
		return 0, err
	}
	done, cpu := f.steady()
	return perUnit(cpu, done) * 1e6, f.dropClients()
}

// perUnit is microseconds for each thing that was done.
func perUnit(cpu time.Duration, done int64) float64 {
	return float64(cpu.Nanoseconds()) / 1e3 / float64(max(done, 1))
}

func (f *field) idleWeb(_ *field, port int) (float64, error) { return f.idle(port, askWeb) }
func (f *field) idleTCP(_ *field, port int) (float64, error) { return f.idle(port, keepEcho) }

// idle opens many connections, uses each once, and returns how much memory each costs while nothing happens.
func (f *field) idle(port int, act func(*load, *peer, uint32)) (float64, error) {
	f.load.paused = true
	before, begun := f.current.memory(), f.load.done
	n := f.options.Idle
	for step := 0; step < n; step += 500 {
		if err := f.clients(min(500, n-step), port, act); err != nil {
			return 0, err
		}
		want := begun + int64(min(step+500, n))
		if err := f.load.until("answers", 20*time.Second, func() bool { return f.load.done >= want }); err != nil {
			return 0, err
		}
	}
	f.load.during(time.Second)
	each := (f.current.memory() - before) / float64(n)
	return each, f.dropClients()
}

// report is the table as Markdown.
func report(o Options, rows []row) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Measured\n\nWritten by `task bench`: medians of %d rounds of %v, contenders taking turns, each on one core with one thread that forwards,\n", o.Rounds, o.Length)
	fmt.Fprintf(&b, "generator and server in one process on another, loopback with reno in a network namespace. Memory is resident growth over %d idle connections.\n\n", o.Idle)
	fmt.Fprintf(&b, "| work | unit | HAProxy | HAProxy, splice forced | Evenkeel | HAProxy ÷ Evenkeel |\n|---|---|---|---|---|---|\n")
	for _, r := range rows {
		plain, ours, forced := r.medians[0], r.medians[len(r.medians)-1], "–"
		if len(r.medians) == 3 {
			forced = fmt.Sprintf("%.4g", r.medians[1])
		}
		fmt.Fprintf(&b, "| %s | %s | %.4g | %s | %.4g | %.2f |\n", r.name, r.unit, plain, forced, ours, plain/ours)
	}
	return b.Bytes()
}
