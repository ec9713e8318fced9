package persist

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

type entry struct {
	key          Key
	server       uint32
	newer, older int32 // ring; place 0 is its anchor: anchor.newer is the oldest entry. older is negative in a free place
	last         int64 // when it was last used
	born         int64 // when it was made for this server
}

// noEntry stands for the last use in an empty shard.
const noEntry = math.MaxInt64

// piece is how many places are looked at, at most, before the loops have their turn; and how many are made at once, so that growing copies nothing.
const piece = 1024

// shard is a part of the table.
type shard struct {
	oldest atomic.Int64 // last use of the oldest entry, or noEntry; read without the lock

	mu sync.Mutex // guards what follows
	ring
}

// ring holds entries in the order of use, over places.
type ring struct {
	index  map[Key]int32
	pieces [][]entry // all full but for the last
	places int
	free   int32  // the first free place, 0: none; its newer is the next
	digest uint64 // the sum of those of its entries
}

func (sh *shard) reset() {
	sh.ring = ring{index: map[Key]int32{}}
	sh.place()
	sh.oldest.Store(noEntry)
}

// at returns a place, until the next one is made.
func (g *ring) at(i int32) *entry { return &g.pieces[i/piece][i%piece] }

// place makes one more place.
func (g *ring) place() int32 {
	i := g.places
	if i%piece == 0 {
		size := piece
		if i == 0 {
			size = 16 // most tables are small
		}
		g.pieces = append(g.pieces, make([]entry, 0, size))
	}
	g.pieces[i/piece] = append(g.pieces[i/piece], entry{})
	g.places++
	return int32(i)
}

func (sh *shard) expired(i int32, now int64, s *Settings) bool {
	return now-sh.at(i).last >= int64(s.Timeout)
}

func (sh *shard) insert(k Key, server uint32, now, born int64) {
	i := sh.free
	if i != 0 {
		sh.free = sh.at(i).newer
	} else {
		i = sh.place()
	}
	*sh.at(i) = entry{key: k, server: server, born: born}
	sh.index[k] = i
	sh.append(i, now)
}

// append makes i the newest. Loops read their clocks at slightly different moments; the order of use wins, and the times tell it: no two of a shard are the same.
func (sh *shard) append(i int32, now int64) {
	e, anchor := sh.at(i), sh.at(0)
	e.last = now
	if anchor.older != 0 {
		e.last = max(now, sh.at(anchor.older).last+1)
	}
	e.newer, e.older = 0, anchor.older
	sh.at(anchor.older).newer = i
	anchor.older = i
	sh.note()
}

func (sh *shard) unlink(i int32) {
	e := sh.at(i)
	sh.at(e.older).newer, sh.at(e.newer).older = e.newer, e.older
}

func (sh *shard) use(i int32, now int64) {
	sh.unlink(i)
	sh.append(i, now)
}

func (sh *shard) remove(i int32) {
	sh.unlink(i)
	delete(sh.index, sh.at(i).key)
	*sh.at(i) = entry{older: -1, newer: sh.free}
	sh.free = i
	sh.note()
}

func (sh *shard) note() {
	last := int64(noEntry)
	if i := sh.at(0).newer; i != 0 {
		last = sh.at(i).last
	}
	sh.oldest.Store(last)
}

// row is a copy of an entry.
type row struct {
	key        Key
	server     uint32
	last, born int64
}

// walk shows every entry, in the order of places, to a function that may remove it. The lock is held for a piece at a time, and between is called before each, without
// it. What comes or goes meanwhile may be seen or not; a client that goes and comes again may be seen twice.
func (t *Table) walk(between func(), see func(sh *shard, i int32)) {
	for n := range t.shards {
		for from, more := 1, true; more; from += piece {
			between()
			more = t.shards[n].pass(from, see)
		}
	}
}

// pass shows a piece of the places, and tells whether there are more.
func (sh *shard) pass(from int, see func(sh *shard, i int32)) (more bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for i := from; i < min(from+piece, sh.places); i++ {
		if sh.at(int32(i)).older >= 0 {
			see(sh, int32(i))
		}
	}
	return from+piece < sh.places
}

// copies shows a copy of every entry, in pieces, without any lock. The rows are valid during the call.
func (t *Table) copies(see func(rows []row)) {
	rows := make([]row, 0, piece)
	hand := func() {
		t.turn()
		if len(rows) > 0 {
			see(rows)
			rows = rows[:0]
		}
	}
	t.walk(hand, func(sh *shard, i int32) {
		e := sh.at(i)
		rows = append(rows, row{e.key, e.server, e.last, e.born})
	})
	hand()
}

func sortRows(rows []row) {
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.last, b.last) })
}

// registry numbers servers and counts their clients; a number is never used for another server.
type registry struct {
	known atomic.Pointer[roll]
	mu    sync.Mutex // guards changes of known
}

// roll is never changed, only replaced by a longer one.
type roll struct {
	numbers map[string]uint32
	list    []*tally
}

type tally struct {
	server  string
	hash    uint64 // of server, the same in every process
	clients atomic.Int64
}

func (r *registry) start() { r.known.Store(&roll{}) }

func (r *registry) find(server string) (uint32, bool) {
	n, ok := r.known.Load().numbers[server]
	return n, ok
}

// number returns the number of a server, a new one if need be.
func (r *registry) number(server string) uint32 {
	if n, ok := r.find(server); ok {
		return n
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.known.Load()
	if n, ok := old.numbers[server]; ok {
		return n
	}
	fresh := &roll{map[string]uint32{server: uint32(len(old.list))}, append(slices.Clone(old.list), &tally{server: server, hash: hashOf(server)})}
	for name, n := range old.numbers {
		fresh.numbers[name] = n
	}
	r.known.Store(fresh)
	return fresh.numbers[server]
}

func (r *registry) name(number uint32) string      { return r.known.Load().list[number].server }
func (r *registry) hash(number uint32) uint64      { return r.known.Load().list[number].hash }
func (r *registry) add(number uint32, delta int64) { r.known.Load().list[number].clients.Add(delta) }

func (r *registry) counts() map[string]int {
	out := map[string]int{}
	for _, t := range r.known.Load().list {
		if n := t.clients.Load(); n > 0 {
			out[t.server] = int(n)
		}
	}
	return out
}
