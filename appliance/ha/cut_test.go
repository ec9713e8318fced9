package ha

import (
	"context"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/appliance/ha/beat"
	"evenkeel/appliance/ha/role"
)

// sever lets no gateway answer that node any more.
func (s *street) sever(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.severed = name
}

// deafen loses the heartbeats on the first path of both, which is that of the services.
func (c *couple) deafen(t *testing.T) {
	for _, h := range []*half{c.left, c.right} {
		done := make(chan struct{})
		if !h.insist(context.Background(), func(l *loop) {
			l.paths[0].close()
			l.paths[0].triedAt = bootTime() + time.Hour // never opened again
			close(done)
		}) {
			t.Fatal("the path is not lost")
		}
		<-done
	}
}

// crossed is a pair whose first path runs where the services do.
func crossed(t *testing.T) *couple {
	return newCouple(t, func(o *Options) { o.Paths[0].Interface = o.Membership.Self.Name + "0" })
}

func TestNodeWhoseServicesAreCutOffGivesTheAddressesAway(t *testing.T) {
	c := newCouple(t, nil)
	c.settle(t)
	c.street.sever("left") // heartbeats go on by another way
	cut := time.Now()
	c.agree(t, appliance.Passive)
	if took := time.Since(cut); took > cutAfter-time.Second && !c.stood() {
		t.Errorf("found after %v only", took)
	}
	until(t, "left says why", func() bool { return codes(c.left.Node)["left health_gone"] == 1 })
	c.street.sever("")
	until(t, "left is well again", func() bool { return c.right.Status().Peer.Healthy })
	if c.right.Activity() != appliance.Active && !c.stood() {
		t.Errorf("right is %s: the addresses went back by themselves", c.right.Activity())
	}
	c.street.silence()
	until(t, "the witness is silent for longer than a cut is", func() bool {
		at := c.right.Status().Witness.At
		return !at.IsZero() && time.Since(at) > cutAfter+time.Second
	})
	if !c.stood() && (!c.right.Status().Self.Healthy || c.right.Activity() != appliance.Active) {
		t.Error("a witness that answers nobody is no reason to give the addresses away")
	}
}

func TestCutIsFoundAtOnceWhenHeartbeatsAreMissingThereToo(t *testing.T) {
	c := crossed(t)
	c.settle(t)
	c.street.sever("left")
	c.deafen(t)
	cut := time.Now()
	c.agree(t, appliance.Passive)
	if took := time.Since(cut); took > cutAfter-time.Second && !c.stood() {
		t.Errorf("found after %v only", took)
	}
	until(t, "left says why", func() bool { return codes(c.left.Node)["left health_gone"] == 1 })
	until(t, "no path is silent for so short a time any more", func() bool { return time.Since(cut) > doubtLasts+time.Second })
	if codes(c.left.Node)["left health_back"] > 0 && !c.stood() {
		t.Error("left calls itself healthy although its witness is silent")
	}
	c.street.sever("")
	until(t, "left is well again", func() bool { return c.right.Status().Peer.Healthy })
	if c.right.Activity() != appliance.Active && !c.stood() {
		t.Errorf("right is %s: the addresses went back by themselves", c.right.Activity())
	}
}

func TestNobodyGivesUpWhenTheServicesAreCutOnBothSides(t *testing.T) {
	for what, silent := range map[string]bool{"the witness answers both": false, "the witness answers nobody": true} {
		t.Run(what, func(t *testing.T) {
			c := crossed(t)
			c.settle(t)
			changes := c.street.owners()
			if silent {
				c.street.silence()
			}
			c.deafen(t)
			begun := time.Now()
			until(t, "doubt is over", func() bool { return time.Since(begun) > doubtLasts+cutSoon })
			gone := codes(c.left.Node)["left health_gone"] + codes(c.right.Node)["right health_gone"]
			if (c.street.owners() != changes || gone > 0) && !c.stood() {
				t.Errorf("left %v right %v", codes(c.left.Node), codes(c.right.Node))
			}
		})
	}
}

func TestWhoIsCutOff(t *testing.T) {
	const now = time.Hour
	ago := func(d time.Duration) time.Duration { return now - d }
	silent := witness{at: ago(5 * time.Second), owed: ago(cutAfter + time.Millisecond)}
	doubt := cut{since: ago(cutSoon + time.Millisecond)}
	just := ago(time.Millisecond)
	able, answered := beat.Beat{Says: uint16(role.Able)}, beat.Beat{Says: uint16(role.Able), Witness: true}
	for what, c := range map[string]struct {
		witness witness
		cut     cut
		peer    beat.Beat
		heard   time.Duration
		want    bool
	}{
		"the witness is silent for long":                          {silent, cut{}, able, just, true},
		"no witness has ever answered":                            {witness{owed: silent.owed}, cut{}, able, just, false},
		"the peer would not take over":                            {silent, cut{}, beat.Beat{}, just, false},
		"the peer is not heard":                                   {silent, cut{}, able, ago(100 * time.Millisecond), false},
		"this node slept, and has not asked yet":                  {witness{at: ago(time.Minute)}, cut{}, answered, just, false},
		"in doubt, the peer's witness answers":                    {witness{at: ago(time.Second), owed: just}, doubt, answered, just, true},
		"in doubt, the peer's does not answer either":             {witness{at: ago(time.Second), owed: just}, doubt, able, just, false},
		"in doubt for a moment":                                   {witness{at: ago(time.Second), owed: just}, cut{since: just}, answered, just, false},
		"in doubt, and answered since":                            {witness{at: just}, doubt, answered, just, false},
		"who is cut off stays so while the peer is not able":      {witness{at: ago(time.Second), owed: just}, cut{off: true}, beat.Beat{}, just, true},
		"who is cut off and hears nobody lets the witness decide": {witness{at: ago(time.Minute), owed: just}, cut{off: true}, answered, ago(cutForgets), false},
		"who is cut off misses one heartbeat, and is still so":    {witness{at: ago(time.Second), owed: just}, cut{off: true}, answered, ago(100 * time.Millisecond), true},
	} {
		t.Run(what, func(t *testing.T) {
			l := &loop{config: role.Config{Witness: true}, witness: c.witness, cut: c.cut, peer: c.peer, heardAt: c.heard}
			if got := l.cutOff(now); got != c.want {
				t.Error(got)
			}
		})
	}
}
