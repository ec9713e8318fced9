package story

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// line is a client's network, the appliance between, and the servers' network, whose gateway the appliance is.
func line(t *testing.T) (client, lb, server string) {
	t.Helper()
	needRoot(t)
	need(t, "ip", "nft")
	client, lb, server = fmt.Sprintf("ek-tc-%d", os.Getpid()), fmt.Sprintf("ek-tl-%d", os.Getpid()), fmt.Sprintf("ek-ts-%d", os.Getpid())
	for _, name := range []string{client, lb, server} {
		must(t, "ip", "netns", "add", name)
		t.Cleanup(func() { must(t, "ip", "netns", "del", name) })
		must(t, "ip", "-n", name, "link", "set", "lo", "up")
	}
	must(t, "ip", "link", "add", "eth0", "netns", lb, "type", "veth", "peer", "name", "eth0", "netns", client)
	must(t, "ip", "link", "add", "eth1", "netns", lb, "type", "veth", "peer", "name", "eth0", "netns", server)
	for _, has := range [][3]string{
		{client, "eth0", "192.168.0.20/24"},
		{client, "eth0", "192.168.0.21/24"},
		{client, "eth0", "fd00:1::20/64"},
		{client, "eth0", "fd00:1::21/64"},
		{lb, "eth0", "192.168.0.10/24"},
		{lb, "eth0", "fd00:1::10/64"},
		{lb, "eth1", "10.9.0.1/24"},
		{lb, "eth1", "fd00:9::1/64"},
		{server, "eth0", "10.9.0.40/24"},
		{server, "eth0", "fd00:9::40/64"},
	} {
		args := []string{"-n", has[0], "addr", "add", has[2], "dev", has[1]}
		if strings.Contains(has[2], ":") {
			args = append(args, "nodad")
		}
		must(t, "ip", args...)
		must(t, "ip", "-n", has[0], "link", "set", has[1], "up")
	}
	must(t, "ip", "-n", server, "route", "add", "default", "via", "10.9.0.1")
	must(t, "ip", "-6", "-n", server, "route", "add", "default", "via", "fd00:9::1")
	return client, lb, server
}

// within runs f on a thread in a network namespace; sockets that it makes stay there.
func within(t *testing.T, name string, f func()) {
	t.Helper()
	if err := inside(name, f); err != nil {
		t.Fatal(err)
	}
}

// inside is within for goroutines that are not the test's.
func inside(name string, f func()) error {
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		fd, err := unix.Open("/run/netns/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			defer unix.Close(fd)
			err = unix.Setns(fd, unix.CLONE_NEWNET)
		}
		if err == nil {
			f()
		}
		failed <- err
	}()
	return <-failed
}

// witness is the server: it remembers who came.
type witness struct {
	mu    sync.Mutex
	peers []string
}

func (w *witness) saw(c net.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.peers = append(w.peers, c.String())
}

func (w *witness) has(found func(peer string) bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.peers, found)
}

// digest reads all that a client sends, answers with who it is and the sum of it, and repeats it.
func (w *witness) digest(c net.Conn) {
	defer c.Close()
	w.saw(c.RemoteAddr())
	body, err := io.ReadAll(c)
	if err != nil || len(body) == 0 {
		return
	}
	_, _ = fmt.Fprintf(c, "%s %x\n", c.RemoteAddr(), sha256.Sum256(body))
	_, _ = c.Write(body)
}

