package role

import (
	"slices"
	"testing"
	"time"
)

func TestLongIntervalsHaveLongLeases(t *testing.T) {
	if got := (Config{Interval: 50 * ms}).orDefault(); got.Lease != 500*ms || got.Dead != 500*ms {
		t.Fatalf("%+v", got)
	}
	b := active(t, Config{Witness: true, Interval: 50 * ms})
	b.ticks(2*time.Second, func() *Beat {
		beat := b.peer(Able)()
		beat.Echo = b.now - 150*ms // a lost datagram
		return beat
	})
	b.want("active")
	if slices.Contains(b.codes(), Solo) || slices.Contains(b.codes(), PeerDeaf) {
		t.Fatal(b.codes())
	}
}

func TestLongerLeaseCountsFromTheDatagramThatToldIt(t *testing.T) {
	b := active(t, Config{Witness: true})
	b.c.Lease = 500 * ms
	changed := b.now
	b.ticks(200*ms, func() *Beat {
		beat := b.peer(Able)()
		beat.Echo = b.now - 50*ms
		return beat
	})
	longer := false
	for _, a := range b.did {
		if a.Do != Renew {
			continue
		}
		if a.Until > changed+500*ms {
			longer = true
		} else if a.Until > changed+150*ms {
			t.Fatalf("a lease until %s after the change rests on what the peer heard before it", a.Until-changed)
		}
	}
	if !longer {
		t.Fatal("the longer lease is never used")
	}
}

func TestHurriesWhileEchoesAreLate(t *testing.T) {
	for _, c := range []struct {
		age     time.Duration
		hurries bool
	}{{20 * ms, false}, {60 * ms, true}} {
		b := active(t, Config{Witness: true})
		b.ticks(200*ms, func() *Beat {
			beat := b.peer(Able)()
			beat.Echo = b.now - c.age
			return beat
		})
		if sent := slices.ContainsFunc(b.did, func(a Action) bool { return a.Do == Send }); sent != c.hurries {
			t.Errorf("echoes of %s: sends beside the rhythm: %v", c.age, sent)
		}
	}
}

func TestFounderTellsItsLongFirstLease(t *testing.T) {
	b := &bench{t: t, c: Config{Witness: true}, now: time.Hour, witness: true}
	b.give(Event{Kind: Founded, Yes: true})
	b.want("active", PairFounded)
	if got := b.s.Says(b.c, b.now).Lease; got < FirstLease(b.c)-ms {
		t.Fatalf("it says that its lease lasts %s", got)
	}
	b.ticks(500*ms, b.peer(Able))
	if got := b.s.Says(b.c, b.now).Lease; got != 150*ms {
		t.Fatalf("later it says that its lease lasts %s", got)
	}
}

func TestWitnessIsAskedAgainWhenItOwesAnAnswer(t *testing.T) {
	b := passive(t, Config{Witness: true})
	b.witness = false
	b.ticks(2*time.Second, b.peer(Owns))
	asked := 0
	for _, a := range b.did {
		if a.Do == AskWitness {
			asked++
		}
	}
	if asked < 8 || asked > 14 {
		t.Fatalf("asked %d times in two seconds", asked)
	}
}

func TestAddressesStayOffWhileAnOwnerAnswers(t *testing.T) {
	b := passive(t, Config{Witness: true})
	b.owner = true
	b.ticks(5*time.Second, nil)
	ups, probes := 0, 0
	for _, a := range b.did {
		switch a.Do {
		case Up:
			ups++
		case Probe:
			probes++
		}
	}
	if ups != 1 || probes < 10 {
		t.Fatalf("addresses were put on %d times, for %d rounds of probes", ups, probes)
	}
	b.owner = false
	b.ticks(time.Second, nil)
	b.want("active", TookOver)
}

// count tells how often the node did something.
func (b *bench) count(what Do) (times int) {
	for _, a := range b.did {
		if a.Do == what {
			times++
		}
	}
	return times
}
