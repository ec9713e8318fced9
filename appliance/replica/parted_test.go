package replica

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"evenkeel/appliance"
)

// TestPairThatWasBrokenMeanwhileIsEndedOnTheNodeThatComesBack: it has no peer to hear and asks; exactly one of the two has the services then.
func TestPairThatWasBrokenMeanwhileIsEndedOnTheNodeThatComesBack(t *testing.T) {
	for name, breakerActive := range map[string]bool{"the breaker keeps the services": true, "the breaker gave them up": false} {
		t.Run(name, func(t *testing.T) {
			a, b := newRig(t, "lb1"), newRig(t, "lb2")
			must(t, a.pair(b))
			b.active.Store(breakerActive)
			b.dial = func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrUnexpectedEOF }
			_, err := b.members.Break(t.Context(), anna(), nil)
			must(t, err)
			lost := atomic.Bool{}
			a.members.o.Lost = lost.Load
			ctx, stop := context.WithCancel(t.Context())
			a.members.askLost(ctx)
			if _, paired := a.members.Current(); !paired {
				t.Fatal("a peer that is heard was asked")
			}
			lost.Store(true)
			ended := make(chan error)
			go func() { ended <- a.members.Run(ctx) }()
			until(t, func() bool { _, paired := a.members.Current(); return !paired })
			stop()
			must(t, <-ended)
			if left := locked(a, &a.left); (left == 1) != breakerActive {
				t.Errorf("it gave its services up %d times", left)
			}
			b.dial = new(net.Dialer).DialContext
			must(t, a.pair(b))
			wantPair(t, a, b)
		})
	}
}

func TestPeerThatKnowsOfNoPairIsToldAndNothingIsGivenUp(t *testing.T) {
	a, b := newRig(t, "lb1"), newRig(t, "lb2")
	must(t, a.pair(b))
	must(t, b.store.ExchangeSecrets(t.Context(), nil, []string{secretPair})) // set up anew on the same machine
	b.restart()
	alerts := map[string]appliance.Alert{}
	a.members.o.Lost = func() bool { return true }
	a.members.o.Alert = func(x appliance.Alert) { alerts[x.Code] = x }
	a.members.o.Clear = func(code string) { delete(alerts, code) }
	a.members.askLost(t.Context())
	if _, paired := a.members.Current(); !paired || alerts[codeUnknown].Sentence == "" || a.left != 0 {
		t.Errorf("paired: %v, %v", paired, alerts)
	}
	if done, err := a.members.Break(t.Context(), anna(), nil); err != nil || done.Told != nil || len(alerts) > 0 {
		t.Errorf("%+v, %v, %v", done, err, alerts)
	}
}
