package replica

import (
	"context"
	"net/netip"
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

func TestNodesWithNetworksOrWithoutAnyBecomeAPair(t *testing.T) {
	for _, list := range [][]netip.Prefix{
		nil, {}, {netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("fe80::1/64")}, {netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("192.0.2.7/24")},
	} {
		a, b := newRig(t, "lb1"), newRig(t, "lb2")
		for _, r := range []*rig{a, b} {
			r.members.o.Networks = func() []netip.Prefix { return list }
		}
		must(t, a.pair(b))
		ma, _ := a.members.Current()
		mb, _ := b.members.Current()
		if appliance.Hash(ma.Peer) != appliance.Hash(mb.Self) || appliance.Hash(ma.Self) != appliance.Hash(mb.Peer) || (len(ma.Peer.Networks) == 1) != (len(list) == 2 && list[1].Addr().Is4()) {
			t.Errorf("%v: %+v", list, ma)
		}
	}
}
