package mirror

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/persist"
)

// Table is the table of a service.
type Table struct {
	Service string
	Table   *persist.Table
}

// Options of both sides.
type Options struct {
	// Tables returns those of the running services; required. It is asked in every round.
	Tables func() []Table
	// Now is the clock of the tables' times; required.
	Now func() int64
	// Interval is the time between two rounds, or between two looks whether a round is needed; 0: 10 ms.
	Interval time.Duration
	// Patience is how long the other side may be silent; 0: 5 s.
	Patience time.Duration
	// Told is called after every round; nil: nobody asks. It must not block.
	Told func(Round)
	// While is asked before a round is sent, and before anything that came is taken: false ends the connection. nil: it lasts. It must not block. It is for the caller to
	// see to it that no two nodes take from each other at the same time: each would forget what the other has not told it yet.
	While func() bool
	Log   *slog.Logger // nil: silent
}

// Round is what one round has shown.
type Round struct {
	Equal   bool          // the sums of every shard of every table were equal
	Differ  int           // shards that were not
	Entries int           // of all tables
	Rows    int           // that went over
	Took    time.Duration // from its begin to the answer (sender), or 0 (receiver)
}

func (o Options) orDefault() Options {
	if o.Interval <= 0 {
		o.Interval = 10 * time.Millisecond
	}
	if o.Patience <= 0 {
		o.Patience = 5 * time.Second
	}
	if o.Told == nil {
		o.Told = func(Round) {}
	}
	if o.While == nil {
		o.While = func() bool { return true }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// repairEvery is how often a shard is sent as a whole at most, and how often what stands in memory is counted again.
const repairEvery = time.Second

// greet exchanges the greetings and returns the difference of the clocks: own minus the other's, too large by the time of one way.
func greet(conn net.Conn, o *Options) (ahead int64, err error) {
	if err := conn.SetDeadline(time.Now().Add(o.Patience)); err != nil {
		return 0, err
	}
	own := binary.BigEndian.AppendUint64([]byte(magic), uint64(o.Now()))
	if _, err := conn.Write(own); err != nil {
		return 0, err
	}
	var theirs [greeting]byte
	if _, err := io.ReadFull(conn, theirs[:]); err != nil {
		return 0, err
	}
	if string(theirs[:len(magic)]) != magic {
		return 0, &appliance.Error{
			Kind: appliance.Unsupported, Op: "copy the persistence table", Message: "The peer copies the persistence table in another way than this version.",
			Hint: "Update both nodes to the same version.",
		}
	}
	return o.Now() - int64(binary.BigEndian.Uint64(theirs[len(magic):])), nil
}

// until has the connection end with the context, which makes reads and writes that wait return.
func until(ctx context.Context, conn net.Conn) (stop func()) {
	done := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return func() { done() }
}
