package engine

import (
	"net"
	"testing"
	"time"

	"evenkeel/appliance"

	"golang.org/x/sys/unix"
)

// heirOf returns a running engine that took the listeners of r over, as another process does.
func heirOf(t *testing.T, r *rig, loops int, list ...appliance.VirtualService) *rig {
	t.Helper()
	var fds []int
	for _, fd := range r.Listeners() {
		own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, own)
	}
	next := start(t, Options{Loops: loops})
	next.Inherit(fds)
	next.Recall(r.Health())
	next.apply(list...)
	next.Forget()
	if err := r.Leave(soon(t)); err != nil {
		t.Fatal(err)
	}
	return next
}

func TestHeirServesWhatTheProcessBeforeHeldAndThatOneKeepsItsClients(t *testing.T) {
	u := vip(t, appliance.UDP, "U", answering(t, "127.0.0.1:0", "one").address)
	s := tcp(t, "T", serve(t, echo("tcp")).address)
	r := start(t, Options{Loops: 3})
	r.apply(u, s)
	old := dial(t, address(s))
	readName(t, old)
	for _, loops := range []int{1, 4} {
		next := heirOf(t, r, loops, u, s)
		ping(t, old, "the old one's")
		if got := inquire(t, asking(t, address(u)), "x"); got != "one x" {
			t.Errorf("by UDP: %q", got)
		}
		if got := readName(t, dial(t, address(s))); got != "tcp" {
			t.Errorf("by TCP: %q", got)
		}
		for _, v := range next.Status().Services {
			if v.Total != 1 {
				t.Errorf("the heir with %d loops has served %d clients of %s", loops, v.Total, v.Label)
			}
		}
		if err := r.Apply(soon(t), config(u)); appliance.KindOf(err) != appliance.Unavailable {
			t.Errorf("who has left still applies: %v", err)
		}
		r = next
	}
}

func TestDatagramSocketOfAProcessThatLeftIsClosedBehindItsLastClient(t *testing.T) {
	u := vip(t, appliance.UDP, "U", answering(t, "127.0.0.1:0", "one").address)
	u.Limits.ClientTimeout = appliance.Duration(100 * time.Millisecond)
	r := start(t, Options{})
	r.apply(u)
	inquire(t, asking(t, address(u)), "x")
	heirOf(t, r, 2, u).stop()
	until(t, "the port is free", func() bool {
		c, err := net.ListenPacket("udp", address(u))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func TestInheritedListenersThatNobodyWantsAreClosed(t *testing.T) {
	s := tcp(t, "T", serve(t, echo("tcp")).address)
	other := tcp(t, "O", serve(t, echo("other")).address)
	r := start(t, Options{})
	r.apply(s)
	next := heirOf(t, r, 2, other)
	if err := next.Check(soon(t), config(s)); err != nil {
		t.Errorf("the port is still held: %v", err)
	}
}
