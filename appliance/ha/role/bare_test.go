package role

import (
	"testing"
	"time"

	"evenkeel/appliance"
)

// TestBareNodeOwnsNothingThatItsPeerCanOwn because nothing would end its lease.
func TestBareNodeOwnsNothingThatItsPeerCanOwn(t *testing.T) {
	c := Config{Witness: true, Bare: true, First: true, Priority: 9}
	b := newBench(t, c)
	if b.count(Drop) != 0 || !b.s.Says(c, b.now).Says.Has(Owns) {
		t.Error("it says that a lease of the process before has ended, which it cannot know")
	}
	b.ticks(50*ms, b.peer(Able|Owns))
	if says := b.s.Says(c, b.now).Says; !says.Has(Owns) || says.Has(Settled) {
		t.Errorf("it says %b while that lease may be in force", says)
	}
	b.ticks(time.Second, b.peer(Able))
	b.want(appliance.Passive)
	if says := b.s.Says(c, b.now).Says; says.Any(Owns|Claims|Able|Healthy) || !says.Has(Bare) {
		t.Fatalf("it says %b", says)
	}
	b.give(Event{Kind: MakeActive})
	b.want(appliance.Passive, RefusedBare)
	b.ticks(2*time.Second, nil)
	b.want(appliance.Passive, StaysBare)

	b.give(Event{Kind: MakeActive, Yes: true})
	b.ticks(time.Second, nil)
	b.want(appliance.Active, Forced, TookOver)
	b.ticks(100*ms, b.peer(Able))
	b.want(appliance.Passive, GaveBare)
}

func TestTwoBareNodesShareWhoIsActive(t *testing.T) {
	b := newBench(t, Config{Witness: true, Bare: true, First: true})
	b.ticks(restlessLife+100*ms, b.peer(Able|Bare))
	b.want(appliance.Active, Elected)
	b.give(Event{Kind: MakePassive})
	b.want(appliance.HandingOn, HandsByCommand)
}

// TestFounderWithoutALeaseHandsNothingOn because its addresses would stay on.
func TestFounderWithoutALeaseHandsNothingOn(t *testing.T) {
	b := &bench{t: t, c: Config{Witness: true, Bare: true, Holds: true, First: true}, now: time.Hour, witness: true}
	b.give(Event{Kind: Founded, Yes: true})
	b.ticks(time.Second, b.peer(Able|Wishes))
	b.give(Event{Kind: MakePassive})
	b.ticks(100*ms, b.peer(Able))
	b.want(appliance.Active, RefusedHolds)
	b.ticks(100*ms, b.peer(Able|Bare|Wishes))
	b.want(appliance.HandingOn, HandsByWish)
}

func TestNothingIsGivenToABareNode(t *testing.T) {
	b := newBench(t, Config{Witness: true})
	bare := b.unhealthy(Bare)
	b.ticks(200*ms, func() *Beat {
		beat := bare()
		beat.Priority, beat.Choice = 9, 7
		return beat
	})
	b.want(appliance.Active, Elected)
	b.give(Event{Kind: MakePassive})
	b.ticks(100*ms, bare)
	b.want(appliance.Active, RefusedPeerBare)
	b.give(Event{Kind: Health})
	b.ticks(time.Second, bare)
	b.want(appliance.Active, HealthGone)
}
