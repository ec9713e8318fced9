package persist

import (
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"
)

// shardCount bounds how much loops wait for each other.
const shardCount = 16

// Settings are what an operator says about the table of a service.
type Settings struct {
	Size     int           // most entries; at least 1
	Timeout  time.Duration // of an entry since it was last used
	MaskIPv4 int           // bits of the client's address that count, 1 to 32
	MaskIPv6 int           // 1 to 128
}

// Table maps clients to servers for one service. It never holds more than Settings.Size entries: the one that was used longest ago goes first. One that is a copy of another
// machine's table is told what goes (Trim, Replace), and holds at most twice as many until it was.
// Times are nanoseconds of one monotonic clock, which may begin anywhere.
type Table struct {
	settings atomic.Pointer[Settings]
	count    atomic.Int64 // entries, and those about to be made
	servers  registry
	shards   [shardCount]shard
	turn     func() // gives the loops their turn between two pieces of a long work, when no lock is held
}

// Entry is one row of the table.
type Entry struct {
	Key       Key
	Server    string
	Age       time.Duration // since it leads to this server
	Remaining time.Duration // until it is forgotten unless used again
}

// NewTable returns an empty table.
func NewTable(s Settings) *Table {
	t := &Table{turn: runtime.Gosched}
	t.servers.start()
	for i := range t.shards {
		t.shards[i].reset()
	}
	t.Configure(s)
	return t
}

// Configure changes the settings; entries beyond a smaller size are forgotten, oldest first. Entries made with other masks grow old unused.
func (t *Table) Configure(s Settings) {
	s.Size = max(s.Size, 1)
	t.settings.Store(&s)
	for t.count.Load() > int64(s.Size) && t.evict() {
	}
}

// KeyOf returns the key of a client's address, masked as the settings say.
func (t *Table) KeyOf(client netip.Addr) Key { return addressKey(client, t.settings.Load()) }

// Get returns the server of a client and counts as a use.
func (t *Table) Get(k Key, now int64) (server string, ok bool) {
	s := t.settings.Load()
	sh := &t.shards[k.shard()]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i, ok := sh.index[k]
	if !ok {
		return "", false
	}
	if sh.expired(i, now, s) {
		t.removeLocked(sh, i)
		return "", false
	}
	sh.use(i, now)
	return t.servers.name(sh.at(i).server), true
}

// Put makes or changes the entry of a client.
func (t *Table) Put(k Key, server string, now int64) {
	t.put(row{k, t.servers.number(server), now, now}, t.settings.Load(), false)
}

// put makes or changes an entry; exact says that it is a copy: one which leads to this server already takes over since when, and none goes for it while the table that it
// is copied from is to say which do. Were the copy to choose, it might choose otherwise, behind a comparison that has found both equal.
func (t *Table) put(r row, s *Settings, exact bool) {
	sh := &t.shards[r.key.shard()]
	if t.change(sh, r, exact) {
		return
	}
	most := int64(s.Size)
	if exact {
		most *= 2
	}
	// A place is reserved before the entry is made, so that the bound holds at every moment.
	for t.count.Add(1) > most {
		t.count.Add(-1)
		if !t.evict() {
			return // every place is reserved by somebody who is about to fill it
		}
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if i, exists := sh.index[r.key]; exists { // made by another loop meanwhile
		t.count.Add(-1)
		t.changeLocked(sh, i, r, exact)
		return
	}
	sh.insert(r.key, r.server, r.last, r.born)
	sh.digest += t.digestOf(r.key, r.server)
	t.servers.add(r.server, 1)
}

func (t *Table) change(sh *shard, r row, exact bool) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i, ok := sh.index[r.key]
	if ok {
		t.changeLocked(sh, i, r, exact)
	}
	return ok
}

