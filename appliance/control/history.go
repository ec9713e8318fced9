package control

import (
	"context"
	"fmt"

	"evenkeel/appliance"
)

// Discard drops what is saved and not running: a new revision with the running content. That content needs no check, since it runs.
func (c *Control) Discard(ctx context.Context, o appliance.Origin) (Committed, error) {
	done, err := c.begin(ctx)
	if err != nil {
		return Committed{}, err
	}
	defer done()
	v := c.view.Load()
	if v.saved.same(v.running) {
		return Committed{Unchanged: true, Revision: v.saved.cluster, Config: v.saved.config}, nil
	}
	next := v.running
	next.cluster, next.local = v.saved.cluster, v.saved.local
	if err := c.Writable(); err != nil { // of what is saved only the part that is this node's own can be discarded
		next.config.Cluster, next.clusterHash = v.saved.config.Cluster, v.saved.clusterHash
		if next.same(v.saved) {
			return Committed{}, err
		}
	}
	result := Committed{Config: next.config, Plan: appliance.Diff(v.saved.config, next.config)}
	if o.Why == "" {
		o.Why = "discard"
	}
	if err := c.save(ctx, o, next, &result); err != nil {
		return Committed{}, err
	}
	return result, nil
}

// Rollback makes a new revision with the content that the cluster line had at that number. The local line, users and keys stay as they are. It is checked
// like any commit; the error is of kind not_found when there is no such revision.
func (c *Control) Rollback(ctx context.Context, o appliance.Origin, number int64) (Committed, error) {
	then, err := c.Revision(ctx, number)
	if err != nil {
		return Committed{}, err
	}
	if o.Why == "" {
		o.Why = fmt.Sprintf("back to revision %d", number)
	}
	return c.Commit(ctx, o, nil, func(config *appliance.Config) error {
		config.Cluster = then.Config.Cluster.Clone()
		return nil
	})
}

// Replace puts a whole configuration in the place of the saved one, as one revision of each line that differs: an import. Objects without an id get one.
func (c *Control) Replace(ctx context.Context, o appliance.Origin, whole appliance.Config) (Committed, error) {
	return c.Commit(ctx, o, nil, func(config *appliance.Config) error {
		*config = whole.Clone()
		return nil
	})
}
