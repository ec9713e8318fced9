package http1

import (
	"net/netip"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
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

// TestAServerThatMayHaveSaidMoreIsNotGivenToTheNextRequest: more than the answer may be on its way, and would be taken for the next one.
func TestAServerThatMayHaveSaidMoreIsNotGivenToTheNextRequest(t *testing.T) {
	r := newRig(t)
	r.client.Arrive([]byte(get))
	r.connected(0).More = true
	r.server(0).Arrive([]byte(ok2))
	r.equal("answer", take(r.client), ok2)
	r.client.Arrive([]byte(get))
	r.connected(1).Arrive([]byte(ok2))
	r.equal("answer of another connection", take(r.client), ok2)
	r.server(0).Arrive([]byte("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))
	r.true("the one that said more is gone", r.server(0).Aborted && len(take(r.client)) == 0)
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

// TestAConnectionServesOnlyWhomItMay: the server sees a client's address, or was told whose connection it is.
func TestAConnectionServesOnlyWhomItMay(t *testing.T) {
	for _, reuse := range []appliance.Reuse{appliance.ReuseNever, appliance.ReuseSafe, appliance.ReuseAlways} {
		for _, sharing := range []wire.Sharing{wire.SharedByAll, wire.SharedByAddress, wire.SharedByNobody} {
			r := newRig(t, func(v *appliance.VirtualService) { v.HTTP.Reuse = reuse })
			r.service.choice.Sharing = sharing
			ask := func() (dialed int) {
				r.client.Arrive([]byte(get))
				n := len(r.loop.Dialed)
				if c := r.loop.Dialed[n-1]; !c.Closed && len(c.Sent) == 0 {
					c.Connect()
				}
				for _, c := range r.loop.Dialed {
					if len(take(c)) > 0 {
						c.Arrive([]byte(ok2))
					}
				}
				r.equal("answer", take(r.client), ok2)
				return n
			}
			first := ask()
			again := ask() - first // the same client
			r.accept()
			same := ask() - first - again // another of the same address
			before := len(r.loop.Dialed)
			r.acceptFrom(netip.MustParseAddrPort("203.0.113.8:51000"))
			other := ask() - before
			want := [3]int{0, 0, 0}
			switch {
			case sharing == wire.SharedByNobody:
				want = [3]int{1, 1, 1}
			case reuse == appliance.ReuseNever:
				want = [3]int{0, 1, 1}
			case sharing == wire.SharedByAddress:
				want = [3]int{0, 0, 1}
			}
			if got := [3]int{again, same, other}; got != want {
				t.Errorf("%s, sharing %d: fresh connections %v, want %v", reuse, sharing, got, want)
			}
			r.pool.Close()
			if left := len(r.pool.stacks); sharing == wire.SharedByAddress && left != 0 {
				t.Errorf("%d addresses are remembered", left)
			}
		}
	}
}

// TestClientsThatComeAndGoLeaveNothingBehind: the place of a connection that is in use, and ends so, is given back with it.
func TestClientsThatComeAndGoLeaveNothingBehind(t *testing.T) {
	r := newRig(t)
	r.service.choice.Sharing = wire.SharedByAddress
	for i := range 100 {
		r.acceptFrom(netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 40000))
		r.client.Arrive([]byte(get))
		r.connected(i).Arrive([]byte(ok2))
		r.client.Arrive([]byte(get)) // takes it again
		r.server(i).Arrive([]byte("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"))
		r.client.Finish()
	}
	r.true("nothing is left", len(r.pool.stacks) == 0 && r.pool.Len() == 0)
}
