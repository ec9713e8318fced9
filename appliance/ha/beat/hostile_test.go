package beat

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"testing"

	"golang.org/x/net/bpf"
	"pgregory.net/rapid"
)

// resealed gives a datagram that was changed the right code again, as only a holder of the key can.
func resealed(t testing.TB, b []byte) []byte {
	t.Helper()
	end := len(b) - sealSize
	copy(b[end:], ringOf(t, b[offKey]).seal(b[offKey], b[:end]))
	return b
}

func TestEachKindOfHostileDatagramHasItsReason(t *testing.T) {
	stranger := netip.MustParseAddrPort("198.51.100.9:6694")
	changed := func(change func(*Beat)) []byte {
		b := sample()
		change(&b)
		return sealed(t, b)
	}
	raw := func(change func([]byte)) []byte {
		b := sealed(t, sample())
		change(b)
		return b
	}
	tests := map[string]struct {
		b    []byte
		from netip.AddrPort
		want Reason
	}{
		"empty":                         {nil, rightAddress, Length},
		"a byte short":                  {sealed(t, sample())[:Size-1], rightAddress, Length},
		"too long":                      {make([]byte, Most+1), rightAddress, Length},
		"another protocol":              {make([]byte, Size), rightAddress, Magic},
		"a later version":               {raw(func(b []byte) { b[offVersion]++ }), rightAddress, Version},
		"a question":                    {changed(func(b *Beat) { b.Kind = Question }), rightAddress, Purpose},
		"of another pair":               {changed(func(b *Beat) { b.Cluster++ }), rightAddress, Cluster},
		"our own, thrown back":          {changed(func(b *Beat) { b.Node, b.Boot, b.Nonce = left, 5, 55 }), rightAddress, Reflected},
		"our own of an earlier epoch":   {changed(func(b *Beat) { b.Node, b.Boot, b.Nonce = left, 4, 44 }), rightAddress, Reflected},
		"from elsewhere":                {sealed(t, sample()), stranger, Source},
		"from another port":             {sealed(t, sample()), netip.AddrPortFrom(rightAddress.Addr(), 1), Source},
		"from a third node":             {changed(func(b *Beat) { b.Node = 0xd }), rightAddress, Stranger},
		"a path that cannot be":         {raw(func(b []byte) { b[offPath] = Paths; resealed(t, b) }), rightAddress, Stranger},
		"a key that is not held":        {raw(func(b []byte) { b[offKey] = 9 }), rightAddress, KeyID},
		"another's secret":              {raw(func(b []byte) { copy(b[offCode:], ringOf(t, 2).seal(2, b[:offCode])) }), rightAddress, Forged},
		"no code at all":                {raw(func(b []byte) { clear(b[offCode:]) }), rightAddress, Forged},
		"a copy of this node":           {changed(func(b *Beat) { b.Node, b.Boot, b.Nonce = left, 5, 56 }), stranger, Clone},
		"a copy that is ahead":          {changed(func(b *Beat) { b.Node, b.Boot, b.Nonce = left, 6, 56 }), stranger, Clone},
		"one who pretends to be a copy": {raw(func(b []byte) { binary.BigEndian.PutUint64(b[offNode:], uint64(left)) }), stranger, Forged},
		"an impossible state":           {raw(func(b []byte) { b[offState] = 200; resealed(t, b) }), rightAddress, Malformed},
		"an impossible revision":        {raw(func(b []byte) { b[offRevision] = 0xff; resealed(t, b) }), rightAddress, Malformed},
		"an impossible text":            {raw(func(b []byte) { b[offRelease] = '\n'; resealed(t, b) }), rightAddress, Malformed},
		"an impossible priority":        {raw(func(b []byte) { b[offPriority] = 1; resealed(t, b) }), rightAddress, Malformed},
		"epoch zero":                    {changed(func(b *Beat) { b.Boot = 0 }), rightAddress, Malformed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r, before := leftReader(t), Window{}
			var got Beat
			if reason := r.Read(tt.b, tt.from, rightAddress, &got); reason != tt.want {
				t.Errorf("refused as %v, want %v", reason, tt.want)
			}
			if r.peer != before {
				t.Error("the window moved")
			}
			if n := r.Counters.Rejected(); len(n) != 1 || n[tt.want.String()] != 1 {
				t.Errorf("counted as %v", n)
			}
			if reason := r.Read(sealed(t, sample()), rightAddress, rightAddress, &got); reason != OK {
				t.Errorf("afterwards the peer is refused: %v", reason)
			}
		})
	}
}

func TestEveryFlippedBitIsRefused(t *testing.T) {
	r := leftReader(t)
	var got Beat
	good := sealed(t, sample())
	for bit := range 8 * len(good) {
		b := append([]byte(nil), good...)
		b[bit/8] ^= 1 << (bit % 8)
		if reason := r.Read(b, rightAddress, rightAddress, &got); reason == OK || reason == Clone || reason == Malformed {
			t.Fatalf("bit %d flipped: %v, as if it were authentic", bit, reason)
		}
	}
	if reason := r.Read(good, rightAddress, rightAddress, &got); reason != OK {
		t.Fatal(reason)
	}
}

