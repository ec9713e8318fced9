package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"evenkeel/appliance"
)

const (
	bootTries = 5   // different configurations that a start tries, so that it ends
	bootPage  = 100 // revisions that are listed at a time
)

// Boot reads what is saved and makes it run: the newest configuration; if that cannot be applied, the newest that was; at last the newest without the services that
// are refused. Each step back is an alert and no error: only a store that cannot be read is one. It is called once, before any change.
func (c *Control) Boot(ctx context.Context) error { return c.boot(ctx, false) }

// Resume is Boot for a process that takes over from another one: what runs goes on, and what is saved and not applied stays so.
func (c *Control) Resume(ctx context.Context) error { return c.boot(ctx, true) }

func (c *Control) boot(ctx context.Context, resume bool) error {
	done, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	if r, ok := c.store.(interface {
		Restored() (appliance.Alert, bool)
	}); ok {
		if alert, restored := r.Restored(); restored {
			c.raise(alert)
		}
	}
	c.readForks(ctx)
	if c.engine == nil {
		return c.read(ctx)
	}
	list, err := c.candidates(ctx)
	if err != nil {
		return err
	}
	if resume && c.resumed(ctx, list) {
		return nil
	}
	for i := range list {
		if list[i].err == nil {
			list[i].err = c.perform(ctx, list[i].config, appliance.Config{})
			list[i].readable = true
		}
		if list[i].err == nil {
			c.booted(ctx, list, i)
			return nil
		}
		c.log.Error("revision not applied at start", "revision", list[i].cluster.Number, "error", list[i].err)
	}
	c.bootPart(ctx, list)
	return nil
}

// resumed makes the newest revision run that was applied, if that is not the newest; false: it cannot be, or there is no other.
func (c *Control) resumed(ctx context.Context, list []candidate) bool {
	if len(list) < 2 || list[0].err != nil || list[1].err != nil || list[0].cluster.Outcome == appliance.Applied && (list[0].local.Number == 0 || list[0].local.Outcome == appliance.Applied) {
		return false
	}
	if err := c.perform(ctx, list[1].config, appliance.Config{}); err != nil {
		c.log.Error("running revision not taken over", "revision", list[1].cluster.Number, "error", err)
		return false
	}
	c.log.Info("running revision taken over", "revision", list[1].cluster.Number, "saved", list[0].cluster.Number)
	c.publish(list[0].held, list[1].held)
	return true
}

// read takes over what the folder at rest holds: what is saved, and what ran last.
func (c *Control) read(ctx context.Context) error {
	saved, bad, err := c.newest(ctx)
	if err != nil || bad != nil {
		return errors.Join(err, bad)
	}
	ran := held{config: appliance.Config{Cluster: emptyCluster()}}
	if ran.cluster, err = load(ctx, c.store.LatestApplied, appliance.ClusterLine, &ran.config.Cluster); err != nil {
		return err
	}
	if ran.local, err = load(ctx, c.store.LatestApplied, appliance.LocalLine, &ran.config.Local); err != nil {
		return err
	}
	c.publish(saved, ran.hashed())
	return nil
}

// candidate is a configuration that a start may try.
type candidate struct {
	held
	readable bool
	err      error // why it cannot be read, later why it cannot be applied
}

