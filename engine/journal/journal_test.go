package journal

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
)

// reader takes one line at each turn that it is given.
type reader struct {
	turns chan bool
	came  chan bool
	bytes.Buffer
}

func (r *reader) Write(b []byte) (int, error) {
	r.came <- true
	<-r.turns
	return r.Buffer.Write(b)
}

func TestALogThatIsNotReadHoldsNobodyUpAndTheLossIsSaid(t *testing.T) {
	to := &reader{turns: make(chan bool), came: make(chan bool, 2*room)}
	j := New(slog.NewTextHandler(to, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		return a
	}}))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan bool)
	go func() { j.Run(ctx); close(ended) }()
	log := slog.New(j).With("component", "test").WithGroup("g")
	log.Info("line", "n", 0)
	<-to.came // and waits with it
	for n := range room + 7 {
		log.Info("line", "n", n+1)
	}
	cancel()
	close(to.turns)
	<-ended
	var want strings.Builder
	for n := range room + 1 {
		fmt.Fprintf(&want, "msg=line component=test g.n=%d\n", n)
		if n == 0 {
			want.WriteString("msg=\"log lines dropped, the log was not read in time\" lines=7\n")
		}
	}
	if to.String() != want.String() {
		t.Errorf("%s", to.String())
	}
}

func TestALevelThatIsNotWantedIsNotQueued(t *testing.T) {
	j := New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelWarn}))
	slog.New(j).Info("line")
	if len(j.lines) > 0 {
		t.Error("queued")
	}
}
