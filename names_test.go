package main

import (
	"log/slog"
	"net/netip"
	"os"
	"reflect"
	"testing"

	"evenkeel/engine"
)

func TestWhereNamesLedSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	run := func() *instance {
		return &instance{options: serveOptions{dir: dir, log: slog.New(slog.DiscardHandler)}, engine: engine.New(engine.Options{Loops: 1})}
	}
	known := map[string][]netip.Addr{"pacs1.example": {netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("fd00::7")}}
	first := run()
	first.writeNames()
	if _, err := os.Stat(first.namesFile()); err == nil {
		t.Error("a file without names")
	}
	first.engine.RecallNames(known)
	first.writeNames()
	next := run()
	next.restoreNames()
	if got := next.engine.Names(); !reflect.DeepEqual(got, known) {
		t.Errorf("%v", got)
	}
	for _, damage := range []string{"", "{", "[]", `{"a":["b"]}`, `{"a":7}`} {
		if err := os.WriteFile(next.namesFile(), []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		last := run()
		last.restoreNames()
		if got := last.engine.Names(); len(got) != 0 {
			t.Errorf("%q: %v", damage, got)
		}
	}
}