// candidates are the newest configuration, then different ones that were applied, newest first. There is always one.
func (c *Control) candidates(ctx context.Context) ([]candidate, error) {
	saved, bad, err := c.newest(ctx)
	if err != nil {
		return nil, err
	}
	out := []candidate{{held: saved, err: bad}}
	var local appliance.Local
	localRevision, err := load(ctx, c.store.LatestApplied, appliance.LocalLine, &local)
	if err != nil {
		localRevision, local = appliance.Revision{}, appliance.Local{}
	}
	for before := int64(0); ; {
		page, err := c.store.List(ctx, appliance.ClusterLine, before, bootPage)
		if err != nil || len(page) == 0 {
			return out, err
		}
		for _, r := range page {
			before = r.Number
			known := func(o candidate) bool { return o.cluster.Hash == r.Hash && o.local.Hash == localRevision.Hash }
			if r.Outcome != appliance.Applied || slices.ContainsFunc(out, known) {
				continue
			}
			old := held{config: appliance.Config{Local: local}, cluster: r, local: localRevision}
			bad := c.contentOf(ctx, appliance.ClusterLine, r.Number, &old.config)
			if out = append(out, candidate{held: old.hashed(), err: bad}); len(out) == bootTries {
				return out, nil
			}
		}
	}
}

// booted publishes after the candidate at i was applied.
func (c *Control) booted(ctx context.Context, list []candidate, i int) {
	running := c.mark(ctx, list[i].held, appliance.Applied, "")
	if i == 0 {
		c.log.Info("configuration applied at start", "revision", running.cluster.Number)
		c.publish(running, running)
		return
	}
	saved := running
	if list[0].readable {
		saved = c.mark(ctx, list[0].held, appliance.Failed, sentence(list[0].err))
	}
	c.raise(appliance.Alert{
		Code: codeBootFallback, Severity: appliance.Critical,
		Sentence: fmt.Sprintf("Revision %d could not be applied at the start; revision %d runs instead. %s", list[0].cluster.Number, running.cluster.Number, sentence(list[0].err)),
		Hint:     hintOr(list[0].err, "Mend what it says and apply, or discard the changes."),
	})
	c.publish(saved, running)
}

// bootPart applies the newest readable configuration without the services that the host or the engine names in its refusal: one address that is taken
// must not silence the others. When nothing can be applied, nothing runs.
func (c *Control) bootPart(ctx context.Context, list []candidate) {
	running := held{config: appliance.Config{Cluster: emptyCluster()}}.hashed()
	alert := appliance.Alert{
		Code: codeBootFailed, Severity: appliance.Critical, Hint: hintOr(list[0].err, "Mend what it says and apply, or go back to another revision."),
		Sentence: "No saved configuration could be applied at the start; no service is served. " + sentence(list[0].err),
	}
	saved := running
	i := slices.IndexFunc(list, func(o candidate) bool { return o.readable })
	if i >= 0 {
		saved = c.mark(ctx, list[i].held, appliance.Failed, sentence(list[i].err))
		if part, left := c.withoutRefused(ctx, saved, list[i].err); len(left) > 0 {
			running = part
			alert.Sentence = fmt.Sprintf("Revision %d runs without %s, which could not be applied at the start. %s", saved.cluster.Number, strings.Join(left, ", "), sentence(list[i].err))
			alert.Hint = hintOr(list[i].err, "Mend what it says and apply.")
		}
	}
	c.raise(alert)
	c.publish(saved, running)
}

// withoutRefused leaves out the services that err names until the rest can be applied. It returns what runs and the labels of what was left out, none when nothing could be applied.
func (c *Control) withoutRefused(ctx context.Context, h held, err error) (held, []string) {
	var left []string
	h.config = h.config.Clone()
	for err != nil {
		refused := map[string]bool{}
		for _, e := range appliance.ErrorsOf(err) {
			refused[e.Subject] = true
		}
		before := len(left)
		h.config.Cluster.VirtualServices = slices.DeleteFunc(h.config.Cluster.VirtualServices, func(s appliance.VirtualService) bool {
			if refused[s.ID] {
				left = append(left, s.Label)
			}
			return refused[s.ID]
		})
		if len(left) == before || len(h.config.Cluster.VirtualServices) == 0 {
			return held{}, nil
		}
		err = c.perform(ctx, h.config, appliance.Config{})
	}
	return h.hashed(), left
}

func hintOr(err error, otherwise string) string {
	if hint := hintOf(err); hint != "" {
		return hint
	}
	return otherwise
}
