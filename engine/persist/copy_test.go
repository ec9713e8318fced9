package persist

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// pair is a table, the copy of it, and how far each shard is copied.
type pair struct {
	own, peer *Table
	after     [Shards]int64
	whole     int // shards that were copied as a whole
}

func newPair(s Settings) *pair { return &pair{own: NewTable(s), peer: NewTable(s)} }

// copy does what a connection does: changes first, then the comparison, and a whole copy of what differs. The peer's clock is ahead by shift.
func (p *pair) copy(now, shift int64) {
	for n := range Shards {
		rows, sum, ok := p.own.Changes(n, p.after[n], now, nil)
		if ok {
			if len(rows) > 0 {
				p.after[n] = rows[len(rows)-1].Last
			}
			p.peer.Take(shifted(rows, shift))
			p.peer.Trim(n, sum.Oldest+shift)
			if got := p.peer.Sum(n); got.Digest == sum.Digest && got.Entries == sum.Entries {
				continue
			}
		}
		p.whole++
		rows, p.after[n] = p.own.Whole(n)
		p.peer.Replace(n, shifted(rows, shift))
	}
}

func shifted(rows []Row, by int64) []Row {
	for i := range rows {
		rows[i].Last, rows[i].Born = rows[i].Last+by, rows[i].Born+by
	}
	return rows
}

func (p *pair) differ(t *testing.T, now, shift int64) string {
	t.Helper()
	seen := map[Key]Entry{}
	p.own.Walk(now, func(e Entry) { seen[e.Key] = e })
	n := 0
	answer := ""
	p.peer.Walk(now+shift, func(e Entry) {
		n++
		if o := seen[e.Key]; o != e {
			answer = fmt.Sprintf("%+v here, %+v there", o, e)
		}
	})
	if n != len(seen) {
		return fmt.Sprintf("%d entries here, %d there", len(seen), n)
	}
	return answer
}

func clientKey(t *Table, n int) Key {
	return t.KeyOf(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}))
}

func TestCopyFollowsEveryChange(t *testing.T) {
	seed := uint64(20261121)
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	const shift = int64(5 * time.Hour)
	p := newPair(Settings{Size: 3000, Timeout: time.Minute, MaskIPv4: 32, MaskIPv6: 128})
	now := int64(time.Hour)
	for round := range 300 {
		for range r.IntN(200) {
			now += int64(r.IntN(2e6))
			k := clientKey(p.own, r.IntN(5000)) // more than there is room for
			if r.IntN(3) == 0 {
				p.own.Get(k, now)
			} else {
				p.own.Put(k, fmt.Sprint("s", r.IntN(4)), now)
			}
		}
		switch r.IntN(40) {
		case 0:
			p.own.DropServer("s1")
		case 1:
			p.own.Delete(clientKey(p.own, r.IntN(5000)))
		case 2:
			now += int64(50 * time.Second)
		case 3:
			p.own.Clear()
		}
		p.copy(now, shift)
		if d := p.differ(t, now, shift); d != "" {
			t.Fatalf("round %d: %s", round, d)
		}
	}
	if p.whole == 0 || p.whole > 300*Shards/4 {
		t.Errorf("%d shards were copied as a whole; that is for deletions only", p.whole)
	}
}

func TestCopyOfClientsAloneNeedsNoWholeShard(t *testing.T) {
	p := newPair(Settings{Size: 1000, Timeout: time.Minute, MaskIPv4: 32, MaskIPv6: 128})
	now := int64(1)
	for n := range 5000 { // the oldest go all the time
		now += 1000
		p.own.Put(clientKey(p.own, n), "s", now)
		if n%100 == 0 {
			p.copy(now, 0)
		}
	}
	p.copy(now, 0)
	if d := p.differ(t, now, 0); d != "" || p.whole > 0 {
		t.Fatalf("%s; %d whole shards", d, p.whole)
	}
}

