package replica

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"evenkeel/appliance"
)

// unless dials as long as the way is not cut.
func unless(cut *atomic.Bool) Dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if cut.Load() {
			return nil, syscall.EHOSTUNREACH
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

// TestForkIsToldOnBothNodes lets both nodes be active for a while without hearing each other, as after a forced takeover: what the passive one of them did is set aside there, and
// both tell it until an administrator has seen it, however often it is sent or asked for in between.
func TestForkIsToldOnBothNodes(t *testing.T) {
	a := newNode(t, "lb1", new(net.Dialer).DialContext)
	var cut atomic.Bool
	b := newNode(t, "lb2", unless(&cut))
	must(t, a.pair(b.rig))
	a.active.Store(true)
	a.commit(add("HL7", 6667))
	a.apply()
	wantEqual(t, a, b)
	cut.Store(true)
	a.active.Store(false)
	b.active.Store(true)
	b.commit(add("DICOM", 104))
	b.commit(add("WEB", 80))
	b.apply()
	b.active.Store(false)
	a.active.Store(true)
	a.commit(add("DMWL", 5104))
	a.apply()
	wantEqual(t, a, b)
	if list := b.control.Forks(); len(list) != 1 || list[0].First != 2 || list[0].Last != 3 || list[0].Kept != "lb1" {
		t.Fatalf("%+v", list)
	}
	until(t, func() bool { _, told := a.alerts.Load(codeForked); return told })
	told, _ := a.alerts.Load(codeForked)
	if s := told.(appliance.Alert).Sentence; !strings.Contains(s, "Revisions 2 to 3, made on lb2, were set aside") || !strings.Contains(s, "lb1 had gone on without them") {
		t.Error(s)
	}
	if list := b.control.Alerts(); len(list) != 1 || !strings.Contains(list[0].Sentence, "made on this node") {
		t.Errorf("%+v", list)
	}
	must(t, b.control.KeepFork(t.Context(), anna(), b.control.Forks()[0].ID))
	a.commit(add("RDP", 3389))
	wantEqual(t, a, b)
	until(t, func() bool { _, told := a.alerts.Load(codeForked); return !told })
	if len(b.control.Alerts()) > 0 {
		t.Errorf("%+v", b.control.Alerts())
	}
}

// TestForkIsToldOnBothNodesWhoeverIsActive goes on where the node that set revisions aside becomes the active one: the other one asks it.
func TestForkIsToldOnBothNodesWhoeverIsActive(t *testing.T) {
	often := func(s *Sender) { s.look = 5 * time.Millisecond }
	var dials atomic.Int32
	a := newNode(t, "lb1", func(ctx context.Context, network, address string) (net.Conn, error) {
		dials.Add(1)
		return new(net.Dialer).DialContext(ctx, network, address)
	}, often)
	var cut atomic.Bool
	b := newNode(t, "lb2", unless(&cut))
	must(t, a.pair(b.rig))
	cut.Store(true)
	a.active.Store(true)
	a.commit(add("HL7", 6667))
	wantEqual(t, a, b)
	a.active.Store(false)
	b.active.Store(true)
	b.commit(add("DICOM", 104))
	b.active.Store(false)
	a.active.Store(true)
	a.commit(add("DMWL", 5104))
	wantEqual(t, a, b)
	told := func(want bool) func() bool {
		return func() bool {
			_, told := a.alerts.Load(codeForked)
			return told == want && (len(a.sender.Forks()) > 0) == want
		}
	}
	until(t, told(true))
	a.active.Store(false)
	b.active.Store(true)
	before := dials.Load()
	until(t, func() bool { return dials.Load() > before+3 }) // it has asked
	until(t, told(true))
	restarted := NewSender(a.sender.o) // knows nothing
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- restarted.Run(ctx) }()
	until(t, func() bool { return len(restarted.Forks()) > 0 })
	stop()
	must(t, <-ended)
	must(t, b.control.KeepFork(t.Context(), anna(), b.control.Forks()[0].ID))
	until(t, told(false))
}
