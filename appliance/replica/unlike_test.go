package replica

import (
	"strings"
	"testing"

	"evenkeel/appliance"
)

// TestPeerOfAVersionThatTakesNothingIsAnAlert: one node alone was brought to another version; it ends when both have it.
func TestPeerOfAVersionThatTakesNothingIsAnAlert(t *testing.T) {
	a, b := newNodes(t)
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
	b.receiver.format.Store(Format)
	wantEqual(t, a, b)
	until(t, func() bool { _, told := a.alerts.Load(codeRefused); return !told && a.sender.Status().InSync })
}
