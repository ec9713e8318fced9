package control

import (
	"context"
	"fmt"

	"evenkeel/appliance"
)

// Writer says whether this node may change what both nodes of a pair have in common; if not, by what name and under which address the active one is found, either of
// which may be empty. It must not wait.
type Writer func() (ok bool, name, url string)

// SetWriter gives the pair its say. While ok is false the cluster line is not changed or applied by anyone but Receive; the local line stays editable.
func (c *Control) SetWriter(w Writer) { c.writer.Store(&w) }

// Writable returns nil when this node may change what both nodes have in common, and otherwise an error of kind conflict that names the active node and links it.
func (c *Control) Writable() error {
	w := c.writer.Load()
	if w == nil {
		return nil
	}
	ok, name, url := (*w)()
	if ok {
		return nil
	}
	e := &appliance.Error{
		Kind: appliance.Conflict, Op: "change the settings of the pair",
		Message: "This node is not active, and no other node is known to be; nothing was changed.", Hint: "Wait until the pair has found its active node.",
	}
	if name != "" {
		e.Message = fmt.Sprintf("This node is passive: the settings of the pair are changed on %s. Nothing was changed.", name)
		e.Hint = "Local Configuration can be changed here."
		if url != "" {
			e.Hint = "Change it at " + url + "; Local Configuration can be changed here."
		}
	}
	return e
}

// paired tells whether a pair has its say.
func (c *Control) paired() bool { return c.writer.Load() != nil }

// here is what Apply makes run: everything that is saved, or on a passive node the part that is its own beside what the pair runs.
func (c *Control) here(v *state) (held, error) {
	err := c.Writable()
	if err == nil {
		return v.saved, nil
	}
	if v.saved.localHash == v.running.localHash && v.saved.clusterHash != v.running.clusterHash {
		return held{}, err
	}
	own := v.saved
	own.config.Cluster, own.cluster, own.clusterHash = v.running.config.Cluster, v.running.cluster, v.running.clusterHash
	return own, nil
}

// Leave removes every service as one revision that is applied, whoever may write: the node gives its services up because the other node of a broken pair keeps them.
// Going back to an earlier revision brings them back.
func (c *Control) Leave(ctx context.Context, o appliance.Origin) error {
	done, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	v := c.view.Load()
	next := held{config: v.saved.config.Clone(), cluster: v.saved.cluster, local: v.saved.local}
	next.config.Cluster.VirtualServices = []appliance.VirtualService{}
	if next = next.hashed(); !next.same(v.saved) {
		if o.Why == "" {
			o.Why = "the pair was broken; the other node keeps the services"
		}
		result := Committed{Config: next.config, Plan: appliance.Diff(v.saved.config, next.config)}
		if err := c.save(ctx, o, next, &result); err != nil {
			return err
		}
	}
	if v = c.view.Load(); c.engine == nil || v.saved.same(v.running) {
		return nil
	}
	_, err = c.applyHeld(ctx, o, v.saved)
	return err
}
