package mirror

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/persist"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is one side: its tables and its clock, which began when it wants.
type node struct {
	tables []Table
	began  time.Time
	last   atomic.Pointer[Round]
	rounds atomic.Int64
	asked  atomic.Int64 // when the tables were asked for, in nanoseconds: a round of a sender begins with that
	proven atomic.Int64 // when the last round began that found the tables equal; of a sender
}

func newNode(began time.Duration, size int, services ...string) *node {
	n := &node{began: time.Now().Add(-began)}
	for _, s := range services {
		n.tables = append(n.tables, Table{s, persist.NewTable(persist.Settings{Size: size, Timeout: time.Hour, MaskIPv4: 32, MaskIPv6: 128})})
	}
	return n
}

func (n *node) now() int64 { return int64(time.Since(n.began)) }

func (n *node) options() Options {
	tables := func() []Table {
		n.asked.Store(time.Now().UnixNano())
		return n.tables
	}
	return Options{Tables: tables, Now: n.now, Interval: time.Millisecond, Patience: time.Minute, Told: func(r Round) {
		n.last.Store(&r)
		if r.Equal && r.Took > 0 {
			n.proven.Store(n.asked.Load())
		}
		n.rounds.Add(1)
	}}
}

// equal tells whether the last round was, with so many entries.
func (n *node) equal(entries int) bool {
	r := n.last.Load()
	return r != nil && r.Equal && r.Entries == entries
}

