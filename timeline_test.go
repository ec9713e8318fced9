package main

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"evenkeel/appliance"
	"evenkeel/ui/signin"
)

func TestTimelineOfAPairThatEndedStaysReadable(t *testing.T) {
	p := &pair{}
	if list := p.Timeline(); list == nil || len(list) > 0 {
		t.Errorf("%+v", list)
	}
	told := []appliance.PairEvent{{Code: "paired"}, {Code: "broken"}}
	p.decided.Store(&told)
	if list := p.Timeline(); len(list) != 2 || list[0].Code != "broken" || list[1].Code != "paired" {
		t.Errorf("%+v", list)
	}
}

func TestTimelineOfAPairThatEndedStaysReadableBehindARestart(t *testing.T) {
	for kept, want := range map[string]int{`[{"node":"lb1","code":"paired"},{"node":"lb2","code":"broken"}]`: 2, "": 0, "[{": 0} {
		o := serveOptions{dir: t.TempDir(), webui: "127.0.0.1:0", fallback: "127.0.0.1:0", ssh: "127.0.0.1:0", log: slog.New(slog.DiscardHandler), loops: 1}
		if kept != "" {
			if err := os.WriteFile(filepath.Join(o.dir, "timeline.json"), []byte(kept), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		a, err := open(t.Context(), o, signin.Options{Announce: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		list := a.pair.Timeline()
		if len(list) != want || want > 0 && (list[0].Code != "broken" || list[1].Node != "lb1") {
			t.Errorf("%q: %+v", kept, list)
		}
		a.close()
	}
}

// TestPairThatTheOtherNodeBrokeIsALineOfTheTimeline: once, also behind a restart, and in the status until it is dismissed.
func TestPairThatTheOtherNodeBrokeIsALineOfTheTimeline(t *testing.T) {
	o := serveOptions{dir: t.TempDir(), webui: "127.0.0.1:0", fallback: "127.0.0.1:0", ssh: "127.0.0.1:0", log: slog.New(slog.DiscardHandler), loops: 1}
	for life := range 2 {
		a, err := open(t.Context(), o, signin.Options{Announce: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		if life == 0 {
			broken := []byte(`[{"key":"k","name":"lb1","broken":"2026-11-21T22:10:00Z","by":"peer"}]`)
			if err := a.store.ExchangeSecrets(t.Context(), map[string][]byte{"pair_former": broken}, nil); err != nil {
				t.Fatal(err)
			}
			a.close()
			continue
		}
		a.pair.tellEnded()
		a.pair.tellEnded()
		list, status := a.pair.Timeline(), a.pair.Status()
		if len(list) != 1 || list[0].Code != appliance.CodePairEnded || status.Ended == nil || status.Ended.By != "lb1" || len(a.control.Alerts()) != 1 {
			t.Errorf("%+v, %+v, %+v", list, status.Ended, a.control.Alerts())
		}
		if err := a.pair.Dismiss(t.Context(), appliance.Origin{Operator: "anna", Via: "webui"}); err != nil {
			t.Error(err)
		}
		if list, status := a.pair.Timeline(), a.pair.Status(); len(list) != 1 || status.Ended != nil || len(a.control.Alerts()) != 0 {
			t.Errorf("dismissed: %+v, %+v, %+v", list, status.Ended, a.control.Alerts())
		}
		a.close()
	}
}
