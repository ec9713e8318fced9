package role

import (
	"testing"
	"time"

	"evenkeel/appliance"
)

func TestPlannedSwitch(t *testing.T) {
	b := active(t, Config{Witness: true})
	b.give(Event{Kind: MakePassive})
	b.ticks(50*ms, b.peer(Able|Claims|Prepared))
	b.want(appliance.HandingOn, HandsByCommand)
	if b.s.Until <= b.now {
		t.Fatal("the lease ended while requests were in flight")
	}
	b.give(Event{Kind: Drained})
	b.want(appliance.Passive, HandsNow)
	if says := b.s.Says(b.c, b.now).Says; says.Any(Owns|Claims) || !says.Has(Gives) {
		t.Fatalf("it says %b", says)
	}
	b.ticks(time.Second, b.peer(Owns))
	b.want(appliance.Passive, PeerOwns)
}

func TestPlannedSwitchEndsAtItsLimitOrIsCalledOff(t *testing.T) {
	b := active(t, Config{Witness: true})
	b.ticks(50*ms, b.peer(Able|Wishes))
	b.want(appliance.HandingOn, HandsByWish)
	b.ticks(5*time.Second, b.peer(Able|Wishes|Claims|Prepared))
	b.want(appliance.Passive, HandsAtLimit)

	b = active(t, Config{Witness: true})
	b.give(Event{Kind: MakePassive})
	b.ticks(7*time.Second, b.peer(Able))
	b.want(appliance.Active, SwitchOffLate)
}

func TestTakesWhatIsGivenAtOnce(t *testing.T) {
	b := passive(t, Config{Witness: true})
	b.give(Event{Kind: MakeActive})
	b.ticks(100*ms, b.peer(Owns|Hands))
	if !b.s.Claiming || b.s.Addresses != On {
		t.Fatal("it does not wait for the addresses with its own put on")
	}
	b.ticks(5*ms, b.peer(Gives))
	b.want(appliance.Active, WishedByCommand, Given)
}

func TestAutomaticFailbackOnlyWhenSet(t *testing.T) {
	for _, set := range []bool{true, false} {
		b := passive(t, Config{Witness: true, Primary: true, Failback: set})
		b.ticks(11*time.Second, b.peer(Owns|Able))
		if wishes := b.s.Says(b.c, b.now).Says.Has(Wishes); wishes != set {
			t.Fatalf("failback %v, wishes %v", set, wishes)
		}
	}
}

func TestLeavingNodeHandsOn(t *testing.T) {
	b := active(t, Config{Witness: true})
	b.ticks(50*ms, b.peer(Able))
	b.give(Event{Kind: Leave})
	b.give(Event{Kind: Drained})
	b.ticks(50*ms, b.peer(Able|Claims|Prepared))
	b.want(appliance.Passive, HandsLeaving, HandsNow)
	b.ticks(2*time.Second, nil)
	b.want(appliance.Passive)

	b = active(t, Config{Witness: true})
	b.ticks(300*ms, nil)
	b.give(Event{Kind: Leave})
	b.want(appliance.Passive, Left)
}

// TestRefusalsNameTheirCause although the peer was heard a moment ago.
func TestRefusalsNameTheirCause(t *testing.T) {
	for _, c := range []struct {
		code Code
		says func(*bench) func() *Beat
	}{
		{RefusedDeaf, func(b *bench) func() *Beat { return b.deaf(Healthy) }},
		{RefusedPeer, func(b *bench) func() *Beat { return b.unhealthy(Able) }},
		{RefusedGives, func(b *bench) func() *Beat { return b.peer(Gives) }},
	} {
		b := active(t, Config{Witness: true})
		b.ticks(105*ms, c.says(b))
		b.give(Event{Kind: MakePassive})
		b.want(appliance.Active, c.code)
	}
	for _, c := range []struct {
		code Code
		says func(*bench) func() *Beat
	}{
		{SwitchOff, func(b *bench) func() *Beat { return b.deaf(Healthy) }},
		{SwitchOffPeer, func(b *bench) func() *Beat { return b.unhealthy(Able) }},
		{SwitchOffLate, func(b *bench) func() *Beat { return b.peer(Able) }},
	} {
		b := active(t, Config{Witness: true, Switch: 50 * ms})
		b.ticks(20*ms, b.peer(Able))
		b.give(Event{Kind: MakePassive})
		b.want(appliance.HandingOn, HandsByCommand)
		b.ticks(600*ms, c.says(b))
		b.want(appliance.Active, c.code)
	}
}

// unhealthy is a peer that hears everything and is not healthy.
func (b *bench) unhealthy(says Says) func() *Beat {
	return func() *Beat {
		beat := b.peer(says)()
		beat.Says &^= Healthy
		return beat
	}
}
