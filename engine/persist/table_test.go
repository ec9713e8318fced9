package persist

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"evenkeel/appliance"
)

const second = int64(time.Second)

func table(size int) *Table {
	return NewTable(Settings{Size: size, Timeout: time.Minute, MaskIPv4: 32, MaskIPv6: 128})
}

func addr(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

func want(t *testing.T, tb *Table, client netip.Addr, now int64, server string) {
	t.Helper()
	if got, ok := tb.Get(tb.KeyOf(client), now); got != server || ok != (server != "") {
		t.Fatalf("%s at %d has %q (%v), not %q", client, now, got, ok, server)
	}
}

func TestEntryLastsUntilItWasUnusedForTheTimeout(t *testing.T) {
	tb := table(10)
	tb.Put(tb.KeyOf(addr(1)), "a", 0)
	for now := int64(0); now < 300*second; now += 50 * second {
		want(t, tb, addr(1), now, "a")
	}
	want(t, tb, addr(1), 250*second+60*second, "")
	if tb.Len() != 0 || len(tb.CountByServer(0)) != 0 {
		t.Fatal("an expired entry is still counted")
	}
}

func TestMasksMakeNeighboursOneClient(t *testing.T) {
	tb := NewTable(Settings{Size: 10, Timeout: time.Minute, MaskIPv4: 24, MaskIPv6: 64})
	tb.Put(tb.KeyOf(netip.MustParseAddr("192.0.2.7")), "a", 0)
	tb.Put(tb.KeyOf(netip.MustParseAddr("2001:db8::7")), "b", second)
	want(t, tb, netip.MustParseAddr("192.0.2.200"), 0, "a")
	want(t, tb, netip.MustParseAddr("::ffff:192.0.2.9"), 0, "a")
	want(t, tb, netip.MustParseAddr("192.0.3.7"), 0, "")
	want(t, tb, netip.MustParseAddr("2001:db8::ffff%eth0"), second, "b")
	want(t, tb, netip.MustParseAddr("2001:db8:0:1::7"), 0, "")
	rows := entries(tb, 2*second)
	if len(rows) != 2 || rows[0].Key.String() != "192.0.2.0/24" || rows[1].Key.String() != "2001:db8::/64" || rows[1].Remaining != 59*time.Second {
		t.Fatalf("%+v", rows)
	}
	if !tb.Delete(PrefixKey(netip.MustParsePrefix("192.0.2.0/24"))) || tb.Delete(PrefixKey(netip.MustParsePrefix("192.0.2.0/24"))) || tb.Len() != 1 {
		t.Fatal("the client of a row is not deleted by its name")
	}
}

func TestTheOldestGoesFirstAndTheBoundIsExact(t *testing.T) {
	for _, size := range []int{1, 16, 1000} {
		tb := table(size)
		for i := range size {
			tb.Put(tb.KeyOf(addr(i)), "a", int64(i))
		}
		if tb.Len() != size {
			t.Fatalf("%d entries of %d fit", tb.Len(), size)
		}
		want(t, tb, addr(0), int64(size), "a") // used again: the next is the oldest now
		tb.Put(tb.KeyOf(addr(size)), "b", int64(size+1))
		oldest := 1 % size
		want(t, tb, addr(oldest), int64(size+2), "")
		for i := range size + 1 {
			if i != oldest {
				server := "a"
				if i == size {
					server = "b"
				}
				want(t, tb, addr(i), int64(size+3+i), server)
			}
		}
		if tb.Len() != size {
			t.Fatalf("%d entries, not %d", tb.Len(), size)
		}
	}
}

func TestSpoofedSourcesKeepTheBound(t *testing.T) {
	n := 10_000_000
	if testing.Short() || raceEnabled {
		n = 200_000
	}
	tb := table(10240)
	for i := range n {
		tb.Put(tb.KeyOf(addr(i)), "a", int64(i))
		if i%4096 == 0 && tb.Len() > 10240 {
			t.Fatalf("%d entries after %d", tb.Len(), i)
		}
	}
	places := 0
	for i := range tb.shards {
		sh, free := &tb.shards[i], 0
		for at := sh.free; at != 0; at = sh.at(at).newer {
			free++
		}
		places += sh.places
		if len(sh.index) != sh.places-1-free {
			t.Fatal("index and places disagree")
		}
	}
	if tb.Len() != 10240 || places > 2*10240 {
		t.Fatalf("%d entries in %d places", tb.Len(), places)
	}
}

func TestManyLoopsAtOnceKeepTheBoundAndTheCounts(t *testing.T) {
	tb := table(500)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(g), 0))
			for i := range 20000 {
				switch client := addr(random.IntN(2000)); random.IntN(10) {
				case 0:
					tb.Delete(tb.KeyOf(client))
				case 1, 2, 3:
					tb.Get(tb.KeyOf(client), int64(i))
				case 4:
					if i%500 == 0 {
						tb.Configure(Settings{Size: 400 + random.IntN(100), Timeout: time.Minute, MaskIPv4: 32, MaskIPv6: 128})
						tb.DropServer("s1")
					}
				default:
					tb.Put(tb.KeyOf(client), fmt.Sprint("s", random.IntN(4)), int64(i))
				}
				if i%1000 == 0 {
					if held := heldAtOnce(tb); held > 500 {
						t.Errorf("%d entries", held)
					}
				}
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range tb.CountByServer(20000) {
		total += n
	}
	if rows := entries(tb, 20000); len(rows) != tb.Len() || total != tb.Len() {
		t.Fatalf("%d rows, %d by server, %d entries", len(rows), total, tb.Len())
	}
}

