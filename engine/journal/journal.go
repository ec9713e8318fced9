// Package journal lets a thread that must never wait write log lines: they are queued, and one goroutine hands them to the real handler. When the queue is full,
// because nobody reads the log, lines are dropped; how many is said as soon as there is somebody to say it to.
package journal

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// room is how many lines may wait.
const room = 512

// Journal is a slog.Handler that never waits. Run writes what it was given; what comes behind Run's end is not written.
type Journal struct {
	to slog.Handler
	*queue
}

// queue is what a journal shares with those made of it by WithAttrs and WithGroup.
type queue struct {
	lines   chan line
	dropped atomic.Int64
}

type line struct {
	to     slog.Handler
	record slog.Record
}

// New returns a journal that writes to a handler.
func New(to slog.Handler) *Journal {
	return &Journal{to: to, queue: &queue{lines: make(chan line, room)}}
}

// Enabled implements slog.Handler.
func (j *Journal) Enabled(ctx context.Context, l slog.Level) bool { return j.to.Enabled(ctx, l) }

// Handle implements slog.Handler; it queues the line or drops it.
func (j *Journal) Handle(_ context.Context, r slog.Record) error {
	select {
	case j.lines <- line{j.to, r.Clone()}:
	default:
		j.dropped.Add(1)
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (j *Journal) WithAttrs(list []slog.Attr) slog.Handler {
	return &Journal{j.to.WithAttrs(list), j.queue}
}

// WithGroup implements slog.Handler.
func (j *Journal) WithGroup(name string) slog.Handler {
	return &Journal{j.to.WithGroup(name), j.queue}
}

// Run writes lines until the context ends, then those that still wait. It takes as long as the handler does.
func (j *Journal) Run(ctx context.Context) {
	for {
		select {
		case l := <-j.lines:
			j.write(ctx, l)
		case <-ctx.Done():
			j.rest(ctx)
			return
		}
	}
}

func (j *Journal) rest(ctx context.Context) {
	for {
		select {
		case l := <-j.lines:
			j.write(ctx, l)
		default:
			return
		}
	}
}

// write hands on one line, and says behind it how many were dropped.
func (j *Journal) write(ctx context.Context, l line) {
	_ = l.to.Handle(ctx, l.record) // there is nobody to tell
	n := j.dropped.Swap(0)
	if n == 0 || !j.to.Enabled(ctx, slog.LevelWarn) {
		return
	}
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines dropped, the log was not read in time", 0)
	r.AddAttrs(slog.Int64("lines", n))
	_ = j.to.Handle(ctx, r)
}