// listenWithin serves connections in a namespace.
func listenWithin(t *testing.T, name, address string, serve func(net.Conn)) {
	t.Helper()
	var l net.Listener
	var err error
	within(t, name, func() { l, err = net.Listen("tcp", address) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
}

// dialWithin connects from an address of a namespace.
func dialWithin(t *testing.T, name, from, to string) net.Conn {
	t.Helper()
	var c net.Conn
	var err error
	d := net.Dialer{Timeout: time.Minute, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	within(t, name, func() { c, err = d.Dial("tcp", to) })
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	t.Cleanup(func() { c.Close() })
	return c
}

func TestNamespaceServersSeeTheirClientsOwnAddresses(t *testing.T) {
	client, lb, server := line(t)
	dir := t.TempDir()
	if code, _, said := run(t, "correct horse battery\n", "setup", "--data", dir, "--password-stdin"); code != 0 {
		t.Fatal(said)
	}
	w := &witness{}
	for _, address := range []string{"10.9.0.40", "[fd00:9::40]"} {
		listenWithin(t, server, address+":7000", w.digest)
		listenWithin(t, server, address+":8080", w.whoCame)
	}
	must(t, "ip", "netns", "exec", lb, "nft", "add table inet other; add chain inet other c { type filter hook prerouting priority mangle; }; add rule inet other c meta mark set meta mark")
	before := network(t, lb)
	startWith(t, "ip", "netns", "exec", lb, binary, "serve", "--data", dir, "--webui", "192.168.0.10:9443")
	eventually(t, 20*time.Second, "the appliance serves", func() bool {
		_, err := os.Stat(filepath.Join(dir, "control.sock"))
		return err == nil
	})
	lbctl := func(args ...string) {
		t.Helper()
		if code, _, said := run(t, "", append([]string{"lb"}, append(args, "--data", dir)...)...); code != 0 {
			t.Fatalf("lb %s ended with %d: %s", strings.Join(args, " "), code, said)
		}
	}
	services := []string{"TCP4", "TCP6", "WEB4", "WEB6"}
	lbctl("service", "add", "TCP4", "--address", "192.168.0.188", "--ports", "7000", "--source-address", "transparent", "--server", "a=10.9.0.40:7000")
	lbctl("service", "add", "TCP6", "--address", "fd00:1::188", "--ports", "7000", "--source-address", "transparent", "--server", "a=[fd00:9::40]:7000")
	lbctl("service", "add", "WEB4", "--address", "192.168.0.188", "--ports", "80", "--protocol", "http", "--check", "http", "--source-address", "transparent", "--server", "a=10.9.0.40:8080")
	lbctl("service", "add", "WEB6", "--address", "fd00:1::188", "--ports", "80", "--protocol", "http", "--check", "http", "--source-address", "transparent", "--server", "a=[fd00:9::40]:8080", "--apply")
	for from, to := range map[string]string{"192.168.0.20": "192.168.0.188:7000", "fd00:1::20": "[fd00:1::188]:7000"} {
		repeated(t, dialWithin(t, client, from, to))
	}
	for _, c := range [][3]string{{"192.168.0.20", "192.168.0.21", "192.168.0.188:80"}, {"fd00:1::20", "fd00:1::21", "[fd00:1::188]:80"}} {
		webClients(t, dialWithin(t, client, c[0], c[2]), dialWithin(t, client, c[1], c[2]))
	}
	for _, own := range []string{"10.9.0.1:", "[fd00:9::1]:"} {
		eventually(t, 10*time.Second, "the checks come from "+own, func() bool {
			return w.has(func(peer string) bool { return strings.HasPrefix(peer, own) })
		})
	}
	kept := dialWithin(t, client, "192.168.0.20", "192.168.0.188:7000")
	eventually(t, 10*time.Second, "the session is with the server", func() bool {
		return w.has(func(peer string) bool { return peer == kept.LocalAddr().String() })
	})
	for _, s := range services {
		lbctl("service", "set", s, "--source-address", "")
	}
	lbctl("apply")
	if !strings.Contains(network(t, lb), "evenkeel_transparent") {
		t.Error("the rules went while a session needed them")
	}
	repeated(t, kept)
	for _, s := range services {
		lbctl("service", "delete", s)
	}
	lbctl("apply")
	eventually(t, 40*time.Second, "the rules go with the last connection that needs them", func() bool { return network(t, lb) == before })
}

// network is what the appliance's machine has in rules and tables of routes.
func network(t *testing.T, lb string) string {
	t.Helper()
	all := ""
	for _, args := range [][]string{{"nft", "list", "ruleset"}, {"ip", "rule"}, {"ip", "-6", "rule"}} {
		all += must(t, "ip", append([]string{"netns", "exec", lb}, args...)...)
	}
	return all
}

// repeated sends a big body and its end, and demands that the server saw this client's address and port, and all of the body both ways.
func repeated(t *testing.T, c net.Conn) {
	t.Helper()
	body := make([]byte, 8<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(body)
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(body)
		if err == nil {
			err = c.(*net.TCPConn).CloseWrite()
		}
		sent <- err
	}()
	answers := bufio.NewReader(c)
	first, err := answers.ReadString('\n')
	if want := fmt.Sprintf("%s %x\n", c.LocalAddr(), sha256.Sum256(body)); err != nil || first != want {
		t.Fatalf("the server saw %q, %v; want %q", first, err, want)
	}
	if back, err := io.ReadAll(answers); err != nil || !bytes.Equal(back, body) {
		t.Errorf("%d bytes came back of %d, %v", len(back), len(body), err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// whoCame answers requests of a connection with where it came from.
func (w *witness) whoCame(c net.Conn) {
	defer c.Close()
	w.saw(c.RemoteAddr())
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		from := c.RemoteAddr().String()
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(from), from)
	}
}

// webClients sends requests of two clients in turn, on a connection each: each is served by connections from its own address, and finds its own again.
func webClients(t *testing.T, clients ...net.Conn) {
	t.Helper()
	seen := map[string]string{}
	in := []*bufio.Reader{bufio.NewReader(clients[0]), bufio.NewReader(clients[1])}
	for i := range 8 {
		c := clients[i%2]
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		a, err := http.ReadResponse(in[i%2], nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(a.Body)
		own := netip.MustParseAddrPort(c.LocalAddr().String())
		peer, err := netip.ParseAddrPort(string(body))
		if err != nil || peer.Addr() != own.Addr() {
			t.Fatalf("request %d of %s came from %q (%d)", i, own, body, a.StatusCode)
		}
		if was := seen[own.String()]; was != "" && was != peer.String() {
			t.Errorf("%s had the connection %s, and has %s now", own, was, peer)
		}
		seen[own.String()] = peer.String()
	}
}
