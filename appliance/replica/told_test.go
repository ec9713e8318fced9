package replica

import (
	"context"
	"testing"

	"evenkeel/appliance"
)

func TestPeerRestartsTheHeartbeatOrSaysWhyNot(t *testing.T) {
	a, b := newRig(t, "lb1"), newRig(t, "lb2")
	wantKind(t, a.members.RestartPeer(t.Context()), appliance.NotFound, "")
	must(t, a.pair(b))
	wantKind(t, a.members.RestartPeer(t.Context()), appliance.Unavailable, "did not take it") // it has none
	times := 0
	b.receiver.o.Restart = func(context.Context) error { times++; return nil }
	must(t, a.members.RestartPeer(t.Context()))
	b.receiver.o.Restart = func(context.Context) error {
		times++
		return &appliance.Error{Kind: appliance.Unavailable, Message: "There is no heartbeat."}
	}
	wantKind(t, a.members.RestartPeer(t.Context()), appliance.Unavailable, "There is no heartbeat.")
	if times != 2 {
		t.Errorf("restarted %d times", times)
	}
}
