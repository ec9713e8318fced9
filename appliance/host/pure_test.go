package host

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evenkeel/appliance"
)

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func hospital() []Network {
	return []Network{
		{"eth0", netip.MustParsePrefix("192.168.0.10/24")},
		{"eth1", netip.MustParsePrefix("10.20.0.5/16")},
		{"eth1", netip.MustParsePrefix("10.20.30.5/31")},
		{"eth0", netip.MustParsePrefix("fd00:1::10/64")},
	}
}

func TestNear(t *testing.T) {
	for typed, want := range map[string]string{
		"192.168.7.188":      "192.168.0.188",
		"192.168.1.188":      "192.168.0.188",
		" 192.168.7.188 ":    "192.168.0.188",
		"192,168,0,188":      "192.168.0.188",
		"192.168.000.188":    "192.168.0.188",
		"192.168.0.188/24":   "192.168.0.188",
		"10.21.3.4":          "10.20.3.4",
		"188":                "192.168.0.188",
		".188":               "192.168.0.188",
		"fd00:2::188":        "fd00:1::188",
		"::ffff:192.168.7.9": "192.168.0.9",
		"192.168.0.188":      "", // good as it is
		"192.168.7.0":        "10.20.7.0",
		"10":                 "", // the interface's own
		"255":                "", // broadcast
		"300":                "",
		"":                   "",
		"pacs":               "",
	} {
		got, ok := Near(typed, hospital())
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("Near(%q) = %s, %v; want %q", typed, got, ok, want)
		}
	}
	if got, ok := Near("192.168.7.188", nil); ok {
		t.Errorf("without a network: %s", got)
	}
}

func TestPlace(t *testing.T) {
	s := &scene{networks: hospital(), present: map[netip.Addr][]assigned{addr("192.168.0.10"): {{"eth0", 24}}}}
	for text, want := range map[string]string{ // an interface, "here", or the beginning of the refusal
		"192.168.0.188": "eth0", "10.20.1.1": "eth1", "10.20.30.4": "eth1", "fd00:1::188": "eth0",
		"192.168.0.10": "here", "127.0.0.1": "here", "127.3.4.5": "here", "::1": "here", "0.0.0.0": "here", "::": "here",
		"192.168.7.1":   "192.168.7.1 is in none of this appliance's networks (eth0 192.168.0.10/24, eth1 10.20.0.5/16, eth1 10.20.30.5/31).",
		"fd00:2::1":     "fd00:2::1 is in none of this appliance's networks (eth0 fd00:1::10/64).",
		"192.168.0.0":   "192.168.0.0 is the network address of 192.168.0.0/24; a service needs an address of its own.",
		"192.168.0.255": "192.168.0.255 is the broadcast address of 192.168.0.0/24; a service needs an address of its own.",
		"10.20.255.255": "10.20.255.255 is the broadcast address of 10.20.0.0/16; a service needs an address of its own.",
		"fd00:1::":      "fd00:1:: is the subnet router address of fd00:1::/64; a service needs an address of its own.",
	} {
		n, missing, e := s.place(addr(text))
		got := n.Interface
		switch {
		case e != nil:
			got = e.Text()
			if e.Kind != appliance.Invalid || e.Subject != text || e.Field != text {
				t.Errorf("%s: kind %s, subject %s, field %s", text, e.Kind, e.Subject, e.Field)
			}
		case !missing:
			got = "here"
		}
		if got != want {
			t.Errorf("%s: %s\nwant %s", text, got, want)
		}
	}
	if _, _, e := s.place(netip.Addr{}); e == nil {
		t.Error("no address at all is accepted")
	}
	_, _, e := s.place(addr("192.168.7.188"))
	if want := "Did you mean 192.168.0.188? It is in 192.168.0.0/24 on eth0."; e.Hint != want {
		t.Errorf("hint %q", e.Hint)
	}
	_, _, e = (&scene{networks: hospital()[:1]}).place(addr("fd00::1"))
	if want := "fd00::1 is in none of this appliance's networks: no interface has an IPv6 network."; e.Text() != want {
		t.Errorf("%s", e.Text())
	}
}

