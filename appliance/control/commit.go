package control

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"evenkeel/appliance"
)

// Commit makes the edit a durable revision of each line that it changes. It is not running before it is applied, which follows at once when the settings say so;
// whether that worked stands in the Revision's Outcome and Reason, since the commit itself has happened. Edits of different objects by several editors merge.
// Errors: *StaleError for a base that changed; appliance.Errors of every field at once; what the edit returned; the store's.
func (c *Control) Commit(ctx context.Context, o appliance.Origin, bases []Base, edit Edit) (Committed, error) {
	done, err := c.begin(ctx)
	if err != nil {
		return Committed{}, err
	}
	defer done()
	return c.commit(ctx, o, bases, edit)
}

func (c *Control) commit(ctx context.Context, o appliance.Origin, bases []Base, edit Edit) (Committed, error) {
	next, result, err := c.prepare(ctx, bases, edit)
	if err != nil || result.Unchanged {
		return result, err
	}
	return c.commitHeld(ctx, o, next, result)
}

// commitHeld saves what was prepared and applies it if the settings say so.
func (c *Control) commitHeld(ctx context.Context, o appliance.Origin, next held, result Committed) (Committed, error) {
	if err := c.save(ctx, o, next, &result); err != nil {
		return Committed{}, err
	}
	if c.engine == nil || !next.config.Cluster.Settings.ApplyAtOnce || c.view.Load().saved.same(c.view.Load().running) {
		return result, nil
	}
	applied, err := c.apply(ctx, o)
	if err != nil {
		c.log.Warn("commit not applied", "revision", applied.Number, "error", err)
	}
	result.Revision = newest(result.Revision.Line, c.view.Load().saved)
	return result, nil
}

func newest(line appliance.Line, h held) appliance.Revision {
	if line == appliance.LocalLine {
		return h.local
	}
	return h.cluster
}

// Try does everything that Commit does but the transaction: the plan, or why it would be refused.
func (c *Control) Try(ctx context.Context, bases []Base, edit Edit) (Committed, error) {
	_, result, err := c.prepare(ctx, bases, edit)
	return result, err
}

// prepare clones, edits and checks. It changes nothing.
func (c *Control) prepare(ctx context.Context, bases []Base, edit Edit) (held, Committed, error) {
	saved := c.view.Load().saved
	for _, b := range bases {
		if err := c.checkBase(ctx, saved, b); err != nil {
			return held{}, Committed{}, err
		}
	}
	next := held{config: saved.config.Clone(), cluster: saved.cluster, local: saved.local}
	if err := edit(&next.config); err != nil {
		return held{}, Committed{}, ours("edit the configuration", err)
	}
	c.giveIDs(&next.config.Cluster)
	canonical(&next.config)
	next = next.hashed()
	result := Committed{Config: next.config}
	if next.same(saved) {
		result.Unchanged, result.Revision = true, saved.cluster
		return next, result, nil
	}
	if next.clusterHash != saved.clusterHash {
		if err := c.Writable(); err != nil {
			return held{}, Committed{}, err
		}
	}
	if err := c.check(ctx, next.config, saved.config); err != nil {
		return held{}, Committed{}, err
	}
	result.Plan = appliance.Diff(saved.config, next.config)
	return next, result, nil
}

// canonical brings equal configurations to equal bytes.
func canonical(config *appliance.Config) {
	config.Cluster.Normalize()
	if config.Cluster.VirtualServices == nil {
		config.Cluster.VirtualServices = []appliance.VirtualService{}
	}
}

// ours makes sure that an error has a kind.
func ours(op string, err error) error {
	var e *appliance.Error
	if errors.As(err, &e) {
		return err
	}
	return &appliance.Error{Kind: appliance.Internal, Op: op, Err: err}
}

// save writes a revision of each line that differs from what is saved, with its audit entry, in one transaction. A line that becomes equal to what runs is applied already.
func (c *Control) save(ctx context.Context, o appliance.Origin, next held, result *Committed) error {
	old := c.view.Load()
	at := c.now().UTC()
	var fresh []appliance.NewRevision
	var audit []appliance.AuditEntry
	for _, l := range []struct {
		line                 appliance.Line
		hash, saved, running string
		content              any
		first                bool
	}{
		{appliance.ClusterLine, next.clusterHash, old.saved.clusterHash, old.running.clusterHash, next.config.Cluster, old.saved.cluster.Number == 0},
		{appliance.LocalLine, next.localHash, old.saved.localHash, old.running.localHash, next.config.Local, false},
	} {
		if l.hash == l.saved {
			continue
		}
		n := appliance.NewRevision{Line: l.line, Content: encode(l.content), At: at, Origin: o, Summary: summary(result.Plan, l.line), Outcome: appliance.Pending}
		if l.first {
			n.Summary = "First configuration"
		}
		if l.hash == l.running {
			n.Outcome = appliance.Applied
		}
		fresh = append(fresh, n)
		audit = append(audit, appliance.AuditEntry{At: at, Origin: o, Action: "commit", Subject: string(l.line), Outcome: "done", Detail: n.Summary})
	}
	made, err := c.append(ctx, fresh, audit)
	if err != nil {
		return err
	}
	saved, running := next, old.running
	for _, r := range made {
		if r.Line == appliance.LocalLine {
			saved.local = r
			if r.Outcome == appliance.Applied {
				running.local = r
			}
			continue
		}
		saved.cluster = r
		if r.Outcome == appliance.Applied {
			running.cluster = r
		}
	}
	result.Revision = made[0]
	c.settle(saved, running)
	return nil
}

