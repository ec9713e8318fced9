package story

import (
	"fmt"
	"hash/crc32"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
)

// The addresses of the laboratory.
const (
	labA       = "10.77.0.11"
	labB       = "10.77.0.12"
	labClient  = "10.77.0.20"
	labHost    = "10.77.0.21" // a further neighbour
	labGateway = "10.77.0.1"
	labService = "10.77.0.100"
	labBeatA   = "10.78.0.11" // the second path, between the nodes alone
	labBeatB   = "10.78.0.12"

	labA6       = "fd77::11"
	labB6       = "fd77::12"
	labClient6  = "fd77::20"
	labHost6    = "fd77::21"
	labGateway6 = "fd77::1"
	labService6 = "fd77::100"
)

// field is the laboratory: a switch with a client, two nodes, a gateway and one more host, and a second switch between the nodes. Everything that goes wrong goes wrong at the switches.
type field struct {
	t                            *testing.T
	sw, client, a, b, gate, host string // namespaces
	rules                        int
	diskless                     bool   // nodes have no file systems of their own
	program                      string // that the nodes run; empty: the binary
	lesser                       string // the letter of a node that may send no raw packets, and so enforces no lease; empty: both may
}

// lay makes a laboratory, which goes with the test.
func lay(t *testing.T) *field {
	t.Helper()
	needRoot(t)
	need(t, "ip", "nft")
	runtime.GOMAXPROCS(max(32, runtime.GOMAXPROCS(0))) // a thread that waits in the kernel keeps one until the runtime notices: what is measured must not wait for that
	name := func(what string) string {
		return fmt.Sprintf("ek-%s-%d-%x", what, os.Getpid(), crc32.ChecksumIEEE([]byte(t.Name())))
	}
	f := &field{t: t, sw: name("sw"), client: name("cl"), a: name("a"), b: name("b"), gate: name("gw"), host: name("ho")}
	for _, ns := range []string{f.sw, f.client, f.a, f.b, f.gate, f.host} {
		must(t, "ip", "netns", "add", ns)
		t.Cleanup(func() { must(t, "ip", "netns", "del", ns) })
		must(t, "ip", "-n", ns, "link", "set", "lo", "up")
	}
	for _, bridge := range []string{"br0", "br1"} {
		must(t, "ip", "-n", f.sw, "link", "add", bridge, "type", "bridge", "mcast_snooping", "0")
		must(t, "ip", "-n", f.sw, "link", "set", bridge, "up")
	}
	f.plug(f.client, "eth0", "v-client", "br0", labClient, labClient6)
	f.plug(f.gate, "eth0", "v-gate", "br0", labGateway, labGateway6)
	f.plug(f.host, "eth0", "v-host", "br0", labHost, labHost6)
	f.plug(f.a, "eth0", "v-a", "br0", labA, labA6)
	f.plug(f.b, "eth0", "v-b", "br0", labB, labB6)
	f.plug(f.a, "eth1", "h-a", "br1", labBeatA)
	f.plug(f.b, "eth1", "h-b", "br1", labBeatB)
	for _, node := range []string{f.a, f.b} {
		must(t, "ip", "-n", node, "route", "add", "default", "via", labGateway)
	}
	return f
}

// plug connects a namespace to a switch.
func (f *field) plug(ns, link, port, bridge string, addresses ...string) {
	f.t.Helper()
	must(f.t, "ip", "link", "add", link, "netns", ns, "type", "veth", "peer", "name", port, "netns", f.sw)
	must(f.t, "ip", "-n", f.sw, "link", "set", port, "master", bridge, "up")
	for _, a := range addresses {
		if labAddress(a).Is6() {
			must(f.t, "ip", "-n", ns, "addr", "add", a+"/64", "dev", link, "nodad")
			continue
		}
		must(f.t, "ip", "-n", ns, "addr", "add", a+"/16", "dev", link)
	}
	must(f.t, "ip", "-n", ns, "link", "set", link, "up")
}

// node returns the namespace of the node with that letter.
func (f *field) node(letter string) string {
	if letter == "b" {
		return f.b
	}
	return f.a
}

// on returns how a command is run on a host.
func (f *field) on(ns string, args ...string) []string {
	return append([]string{"ip", "netns", "exec", ns}, args...)
}

// port switches a switch's port off or on, as a pulled cable does.
func (f *field) port(name string, up bool) {
	f.t.Helper()
	must(f.t, "ip", "-n", f.sw, "link", "set", name, map[bool]string{true: "up", false: "down"}[up])
}

// spoil has the switches drop what rules of nft, in the bridge's forward chain, choose; heal takes all of them back.
func (f *field) spoil(rules ...string) {
	f.t.Helper()
	f.heal()
	text := "table bridge lab { chain forward { type filter hook forward priority 0; policy accept;\n" + strings.Join(rules, "\n") + "\n}\n}\n"
	code, _, said := command(f.t, text, "ip", "netns", "exec", f.sw, "nft", "-f", "-")
	if code != 0 {
		f.t.Fatalf("nft: %s\n%s", said, text)
	}
	f.rules++
}

func (f *field) heal() {
	f.t.Helper()
	if f.rules > 0 {
		must(f.t, "ip", "netns", "exec", f.sw, "nft", "delete", "table", "bridge", "lab")
		f.rules = 0
	}
}

func labAddress(text string) netip.Addr { return netip.MustParseAddr(text) }
