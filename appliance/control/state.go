package control

import (
	"context"
	"encoding/json"
	"sync"

	"evenkeel/appliance"
)

// held is a configuration with where each of its lines came from. It is immutable.
type held struct {
	config         appliance.Config
	cluster, local appliance.Revision
	clusterHash    string
	localHash      string
}

func (h held) hashed() held {
	h.clusterHash, h.localHash = appliance.Hash(h.config.Cluster), appliance.Hash(h.config.Local)
	return h
}

func (h held) same(o held) bool { return h.clusterHash == o.clusterHash && h.localHash == o.localHash }

func (h held) snapshot() Snapshot {
	return Snapshot{Config: h.config, Revision: h.cluster, LocalRevision: h.local}
}

// state is what readers see: one moment, never half of a change. It is immutable.
type state struct {
	saved, running held
	pending        func() appliance.Plan // computed when first asked for
}

func newState(saved, running held) *state {
	return &state{saved: saved, running: running, pending: sync.OnceValue(func() appliance.Plan {
		if saved.same(running) {
			return appliance.Plan{}
		}
		return appliance.Diff(running.config, saved.config)
	})}
}

// publish makes a new moment visible and wakes the watchers. Only who has the turn calls it.
func (c *Control) publish(saved, running held) {
	c.view.Store(newState(saved, running))
	c.wake()
}

// Saved returns the newest configuration.
func (c *Control) Saved() Snapshot { return c.view.Load().saved.snapshot() }

// Running returns the configuration that the engine runs.
func (c *Control) Running() Snapshot { return c.view.Load().running.snapshot() }

// Pending returns what Apply would change: the difference between running and saved.
func (c *Control) Pending() appliance.Plan { return c.view.Load().pending() }

// Status returns what the engine observes.
func (c *Control) Status() appliance.Status {
	if c.engine == nil {
		return appliance.Status{}
	}
	return c.engine.Status()
}

// Revisions returns the revisions of the cluster line below that number (0: all), newest first.
func (c *Control) Revisions(ctx context.Context, before int64, limit int) ([]appliance.Revision, error) {
	return c.store.List(ctx, appliance.ClusterLine, before, limit)
}

// Revision returns the cluster line as it was at that number, beside the local line as it is saved now. The error is of kind not_found when there is none.
func (c *Control) Revision(ctx context.Context, number int64) (Snapshot, error) {
	revision, content, err := c.store.Get(ctx, appliance.ClusterLine, number)
	if err != nil {
		return Snapshot{}, err
	}
	now := c.Saved()
	s := Snapshot{Revision: revision, LocalRevision: now.LocalRevision}
	s.Config.Local = now.Config.Local
	return s, decode(revision, content, &s.Config.Cluster)
}

// Compare returns the difference between two revisions of the cluster line.
func (c *Control) Compare(ctx context.Context, from, to int64) (appliance.Plan, error) {
	a, err := c.Revision(ctx, from)
	if err != nil {
		return appliance.Plan{}, err
	}
	b, err := c.Revision(ctx, to)
	if err != nil {
		return appliance.Plan{}, err
	}
	b.Config.Local = a.Config.Local // a commit in between must not look like a difference of the cluster line
	return appliance.Diff(a.Config, b.Config), nil
}

// decode reads the content of a revision.
func decode(r appliance.Revision, content []byte, into any) error {
	if err := json.Unmarshal(content, into); err != nil {
		return &appliance.Error{
			Kind: appliance.Internal, Op: "read revision", Err: err,
			Message: "The content of this revision cannot be read by this version.", Hint: "Go back to another revision.",
		}
	}
	return nil
}

// encode writes the content of a line, canonically.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("control: configuration without JSON: " + err.Error())
	}
	return b
}
