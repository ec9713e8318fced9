package story

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"evenkeel/appliance"
)

// other returns the peer of the node with that letter.
func other(letter string) string {
	if letter == "a" {
		return "b"
	}
	return "a"
}

// of returns the appliance with that letter.
func (c *couple) of(letter string) *node {
	if letter == "b" {
		return c.b
	}
	return c.a
}

// owns waits until the node with that letter says that it is active.
func (c *couple) owns(letter string) {
	c.t.Helper()
	eventually(c.t, 20*time.Second, letter+" is active", func() bool { return c.of(letter).status().Self.State == appliance.Active })
}

// fails has the active node die, and come back when the other is active.
func (c *couple) fails(active string) {
	c.t.Helper()
	c.of(active).cmd.kill()
	c.owns(other(active))
	c.of(active).begin()
	c.settle(other(active))
}

// hands has the active node give the addresses to its peer, as an operator asks. A machine that stands still calls a switch off, and says so, or undoes it: then it is
// asked for once more.
func (c *couple) hands(active string) {
	c.t.Helper()
	for tries := 5; ; tries-- {
		code, _, said := c.of(active).lb("", "pair", "active", "peer")
		why := c.settled(other(active), 40*time.Second) // what a stranger gave, and nobody gives again, is over after 30 s at most
		if why == "" {
			return
		}
		if tries == 0 || !c.slipped() {
			c.t.Fatalf("%d %s\n%s", code, said, why)
		}
	}
}

// tablesAgree waits until both nodes have proven that their persistence tables are equal.
func (c *couple) tablesAgree() {
	c.t.Helper()
	eventually(c.t, 20*time.Second, "the persistence tables are in sync", func() bool {
		return c.a.status().Table.InSync && c.b.status().Table.InSync
	})
}

// dialIn connects from a host of the laboratory; from is one of its addresses, or empty.
func (f *field) dialIn(ns, from, to string) (c net.Conn, err error) {
	dialer := net.Dialer{Timeout: 2 * time.Second}
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	within(f.t, ns, func() { c, err = dialer.Dial("tcp", to) })
	return c, err
}

// browser is a web client on the client's host. Every request has a connection of its own.
func (f *field) browser(from string, sessions tls.ClientSessionCache) *http.Client {
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ClientSessionCache: sessions},
		DialContext: func(_ context.Context, _, to string) (net.Conn, error) { return f.dialIn(f.client, from, to) },
	}}
}

// rest is the REST interface of a node, as its console speaks it, whatever becomes of the network.
func (n *node) rest() *client {
	socket := filepath.Join(n.dir, "control.sock")
	return &client{base: "http://console/lbadmin/api/v1/", http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}}
}

// moreClients gives the client's host addresses of its own, in the services' network.
func (f *field) moreClients(n int) []string {
	f.t.Helper()
	var out []string
	var batch strings.Builder
	for i := range n {
		a := net.IPv4(10, 77, 0, byte(150+i)).String()
		batch.WriteString("addr add " + a + "/24 dev eth0\n")
		out = append(out, a)
	}
	if code, _, said := command(f.t, batch.String(), "ip", "-n", f.client, "-batch", "-"); code != 0 {
		f.t.Fatal(said)
	}
	return out
}

// samples runs sample servers of a kind behind the gateway's address, and returns the folders in which each keeps what it gets.
func (f *field) samples(kind string, ports ...string) (keeps []string) {
	for _, port := range ports {
		keep := temporary(f.t)
		keeps = append(keeps, keep)
		startWith(f.t, f.on(f.gate, binary, "sample", kind, "--listen", labGateway+":"+port, "--keep", keep, "--label", kind+port)...)
	}
	return keeps
}
