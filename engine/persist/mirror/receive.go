package mirror

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"time"

	"evenkeel/engine/persist"
)

// receiver is the passive node's side of one connection.
type receiver struct {
	o       Options
	conn    net.Conn
	out     writer
	in      reader
	ahead   int64 // own clock minus the sender's
	names   []string
	servers []string
	own     map[string]Table
	whole   []persist.Row // of the shard that comes as a whole
	at      spot          // that shard
	differ  []spot
	scrubs  map[string]*int
	entries int
	rows    int
}

// spot is a shard of a table, by the sender's number.
type spot struct{ table, shard int }

// maxWhole bounds the rows of a shard that are kept until it has come as a whole: more than any table may have.
const maxWhole = 16 << 20

// Receive takes what Send on the other side gives until the context ends (nil), the other side ends (nil), While says so (nil), or the connection fails. It closes conn.
func Receive(ctx context.Context, conn net.Conn, o Options) error {
	defer conn.Close()
	r := &receiver{o: o.orDefault(), conn: conn, own: map[string]Table{}, scrubs: map[string]*int{}}
	r.out.to, r.in.from = bufio.NewWriter(conn), bufio.NewReaderSize(conn, 1<<16)
	defer until(ctx, conn)()
	err := r.run()
	if ctx.Err() != nil || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (r *receiver) run() (err error) {
	if r.ahead, err = greet(r.conn, &r.o); err != nil {
		return err
	}
	scrubbed := time.Now()
	r.look()
	for {
		if err := r.conn.SetDeadline(time.Now().Add(r.o.Patience)); err != nil {
			return err
		}
		kind, err := r.in.next()
		if err != nil {
			return err
		}
		if !r.o.While() {
			return nil
		}
		if err := r.take(kind); err != nil {
			return err
		}
		if kind == frameRound && time.Since(scrubbed) > repairEvery {
			r.scrub()
			scrubbed = time.Now()
		}
	}
}

// look asks which tables there are.
func (r *receiver) look() {
	clear(r.own)
	for _, t := range r.o.Tables() {
		r.own[t.Service] = t
	}
}

func (r *receiver) take(kind byte) error {
	switch kind {
	case frameTable:
		return r.named(&r.names)
	case frameServer:
		return r.named(&r.servers)
	case frameRows:
		return r.takeRows()
	case frameWhole:
		return r.takeWhole()
	case frameSum:
		return r.compare()
	case frameRound:
		return r.reply()
	}
	return damaged("a frame of kind %d", kind)
}

// named notes the next number's name.
func (r *receiver) named(list *[]string) error {
	number, name := r.in.u32(), r.in.text()
	if r.in.short || len(r.in.frame) > 0 || name == "" || len(name) > maxName || number != len(*list) || number >= maxNumber {
		return damaged("a name that is none")
	}
	*list = append(*list, name)
	return nil
}

// where reads which shard a frame is about. table is nil for a service that does not run here (yet).
func (r *receiver) where() (at spot, table *persist.Table, err error) {
	at = spot{r.in.u32(), int(r.in.number(1))}
	if r.in.short || at.table >= len(r.names) || at.shard >= persist.Shards {
		return at, nil, damaged("a part of a table that was not named")
	}
	return at, r.own[r.names[at.table]].Table, nil
}

func (r *receiver) takeRows() error {
	_, table, err := r.where()
	if err != nil {
		return err
	}
	rows, err := r.rowsOf(nil)
	if err != nil || table == nil {
		return err
	}
	r.rows += len(rows)
	table.Take(rows)
	return nil
}

func (r *receiver) takeWhole() error {
	at, table, err := r.where()
	if err != nil {
		return err
	}
	more := r.in.number(1)
	if at != r.at {
		r.whole, r.at = r.whole[:0], at
	}
	if r.whole, err = r.rowsOf(r.whole); err != nil {
		return err
	}
	if len(r.whole) > maxWhole || more > 1 {
		return damaged("a part of a table without an end")
	}
	if more == 0 {
		if table != nil {
			table.Replace(at.shard, r.whole)
		}
		r.rows += len(r.whole)
		r.whole, r.at = nil, spot{table: -1}
	}
	return nil
}

// farthest is how long before a process began, in ns, something may have happened that it knows of: 146 years.
const farthest = 1 << 62

// rowsOf reads the rest of a frame.
func (r *receiver) rowsOf(rows []persist.Row) ([]persist.Row, error) {
	if r.in.short || len(r.in.frame)%rowSize != 0 {
		return nil, damaged("rows that are cut")
	}
	latest := r.o.Now() + int64(repairEvery) // nobody was here in the future
	for len(r.in.frame) > 0 {
		key, ok := persist.KeyFrom(r.in.bytes(persist.KeySize))
		server, last, born := r.in.u32(), int64(r.in.number(8)), int64(r.in.number(8))
		if !ok || server >= len(r.servers) || born > last || born < -farthest || last+r.ahead > latest {
			return nil, damaged("a row that no table has")
		}
		rows = append(rows, persist.Row{Key: key, Server: r.servers[server], Last: last + r.ahead, Born: born + r.ahead})
	}
	return rows, nil
}

// compare forgets what the sender no longer has, and notes a shard that differs.
func (r *receiver) compare() error {
	at, table, err := r.where()
	if err != nil {
		return err
	}
	want := persist.Sum{Digest: r.in.number(8), Entries: int(int32(r.in.u32())), Oldest: int64(r.in.number(8))}
	if r.in.short || len(r.in.frame) > 0 {
		return damaged("a sum that is cut")
	}
	if table == nil {
		r.differ = append(r.differ, at)
		return nil
	}
	if want.Entries > 0 {
		table.Trim(at.shard, want.Oldest+r.ahead)
	}
	got := table.Sum(at.shard)
	r.entries += got.Entries
	if got.Digest != want.Digest || got.Entries != want.Entries {
		r.differ = append(r.differ, at)
	}
	return nil
}

// reply answers a round.
func (r *receiver) reply() error {
	round, tables := r.in.u32(), r.in.u32()
	if r.in.short || len(r.in.frame) > 0 {
		return damaged("a round that is cut")
	}
	r.out.frame(frameAnswer)
	r.out.u32(round)
	for i, at := range r.differ {
		if i == maxDiffering {
			break // the rest in the next round
		}
		r.out.u32(at.table)
		r.out.u8(at.shard)
	}
	if err := r.out.end(); err != nil {
		return err
	}
	if err := r.out.to.Flush(); err != nil {
		return err
	}
	r.look()
	r.o.Told(Round{Equal: len(r.differ) == 0 && tables == len(r.own), Differ: len(r.differ), Entries: r.entries, Rows: r.rows})
	r.differ, r.entries, r.rows = r.differ[:0], 0, 0
	return nil
}

// maxDiffering is how many shards one answer names.
const maxDiffering = (maxFrame - 16) / 5

func (r *receiver) scrub() {
	for _, t := range r.own {
		if r.scrubs[t.Service] == nil {
			r.scrubs[t.Service] = new(int)
		}
		scrub(t, r.scrubs[t.Service], &r.o)
	}
}
