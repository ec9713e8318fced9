package replica

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/appliance"
)

// TestPeerOfAVersionThatTakesNothingIsAnAlert: one node alone was brought to another version; it ends when both have it.
func TestPeerOfAVersionThatTakesNothingIsAnAlert(t *testing.T) {
	var off atomic.Bool
	a, b := pairOf(t, func(ctx context.Context, network, address string) (net.Conn, error) {
		if off.Load() {
			return nil, errors.New("nobody listens")
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	})
	wantEqual(t, a, b)
	until(t, func() bool { return a.sender.Status().InSync })
	b.receiver.format.Store(Format + 1)
	a.commit(add("HL7", 6667))
	a.apply()
	until(t, func() bool {
		alert, told := a.alerts.Load(codeRefused)
		return told && alert.(appliance.Alert).Severity == appliance.Critical && strings.Contains(alert.(appliance.Alert).Sentence, "lb2 has version 0.1.0, which takes no settings of this version")
	})
	if s := a.sender.Status(); s.InSync || !strings.HasPrefix(s.Sentence, "lb2 does not take the settings of this node.") {
		t.Errorf("%+v", s)
	}
	if b.state().Same(a.state()) {
		t.Error("it has them")
	}
	if s := b.receiver.Status(); s.InSync || !strings.HasPrefix(s.Sentence, "This node, version 0.1.0, does not get the settings of lb1: it takes them in format 2, and they are in format 1.") {
		t.Errorf("%+v", s)
	}
	off.Store(true) // while the other version starts
	until(t, func() bool { return strings.HasPrefix(a.sender.Status().Sentence, "lb2 cannot be reached") })
	b.receiver.format.Store(Format)
	off.Store(false)
	wantEqual(t, a, b)
	until(t, func() bool { _, told := a.alerts.Load(codeRefused); return !told && a.sender.Status().InSync })
}

// TestAlertAboutThePeerGoesWithTheRight: a node that gives its settings no more says nothing of what the other one lacks.
func TestAlertAboutThePeerGoesWithTheRight(t *testing.T) {
	a, b := newNodes(t)
	wantEqual(t, a, b)
	b.receiver.format.Store(Format + 1)
	a.commit(add("HL7", 6667))
	a.apply()
	told := func() bool { _, told := a.alerts.Load(codeRefused); return told }
	until(t, told)
	a.active.Store(false)
	until(t, func() bool { return !told() })
}

// TestPeerThatEndsIsNotSaidToBeInSync: what it had when it was asked last says nothing of what comes back in its place.
func TestPeerThatEndsIsNotSaidToBeInSync(t *testing.T) {
	a, b := newNodes(t)
	wantEqual(t, a, b)
	until(t, func() bool { return a.sender.Status().InSync })
	b.stop()
	began := time.Now()
	until(t, func() bool { return strings.HasPrefix(a.sender.Status().Sentence, "lb2 cannot be reached") })
	if late := time.Since(began); late > lookEvery/2 {
		t.Errorf("said after %v", late)
	}
}
