package role

import (
	"slices"
	"testing"
	"time"

	"evenkeel/appliance"
)

const ms = time.Millisecond

// bench runs one node by hand: the kernel obeys at once, the peer and the witness are what the test says.
type bench struct {
	t       *testing.T
	c       Config
	s       State
	now     time.Duration
	witness bool // it answers
	refuse  bool // the kernel refuses renewals
	owner   bool // somebody answers probes
	did     []Action
}

func newBench(t *testing.T, c Config) *bench {
	b := &bench{t: t, c: c, now: time.Hour, witness: true}
	b.give(Event{Kind: Start, Yes: true})
	return b
}

func (b *bench) give(e Event) {
	b.t.Helper()
	b.now++
	e.At = b.now
	var do []Action
	b.s, do = Step(b.c, b.s, e)
	for _, a := range do {
		b.did = append(b.did, a)
		if answer, ok := b.answer(a); ok {
			b.give(answer)
		}
	}
}

func (b *bench) answer(a Action) (Event, bool) {
	switch {
	case a.Do == Renew && b.refuse:
		return Event{Kind: RenewFailed}, true
	case a.Do == Renew:
		return Event{Kind: Renewed}, true
	case a.Do == Drop:
		return Event{Kind: Dropped}, true
	case a.Do == Up:
		return Event{Kind: Raised}, true
	case a.Do == AskWitness && b.witness:
		return Event{Kind: WitnessAnswered}, true
	case a.Do == Probe && b.owner:
		return Event{Kind: OwnerSeen, Hardware: 0x020000000001}, true
	}
	return Event{}, false
}

// ticks lets time pass; each 5 ms the peer says what says returns (nil: it is silent).
func (b *bench) ticks(d time.Duration, says func() *Beat) {
	b.t.Helper()
	for end := b.now + d; b.now < end; {
		b.now += 5 * ms
		if says != nil {
			if beat := says(); beat != nil {
				b.give(Event{Kind: Heard, Beat: *beat})
			}
		}
		b.give(Event{Kind: Tick})
	}
}

// peer is a peer that hears everything.
func (b *bench) peer(says Says) func() *Beat {
	return func() *Beat {
		return &Beat{Boot: 1, Echo: b.now - 6*ms, Sent: b.now - ms, Says: says | Settled | Healthy, Lease: appliance.Lease}
	}
}

// deaf is a peer that hears nothing.
func (b *bench) deaf(says Says) func() *Beat {
	return func() *Beat { return &Beat{Boot: 1, Says: says | Settled, Lease: appliance.Lease} }
}

func (b *bench) codes() []Code {
	var codes []Code
	for _, a := range b.did {
		if a.Do == Tell {
			codes = append(codes, a.Record.Code)
		}
	}
	return codes
}

func (b *bench) want(a appliance.Activity, codes ...Code) {
	b.t.Helper()
	if b.s.Activity() != a {
		b.t.Fatalf("activity %s, want %s; records %v", b.s.Activity(), a, b.codes())
	}
	for _, c := range codes {
		if !slices.Contains(b.codes(), c) {
			b.t.Fatalf("no record %s among %v", c, b.codes())
		}
	}
}

// active makes the node the owner beside a peer that is well and passive.
func active(t *testing.T, c Config) *bench {
	c.First = true
	b := newBench(t, c)
	b.ticks(200*ms, b.peer(Able))
	b.want(appliance.Active, Elected)
	b.did = nil
	return b
}

// passive makes the node passive beside an owner.
func passive(t *testing.T, c Config) *bench {
	b := newBench(t, c)
	b.ticks(200*ms, b.peer(Owns))
	b.want(appliance.Passive, PeerOwns)
	b.did = nil
	return b
}

func TestStartWaitsForPeerOrSilence(t *testing.T) {
	b := newBench(t, Config{Witness: true})
	b.ticks(490*ms, nil)
	b.want(appliance.Starting)
	b.ticks(700*ms, nil)
	b.want(appliance.Active, PeerSilent, TookOver)
}

