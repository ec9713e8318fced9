package host

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"evenkeel/appliance"
)

// TestDivertInNamespace runs each of these as a process of its own in a fresh network namespace.
func TestDivertInNamespace(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		if os.Getenv("EVENKEEL_TEST_REQUIRE") == "all" {
			t.Fatal("nft is not installed")
		}
		t.Skip("nft is not installed")
	}
	inNamespace(t, map[string]func(*testing.T){
		"ComesAndGoesAlone": divertComesAndGoesAlone,
		"WithoutTheRight":   divertWithoutTheRight,
		"StaysWhileInUse":   divertStaysWhileInUse,
		"IsMended":          divertIsMended,
		"WithoutIPv6":       divertWithoutIPv6,
	})
}

// rulesOf returns all that the network has in rules and routes.
func rulesOf(t *testing.T) string {
	t.Helper()
	all := ""
	for _, args := range [][]string{{"nft", "list", "ruleset"}, {"ip", "rule"}, {"ip", "-6", "rule"}, {"ip", "route", "show", "table", "all"}, {"ip", "-6", "route", "show", "table", "6694"}} {
		out, err := exec.Command(args[0], args[1:]...).Output()
		if err != nil && args[len(args)-1] != "6694" { // a table that is not there is an error
			t.Fatal(args, err)
		}
		all += string(out)
	}
	return all
}

// otherTable makes a table of somebody else.
const otherTable = "add table inet other; add chain inet other c { type filter hook prerouting priority mangle; }; add rule inet other c meta mark set 7"

// others makes rules of somebody else.
func others(t *testing.T) {
	t.Helper()
	must(t, exec.Command("nft", otherTable).Run())
	r := netlink.NewRule()
	r.Priority, r.Mark, r.Table = 5000, 7, 77
	must(t, netlink.RuleAdd(r))
}

// settled is wired when the kernel has made the routes of its addresses too, of IPv6 a while after them.
func settled(t *testing.T) {
	t.Helper()
	wired(t)
	awaitUntil(t, "the routes of IPv6", func() bool {
		out, err := exec.Command("ip", "-6", "route", "show", "table", "local").Output()
		must(t, err)
		return bytes.Contains(out, []byte("local fe80::")) && bytes.Contains(out, []byte("local fd00:1::10 "))
	})
}

func divertComesAndGoesAlone(t *testing.T) {
	settled(t)
	others(t)
	h := newHost(t)
	must(t, h.Divert(t.Context(), false))
	before := rulesOf(t)
	must(t, h.CheckDivert(t.Context()))
	must(t, h.Divert(t.Context(), true))
	during := rulesOf(t)
	if during == before {
		t.Error("nothing was made")
	}
	must(t, h.Divert(t.Context(), true))
	if again := rulesOf(t); again != during {
		t.Errorf("the second time changes something:\n%s\n%s", during, again)
	}
	next := newHost(t) // of a process that follows one that was killed
	must(t, next.Divert(t.Context(), false))
	if after := rulesOf(t); after != before {
		t.Errorf("something is left or gone:\n%s\nbefore:\n%s", after, before)
	}
}

func divertWithoutTheRight(t *testing.T) {
	wired(t)
	drop(t, unix.CAP_NET_ADMIN, unix.CAP_NET_RAW)
	h := newHost(t)
	for what, err := range map[string]error{"check": h.CheckDivert(t.Context()), "divert": h.Divert(t.Context(), true)} {
		list := appliance.ErrorsOf(err)
		if len(list) != 1 || list[0].Kind != appliance.Denied || list[0].Hint == "" || list[0].Message == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	must(t, h.Divert(t.Context(), false)) // nothing to let go needs no right
}

func divertStaysWhileInUse(t *testing.T) {
	settled(t)
	h := newHost(t)
	must(t, h.Divert(t.Context(), true))
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	must(t, unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TRANSPARENT, 1))
	must(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{203, 0, 113, 7}, Port: 40000}))
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{192, 168, 0, 1}, Port: 80}); err != unix.EINPROGRESS {
		t.Fatal(err)
	}
	busy := rulesOf(t)
	must(t, h.Divert(t.Context(), false))
	if rulesOf(t) != busy {
		t.Error("rules were removed under a connection")
	}
	must(t, unix.Close(fd))
	must(t, h.Divert(t.Context(), false))
	if rulesOf(t) == busy {
		t.Error("the rules stay for nobody")
	}
}

func divertIsMended(t *testing.T) {
	settled(t)
	h := newHost(t)
	must(t, h.Divert(t.Context(), true))
	whole := rulesOf(t)
	must(t, exec.Command("nft", "flush", "ruleset").Run())
	must(t, exec.Command("ip", "rule", "del", "priority", "6694").Run())
	must(t, exec.Command("ip", "-6", "route", "flush", "table", "6694").Run())
	must(t, h.Divert(t.Context(), true))
	if mended := rulesOf(t); mended != whole {
		t.Errorf("%s\nis not\n%s", mended, whole)
	}
}

func divertWithoutIPv6(t *testing.T) {
	wired(t)
	must(t, os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0o644))
	h := newHost(t)
	must(t, h.Divert(t.Context(), true))
	on := rulesOf(t)
	must(t, h.Divert(t.Context(), false))
	if off := rulesOf(t); on == off {
		t.Error("nothing was made, or nothing removed")
	}
}
