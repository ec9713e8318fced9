package control

import (
	"context"
	"slices"

	"evenkeel/appliance"
)

// What travels in one bundle at most: older revisions are left out, those that are saved and running never are.
const (
	mostShared      = 100
	mostSharedBytes = 16 << 20
	pointsCompared  = 100  // revisions of the receiver among which the common one is looked for
	pointsSearched  = 1000 // own ones
)

// SharedState tells what this node has of what both nodes of a pair have in common.
func (c *Control) SharedState(ctx context.Context) (appliance.SharedState, error) {
	v := c.view.Load()
	s := appliance.SharedState{Saved: idOf(v.saved.cluster), Running: idOf(v.running.cluster), Line: []appliance.RevisionID{}, Forks: c.openForks()}
	list, err := c.store.List(ctx, appliance.ClusterLine, 0, pointsCompared)
	if err != nil {
		return s, err
	}
	for _, r := range list {
		s.Line = append(s.Line, idOf(r))
	}
	b, err := c.store.Belongings(ctx)
	s.Belongings = b.Hash()
	return s, err
}

func idOf(r appliance.Revision) appliance.RevisionID {
	return appliance.RevisionID{Number: r.Number, Hash: r.Hash}
}

// RunningCluster returns the cluster line as it runs, as JSON.
func (c *Control) RunningCluster() ([]byte, error) {
	return encode(c.view.Load().running.config.Cluster), nil
}

// LastSequence returns the last sequence that was taken from a source.
func (c *Control) LastSequence(ctx context.Context, source string) (uint64, error) {
	return c.store.LastSequence(ctx, source)
}

// Shared returns what a node lacks that has that state: every revision behind the common one, as far as fits, and all belongings.
func (c *Control) Shared(ctx context.Context, theirs appliance.SharedState) (appliance.Shared, error) {
	done, err := c.begin(ctx) // so that line and running belong together
	if err != nil {
		return appliance.Shared{}, err
	}
	defer done()
	v := c.view.Load()
	out := appliance.Shared{Saved: idOf(v.saved.cluster), Running: idOf(v.running.cluster), Revisions: []appliance.SharedRevision{}}
	if out.Belongings, err = c.store.Belongings(ctx); err != nil {
		return out, err
	}
	line, err := c.store.List(ctx, appliance.ClusterLine, 0, pointsSearched)
	if err != nil {
		return out, err
	}
	fresh := []appliance.Revision{} // newest first
	for _, r := range line {
		if slices.Contains(theirs.Line, idOf(r)) {
			out.Common = idOf(r)
			break
		}
		fresh = append(fresh, r)
	}
	size := 0
	for i, r := range fresh {
		wanted := idOf(r) == out.Saved || idOf(r) == out.Running
		if !wanted && (i >= mostShared || size > mostSharedBytes) {
			continue
		}
		_, content, err := c.store.Get(ctx, appliance.ClusterLine, r.Number)
		if err != nil && !wanted {
			c.log.Warn("damaged revision is not given to the other node", "revision", r.Number, "error", err)
			continue
		}
		if err != nil {
			return out, err
		}
		size += len(content)
		out.Revisions = append(out.Revisions, appliance.SharedRevision{Revision: r, Content: content})
	}
	slices.Reverse(out.Revisions)
	return out, nil
}
