package ha

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"evenkeel/appliance"

	"github.com/google/renameio/v2"
)

// mostEvents is how many lines of the timeline are kept.
const mostEvents = 500

// timeline is what both nodes have decided, oldest first. The loop does not touch it: the desk writes it.
type timeline struct {
	dir string

	mu      sync.Mutex // guards what follows
	events  []appliance.PairEvent
	changed bool // since it was written
}

// openTimeline reads what is kept of earlier lives; what cannot be read is left behind.
func openTimeline(dir string) *timeline {
	t := &timeline{dir: dir}
	if b, err := os.ReadFile(filepath.Join(dir, timelineFile)); err == nil && json.Unmarshal(b, &t.events) != nil {
		t.events = nil
	}
	t.cut()
	return t
}

// ReadTimeline returns what the nodes that had a folder decided, oldest first, also of pairs that are no more; nil when nothing is kept.
func ReadTimeline(dir string) []appliance.PairEvent { return openTimeline(dir).all() }

// AddToTimeline adds what became of a pair to the folder of a node that does not run any more, unless it is there, and returns all, oldest first.
func AddToTimeline(dir string, e appliance.PairEvent) ([]appliance.PairEvent, error) {
	t := openTimeline(dir)
	if !slices.ContainsFunc(t.events, func(x appliance.PairEvent) bool { return x.Code == e.Code && x.At.Equal(e.At) }) {
		t.add(e)
	}
	return t.all(), t.save()
}

func (t *timeline) cut() {
	if n := len(t.events) - mostEvents; n > 0 {
		t.events = slices.Delete(t.events, 0, n)
	}
}

func (t *timeline) add(e appliance.PairEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, e)
	t.cut()
	t.changed = true
}

func (t *timeline) all() []appliance.PairEvent {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.events)
}

// save writes the file if there is something new.
func (t *timeline) save() error {
	t.mu.Lock()
	changed, events := t.changed, slices.Clone(t.events)
	t.changed = false
	t.mu.Unlock()
	if !changed {
		return nil
	}
	b, err := json.Marshal(events)
	if err != nil {
		return &appliance.Error{Kind: appliance.Internal, Op: "write timeline", Err: err}
	}
	if err := renameio.WriteFile(filepath.Join(t.dir, timelineFile), b, 0o600); err != nil {
		return unavailable("write timeline", err)
	}
	return nil
}
