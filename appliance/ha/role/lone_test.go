package role

import (
	"testing"
	"time"

	"evenkeel/appliance"
)

// alone is an owner whose peer has been dead for so long.
func alone(t *testing.T, lasts time.Duration) *bench {
	b := active(t, Config{Witness: true})
	b.ticks(lasts, nil)
	b.want(appliance.Active, Solo)
	b.did = nil
	return b
}

// stands lets the machine of the node stand still.
func (b *bench) stands(d time.Duration) {
	b.t.Helper()
	b.now += d
	b.ticks(100*ms, nil)
}

func TestOwnerThatIsAloneForLongSurvivesAMachineThatStandsStill(t *testing.T) {
	for _, c := range []struct {
		alone, stands time.Duration
		want          appliance.Activity
	}{
		{4 * time.Second, 150 * ms, appliance.Passive},
		{14 * time.Second, 150 * ms, appliance.Passive}, // it has begun to tell the longer lease, and does not use it yet
		{17 * time.Second, 400 * ms, appliance.Active},
		{17 * time.Second, 600 * ms, appliance.Passive},
	} {
		b := alone(t, c.alone)
		b.stands(c.stands)
		if got := b.s.Activity(); got != c.want {
			t.Errorf("alone for %s, it is %s after its machine has stood still for %s", c.alone, got, c.stands)
		}
	}
}

// TestLongLeaseIsToldFirst and for long, and no longer used when the peer is heard again.
func TestLongLeaseIsToldFirst(t *testing.T) {
	b := alone(t, 4*time.Second)
	told := func() time.Duration { return b.s.Says(b.c, b.now).Lease }
	if told() != appliance.Lease {
		t.Errorf("it tells %s", told())
	}
	b.ticks(2*time.Second, nil)
	if told() != soloLong || b.s.Until-b.now > solo {
		t.Errorf("it tells %s and uses %s", told(), b.s.Until-b.now)
	}
	b.ticks(11*time.Second, nil)
	if told() != soloLong || b.s.Until-b.now < soloLong-100*ms {
		t.Errorf("it tells %s and uses %s", told(), b.s.Until-b.now)
	}
	b.ticks(10*ms, b.peer(Able))
	if left := b.s.Until - b.now; told() < left || left < 300*ms {
		t.Errorf("it tells %s and has %s", told(), left)
	}
	b.ticks(600*ms, b.peer(Able))
	if told() != appliance.Lease || b.s.Until-b.now > appliance.Lease {
		t.Errorf("it tells %s and uses %s", told(), b.s.Until-b.now)
	}
}

// TestWhoKnowsNothingOfThePeerOutlastsALongLease counts from the first question that nobody answers.
func TestWhoKnowsNothingOfThePeerOutlastsALongLease(t *testing.T) {
	for name, b := range map[string]*bench{
		"started anew":              newBench(t, Config{Witness: true}),
		"heard nothing for long":    passive(t, Config{Witness: true}),
		"heard of the longer lease": passive(t, Config{Witness: true}),
	} {
		switch name {
		case "heard nothing for long":
			b.owner = true
			b.ticks(6*time.Second, nil)
			b.owner = false
		case "heard of the longer lease":
			said := b.peer(Owns)
			b.ticks(50*ms, func() *Beat {
				l := said()
				l.Lease = soloLong
				return l
			})
		}
		b.did = nil
		var asked time.Duration
		for end := b.now + 3*time.Second; b.s.Phase != Active && b.now < end; b.ticks(5*ms, nil) {
			if asked == 0 && b.s.Phase == Taking {
				asked = b.now
			}
		}
		if took := b.now - asked; b.s.Phase != Active || took < soloLong+margin || took > 700*ms {
			t.Errorf("%s: %s after %s of questions", name, b.s.Activity(), took)
		}
	}
}
