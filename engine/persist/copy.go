package persist

import (
	"encoding/binary"
	"math"
	"slices"
)

// How a table is kept equal to one on another machine. Within a shard entries stand in the order of use, so what was used since a moment is what the end of the ring
// holds: nothing is written down for it while clients are served. What is gone is not told either: everything used before the shard's oldest entry is, and for the rest
// (an operator's deletion) the digests differ, and the shard is copied as a whole.

// Shards is how many parts a table has; a copy is made part by part.
const Shards = shardCount

// Row is an entry as it is copied. Times are of the clock of the table that it is in.
type Row struct {
	Key    Key
	Server string
	Last   int64 // when it was last used
	Born   int64 // since when it leads to this server
}

// Sum is what a shard is compared by.
type Sum struct {
	Digest  uint64 // of clients and their servers, in any order and at any time
	Entries int
	Oldest  int64 // last use of the entry that was used longest ago; meaningless without entries
}

// mostChanges is how many rows are collected while a shard is locked.
const mostChanges = 4096

// Changes appends the rows of a shard that were used after a moment, in the order of use, and returns what the shard was at that instant. ok false says that there are
// too many of them: the shard is to be copied as a whole.
func (t *Table) Changes(shard int, after, now int64, rows []Row) (out []Row, sum Sum, ok bool) {
	s, sh := t.settings.Load(), &t.shards[shard]
	for t.expirePiece(sh, now, s) {
		t.turn()
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	from := len(rows)
	for i := sh.at(0).older; i != 0 && sh.at(i).last > after; i = sh.at(i).older {
		if len(rows)-from == mostChanges {
			return rows[:from], Sum{}, false
		}
		rows = append(rows, t.rowOf(sh.at(i)))
	}
	slices.Reverse(rows[from:])
	return rows, sh.sum(), true
}

// ChangedAfter tells whether Changes would have something new to say about a shard: a client since that moment, or another sum.
func (t *Table) ChangedAfter(n int, after int64, sum Sum) bool {
	sh := &t.shards[n]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i := sh.at(0).older
	return i != 0 && sh.at(i).last > after || sh.sum() != sum
}

// Whole returns the rows of a shard in the order of use, and until when they are complete: Changes after that moment gives the rest. The shard is not locked for long, so
// what comes and goes meanwhile may be among them or not.
func (t *Table) Whole(n int) (rows []Row, until int64) {
	sh := &t.shards[n]
	until = sh.newest()
	for from, more := 1, true; more; from += piece {
		t.turn()
		more = sh.pass(from, func(sh *shard, i int32) { rows = append(rows, t.rowOf(sh.at(i))) })
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return compare(a.Last, b.Last) })
	return rows, until
}

func compare(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Take makes rows that Changes gave on the other machine entries of this table, in their order.
func (t *Table) Take(rows []Row) {
	s := t.settings.Load()
	for i := range rows {
		r := &rows[i]
		t.put(row{r.Key, t.servers.number(r.Server), r.Last, r.Born}, s, true)
	}
}

// Replace makes rows that Whole, or Changes from the beginning, gave on the other machine all that a shard holds. Rows of another shard are left out. It is done at one
// instant: whoever looks sees what the shard held before, or all rows.
func (t *Table) Replace(n int, rows []Row) {
	s, sh, clients := t.settings.Load(), &t.shards[n], map[uint32]int64{}
	sh.mu.Lock()
	room := 2*int64(s.Size) - t.count.Load() + int64(len(sh.index)) // the bound of put
	sh.mu.Unlock()
	fresh := t.ringOf(n, rows[max(0, len(rows)-int(max(room, 0))):], clients)
	sh.mu.Lock()
	old := sh.ring
	sh.ring = fresh
	sh.note()
	sh.mu.Unlock()
	t.count.Add(int64(len(fresh.index) - len(old.index)))
	for _, i := range old.index {
		clients[old.at(i).server]--
	}
	for server, more := range clients {
		t.servers.add(server, more)
	}
}

// ringOf puts the entries of a shard together, and adds to how many clients each server has.
func (t *Table) ringOf(n int, rows []Row, clients map[uint32]int64) ring {
	var sh shard
	sh.reset()
	for i := range rows {
		if i%piece == 0 {
			t.turn()
		}
		r := &rows[i]
		if _, twice := sh.index[r.Key]; twice || r.Key.shard() != n {
			continue // no table gives such rows
		}
		server := t.servers.number(r.Server)
		sh.insert(r.Key, server, r.Last, r.Born)
		sh.digest += t.digestOf(r.Key, server)
		clients[server]++
	}
	return sh.ring
}

// Trim forgets the entries of a shard that were last used before a moment.
func (t *Table) Trim(shard int, before int64) {
	sh := &t.shards[shard]
	for t.trimPiece(sh, before) {
		t.turn()
	}
}

func (t *Table) trimPiece(sh *shard, before int64) (more bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for range piece {
		i := sh.at(0).newer
		if i == 0 || sh.at(i).last >= before {
			return false
		}
		t.removeLocked(sh, i)
	}
	return true
}

// Sum returns what a shard is compared by.
func (t *Table) Sum(shard int) Sum {
	sh := &t.shards[shard]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.sum()
}

// Scrub counts the digest of a shard anew from what stands in memory and tells whether it was right. It looks at a shard that changes meanwhile once more, a few times,
// and then believes it.
func (t *Table) Scrub(n int) bool {
	sh := &t.shards[n]
	for range 3 {
		before := t.Sum(n)
		var sum uint64
		for from, more := 1, true; more; from += piece {
			t.turn()
			more = sh.pass(from, func(sh *shard, i int32) { sum += t.digestOf(sh.at(i).key, sh.at(i).server) })
		}
		if sum == before.Digest {
			return true
		}
		sh.mu.Lock()
		if still := sh.digest == before.Digest; still {
			sh.digest = sum // the sum was right for what had been put in; this is what is there
			sh.mu.Unlock()
			return false
		}
		sh.mu.Unlock()
	}
	return true
}

func (sh *shard) sum() Sum { return Sum{sh.digest, len(sh.index), sh.oldest.Load()} }

// newest returns the last use of the newest entry.
func (sh *shard) newest() int64 {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if i := sh.at(0).older; i != 0 {
		return sh.at(i).last
	}
	return math.MinInt64
}

func (t *Table) rowOf(e *entry) Row { return Row{e.key, t.servers.name(e.server), e.last, e.born} }

// digestOf is that of one entry; those of a shard are added up, so that their order does not count.
func (t *Table) digestOf(k Key, server uint32) uint64 {
	h := mix(binary.LittleEndian.Uint64(k.value[:]) ^ t.servers.hash(server))
	return mix(h ^ binary.LittleEndian.Uint64(k.value[8:]) ^ uint64(k.bits)<<8 ^ uint64(k.kind))
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// hashOf is that of a server's id, the same in every process.
func hashOf(server string) uint64 {
	h := uint64(len(server))
	for i := range len(server) {
		h = mix(h ^ uint64(server[i]))
	}
	return h
}

// KeySize is how many bytes a key takes when it travels.
const KeySize = 18

// AppendKey appends a key in KeySize bytes.
func AppendKey(b []byte, k Key) []byte {
	b = append(b, k.value[:]...)
	return append(b, k.bits, byte(k.kind))
}

// KeyFrom reads what AppendKey wrote, from at least KeySize bytes; false for what no table makes.
func KeyFrom(b []byte) (Key, bool) {
	k := Key{value: [16]byte(b[:16]), bits: b[16], kind: Kind(b[17])}
	return k, k.valid()
}