func TestCopyOfThePeerIsTold(t *testing.T) {
	r := leftReader(t)
	var got Beat
	one, other := sample(), sample()
	other.Nonce++
	other.Sequence += 50
	if reason := r.Read(sealed(t, one), rightAddress, rightAddress, &got); reason != OK {
		t.Fatal(reason)
	}
	if reason := r.Read(sealed(t, other), rightAddress, rightAddress, &got); reason != Clone {
		t.Errorf("a second machine in the peer's epoch is %v", reason)
	}
	one.Sequence++
	if reason := r.Read(sealed(t, one), rightAddress, rightAddress, &got); reason != OK {
		t.Errorf("the first machine is refused afterwards: %v", reason)
	}
}

// TestReplayedDatagramNeverCounts sends a peer's life in any order, with repetitions, on any path, and an attacker's recording of it again.
func TestReplayedDatagramNeverCounts(t *testing.T) {
	ring := ringOf(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		r := leftReaderOn(ring)
		type one struct {
			boot, sequence uint64
			path           uint8
		}
		came, newest := map[one]bool{}, one{}
		buf := make([]byte, Most)
		for range rapid.IntRange(1, 80).Draw(t, "datagrams") {
			o := one{rapid.Uint64Range(1, 3).Draw(t, "boot"), rapid.Uint64Range(0, 200).Draw(t, "sequence"), rapid.Uint8Range(0, 2).Draw(t, "path")}
			b := sample()
			b.Boot, b.Sequence, b.Path, b.Nonce = o.boot, o.sequence, o.path, o.boot
			old := o.boot < newest.boot || o.boot == newest.boot && o.sequence+width <= newest.sequence
			want := OK
			if old || came[o] {
				want = Replayed
			}
			var got Beat
			if reason := r.Read(Seal(buf, &b, ring), rightAddress, rightAddress, &got); reason != want {
				t.Fatalf("%+v after %+v (came before: %v): %v, want %v", o, newest, came[o], reason, want)
			}
			came[o] = true
			if o.boot > newest.boot {
				newest = one{boot: o.boot}
				newest.sequence = o.sequence
			}
			if o.boot == newest.boot {
				newest.sequence = max(newest.sequence, o.sequence)
			}
		}
	})
}

func leftReaderOn(ring *Ring) *Reader {
	return NewReader(Identity{Cluster: cluster, Self: left, Peer: right, Boot: 5, Nonce: 55}, ring)
}

func TestLaterVersionMayAddFields(t *testing.T) {
	b := sealed(t, sample())[:offCode]
	b = append(append(b, "a field of tomorrow"...), make([]byte, sealSize)...)
	var got Beat
	if reason := leftReader(t).Read(resealed(t, b), rightAddress, rightAddress, &got); reason != OK || got.Sequence != 1000 {
		t.Errorf("%v, %+v", reason, got)
	}
}

func TestFilterDropsInTheKernelWhatCostsNothingToSee(t *testing.T) {
	run := func(payload []byte, clusters ...ID) bool {
		program, err := Filter(clusters...)
		if err != nil {
			t.Fatal(err)
		}
		all, whole := bpf.Disassemble(program)
		vm, err := bpf.NewVM(all)
		if err != nil || !whole {
			t.Fatal(err)
		}
		n, err := vm.Run(append(make([]byte, headerOfUDP), payload...))
		if err != nil {
			t.Fatal(err)
		}
		return n >= headerOfUDP+len(payload)
	}
	good := sealed(t, sample())
	long := append(append([]byte(nil), good...), make([]byte, Most-len(good))...)
	for name, ok := range map[string]bool{
		"good": run(good, cluster), "second cluster": run(good, 99, cluster), "any cluster": run(good), "longest": run(long, cluster),
	} {
		if !ok {
			t.Errorf("%s is dropped", name)
		}
	}
	magicless := append([]byte(nil), good...)
	magicless[3] ^= 1
	for name, ok := range map[string]bool{
		"short": run(good[:Size-1], cluster), "long": run(append(long, 0), cluster), "empty": run(nil, cluster), "magic": run(magicless, cluster),
		"other cluster": run(good, cluster+1), "other half": run(good, cluster|1<<40), "none of two": run(good, 1, 2),
	} {
		if ok {
			t.Errorf("%s passes", name)
		}
	}
}

func FuzzReadNeverTakesWhatIsNotAuthentic(f *testing.F) {
	good := sealed(f, sample())
	f.Add(good)
	f.Add(good[:10])
	f.Add(append(append([]byte(nil), good...), 1, 2, 3))
	ring := ringOf(f, 1)
	f.Fuzz(func(t *testing.T, b []byte) {
		r := leftReaderOn(ring)
		asker, door := NewAsker(r.me, ring), NewAsked(cluster, [2]ID{left, right}, ring)
		asker.asked = 1 << 62
		var got Beat
		reason := r.Read(b, rightAddress, rightAddress, &got)
		other := asker.Read(b, true, &got)
		_, third := door.Read(b, &got)
		same := len(b) == len(good)
		for i := range b {
			same = same && bits.OnesCount8(b[i]^good[i]) == 0
		}
		if (reason == OK) != same || other == OK || third == OK || reason == Clone || reason == Malformed {
			t.Errorf("%x: %v, %v, %v", b, reason, other, third)
		}
		// The same bytes with the right code: whatever they say, nothing breaks, and what is taken is possible.
		if len(b) >= Size && len(b) <= Most {
			b = append([]byte(nil), b...)
			b[offKey] = 1
			resealed(t, b)
			_, third = door.Read(b, &got)
			for _, reason := range []Reason{r.Read(b, rightAddress, rightAddress, &got), asker.Read(b, true, &got), third} {
				if reason == Forged || reason == KeyID {
					t.Errorf("%x: an authentic datagram is called %v", b, reason)
				}
			}
		}
	})
}
