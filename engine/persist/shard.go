package persist

import (
	"cmp"
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// key is a masked client address: IPv4 in its mapped form, bits counted from there (96 to 128).
type key struct {
	address [16]byte
	bits    uint8
}

func keyOf(client netip.Addr, s *Settings) key {
	client = client.Unmap().WithZone("")
	bits := s.MaskIPv6
	if client.Is4() {
		bits = s.MaskIPv4
	}
	p, err := client.Prefix(bits)
	if err != nil { // a mask out of range, or no address: the whole counts
		p = netip.PrefixFrom(client, client.BitLen())
	}
	return prefixKey(p)
}

func prefixKey(p netip.Prefix) key {
	a := p.Masked().Addr()
	bits := max(p.Bits(), 0)
	if a.Is4() {
		bits += 96
	}
	return key{a.As16(), uint8(bits)}
}

func (k key) prefix() netip.Prefix {
	a := netip.AddrFrom16(k.address)
	if k.bits >= 96 && a.Is4In6() {
		return netip.PrefixFrom(a.Unmap(), int(k.bits)-96)
	}
	return netip.PrefixFrom(a, int(k.bits))
}

func (k key) shard() int {
	h := binary.LittleEndian.Uint64(k.address[:]) ^ binary.LittleEndian.Uint64(k.address[8:])*0x9e3779b97f4a7c15
	return int(h * 0xbf58476d1ce4e5b9 >> 60)
}

type entry struct {
	key          key
	server       uint32
	newer, older int32 // ring; place 0 is its anchor: anchor.newer is the oldest entry. older is negative in a free place
	last         int64
}

// noEntry stands for the last use in an empty shard.
const noEntry = math.MaxInt64

// shard is a part of the table: a ring in the order of use over places in one slice.
type shard struct {
	oldest atomic.Int64 // last use of the oldest entry, or noEntry; read without the lock

	mu      sync.Mutex // guards what follows
	index   map[key]int32
	entries []entry
	free    []int32
}

func (sh *shard) reset() {
	sh.index, sh.entries, sh.free = map[key]int32{}, make([]entry, 1), nil
	sh.oldest.Store(noEntry)
}

func (sh *shard) expired(i int32, now int64, s *Settings) bool {
	return now-sh.entries[i].last >= int64(s.Timeout)
}

func (sh *shard) insert(k key, server uint32, now int64) {
	var i int32
	if n := len(sh.free); n > 0 {
		i, sh.free = sh.free[n-1], sh.free[:n-1]
	} else {
		i = int32(len(sh.entries))
		sh.entries = append(sh.entries, entry{})
	}
	sh.entries[i] = entry{key: k, server: server}
	sh.index[k] = i
	sh.append(i, now)
}

// append makes i the newest. Loops read their clocks at slightly different moments; the order of use wins, and the times tell it: no two of a shard are the same.
func (sh *shard) append(i int32, now int64) {
	e, anchor := &sh.entries[i], &sh.entries[0]
	e.last = now
	if anchor.older != 0 {
		e.last = max(now, sh.entries[anchor.older].last+1)
	}
	e.newer, e.older = 0, anchor.older
	sh.entries[anchor.older].newer = i
	anchor.older = i
	sh.note()
}

func (sh *shard) unlink(i int32) {
	e := &sh.entries[i]
	sh.entries[e.older].newer, sh.entries[e.newer].older = e.newer, e.older
}

func (sh *shard) use(i int32, now int64) {
	sh.unlink(i)
	sh.append(i, now)
}

func (sh *shard) remove(i int32) {
	sh.unlink(i)
	delete(sh.index, sh.entries[i].key)
	sh.entries[i] = entry{older: -1}
	sh.free = append(sh.free, i)
	sh.note()
}

func (sh *shard) note() {
	last := int64(noEntry)
	if i := sh.entries[0].newer; i != 0 {
		last = sh.entries[i].last
	}
	sh.oldest.Store(last)
}

// row is a copy of an entry.
type row struct {
	key    key
	server uint32
	last   int64
}

// piece is how many places are looked at, at most, before the loops have their turn.
const piece = 1024

// walk shows every entry, in the order of places, to a function that may remove it. The lock is held for a piece at a time, and grow is called before each, without
// it. What comes or goes meanwhile may be seen or not; a client that goes and comes again may be seen twice.
func (t *Table) walk(grow func(), see func(sh *shard, i int32)) {
	for n := range t.shards {
		for from, more := 1, true; more; from += piece {
			grow()
			more = t.shards[n].pass(from, see)
		}
	}
}

// pass shows a piece of the places, and tells whether there are more.
func (sh *shard) pass(from int, see func(sh *shard, i int32)) (more bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for i := from; i < min(from+piece, len(sh.entries)); i++ {
		if sh.entries[i].older >= 0 {
			see(sh, int32(i))
		}
	}
	return from+piece < len(sh.entries)
}

// rows returns a copy of all entries in the order of use.
func (t *Table) rows() []row {
	var out []row
	t.walk(func() { t.turn(); out = slices.Grow(out, piece) }, func(sh *shard, i int32) {
		e := &sh.entries[i]
		out = append(out, row{e.key, e.server, e.last})
	})
	sortRows(out)
	return out
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
	fresh := &roll{map[string]uint32{server: uint32(len(old.list))}, append(slices.Clone(old.list), &tally{server: server})}
	for name, n := range old.numbers {
		fresh.numbers[name] = n
	}
	r.known.Store(fresh)
	return fresh.numbers[server]
}

func (r *registry) name(number uint32) string      { return r.known.Load().list[number].server }
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