// heldAtOnce counts the entries of one moment.
func heldAtOnce(tb *Table) int {
	held := 0
	for s := range tb.shards {
		tb.shards[s].mu.Lock()
		held += len(tb.shards[s].index)
	}
	for s := range tb.shards {
		tb.shards[s].mu.Unlock()
	}
	return held
}

func TestSmallerSizeForgetsTheOldest(t *testing.T) {
	tb := table(100)
	for i := range 100 {
		tb.Put(tb.KeyOf(addr(i)), "a", int64(i))
	}
	tb.Configure(Settings{Size: 10, Timeout: time.Minute, MaskIPv4: 32, MaskIPv6: 128})
	rows := entries(tb, 100)
	if len(rows) != 10 || rows[0].Key.Prefix().Addr() != addr(90) || rows[9].Key.Prefix().Addr() != addr(99) {
		t.Fatalf("%v", rows)
	}
}

func TestServersAreCountedChangedAndDropped(t *testing.T) {
	tb := table(100)
	for i := range 30 {
		tb.Put(tb.KeyOf(addr(i)), []string{"a", "b", "c"}[i%3], 0)
	}
	tb.Put(tb.KeyOf(addr(0)), "b", 0)
	if got := tb.CountByServer(0); !maps.Equal(got, map[string]int{"a": 9, "b": 11, "c": 10}) {
		t.Fatal(got)
	}
	if n := tb.DropServer("b"); n != 11 {
		t.Fatal(n)
	}
	if got := tb.CountByServer(0); !maps.Equal(got, map[string]int{"a": 9, "c": 10}) || tb.DropServer("nobody") != 0 {
		t.Fatal(got)
	}
	if tb.Clear() != 19 || tb.Len() != 0 {
		t.Fatal("not cleared")
	}
}

func TestSnapshotSurvivesARestart(t *testing.T) {
	wall := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	tb := table(100)
	for i := range 50 {
		tb.Put(tb.KeyOf(addr(i)), fmt.Sprint("s", i%3), int64(i)*second)
	}
	tb.Put(tb.KeyOf(netip.MustParseAddr("2001:db8::1")), "s1", 50*second)
	b := tb.Snapshot(50*second, wall)

	fresh := table(20) // a smaller table keeps the newest
	fresh.Put(fresh.KeyOf(addr(49)), "own", 5)
	if err := fresh.Load(b, 5, wall.Add(20*time.Second), func(s string) bool { return s != "s0" }); err != nil {
		t.Fatal(err)
	}
	want(t, fresh, addr(49), 6, "own")
	want(t, fresh, netip.MustParseAddr("2001:db8::1"), 6, "s1")
	want(t, fresh, addr(48), 6, "")
	want(t, fresh, addr(47), 6, "s2")
	if fresh.Len() != 20 {
		t.Fatal(fresh.Len())
	}
	late := table(100)
	if err := late.Load(b, 0, wall.Add(59*time.Second), nil); err != nil || late.Len() != 1 {
		t.Fatal(err, late.Len()) // what was used in the last second before the snapshot
	}
	back := table(100)
	if err := back.Load(b, 0, wall.Add(-time.Hour), nil); err != nil || back.Len() != 51 {
		t.Fatal(err, back.Len())
	}
	if again := back.Snapshot(0, wall); !bytes.Equal(rowsOf(t, again), rowsOf(t, b)) {
		t.Fatal("a snapshot of what was loaded differs")
	}
}

func rowsOf(t *testing.T, b []byte) []byte {
	_, servers, rows, ok := parseSnapshot(b)
	if !ok {
		t.Fatal("not a snapshot")
	}
	var lines []string
	for _, r := range rows {
		lines = append(lines, fmt.Sprintf("%v %s %d %d\n", r.key, servers[r.server], r.last, r.born))
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, ""))
}

