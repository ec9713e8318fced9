package bench

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Run measures everything in the namespace that it is called in, and writes the figures to out as they come. self is the command that is a contender: behind it
// come the name of the part, the base port and the number of loops.
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
	f := &arena{options: o, contenders: map[string]*contender{}}
	defer func() {
		for _, c := range f.contenders {
			c.stop()
		}
	}()
	files, err := writeCertificates(dir)
	if err != nil {
		return nil, err
	}
	if err := f.start(self, dir, files); err != nil {
		return nil, err
	}
	if err := pin(0); err != nil {
		return nil, err
	}
	if f.load, err = newLoad(); err != nil {
		return nil, err
	}
	if err := f.load.servers(); err != nil {
		return nil, err
	}
	rows, err := f.measure(out)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(scaleName, o.Only) {
		more, err := f.scale(self, dir, out)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return report(o, f.versions(), rows), nil
}

// start starts the contenders, each on the processor that the load does not use.
func (f *arena) start(self []string, dir string, files peerFiles) error {
	ours := func(part string, base, loops int) []string {
		return append(slices.Clone(self), part, strconv.Itoa(base), strconv.Itoa(loops), dir)
	}
	for _, c := range []struct {
		name      string
		base      int
		processor int
		argv      []string
		file      string
		text      string
	}{
		{haproxyName, 7000, 1, []string{f.options.HAProxy, "-db", "-f"}, "haproxy.cfg", haproxyConfig(7000, 1, files, false)},
		{splicedName, 7100, 1, []string{f.options.HAProxy, "-db", "-f"}, "spliced.cfg", haproxyConfig(7100, 1, files, true)},
		{threadsName, 7400, -1, []string{f.options.HAProxy, "-db", "-f"}, "threads.cfg", haproxyConfig(7400, 2, files, false)},
		{noIFMAName, 7500, 1, []string{"env", withoutIFMA, f.options.HAProxy, "-db", "-f"}, "plain.cfg", haproxyConfig(7500, 1, files, false)},
		{nginxName, 7200, 1, []string{f.options.Nginx, "-c"}, "nginx.conf", nginxConfig(7200, files, dir)},
		{reverseName, 7300, 1, ours("reverse", 7300, 1), "", ""},
		{oursName, 8000, 1, ours("proxy", 8000, 1), "", ""},
		{twoName, 8100, -1, ours("proxy", 8100, 2), "", ""},
	} {
		if c.file != "" {
			file := filepath.Join(dir, c.file)
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				return err
			}
			c.argv = append(c.argv, file)
		}
		one, err := startContender(c.name, c.base, c.processor, c.argv...)
		if errors.Is(err, exec.ErrNotFound) && c.name == nginxName {
			continue
		}
		if err != nil {
			return err
		}
		f.contenders[c.name] = one
	}
	return nil
}

// withoutIFMA has OpenSSL compute RSA as on processors without AVX-512 IFMA, which Go does not use (OPENSSL_ia32cap(3): bit 21 of EBX, leaf 7). The goal of that work is from such a one.
const withoutIFMA = "OPENSSL_ia32cap=:~0x200000"

// works is the list of what is measured, in this order: memory first, because what later work leaves behind would hide it.
func (f *arena) works() []work {
	two := []string{haproxyName, oursName}
	web := []string{haproxyName, oursName, nginxName, reverseName}
	plain := []string{haproxyName, oursName, nginxName}
	bodies := []string{haproxyName, oursName, splicedName, nginxName, reverseName}
	return []work{
		{name: "W7 idle HTTP connection", unit: "B", port: webPort, once: true, who: two, run: f.idleWeb},
		{name: "W7 idle TCP session", unit: "B", port: echoPort, once: true, who: two, run: f.idleTCP},
		{name: "W7 idle TLS connection", unit: "B", port: tlsPort, once: true, who: two, run: f.idleSecured},
		{name: "W1 HTTP/1.1 keep-alive, 100 B", unit: "µs CPU/request", port: webPort, goal: 1.15, who: web, run: f.requests(64, asker{})},
		{name: "W1c with cookie persistence", unit: "µs CPU/request", port: cookiePort, goal: 1.05, who: two, run: f.requests(64, asker{cookie: true})},
		{name: "W1 with 20 rules and the traffic log", unit: "µs CPU/request", port: rulesPort, goal: 0.9, who: two, run: f.requests(64, asker{})},
		{name: "W2 a connection per request", unit: "µs CPU/request", port: webPort, goal: 1.1, short: true, who: web, run: f.requests(64, asker{once: true})},
		{name: "W3 bodies of 16 KiB", unit: "µs CPU/request", port: midPort, goal: 1.3, who: bodies, run: f.requests(32, asker{})},
		{name: "W3 bodies of 1 MiB", unit: "µs CPU/request", port: bigPort, goal: 1.7, who: bodies, run: f.requests(8, asker{})},
		{name: "W4 TCP connections, 100 B each way", unit: "µs CPU/connection", port: echoPort, goal: 1.1, short: true, who: two, run: f.connections},
		{name: "W5 TCP bulk", unit: "ms CPU/GB", port: bulkPort, goal: 2.5, who: []string{haproxyName, oursName, splicedName}, run: f.bulk},
		{name: "W6 TLS 1.3 handshake, ECDSA P-256", unit: "µs CPU/handshake", port: tlsPort, goal: 1.2, who: plain, run: f.handshakes(tls.X25519)},
		{name: "W6 the same with X25519MLKEM768, which HAProxy's library has not", unit: "µs CPU/handshake", port: tlsPort, who: []string{oursName}, run: f.handshakes(tls.X25519MLKEM768)},
		{name: "W6 TLS 1.3 keep-alive, 100 B", unit: "µs CPU/request", port: tlsPort, goal: 1.15, who: plain, run: f.securedRequests},
		{name: "W6r TLS 1.3 handshake, RSA 2048", unit: "µs CPU/handshake", port: rsaPort, goal: 0.45, who: append([]string{noIFMAName}, plain...), run: f.handshakes(tls.X25519), beside: [][2]string{{noIFMAName, oursName}}},
		{name: "p99, open loop at half of HAProxy's most", unit: "µs", port: webPort, goal: 1, short: true, who: plain, run: f.latency},
		{name: "CPU at that load", unit: "µs CPU/request", port: webPort, who: []string{threadsName, haproxyName, oursName, twoName}, run: f.offered, beside: [][2]string{{threadsName, haproxyName}, {twoName, oursName}}},
	}
}

func (f *arena) measure(out io.Writer) ([]row, error) {
	var rows []row
	for _, w := range f.works() {
		if !strings.HasPrefix(w.name, f.options.Only) {
			continue
		}
		if f.half == 0 && !w.once {
			f.current, f.pace = f.contenders[haproxyName], f.options.pace(work{})
			most, err := f.most(f.current.base + webPort)
			if err != nil {
				return nil, fmt.Errorf("most that HAProxy can serve: %w", err)
			}
			f.half = max(most/2, 1)
		}
		r, err := f.interleaved(w)
		if err != nil {
			return nil, err
		}
		fmt.Fprintln(out, r)
		rows = append(rows, r)
	}
	return rows, nil
}