// link joins two nodes until the test ends or cut is called, which waits for both sides.
func link(t testing.TB, from, to *node) (cut func()) {
	t.Helper()
	a, b := pipe(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- Send(ctx, a, from.options()) }()
	go func() { ended <- Receive(ctx, b, to.options()) }()
	var once atomic.Bool
	cut = func() {
		if once.Swap(true) {
			return
		}
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(cut)
	return cut
}

func pipe(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}

func await(t testing.TB, what string, met func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !met(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func key(n int) persist.Key {
	return persist.PrefixKey(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 32))
}

func (n *node) put(service, from, to int) {
	for i := from; i < to; i++ {
		n.tables[service].Table.Put(key(i), fmt.Sprint("s", i%3), n.now())
	}
}

// same compares all entries; clocks differ by the time of one way.
func same(t *testing.T, a, b *node) {
	t.Helper()
	for i := range a.tables {
		seen := map[persist.Key]persist.Entry{}
		a.tables[i].Table.Walk(a.now(), func(e persist.Entry) { seen[e.Key] = e })
		b.tables[i].Table.Walk(b.now(), func(e persist.Entry) {
			o, ok := seen[e.Key]
			if !ok || o.Server != e.Server || (o.Age-e.Age).Abs() > time.Minute || (o.Remaining-e.Remaining).Abs() > time.Minute {
				t.Fatalf("%+v is %+v there", o, e)
			}
			delete(seen, e.Key)
		})
		if len(seen) > 0 {
			t.Fatalf("%d entries of %s are missing", len(seen), a.tables[i].Service)
		}
	}
}

func TestMirrorCopiesWhatThereIsAndWhatComes(t *testing.T) {
	a, b := newNode(time.Hour, 1<<17, "WEB", "HL7"), newNode(time.Second, 1<<17, "HL7", "WEB")
	b.tables[0], b.tables[1] = b.tables[1], b.tables[0]
	a.put(0, 0, 70_000) // more than the changes of a shard: copied as a whole
	a.put(1, 0, 10)
	b.put(1, 500, 600) // of an earlier life
	link(t, a, b)
	await(t, "the first copy is equal on both", func() bool { return a.equal(70_010) && b.equal(70_010) })
	same(t, a, b)
	a.put(0, 70_000, 75_000)
	a.put(0, 0, 100) // used again
	a.tables[0].Table.Delete(key(7))
	a.tables[1].Table.Clear()
	await(t, "changes and deletions arrive", func() bool { return a.equal(74_999) && b.equal(74_999) })
	same(t, a, b)
}

func TestMirrorFollowsTheActiveNodeWhereverItIs(t *testing.T) {
	seed := uint64(20261121)
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	a, b := newNode(time.Hour, 3000, "WEB"), newNode(time.Second, 3000, "WEB")
	for range 20 {
		cut := link(t, a, b)
		for range 5 {
			from := r.IntN(10_000)
			a.put(0, from, from+r.IntN(900)) // beyond the bound after a while
		}
		n, ra, rb := a.tables[0].Table.Len(), a.rounds.Load(), b.rounds.Load()
		await(t, "equal before the change of owner", func() bool {
			return a.rounds.Load() > ra+1 && b.rounds.Load() > rb+1 && a.equal(n) && b.equal(n)
		})
		cut()
		same(t, a, b)
		a, b = b, a
		a.last.Store(nil)
		b.last.Store(nil)
	}
}

// TestMirrorTakesNothingBehindItsTime: what is under way when a node stops being the one that takes changes nothing there.
func TestMirrorTakesNothingBehindItsTime(t *testing.T) {
	a, b := newNode(time.Hour, 1000, "WEB"), newNode(time.Hour, 1000, "WEB")
	a.put(0, 0, 500)
	b.put(0, 500, 600)
	from, to := pipe(t)
	o := b.options()
	o.While = func() bool { return false }
	ended := make(chan error, 1)
	go func() { ended <- Send(t.Context(), from, a.options()) }()
	if err := Receive(t.Context(), to, o); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("the sender was not told")
	}
	if n := b.tables[0].Table.Len(); n != 100 {
		t.Errorf("%d entries", n)
	}
	from, to = pipe(t)
	defer to.Close()
	o = a.options()
	o.While = func() bool { return false }
	go func() { ended <- Send(t.Context(), from, o) }()
	if _, err := greet(to, &o); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, to); n > 0 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestMirrorAgesClientsAlikeOverConnections: a client that came long ago is not taken for a new one because the connection is.
func TestMirrorAgesClientsAlikeOverConnections(t *testing.T) {
	a, b := newNode(time.Hour, 3000, "WEB"), newNode(time.Hour, 3000, "WEB")
	for i := range 1000 {
		a.tables[0].Table.Put(key(i), "s", a.now()-int64(1000-i)*int64(3*time.Second))
	}
	for range 3 {
		cut := link(t, a, b)
		await(t, "equal", func() bool { return a.equal(1000) && b.equal(1000) })
		cut()
		same(t, a, b)
		a.last.Store(nil)
		b.last.Store(nil)
	}
}

func TestMirrorRepairsAFlippedEntry(t *testing.T) {
	a, b := newNode(time.Hour, 1000, "WEB"), newNode(time.Hour, 1000, "WEB")
	a.put(0, 0, 500)
	link(t, a, b)
	await(t, "equal", func() bool { return b.equal(500) })
	b.tables[0].Table.Put(key(3), "s-wrong", b.now()) // nobody but a fault writes on the passive node
	await(t, "equal again", func() bool {
		e, ok := b.tables[0].Table.Look(key(3), b.now())
		return ok && e.Server == "s0" && b.equal(500)
	})
	same(t, a, b)
}

func TestMirrorSaysUnequalWhileTheTablesOfBothDiffer(t *testing.T) {
	a, b := newNode(time.Hour, 1000, "WEB", "NEW"), newNode(time.Hour, 1000, "WEB")
	a.put(0, 0, 50)
	link(t, a, b)
	await(t, "the common table is copied", func() bool { r := b.last.Load(); return r != nil && r.Entries == 50 })
	if r := a.last.Load(); r != nil && r.Equal {
		t.Error("equal, while the peer has no table of NEW")
	}
	same(t, &node{tables: a.tables[:1], began: a.began}, b)
}

// speak greets like a sender and then says what a test wants; it returns how Receive ended.
func speak(t *testing.T, n *node, say func(w *writer)) error {
	t.Helper()
	a, b := pipe(t)
	ended := make(chan error, 1)
	o := n.options()
	go func() { ended <- Receive(context.Background(), b, o) }()
	hello := binary.BigEndian.AppendUint64([]byte(magic), uint64(n.now()))
	if _, err := a.Write(hello); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := &writer{to: newWriter(&out)}
	say(w)
	_ = w.to.Flush()
	_, _ = a.Write(out.Bytes())
	go func() { _, _ = io.Copy(io.Discard, a) }()
	err := <-ended
	a.Close()
	return err
}

func TestReceiverRefusesWhatMakesNoSense(t *testing.T) {
	rows := func(kind byte, table, shard int, rest ...byte) func(w *writer) {
		return func(w *writer) {
			w.frame(frameTable)
			w.u32(0)
			w.text("WEB")
			_ = w.end()
			w.frame(kind)
			w.u32(table)
			w.u8(shard)
			w.buf = append(w.buf, rest...)
			_ = w.end()
		}
	}
	row := func(server int, last, born int64) []byte {
		b := persist.AppendKey(nil, key(1))
		b = binary.BigEndian.AppendUint32(b, uint32(server))
		b = binary.BigEndian.AppendUint64(b, uint64(last))
		return binary.BigEndian.AppendUint64(b, uint64(born))
	}
	for name, say := range map[string]func(w *writer){
		"a length that is none":     func(w *writer) { _, _ = w.to.Write([]byte{0, 0, 0, 0}) },
		"a length beyond all":       func(w *writer) { _, _ = w.to.Write([]byte{0xff, 0xff, 0xff, 0xff, 1}) },
		"a kind that is none":       func(w *writer) { w.frame(99); _ = w.end() },
		"the sender's own question": func(w *writer) { w.frame(frameAnswer); _ = w.end() },
		"a table twice":             rows(frameTable, 0, 3, 'W', 'E', 'B'),
		"a table not named":         rows(frameRows, 1, 0),
		"a part beyond all":         rows(frameRows, 0, persist.Shards),
		"half a row":                rows(frameRows, 0, 0, 1, 2, 3),
		"a server not named":        rows(frameRows, 0, 0, row(0, 5, 5)...),
		"half a sum":                rows(frameSum, 0, 0, 1, 2, 3),
		"a whole of two ends":       rows(frameWhole, 0, 0, 2),
		"half a round":              func(w *writer) { w.frame(frameRound); w.u8(1); _ = w.end() },
		"a row from the future": func(w *writer) {
			rows(frameServer, 0, 1, 's')(w)
			rows(frameRows, 0, 0, row(0, 1<<61, 5)...)(w)
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(time.Hour, 100, "WEB")
			n.put(0, 0, 5)
			if err := speak(t, n, say); appliance.KindOf(err) != appliance.Invalid {
				t.Fatalf("%v, want a refusal", err)
			}
			if got := n.tables[0].Table.Len(); got != 5 {
				t.Errorf("%d entries, the table is not as it was", got)
			}
		})
	}
}