// TestCopyLetsNothingGoThatIsToStay: what a full table has of an earlier life does not push out what it is told now, whichever of them is the older by the clock.
func TestCopyLetsNothingGoThatIsToStay(t *testing.T) {
	const size = 1000
	p := newPair(Settings{Size: size, Timeout: time.Hour, MaskIPv4: 32, MaskIPv6: 128})
	for n := range size {
		p.own.Put(clientKey(p.own, n), "s", int64(n+1))
		p.peer.Put(clientKey(p.peer, size+n), "s", int64(size+n+1))
	}
	var sums [Shards]Sum
	for n := range Shards {
		rows, _ := p.own.Whole(n)
		p.peer.Replace(n, rows)
		sums[n] = p.peer.Sum(n)
	}
	for n := range Shards {
		if own := p.own.Sum(n); sums[n] != own || p.peer.Sum(n) != own {
			t.Errorf("shard %d is %v here; there it was %v, and is %v behind the last one", n, own, sums[n], p.peer.Sum(n))
		}
	}
	p.peer.Put(clientKey(p.peer, 9999), "s", int64(time.Minute))
	if n := p.peer.Len(); n != size {
		t.Errorf("%d entries", n)
	}
	var flood []Row
	for n := range 10 * size {
		flood = append(flood, Row{Key: clientKey(p.peer, n), Server: "s", Last: int64(time.Minute) + int64(n)})
	}
	if p.peer.Take(flood); p.peer.Len() != 2*size {
		t.Errorf("%d entries behind more rows than any table of this size has", p.peer.Len())
	}
}

// TestReplaceTakesNothingAwayMeanwhile: whoever looks while a shard is replaced by what it holds sees every client.
func TestReplaceTakesNothingAwayMeanwhile(t *testing.T) {
	const clients = 5000
	p := newPair(Settings{Size: clients, Timeout: time.Hour, MaskIPv4: 32, MaskIPv6: 128})
	for n := range clients {
		p.own.Put(clientKey(p.own, n), "s", int64(n+1))
	}
	p.copy(clients, 0)
	ended, missing := make(chan struct{}), make(chan int)
	go func() {
		lost := 0
		for n := 0; ; n++ {
			select {
			case <-ended:
				missing <- lost
				return
			default:
			}
			if _, ok := p.peer.Look(clientKey(p.peer, n%clients), clients); !ok {
				lost++
			}
		}
	}()
	for range 50 {
		for n := range Shards {
			rows, _ := p.own.Whole(n)
			p.peer.Replace(n, rows)
		}
	}
	close(ended)
	if n := <-missing; n > 0 {
		t.Errorf("a client was not found %d times", n)
	}
	if d := p.differ(t, clients, 0); d != "" {
		t.Fatal(d)
	}
	if n := p.peer.CountByServer(clients)["s"]; n != clients {
		t.Errorf("the server has %d clients", n)
	}
}

func TestChangesAreBounded(t *testing.T) {
	p := newPair(Settings{Size: 1 << 20, Timeout: time.Hour, MaskIPv4: 32, MaskIPv6: 128})
	for n := range 40 * mostChanges {
		p.own.Put(clientKey(p.own, n), "s", int64(n+1))
	}
	if rows, _, ok := p.own.Changes(0, 0, 1, nil); ok || len(rows) > 0 {
		t.Fatalf("shard 0 has only %d rows", len(rows))
	}
	p.copy(int64(80*mostChanges), 0)
	if d := p.differ(t, int64(80*mostChanges), 0); d != "" {
		t.Fatal(d)
	}
}

func TestScrubFindsWhatFlipped(t *testing.T) {
	p := newPair(Settings{Size: 1000, Timeout: time.Minute, MaskIPv4: 32, MaskIPv6: 128})
	for n := range 500 {
		p.own.Put(clientKey(p.own, n), fmt.Sprint("s", n%2), int64(n+1))
	}
	p.copy(1000, 0)
	for n := range Shards {
		if !p.peer.Scrub(n) {
			t.Fatalf("shard %d is not what was put in", n)
		}
	}
	flipped := clientKey(p.peer, 77)
	sh := &p.peer.shards[flipped.shard()]
	sh.at(sh.index[flipped]).server ^= 1
	if p.differ(t, 1000, 0) == "" {
		t.Fatal("nothing flipped")
	}
	if p.peer.Scrub(flipped.shard()) {
		t.Fatal("the flipped entry was not found")
	}
	p.copy(1000, 0)
	if d := p.differ(t, 1000, 0); d != "" || p.whole != 1 {
		t.Fatalf("%s; %d whole shards", d, p.whole)
	}
}

func TestKeysTravel(t *testing.T) {
	tab := NewTable(Settings{Size: 1, Timeout: 1, MaskIPv4: 24, MaskIPv6: 64})
	for _, k := range []Key{
		tab.KeyOf(netip.MustParseAddr("192.0.2.7")), tab.KeyOf(netip.MustParseAddr("2001:db8::1")), DigestKey(Cookie, []byte("x")), DigestKey(RDPUser, nil),
	} {
		b := AppendKey(nil, k)
		if got, ok := KeyFrom(b); !ok || got != k || len(b) != KeySize {
			t.Errorf("%v: %v %v", k, got, ok)
		}
		b[17] = 99
		if _, ok := KeyFrom(b); ok {
			t.Errorf("%v: a kind that does not exist", k)
		}
	}
}