func (t *Table) changeLocked(sh *shard, i int32, r row, exact bool) {
	e := sh.at(i)
	if exact || e.server != r.server {
		e.born = r.born
	}
	if e.server != r.server {
		t.servers.add(e.server, -1)
		t.servers.add(r.server, 1)
		sh.digest += t.digestOf(e.key, r.server) - t.digestOf(e.key, e.server)
		e.server = r.server
	}
	sh.use(i, r.last)
}

// evict forgets the entry that was used longest ago; false when there is none.
func (t *Table) evict() bool {
	for range shardCount {
		oldest, at := -1, int64(noEntry)
		for i := range t.shards {
			if last := t.shards[i].oldest.Load(); last < at {
				oldest, at = i, last
			}
		}
		if oldest < 0 {
			return false
		}
		if sh := &t.shards[oldest]; t.evictFrom(sh) {
			return true
		}
	}
	return false
}

func (t *Table) evictFrom(sh *shard) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i := sh.at(0).newer
	if i == 0 {
		return false
	}
	t.removeLocked(sh, i)
	return true
}

func (t *Table) removeLocked(sh *shard, i int32) {
	e := sh.at(i)
	t.servers.add(e.server, -1)
	sh.digest -= t.digestOf(e.key, e.server)
	sh.remove(i)
	t.count.Add(-1)
}

// Delete forgets one client, named as in Entries; false when it is not there.
func (t *Table) Delete(k Key) bool {
	sh := &t.shards[k.shard()]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i, ok := sh.index[k]
	if ok {
		t.removeLocked(sh, i)
	}
	return ok
}

// DropServer forgets every client of a server and returns how many there were.
func (t *Table) DropServer(server string) int {
	number, ok := t.servers.find(server)
	if !ok {
		return 0
	}
	return t.removeIf(func(e *entry) bool { return e.server == number })
}

// Clear forgets every client and returns how many there were.
func (t *Table) Clear() int { return t.removeIf(func(*entry) bool { return true }) }

func (t *Table) removeIf(match func(*entry) bool) int {
	removed := 0
	t.walk(t.turn, func(sh *shard, i int32) {
		if match(sh.at(i)) {
			t.removeLocked(sh, i)
			removed++
		}
	})
	return removed
}

// expire forgets what was not used for too long; it looks at those entries only, because each shard is in the order of use.
func (t *Table) expire(now int64) {
	s := t.settings.Load()
	for n := range t.shards {
		for t.expirePiece(&t.shards[n], now, s) {
			t.turn()
		}
	}
}

// expirePiece tells whether there is more to expire.
func (t *Table) expirePiece(sh *shard, now int64, s *Settings) (more bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for range piece {
		i := sh.at(0).newer
		if i == 0 || !sh.expired(i, now, s) {
			return false
		}
		t.removeLocked(sh, i)
	}
	return true
}

// Len returns how many entries there are, those included that have expired and were not asked for since.
func (t *Table) Len() int { return int(t.count.Load()) }

// CountByServer returns how many clients each server has.
func (t *Table) CountByServer(now int64) map[string]int {
	t.expire(now)
	return t.servers.counts()
}

// Walk shows every entry that has not expired, in no order. No lock is held meanwhile: those who look hold nobody up, and see what comes and goes or not.
func (t *Table) Walk(now int64, see func(Entry)) {
	timeout := int64(t.settings.Load().Timeout)
	t.copies(func(rows []row) {
		for _, r := range rows {
			if left := r.last + timeout - now; left > 0 {
				see(Entry{r.key, t.servers.name(r.server), time.Duration(max(now-r.born, 0)), time.Duration(left)})
			}
		}
	})
}

// Look returns the entry of a client without using it.
func (t *Table) Look(k Key, now int64) (Entry, bool) {
	s := t.settings.Load()
	sh := &t.shards[k.shard()]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i, ok := sh.index[k]
	if !ok || sh.expired(i, now, s) {
		return Entry{}, false
	}
	e := sh.at(i)
	return Entry{k, t.servers.name(e.server), time.Duration(max(now-e.born, 0)), time.Duration(e.last + int64(s.Timeout) - now)}, true
}