func TestMirrorEndsWithAPeerThatIsSilentOrOfAnotherVersion(t *testing.T) {
	for name, c := range map[string]struct {
		hello string
		kind  appliance.Kind
	}{
		"another version": {"EKPM\x00\x09........", appliance.Unsupported},
		"silent":          {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pipe(t)
			defer a.Close()
			if _, err := io.WriteString(a, c.hello); err != nil {
				t.Fatal(err)
			}
			o := newNode(0, 1, "WEB").options()
			if c.hello == "" {
				o.Patience = 50 * time.Millisecond
			}
			if err := Send(context.Background(), b, o); err == nil || c.kind != "" && appliance.KindOf(err) != c.kind {
				t.Fatal(err)
			}
		})
	}
}

func FuzzReceive(f *testing.F) {
	frame := func(say func(w *writer)) []byte {
		var out bytes.Buffer
		w := &writer{to: newWriter(&out)}
		say(w)
		_ = w.to.Flush()
		return out.Bytes()
	}
	f.Add(frame(func(w *writer) {
		w.frame(frameTable)
		w.u32(0)
		w.text("WEB")
		_ = w.end()
		w.frame(frameServer)
		w.u32(0)
		w.text("s")
		_ = w.end()
		w.frame(frameRows)
		w.u32(0)
		w.u8(3)
		w.buf = persist.AppendKey(w.buf, key(1))
		w.u32(0)
		w.u64(9)
		w.u64(5)
		_ = w.end()
		w.frame(frameRound)
		w.u32(1)
		w.u32(1)
		_ = w.end()
	}))
	f.Fuzz(func(t *testing.T, b []byte) {
		table := persist.NewTable(persist.Settings{Size: 64, Timeout: time.Hour, MaskIPv4: 32, MaskIPv6: 128})
		own := []Table{{"WEB", table}}
		r := &receiver{o: Options{Tables: func() []Table { return own }, Now: func() int64 { return 1000 }}.orDefault(), own: map[string]Table{"WEB": own[0]}, scrubs: map[string]*int{}}
		var out bytes.Buffer
		r.in.from, r.out.to = newReader(b), newWriter(&out)
		for {
			kind, err := r.in.next()
			if err != nil || r.take(kind) != nil {
				break
			}
		}
		if n := table.Len(); n > 2*64 {
			t.Fatalf("%d entries", n)
		}
		for n := range persist.Shards {
			if !table.Scrub(n) {
				t.Fatal("the sum is not that of the entries")
			}
		}
	})
}

// BenchmarkResync copies a table of a million entries to an empty peer.
func BenchmarkResync(b *testing.B) {
	const entries = 1_000_000
	from := newNode(time.Hour, entries, "WEB")
	from.put(0, 0, entries)
	for b.Loop() {
		to := newNode(time.Second, entries, "WEB")
		cut := link(b, from, to)
		await(b, "equal", func() bool { return from.equal(entries) && to.equal(entries) })
		b.StopTimer()
		cut()
		from.last.Store(nil)
		b.StartTimer()
	}
}
