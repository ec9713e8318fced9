package replica

import (
	"context"
	"errors"
	"fmt"
	"time"

	"evenkeel/appliance"
)

// A pair may be broken while one of its nodes is off. That one believes in the pair until it hears otherwise: while its peer is not heard it asks, by its own key, whether
// there still is one.

// What a node says by its kind of refusal to the key of a former peer.
const (
	itLeft  = appliance.Conflict // the pair is broken, and this node gave its services up
	itKeeps = appliance.Stale    // the pair is broken, and this node has the services
)

const (
	askLostEvery = 5 * time.Second
	codeUnknown  = "pair_unknown" // the other node knows of no pair
)

// refusal is what a node of a pair that was broken here is told.
func (f former) refusal(name string) error {
	e := &appliance.Error{
		Kind: itLeft, Op: "sign in", Message: "The pair was broken on " + name + ", on " + f.Broken.UTC().Format("2 January 2006 at 15:04 UTC") + ".",
	}
	if f.Kept {
		e.Kind = itKeeps
		e.Message += " " + name + " has kept the services."
	}
	return e
}

// saidParted tells whether the other node has said that there is no pair any more.
func saidParted(err error) bool {
	kind := appliance.KindOf(err)
	return errors.Is(err, errSaidNo) && (kind == itLeft || kind == itKeeps || kind == appliance.NotFound)
}

// askLost ends the pair if the other node, which is not heard, has ended it: whoever has the services keeps them.
func (m *Members) askLost(ctx context.Context) {
	current, paired := m.Current()
	if !paired || m.o.Lost == nil || !m.o.Lost() || m.o.Now().Sub(m.asked) < askLostEvery {
		return
	}
	done, err := m.begin()
	if err != nil {
		return
	}
	defer done()
	c, err := m.dialPeer(ctx, current.Peer, signTime)
	m.asked = m.o.Now()
	if err == nil {
		c.Close()
		m.o.Clear(codeUnknown)
		return
	}
	if !saidParted(err) {
		return
	}
	if kind := appliance.KindOf(err); kind != appliance.NotFound {
		m.log.Warn("the pair was broken while this node was away", "peer", current.Peer.Name, "keeps", kind == itLeft)
		o := appliance.Origin{Operator: "system", From: current.Peer.Address, Via: "pair", Why: "broken on " + current.Peer.Name}
		if err := m.endedByPeer(ctx, o, kind == itLeft, brokenMeanwhile); err != nil {
			m.log.Error("the pair is not ended", "error", err)
		}
		return
	}
	m.o.Alert(appliance.Alert{
		Code: codeUnknown, Severity: appliance.Critical, Sentence: fmt.Sprintf("%s knows of no pair with this node: it was set up anew, or its data folder is another.", current.Peer.Name),
		Hint: "Break the pair here, and make it again from the node that has the services.",
	})
}
