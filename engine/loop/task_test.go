package loop

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"evenkeel/engine/wire"
)

type task func()

func (f task) Run() { f() }

func TestTaskRunsInTheNextTurnBeforeTheLoopSleeps(t *testing.T) {
	l := start(t)
	done := make(chan uint64, 3)
	on(t, l, func() {
		at := l.stats.Turns
		var again wire.Task
		again = task(func() {
			done <- l.stats.Turns - at
			if l.stats.Turns-at < 3 {
				l.Soon(again)
			}
		})
		l.Soon(again)
		if len(done) != 0 {
			t.Error("the task ran within Soon")
		}
	})
	for _, want := range []uint64{0, 1, 2, 3} {
		select {
		case got := <-done:
			if got != want {
				t.Fatalf("a task that asks for the next turn ran %d turns later, not %d", got, want)
			}
		case <-time.After(time.Minute):
			t.Fatal("the loop sleeps though there is a task")
		}
	}
}

func TestDefectOfATaskKeepsTheOthers(t *testing.T) {
	var log bytes.Buffer
	l, err := Open(Options{Driver: driver, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ran := false
	l.Soon(task(func() { panic("defect") }))
	l.Soon(task(func() { ran = true }))
	l.tasks.run(l)
	l.Close()
	if !ran || !strings.Contains(log.String(), "a defect was survived") {
		t.Fatalf("ran %v, log %q", ran, log.String())
	}
}