func TestNothingHappensBeforeStart(t *testing.T) {
	s, do := Step(Config{}, State{}, Event{Kind: Tick, At: time.Hour})
	if s != (State{}) || do != nil {
		t.Fatalf("a node that was not started became %+v and does %v", s, do)
	}
}

func TestTakesOverAfterLeaseAndProbes(t *testing.T) {
	b := passive(t, Config{Witness: true})
	heard := b.now
	for b.s.Phase != Active && b.now < heard+time.Second {
		b.ticks(5*ms, nil)
	}
	b.want(appliance.Active, PeerSilent, TookOver)
	if took := b.now - heard; took < appliance.Lease+margin || took > 240*ms {
		t.Fatalf("took the addresses after %s", took)
	}
	order := slices.IndexFunc(b.did, func(a Action) bool { return a.Do == Up }) <
		slices.IndexFunc(b.did, func(a Action) bool { return a.Do == Renew })
	renewed := slices.IndexFunc(b.did, func(a Action) bool { return a.Do == Renew })
	announced := slices.IndexFunc(b.did, func(a Action) bool { return a.Do == Announce })
	if !order || announced < renewed {
		t.Fatalf("the order must be addresses, lease, announcement: %v", b.did)
	}
}

func TestStaysPassive(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*bench)
		code   Code
		want   appliance.Activity
	}{
		{"witness silent", func(b *bench) { b.witness = false }, WitnessSilent, appliance.Cut},
		{"third machine answers", func(b *bench) { b.owner = true }, OwnerAnswers, appliance.Passive},
		{"not healthy", func(b *bench) { b.give(Event{Kind: Health}) }, StaysUnhealthy, appliance.Passive},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := passive(t, Config{Witness: true})
			c.change(b)
			b.ticks(3*time.Second, func() *Beat {
				if b.s.Owner() {
					t.Fatal("it took the addresses")
				}
				return nil
			})
			if b.s.Phase == Taking {
				b.ticks(20*ms, nil)
			}
			b.want(c.want, c.code)
		})
	}
}

func TestOperatorVouchesWhenWitnessIsSilent(t *testing.T) {
	b := passive(t, Config{Witness: true})
	b.witness = false
	b.ticks(time.Second, nil)
	b.give(Event{Kind: MakeActive})
	b.ticks(time.Second, nil)
	b.want(appliance.Cut, RefusedNoContact)
	b.give(Event{Kind: MakeActive, Yes: true})
	b.ticks(time.Second, nil)
	b.want(appliance.Active, Forced, TookOver)
}

func TestLeaseIsCountedFromTheEchoedSending(t *testing.T) {
	b := active(t, Config{Witness: true})
	b.ticks(time.Second, func() *Beat {
		beat := b.peer(Able)()
		beat.Echo = b.now - 70*ms
		return beat
	})
	for _, a := range b.did {
		if a.Do == Renew && a.Until > b.now-70*ms+appliance.Lease {
			t.Fatalf("renewed until %s, more than a lease after what was echoed", a.Until-b.now)
		}
	}
	b.want(appliance.Active)
}

func TestOwnerWithoutEcho(t *testing.T) {
	for _, c := range []struct {
		name    string
		config  Config
		witness bool
		says    func(*bench) func() *Beat
		want    appliance.Activity
		code    Code
	}{
		{"witness answers", Config{Witness: true}, true, nil, appliance.Active, Solo},
		{"witness silent", Config{Witness: true}, false, nil, appliance.Cut, LeaseLost},
		{"no witness", Config{}, false, nil, appliance.Active, Solo},
		{"peer is deaf and able", Config{Witness: true}, true, func(b *bench) func() *Beat { return b.deaf(Able | Healthy) }, appliance.Passive, LeaseYielded},
		{"peer is deaf and not able", Config{Witness: true}, true, func(b *bench) func() *Beat { return b.deaf(0) }, appliance.Active, Solo},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := active(t, c.config)
			b.witness = c.witness
			var says func() *Beat
			if c.says != nil {
				says = c.says(b)
			}
			b.ticks(250*ms, says)
			if c.want == appliance.Cut {
				b.ticks(300*ms, says)
			}
			b.want(c.want, c.code)
		})
	}
}

