package role

import (
	"slices"
	"testing"
	"time"

	"evenkeel/appliance"
)

// cutOff is an owner that has heard nothing since a moment, and whose lease has ended: it says so in datagrams that are so long on their way.
func (b *bench) cutOff(since, late time.Duration, says Says) func() *Beat {
	return func() *Beat {
		return &Beat{Boot: 1, Echo: since, Sent: b.now - late, Says: says | Settled | Healthy, Lease: appliance.Lease}
	}
}

// TestTakesAtOnceWhatAnOwnerThatHearsNothingHasGivenUp and nothing that it might take again: what is not said, not recent or not timed leaves the
// peer its patience and the many rounds.
func TestTakesAtOnceWhatAnOwnerThatHearsNothingHasGivenUp(t *testing.T) {
	const soon, long = 60 * ms, 300 * ms
	for _, c := range []struct {
		name  string
		late  time.Duration // on their way
		held  time.Duration // what they echo is so old
		says  Says
		lasts time.Duration // so long it says so, then it is silent
		least time.Duration // before the addresses may be taken
		most  time.Duration
		code  Code
	}{
		{"it gave up", ms, 0, 0, time.Second, 30 * ms, soon, TookVacant},
		{"it is able to take them again", ms, 0, Able, time.Second, time.Second, 0, LeftToPeer},
		{"it takes them again", ms, 0, Takes, time.Second, time.Second, 0, PeerHeard},
		{"it said so too long ago", 70 * ms, 0, 0, time.Second, long, time.Second, TookOver},
		{"its clock cannot be known", ms, 2 * time.Second, 0, time.Second, long, time.Second, TookOver},
		{"it falls silent again", 30 * ms, 0, 0, 10 * ms, long, time.Second, TookOver},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := passive(t, Config{Witness: true})
			since := b.now - c.held
			b.ticks(145*ms, b.cutOff(since, ms, Owns))
			if b.s.Phase != Passive {
				t.Fatalf("phase %d while the peer owns", b.s.Phase)
			}
			b.did = slices.DeleteFunc(b.did, func(a Action) bool { return a.Do != Tell })
			gone := b.now
			for b.s.Phase != Active && b.now < gone+time.Second {
				says := b.cutOff(since, c.late, c.says)
				if b.now-gone >= c.lasts {
					says = nil
				}
				b.ticks(5*ms, says)
			}
			took := b.now - gone
			if took < c.least || c.most != 0 && took > c.most {
				t.Errorf("took the addresses after %s, want %s to %s; records %v", took, c.least, c.most, b.codes())
			}
			if !slices.Contains(b.codes(), c.code) && c.code != PeerHeard {
				t.Errorf("no record %s among %v", c.code, b.codes())
			}
		})
	}
}
