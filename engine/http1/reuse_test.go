package http1

import (
	"testing"
	"time"

	"evenkeel/appliance"
)

const post5 = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"

// TestReuseSaysWhichRequestsGoToAUsedConnection: the client that comes second finds a connection parked that the first one left.
func TestReuseSaysWhichRequestsGoToAUsedConnection(t *testing.T) {
	for _, c := range []struct {
		reuse   appliance.Reuse
		request string
		age     time.Duration
		reused  bool
	}{
		{appliance.ReuseSafe, get, 0, true},
		{appliance.ReuseSafe, post5, 0, false},
		{appliance.ReuseAlways, post5, 0, true},
		{appliance.ReuseAlways, post5, 5 * time.Second, true},
		{appliance.ReuseNever, get, 0, false},
	} {
		r := newRig(t, func(v *appliance.VirtualService) { v.HTTP.Reuse = c.reuse })
		r.client.Arrive([]byte(get))
		r.connected(0).Arrive([]byte(ok2))
		r.accept()
		r.loop.Advance(c.age)
		r.client.Arrive([]byte(c.request))
		if fresh := len(r.loop.Dialed) == 2; fresh == c.reused {
			t.Errorf("%s, %.4q after %s: a fresh connection %v", c.reuse, c.request, c.age, fresh)
		}
	}
}

func TestAClientKeepsItsOwnConnectionAndTakesItAway(t *testing.T) {
	r := newRig(t, func(v *appliance.VirtualService) { v.HTTP.Reuse = appliance.ReuseNever })
	for range 3 {
		r.client.Arrive([]byte(get))
		if r.pool.Len() == 0 && len(r.loop.Dialed) == 1 && !r.core.(*core).served {
			r.server(0).Connect()
		}
		r.server(0).Arrive([]byte(ok2))
		r.equal("answer", take(r.client), ok2)
	}
	r.true("one connection", len(r.loop.Dialed) == 1 && r.pool.Len() == 1)
	r.client.Finish()
	r.true("closed with the client", r.pool.Len() == 0 && r.server(0).Closed)

	r.accept()
	r.client.Arrive([]byte(get))
	r.connected(1).Arrive([]byte(ok2))
	r.server(1).Finish() // the server ends it while it is parked
	r.true("forgotten", r.pool.Len() == 0 && r.core.(*core).own == nil)
	r.client.Arrive([]byte(get))
	r.connected(2).Arrive([]byte(ok2))
	r.pool.Close()
	r.true("closed by the pool", r.core.(*core).own == nil)
	r.client.Break(nil)
	r.balanced()
}

func TestALaterPOSTGoesToAConnectionThatWasUsedAMomentAgo(t *testing.T) {
	r := newRig(t)
	r.client.Arrive([]byte(get))
	r.connected(0).Arrive([]byte(ok2))
	r.client.Arrive([]byte(post5))
	r.true("reused", len(r.loop.Dialed) == 1)
	r.server(0).Arrive([]byte(ok2))
	r.loop.Advance(2 * freshTime)
	r.client.Arrive([]byte(post5))
	r.true("a fresh one", len(r.loop.Dialed) == 2)
}