func TestFrames(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	v4, v6 := addr("192.168.0.188"), addr("fd00:1::188")
	for name, c := range map[string]struct {
		frame []byte
		owner func([]byte) (netip.Addr, net.HardwareAddr)
		want  netip.Addr
	}{
		"announcement":      {arp(mac, v4, v4), arpOwner, v4},
		"another's probe":   {arp(mac, netip.IPv4Unspecified(), v4), arpOwner, v4},
		"advertisement":     {advertise(mac, v6), discoveryOwner, v6},
		"a mere question":   {arp(mac, addr("192.168.0.7"), v4), arpOwner, addr("192.168.0.7")},
		"solicitation":      {solicit(mac, v6), discoveryOwner, netip.Addr{}},
		"of the other wire": {arp(mac, v4, v4), discoveryOwner, netip.Addr{}},
	} {
		got, owner := c.owner(c.frame)
		if got != c.want || got.IsValid() && owner.String() != mac.String() {
			t.Errorf("%s: %s by %s", name, got, owner)
		}
		for n := range c.frame {
			c.owner(c.frame[:n]) // cut anywhere it must not panic
		}
	}
	routed := advertise(mac, v6)
	routed[headerEthernet+7] = 254
	if got, _ := discoveryOwner(routed); got.IsValid() {
		t.Error("an advertisement that came over a router counts")
	}
	// A checksum over a message that holds its own is zero (RFC 1071).
	frame := solicit(mac, v6)
	source, group := netip.IPv6Unspecified(), netip.AddrFrom16([16]byte(frame[headerEthernet+24:headerEthernet+40]))
	if sum := checksum(source, group, frame[headerEthernet+headerIPv6:]); sum != 0 {
		t.Errorf("checksum leaves %#x", sum)
	}
	if want := addr("ff02::1:ff00:188"); group != want {
		t.Errorf("asked %s, not %s", group, want)
	}
}

func TestListOfOursSurvivesAProcessButNotABoot(t *testing.T) {
	dir := t.TempDir()
	h := New(Options{Dir: dir})
	if err := h.recall(); err != nil {
		t.Fatal(err)
	}
	if err := h.remember(ours{addr("192.168.0.188"): "eth0", addr("fd00:1::188"): "eth1"}); err != nil {
		t.Fatal(err)
	}
	again := New(Options{Dir: dir})
	if err := again.recall(); err != nil || len(again.ours) != 2 || again.ours[addr("fd00:1::188")] != "eth1" {
		t.Fatalf("%v, %v", again.ours, err)
	}
	file := filepath.Join(dir, fileName)
	text, _ := os.ReadFile(file)
	if mode, _ := os.Stat(file); mode.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", mode.Mode())
	}
	for name, content := range map[string]string{
		"another boot": strings.Replace(string(text), bootID(), "11111111-2222", 1), "damaged": string(text[:len(text)/2]), "empty": "",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		other := New(Options{Dir: dir})
		if err := other.recall(); err != nil || len(other.ours) != 0 {
			t.Errorf("%s: %v, %v", name, other.ours, err)
		}
	}
}

func TestLoadReadsTheKernelsFigures(t *testing.T) {
	a, err := parseTicks([]byte("cpu  100 0 50 800 50 0 0 0 70 0\ncpu0 1 2 3\n"))
	if err != nil || a != (ticks{150, 1000}) {
		t.Fatalf("%+v, %v", a, err)
	}
	b := ticks{busy: 200, all: 1200}
	if got := b.since(a); got != 25 {
		t.Errorf("%v %%", got)
	}
	if got := a.since(b); got != 0 {
		t.Errorf("a clock that ran backwards gives %v", got)
	}
	used, total, err := parseMemory([]byte("MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 400 kB\n"))
	if err != nil || used != 600<<10 || total != 1000<<10 {
		t.Errorf("%d of %d, %v", used, total, err)
	}
	for _, text := range []string{"", "cpu", "cpu a b c d", "MemTotal: x kB"} {
		if _, err := parseTicks([]byte(text)); err == nil {
			t.Errorf("%q is ticks", text)
		}
		if _, _, err := parseMemory([]byte(text)); err == nil {
			t.Errorf("%q is memory", text)
		}
	}
	h := New(Options{Dir: t.TempDir()})
	for range 2 {
		l, err := h.Load(t.Context())
		if err != nil || l.CPU < 0 || l.CPU > 100 || l.MemoryUsed == 0 || l.MemoryUsed > l.MemoryTotal || l.DiskTotal == 0 || l.DiskUsed > l.DiskTotal {
			t.Errorf("%+v, %v", l, err)
		}
	}
	if name, err := h.Hostname(t.Context()); err != nil || name == "" {
		t.Errorf("%q, %v", name, err)
	}
}