// settle publishes, and takes back alerts whose cause is gone when nothing is pending any more.
func (c *Control) settle(saved, running held) {
	if saved.same(running) {
		c.clear(codeApplyFailed, codeBootFallback, codeBootFailed)
	}
	c.publish(saved, running)
}

// append writes to the store. When that fails, what is saved is read again: a disk that fails late may have kept it.
func (c *Control) append(ctx context.Context, fresh []appliance.NewRevision, audit []appliance.AuditEntry) ([]appliance.Revision, error) {
	made, err := c.store.Append(ctx, fresh, audit...)
	if err != nil {
		err = ours("save the configuration", err)
		c.log.Error("revision not saved", "error", err)
		c.reread(ctx)
		return nil, err
	}
	for _, r := range made {
		c.log.Info("revision saved", "line", r.Line, "revision", r.Number, "outcome", r.Outcome, "operator", r.Origin.Operator, "via", r.Origin.Via, "summary", r.Summary)
	}
	return made, nil
}

// reread takes over what the store holds if that is not what memory says.
func (c *Control) reread(ctx context.Context) {
	v := c.view.Load()
	saved, bad, err := c.newest(context.WithoutCancel(ctx))
	if err == nil && bad == nil && (saved.cluster.Number != v.saved.cluster.Number || saved.local.Number != v.saved.local.Number) {
		c.publish(saved, v.running)
	}
}

// newest reads what is saved. bad says that the content of a revision cannot be used; err that the store cannot be read.
func (c *Control) newest(ctx context.Context) (h held, bad, err error) {
	h.config.Cluster = emptyCluster()
	if h.cluster, err = load(ctx, c.store.Latest, appliance.ClusterLine, &h.config.Cluster); err != nil {
		if h.cluster.Number == 0 {
			return h, nil, err
		}
		bad = err
	}
	if h.local, err = load(ctx, c.store.Latest, appliance.LocalLine, &h.config.Local); err != nil {
		if h.local.Number == 0 {
			return h, nil, err
		}
		bad = err
	}
	return h.hashed(), bad, nil
}

// load reads a line; when there is nothing yet, into stays as it is.
func load(ctx context.Context, from func(context.Context, appliance.Line) (appliance.Revision, []byte, error), line appliance.Line, into any) (appliance.Revision, error) {
	r, content, err := from(ctx, line)
	if appliance.KindOf(err) == appliance.NotFound {
		return appliance.Revision{}, nil
	}
	if err != nil {
		return r, err
	}
	return r, decode(r, content, into)
}

// summary is the part of the plan that concerns the line, in one sentence.
func summary(p appliance.Plan, line appliance.Line) string {
	p.Changes = slices.DeleteFunc(slices.Clone(p.Changes), func(ch appliance.Change) bool { return (ch.Object == "local") != (line == appliance.LocalLine) })
	return p.Summary()
}

// giveIDs gives an id to every object that has none.
func (c *Control) giveIDs(cluster *appliance.Cluster) {
	taken := map[string]bool{"": true}
	var nameless []*string
	note := func(id *string) {
		if *id == "" {
			nameless = append(nameless, id)
		}
		taken[*id] = true
	}
	for i := range cluster.VirtualServices {
		s := &cluster.VirtualServices[i]
		note(&s.ID)
		for r := range s.RealServers {
			note(&s.RealServers[r].ID)
		}
		for r := range s.Rules {
			note(&s.Rules[r].ID)
		}
	}
	for i := range cluster.Scripts {
		note(&cluster.Scripts[i].ID)
	}
	for _, id := range nameless {
		for n := 0; taken[*id]; n++ {
			*id = c.newID()
			if n > 100 {
				*id += strconv.Itoa(n) // a source of ids that repeats itself must not hang the appliance
			}
		}
		taken[*id] = true
	}
	cluster.NameRules()
}
