package control

import (
	"context"

	"evenkeel/appliance"
)

// Forks returns what was set aside on this node, newest first. It never waits.
func (c *Control) Forks() []appliance.Fork {
	if list := c.forks.Load(); list != nil {
		return *list
	}
	return []appliance.Fork{}
}

// openForks are those that nobody has seen, as the other node is told of them.
func (c *Control) openForks() []appliance.Fork {
	var out []appliance.Fork
	for _, f := range c.Forks() {
		if !f.Seen && len(out) < mostToldForks {
			f.Revisions = nil
			out = append(out, f)
		}
	}
	return out
}

const mostToldForks = 8

// Fork returns what was set aside at once, with what would change if the newest of it ran instead of what runs. The error is of kind not_found when there is none.
func (c *Control) Fork(ctx context.Context, id string) (appliance.Fork, appliance.Plan, error) {
	var found appliance.Fork
	for _, f := range c.Forks() {
		if f.ID == id {
			found = f
		}
	}
	if found.ID == "" {
		return found, appliance.Plan{}, &appliance.Error{Kind: appliance.NotFound, Op: "read what was set aside", Message: "Nothing of that number was set aside here."}
	}
	revision, content, err := c.store.ForkContent(ctx, id)
	if err != nil {
		return found, appliance.Plan{}, err
	}
	running := c.Running().Config
	then := appliance.Config{Local: running.Local}
	if err := decode(revision, content, &then.Cluster); err != nil {
		return found, appliance.Plan{}, err
	}
	return found, appliance.Diff(running, then), nil
}

// KeepFork ends the alarm of a fork; what was set aside stays. It is this node's own, so that it needs not be active.
func (c *Control) KeepFork(ctx context.Context, o appliance.Origin, id string) error {
	return c.settleFork(ctx, o, "fork_keep", id, c.store.SeeFork)
}

// DiscardFork forgets what was set aside.
func (c *Control) DiscardFork(ctx context.Context, o appliance.Origin, id string) error {
	return c.settleFork(ctx, o, "fork_discard", id, c.store.DiscardFork)
}

func (c *Control) settleFork(ctx context.Context, o appliance.Origin, action, id string, settle func(context.Context, string, appliance.AuditEntry) error) error {
	done, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	subject := id
	for _, f := range c.Forks() {
		if f.ID == id {
			subject = f.Sentence("this node")
		}
	}
	if err := settle(ctx, id, appliance.AuditEntry{At: c.now().UTC(), Origin: o, Action: action, Subject: "fork " + id, Outcome: "done", Detail: subject}); err != nil {
		return err
	}
	c.readForks(context.WithoutCancel(ctx))
	return nil
}

// readForks takes over what the store has, and tells of what nobody has seen.
func (c *Control) readForks(ctx context.Context) {
	list, err := c.store.Forks(ctx)
	if err != nil {
		c.log.Error("what was set aside is not read", "error", err)
		return
	}
	c.forks.Store(&list)
	defer c.wake()
	for _, f := range list {
		if !f.Seen {
			c.raise(appliance.Alert{
				Code: codeForked, Severity: appliance.Warning, Since: f.Since, Sentence: f.Sentence("this node"),
				Hint: "The history keeps what was set aside: compare it with what runs, do again what is still needed, then keep or discard it.",
			})
			return
		}
	}
	c.clear(codeForked)
}
