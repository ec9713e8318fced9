package role

import (
	"testing"
	"time"

	"evenkeel/appliance"
)

// stutters lets the machine stand still so often, and hear its peer in between.
func (b *bench) stutters(times int, each time.Duration, says func() *Beat) {
	b.t.Helper()
	for range times {
		b.now += each
		b.ticks(200*ms, says)
	}
}

// TestMachineThatStandsStillAgainAndAgainKeepsItsLease which lives longer then, after the peer has heard of that.
func TestMachineThatStandsStillAgainAndAgainKeepsItsLease(t *testing.T) {
	b := active(t, Config{Witness: true})
	b.stutters(often-1, 100*ms, b.peer(Able))
	b.want(appliance.Active, Woke)
	if told := b.s.Says(b.c, b.now).Lease; told != appliance.Lease {
		t.Errorf("after %d stalls it tells %s", often-1, told)
	}
	b.now += 100 * ms
	b.give(Event{Kind: Tick})
	b.want(appliance.Active, Restless)
	if told, left := b.s.Says(b.c, b.now).Lease, b.s.Until-b.now; told != restlessLife || left > appliance.Lease {
		t.Errorf("right after it has become restless it tells %s and uses %s", told, left)
	}
	b.ticks(100*ms, b.peer(Able))
	if left := b.s.Until - b.now; left < restlessLife-100*ms {
		t.Errorf("it uses %s", left)
	}
	b.did = nil
	b.stutters(10, 600*ms, b.peer(Able))
	b.want(appliance.Active)
	if told := b.codes(); len(told) != 0 {
		t.Errorf("it tells every stall: %v", told)
	}
	b.ticks(time.Minute, b.peer(Able))
	b.want(appliance.Active, Calm)
	b.ticks(restlessLife, b.peer(Able))
	if told, left := b.s.Says(b.c, b.now).Lease, b.s.Until-b.now; told != appliance.Lease || left > appliance.Lease {
		t.Errorf("calm again, it tells %s and uses %s", told, left)
	}
}

func TestStallsThatAreFarApartChangeNothing(t *testing.T) {
	b := active(t, Config{Witness: true})
	for range 5 {
		b.now += 100 * ms
		b.ticks(oftenWithin+time.Second, b.peer(Able))
	}
	if b.want(appliance.Active, Woke); b.s.Restless() {
		t.Error("it counts as restless")
	}
}

// TestRestlessOwnerThatIsAloneUsesTheLongLease at once, because its peer has echoed that it was told.
func TestRestlessOwnerThatIsAloneUsesTheLongLease(t *testing.T) {
	b := active(t, Config{Witness: true})
	b.stutters(often, 100*ms, b.peer(Able))
	b.ticks(100*ms, b.peer(Able))
	b.ticks(2*time.Second, nil)
	b.want(appliance.Active, Solo)
	b.stands(400 * ms)
	b.want(appliance.Active)
}

// TestRestlessSurvivorUsesTheLongLeaseAtOnce since it told it while it was passive.
func TestRestlessSurvivorUsesTheLongLeaseAtOnce(t *testing.T) {
	b := passive(t, Config{Witness: true})
	b.stutters(often, 100*ms, b.peer(Owns))
	b.ticks(500*ms, nil)
	b.want(appliance.Active, TookOver)
	b.stands(400 * ms)
	b.want(appliance.Active)
}

// TestSurvivorThatStandsStillLooksOn where it was: what nobody answered stays unanswered.
func TestSurvivorThatStandsStillLooksOn(t *testing.T) {
	taking := func(need time.Duration) *bench {
		b := passive(t, Config{Witness: true})
		said := b.peer(Owns)
		b.ticks(50*ms, func() *Beat {
			l := said()
			l.Lease = restlessLife
			return l
		})
		b.ticks(restlessLife+margin+need, nil)
		b.want(appliance.Taking)
		return b
	}
	b := taking(400 * ms)
	b.stands(200 * ms)
	b.want(appliance.Taking)
	b.ticks(150*ms, nil)
	b.want(appliance.Active, TookOver)

	b = taking(400 * ms)
	b.stands(brief + 100*ms)
	b.ticks(100*ms, nil)
	if b.s.Activity() == appliance.Active {
		t.Error("it has taken the addresses right behind a long stall")
	}
	b.ticks(time.Second, nil)
	b.want(appliance.Active, TookOver)

	b = taking(400 * ms)
	b.now += 200 * ms
	b.owner = true
	b.ticks(300*ms, nil)
	if b.s.Activity() == appliance.Active {
		t.Error("it has taken the addresses of an owner that answers")
	}
}
