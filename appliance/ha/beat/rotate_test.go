package beat

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// keeper is one node of the model: what is on its disk, what is in its memory, and the task under way.
type keeper struct {
	disk    []KeyMark
	r       Rotation
	private uint64
	boot    uint64
	sent    uint64
	heard   Echo    // of the peer
	drawn   *uint64 // counts everybody's draws, so that no two are the same
}

func (k *keeper) restart() {
	k.r, k.private, k.sent, k.heard = NewRotation(k.disk...), 0, 0, Echo{}
	k.boot++
}

// say is the next datagram of k, with the mark of the key that seals it.
func (k *keeper) say() flight {
	k.sent++
	mark := k.r.Held[k.r.SendWith(k.sent)]
	b := Beat{Key: mark.ID, Boot: k.boot, Sequence: k.sent, Echo: k.heard, Offer: k.r.Offer, Accepted: k.r.Accepted()}
	return flight{b: b, mark: mark, unsure: k.r.unsure}
}

type flight struct {
	b      Beat
	mark   KeyMark
	unsure bool
}

// finish does the task under way, or lets it fail.
func (k *keeper) finish(fails bool) {
	switch task := k.r.Busy; {
	case task == Nothing:
	case fails:
		k.r = k.r.Failed()
	case task == Draw:
		*k.drawn++
		k.private = *k.drawn
		var public [32]byte
		binary.BigEndian.PutUint64(public[:], k.private)
		k.r = k.r.Drawn(public)
	case task == Agree:
		theirs := binary.BigEndian.Uint64(k.r.Theirs.Public[:])
		next := KeyMark{ID: k.r.Next()}
		binary.BigEndian.PutUint64(next.Check[:], min(k.private, theirs)<<32|max(k.private, theirs))
		k.store(k.r.Held[0], next)
	case task == Forget:
		k.store(k.r.Held[1])
	case task == Abandon:
		k.store(k.r.Held[0])
	}
}

func (k *keeper) store(marks ...KeyMark) {
	k.disk = marks
	k.r = k.r.Stored(marks...)
}

// hear delivers a datagram and tells whether k holds the key that it is sealed with.
func (k *keeper) hear(f flight) bool {
	if k.r.Held[0] != f.mark && k.r.Held[1] != f.mark {
		return false
	}
	k.heard = Echo{Boot: f.b.Boot, Sequence: f.b.Sequence}
	echoed := f.b.Echo.Sequence
	if f.b.Echo.Boot != k.boot {
		echoed = 0
	}
	k.r, _ = k.r.Hear(&f.b, echoed, k.sent)
	return true
}

func twoKeepers(id uint8) (a, b *keeper) {
	drawn, first := new(uint64), KeyMark{ID: id, Check: [8]byte{1}}
	a, b = &keeper{disk: []KeyMark{first}, drawn: drawn}, &keeper{disk: []KeyMark{first}, drawn: drawn}
	a.restart()
	b.restart()
	return a, b
}

// TestChangeOfTheKeyNeverLosesThePeer takes any steps in any order: datagrams lost, and delivered at once or later, tasks slow or refused by the disk, nodes
// restarted, changes begun on either side or both.
func TestChangeOfTheKeyNeverLosesThePeer(t *testing.T) {
	for seed := range uint64(40_000) {
		randomChange(t, seed, rand.New(rand.NewPCG(seed, 1)))
	}
}

func randomChange(t *testing.T, seed uint64, dice *rand.Rand) {
	a, b := twoKeepers([]uint8{1, 254, 255}[dice.IntN(3)])
	both, onTheWay := []*keeper{a, b}, [2][]flight{}
	slow, rare := dice.IntN(2) == 1, 10+dice.IntN(30)
	a.r, _ = a.r.Begin()
	for range 20 + dice.IntN(100) {
		i := dice.IntN(2)
		k := both[i]
		switch what := dice.IntN(rare); {
		case what == 0:
			k.r, _ = k.r.Begin()
		case what == 1:
			k.restart()
		case what == 2:
			k.finish(true)
		case what < rare/3:
			k.finish(false)
		case what < 2*rare/3 && len(onTheWay[i]) < 3:
			onTheWay[i] = append(onTheWay[i], both[1-i].say())
			if slow {
				break
			}
			fallthrough
		default:
			if len(onTheWay[i]) == 0 {
				break
			}
			f := onTheWay[i][0]
			if onTheWay[i] = onTheWay[i][1:]; !k.hear(f) && !f.unsure && !slow {
				t.Fatalf("seed %d: a node sends with %v, and its peer holds %v", seed, f.mark, k.r.Held)
			}
		}
	}
	for range 30 { // the faults end: what was begun ends, too
		for i, k := range both {
			for _, f := range append(onTheWay[i], both[1-i].say()) {
				k.hear(f)
			}
			onTheWay[i] = nil
			k.finish(false)
		}
	}
	if a.r.Step() != "" || b.r.Step() != "" || len(a.disk) != 1 || len(b.disk) != 1 || a.disk[0] != b.disk[0] {
		t.Fatalf("seed %d: the change does not end: %+v and %+v", seed, a.r, b.r)
	}
}

func TestChangeOfTheKeyTakesThreeSteps(t *testing.T) {
	a, b := twoKeepers(1)
	old := a.disk[0]
	steps := []string{a.r.Step()}
	a.r, _ = a.r.Begin()
	if again, task := a.r.Begin(); task != Nothing || again != a.r {
		t.Error("a change begins twice")
	}
	for range 12 {
		if s := a.r.Step(); s != steps[len(steps)-1] {
			steps = append(steps, s)
		}
		a.finish(false)
		b.hear(a.say())
		b.finish(false)
		a.hear(b.say())
	}
	if len(steps) != 5 || steps[1] != "accept" || steps[2] != "send" || steps[3] != "forget" || steps[4] != "" {
		t.Errorf("steps %q", steps)
	}
	if len(a.disk) != 1 || a.disk[0] == old || a.disk[0] != b.disk[0] || a.disk[0].ID != 2 {
		t.Errorf("held %v and %v", a.disk, b.disk)
	}
}

func TestBothNodesMakeTheSameKey(t *testing.T) {
	one, onePublic, err := DrawOffer()
	if err != nil {
		t.Fatal(err)
	}
	other, otherPublic, err := DrawOffer()
	if err != nil {
		t.Fatal(err)
	}
	a, errA := NextKey(one, Offer{ID: 2, Public: otherPublic}, secret(1), cluster)
	b, errB := NextKey(other, Offer{ID: 2, Public: onePublic}, secret(1), cluster)
	if errA != nil || errB != nil || Mark(a) != Mark(b) || a.ID != 2 || len(a.Secret) != KeySize {
		t.Errorf("%v %v, %v %v", Mark(a), errA, Mark(b), errB)
	}
	if c, _ := NextKey(one, Offer{ID: 2, Public: otherPublic}, secret(3), cluster); Mark(c) == Mark(a) {
		t.Error("the old key counts for nothing")
	}
	if _, err := NextKey(one, Offer{ID: 2}, secret(1), cluster); err == nil {
		t.Error("a public key of zeros is agreed with")
	}
	if Mark(secret(1)) == Mark(secret(2)) || Mark(secret(1)).ID != 1 {
		t.Error("marks do not tell keys apart")
	}
}