// entries lists a table, the most recently used last.
func entries(tb *Table, now int64) (out []Entry) {
	tb.Walk(now, func(e Entry) { out = append(out, e) })
	slices.SortStableFunc(out, func(a, b Entry) int { return cmp.Compare(a.Remaining, b.Remaining) })
	return out
}

func sealed(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(slices.Clone(body), sum[:]...)
}

func TestDamagedSnapshotChangesNothing(t *testing.T) {
	tb := table(100)
	tb.Put(tb.KeyOf(addr(1)), "a", 0)
	good := tb.Snapshot(0, time.Unix(1, 0))
	body := good[:len(good)-32]
	count := len(body) - entrySize - 4
	huge := slices.Clone(body)
	binary.BigEndian.PutUint32(huge[count:], 1<<31)
	foreign := slices.Clone(body)
	foreign[len(foreign)-17] = 77 // server 77 does not exist
	odd := slices.Clone(body)
	odd[len(odd)-21] = 9
	loose := slices.Clone(body)
	loose[len(loose)-22] = 104 // bits of 10.0.0.1: /8, so the address is not masked
	for name, b := range map[string][]byte{
		"empty": nil, "cut": good[:len(good)-1], "longer": append(slices.Clone(good), 0), "flipped": append([]byte{good[0] ^ 1}, good[1:]...),
		"huge count": sealed(huge), "no such server": sealed(foreign), "not masked": sealed(loose), "magic only": sealed([]byte(snapshotMagic)),
		"other version": sealed(append([]byte("EKPT\x00\x03"), body[6:]...)), "as version 1": sealed(append([]byte(snapshotMagic1), body[6:]...)), "no such kind": sealed(odd),
	} {
		if err := tb.Load(b, 0, time.Unix(1, 0), nil); appliance.KindOf(err) != appliance.Invalid || tb.Len() != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGetDoesNotAllocate(t *testing.T) {
	tb := table(100)
	tb.Put(tb.KeyOf(addr(1)), "a", 0)
	if n := testing.AllocsPerRun(100, func() { tb.Get(tb.KeyOf(addr(1)), 1); tb.Put(tb.KeyOf(addr(1)), "a", 1) }); n != 0 {
		t.Error(n)
	}
}

func FuzzLoad(f *testing.F) {
	tb := table(100)
	for i := range 20 {
		tb.Put(tb.KeyOf(addr(i)), fmt.Sprint("s", i%3), int64(i))
	}
	b := tb.Snapshot(20, time.Unix(1, 0))
	f.Add(b[:len(b)-32])
	f.Fuzz(func(t *testing.T, body []byte) {
		tb := table(16)
		if err := tb.Load(sealed(body), 0, time.Unix(2, 0), nil); err != nil && tb.Len() != 0 {
			t.Fatal("a refused snapshot changed the table")
		}
		if tb.Len() > 16 || len(entries(tb, 0)) > 16 {
			t.Fatal("more than fit")
		}
	})
}

func TestLongWorkLetsTheLoopsInBetweenItsPieces(t *testing.T) {
	const clients = 3 * piece * shardCount
	for name, work := range map[string]func(tb *Table){
		"Walk":       func(tb *Table) { tb.Walk(2, func(Entry) {}) },
		"Snapshot":   func(tb *Table) { tb.Snapshot(2, time.Unix(0, 0)) },
		"DropServer": func(tb *Table) { tb.DropServer("a") },
		"Clear":      func(tb *Table) { tb.Clear() },
		"expire":     func(tb *Table) { tb.CountByServer(int64(time.Hour)) },
	} {
		tb := table(2 * clients)
		for i := range clients {
			tb.Put(tb.KeyOf(addr(i)), "a", 1)
		}
		turns := 0
		tb.turn = func() {
			turns++
			for i := range shardCount { // would wait for ever if a lock were held
				tb.Put(tb.KeyOf(addr(clients+i)), "b", int64(2*time.Hour))
			}
		}
		work(tb)
		if turns < 2*shardCount {
			t.Errorf("%s: %d turns in %d entries", name, turns, clients)
		}
	}
}

func TestRowsStandInTheOrderOfUseEvenAtOneTime(t *testing.T) {
	tb := table(1000)
	var same []int // of one shard
	for i := 0; len(same) < 50; i++ {
		if tb.KeyOf(addr(i)).shard() == 0 {
			same = append(same, i)
			tb.Put(tb.KeyOf(addr(i)), "a", second)
		}
	}
	want(t, tb, addr(same[0]), second, "a")
	rows := entries(tb, second)
	for i, r := range rows {
		if use := same[(i+1)%len(same)]; r.Key.Prefix().Addr() != addr(use) {
			t.Fatalf("row %d is %s", i, r.Key)
		}
	}
}