func TestFrozenOwnerWakesWithoutLease(t *testing.T) {
	b := active(t, Config{Witness: true})
	old := b.peer(Able)()
	b.now += 10 * time.Second
	b.give(Event{Kind: Heard, Beat: *old})
	b.give(Event{Kind: WitnessAnswered})
	b.want(appliance.Passive, Woke, LeaseLost)
	for _, a := range b.did {
		if a.Do == Renew && a.Until > b.now {
			t.Fatal("renewed on what had waited in the sockets")
		}
	}
}

func TestFrozenPassiveListensAnew(t *testing.T) {
	b := passive(t, Config{Witness: true})
	b.now += 10 * time.Second
	b.ticks(150*ms, nil)
	b.want(appliance.Passive, Woke)
}

func TestUnhealthyOwnerGivesToHealthyPeer(t *testing.T) {
	b := active(t, Config{Witness: true})
	b.ticks(50*ms, b.peer(Able))
	b.give(Event{Kind: Health})
	b.want(appliance.Passive, HealthGone, GaveUnhealthy)

	b = active(t, Config{Witness: true})
	unhealthy := func() *Beat {
		beat := b.peer(0)()
		beat.Says &^= Healthy
		return beat
	}
	b.ticks(50*ms, unhealthy)
	b.give(Event{Kind: Health})
	b.ticks(500*ms, unhealthy)
	b.want(appliance.Active)
}

func TestRenewalThatFailsTwiceGivesUp(t *testing.T) {
	b := active(t, Config{Witness: true})
	b.refuse = true
	b.ticks(200*ms, b.peer(Able))
	b.want(appliance.Passive, RenewRefused, RenewGaveUp)
}

func TestTwoOwnersAfterAHeal(t *testing.T) {
	for _, c := range []struct {
		name string
		says func(*bench) func() *Beat
		want appliance.Activity
		code Code
	}{
		{"first wins", func(b *bench) func() *Beat { return b.peer(Owns) }, appliance.Active, RivalLoses},
		{"priority loses", func(b *bench) func() *Beat {
			return func() *Beat {
				beat := b.peer(Owns)()
				beat.Priority = 9
				return beat
			}
		}, appliance.Passive, RivalWins},
		{"the peer cannot know", func(b *bench) func() *Beat { return b.deaf(Owns) }, appliance.Passive, RivalDeaf},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := active(t, Config{Witness: true})
			b.ticks(300*ms, nil)
			b.ticks(150*ms, c.says(b))
			b.want(c.want, c.code)
		})
	}
}

func TestBothLooking(t *testing.T) {
	for _, first := range []bool{true, false} {
		b := passive(t, Config{Witness: true, First: first})
		b.ticks(185*ms, nil)
		b.want(appliance.Taking)
		b.give(Event{Kind: RivalSeen})
		if going := b.s.Phase == Taking; going != first {
			t.Fatalf("first %v goes on: %v", first, going)
		}
	}
}

func TestPatienceAdaptsWithinBounds(t *testing.T) {
	for _, c := range []struct{ gap, want time.Duration }{{10 * ms, 170 * ms}, {88 * ms, 176 * ms}, {150 * ms, 180 * ms}} {
		if got := (State{Gap: c.gap}).Patience(Config{}); got != c.want {
			t.Errorf("gap %s: patience %s, want %s", c.gap, got, c.want)
		}
	}
	if got := (State{Peer: Beat{Lease: 400 * ms}}).Patience(Config{}); got != 420*ms {
		t.Errorf("a peer with a lease of 400 ms gets %s", got)
	}
}
