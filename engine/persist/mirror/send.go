package mirror

import (
	"bufio"
	"context"
	"math"
	"net"
	"time"

	"evenkeel/engine/persist"
)

// sender is the active node's side of one connection.
type sender struct {
	o       Options
	conn    net.Conn
	out     writer
	in      reader
	tables  []Table        // as the last round had them
	numbers map[string]int // of services, for the connection
	copies  map[string]*progress
	servers map[string]int
	rows    []persist.Row
	round   int
	unequal bool // the last round has shown a difference
	sent    int  // rows of this round
	entries int
}

// progress is how far the copy of one table has come.
type progress struct {
	table  *persist.Table
	shards [persist.Shards]reach
	scrub  int // the next shard whose content is counted again
}

// reach is how far the copy of one shard has come.
type reach struct {
	begun bool  // the other side has had it from this connection
	after int64 // rows used until then went over
	sum   persist.Sum
	whole bool      // it is to be sent as a whole
	again time.Time // not before
}

// kind is the frame for its changes. The first ones are all there is, and replace what the other side has: rows put behind entries of an earlier connection would be used later
// than those, by whatever clock.
func (r *reach) kind() byte {
	if r.begun {
		return frameRows
	}
	return frameWhole
}

// Send copies the tables to the other side until the context ends (nil), While says so (nil), or the connection fails. It closes conn.
func Send(ctx context.Context, conn net.Conn, o Options) error {
	defer conn.Close()
	s := &sender{o: o.orDefault(), conn: conn, numbers: map[string]int{}, copies: map[string]*progress{}, servers: map[string]int{}}
	s.out.to, s.in.from = bufio.NewWriterSize(conn, 1<<16), bufio.NewReader(conn)
	defer until(ctx, conn)()
	err := s.run(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (s *sender) run(ctx context.Context) error {
	if _, err := greet(s.conn, &s.o); err != nil {
		return err
	}
	tick, scrubbed := time.NewTicker(s.o.Interval), time.Now()
	defer tick.Stop()
	for s.o.While() {
		if err := s.oneRound(); err != nil {
			return err
		}
		if time.Since(scrubbed) > repairEvery {
			s.scrub()
			scrubbed = time.Now()
		}
		for next := time.Now().Add(quietRound); ; { // when nothing happens a round is a sign of life
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			if s.news() || !time.Now().Before(next) {
				break
			}
		}
	}
	return nil
}

// quietRound is the time between two rounds while no client comes: a sign of life, of which a peer wants one every 60 ms.
const quietRound = 30 * time.Millisecond

// news tells whether there is anything to send.
func (s *sender) news() bool {
	if s.unequal {
		return true
	}
	tables := s.o.Tables()
	if len(tables) != len(s.tables) {
		return true
	}
	for _, t := range tables {
		p := s.copies[t.Service]
		if p == nil || p.table != t.Table {
			return true
		}
		for n := range p.shards {
			if t.Table.ChangedAfter(n, p.shards[n].after, p.shards[n].sum) {
				return true
			}
		}
	}
	return false
}

// oneRound sends what is new and takes the answer.
func (s *sender) oneRound() error {
	if err := s.conn.SetDeadline(time.Now().Add(s.o.Patience)); err != nil {
		return err
	}
	began := time.Now()
	s.round++
	s.sent, s.entries = 0, 0
	s.tables = s.o.Tables()
	for _, t := range s.tables {
		if err := s.table(t); err != nil {
			return err
		}
	}
	s.out.frame(frameRound)
	s.out.u32(s.round)
	s.out.u32(len(s.tables))
	if err := s.out.end(); err != nil {
		return err
	}
	if err := s.out.to.Flush(); err != nil {
		return err
	}
	differ, err := s.answer()
	if err != nil {
		return err
	}
	s.unequal = differ > 0
	s.o.Told(Round{Equal: differ == 0, Differ: differ, Entries: s.entries, Rows: s.sent, Took: time.Since(began)})
	return nil
}

// table sends what is new of one table.
func (s *sender) table(t Table) error {
	p := s.copies[t.Service]
	if p == nil || p.table != t.Table {
		p = &progress{table: t.Table}
		for n := range p.shards {
			p.shards[n].after = math.MinInt64
		}
		s.copies[t.Service] = p
	}
	number, known := s.numbers[t.Service]
	if !known {
		number = len(s.numbers)
		s.numbers[t.Service] = number
		if err := s.name(frameTable, number, t.Service); err != nil {
			return err
		}
	}
	for n := range persist.Shards {
		if err := s.shard(number, n, p); err != nil {
			return err
		}
	}
	return nil
}

func (s *sender) name(kind byte, number int, name string) error {
	s.out.frame(kind)
	s.out.u32(number)
	s.out.text(name)
	return s.out.end()
}

func (s *sender) shard(number, n int, p *progress) error {
	at := &p.shards[n]
	if at.whole && time.Now().After(at.again) {
		if err := s.whole(number, n, p); err != nil {
			return err
		}
	}
	rows, sum, ok := p.table.Changes(n, at.after, s.o.Now(), s.rows[:0])
	s.rows = rows
	if !ok {
		if err := s.whole(number, n, p); err != nil {
			return err
		}
		if rows, sum, ok = p.table.Changes(n, at.after, s.o.Now(), s.rows[:0]); !ok {
			at.whole = true // more comes in a moment than fits: the next round tries again
			sum = persist.Sum{Entries: -1}
		}
		s.rows = rows
	}
	if len(rows) > 0 {
		at.after = rows[len(rows)-1].Last
	}
	if kind := at.kind(); kind == frameWhole || len(rows) > 0 {
		if err := s.send(kind, number, n, rows); err != nil {
			return err
		}
	}
	at.begun = true
	s.entries += max(sum.Entries, 0)
	at.sum = sum
	s.out.frame(frameSum)
	s.out.u32(number)
	s.out.u8(n)
	s.out.u64(sum.Digest)
	s.out.u32(sum.Entries)
	s.out.u64(uint64(sum.Oldest))
	return s.out.end()
}

// whole sends all that a shard holds.
func (s *sender) whole(number, n int, p *progress) error {
	at := &p.shards[n]
	rows, newest := p.table.Whole(n)
	at.begun, at.after, at.whole, at.again = true, newest, false, time.Now().Add(repairEvery)
	return s.send(frameWhole, number, n, rows)
}

// send sends rows in as many frames as they need.
func (s *sender) send(kind byte, number, n int, rows []persist.Row) error {
	s.sent += len(rows)
	for first := true; first || len(rows) > 0; first = false {
		piece := rows[:min(len(rows), maxRows)]
		rows = rows[len(piece):]
		for i := range piece {
			if err := s.server(piece[i].Server); err != nil {
				return err
			}
		}
		s.out.frame(kind)
		s.out.u32(number)
		s.out.u8(n)
		if kind == frameWhole {
			s.out.u8(min(len(rows), 1))
		}
		for i := range piece {
			s.row(&piece[i])
		}
		if err := s.out.end(); err != nil {
			return err
		}
	}
	return nil
}

// server tells the number of a server before it is used.
func (s *sender) server(id string) error {
	if _, known := s.servers[id]; known {
		return nil
	}
	s.servers[id] = len(s.servers)
	return s.name(frameServer, s.servers[id], id)
}

func (s *sender) row(r *persist.Row) {
	s.out.buf = persist.AppendKey(s.out.buf, r.Key)
	s.out.u32(s.servers[r.Server])
	s.out.u64(uint64(r.Last))
	s.out.u64(uint64(r.Born))
}

// answer reads which shards differ, and returns how many.
func (s *sender) answer() (differ int, err error) {
	kind, err := s.in.next()
	if err != nil {
		return 0, err
	}
	if kind != frameAnswer || s.in.u32() != s.round {
		return 0, damaged("an answer to another question")
	}
	for len(s.in.frame) > 0 {
		number, n := s.in.u32(), int(s.in.number(1))
		if s.in.short || n >= persist.Shards {
			return 0, damaged("an answer that is cut")
		}
		differ++
		for _, t := range s.tables {
			if s.numbers[t.Service] == number {
				s.copies[t.Service].shards[n].whole = true
			}
		}
	}
	return differ, nil
}

// scrub counts one shard of every table again.
func (s *sender) scrub() {
	for _, t := range s.tables {
		scrub(t, &s.copies[t.Service].scrub, &s.o)
	}
}

// scrub counts the shards of a small table again, and one of a large one, beginning with next.
func scrub(t Table, next *int, o *Options) {
	n := 1
	if t.Table.Len() < 1<<16 {
		n = persist.Shards
	}
	for range n {
		if !t.Table.Scrub(*next) {
			o.Log.Error("persistence table was damaged in memory", "component", "persistence", "service", t.Service, "part", *next)
		}
		*next = (*next + 1) % persist.Shards
	}
}
