package control

import (
	"context"
	"strings"
	"time"

	"evenkeel/appliance"
)

const applyTime = 2 * time.Minute // the longest that the host and the engine may take together

// Apply makes the newest configuration what runs; when nothing is pending it makes the same again. It returns the revision of the cluster line with what became of
// it. When the host or the engine refuses, what ran before runs on, the revision is marked failed, and the error says why.
func (c *Control) Apply(ctx context.Context, o appliance.Origin) (appliance.Revision, error) {
	done, err := c.begin(ctx)
	if err != nil {
		return appliance.Revision{}, err
	}
	defer done()
	return c.apply(ctx, o)
}

func (c *Control) apply(ctx context.Context, o appliance.Origin) (appliance.Revision, error) {
	v := c.view.Load()
	if c.engine == nil {
		return v.saved.cluster, atRest()
	}
	next, err := c.here(v)
	if err != nil {
		return v.saved.cluster, err
	}
	return c.applyHeld(ctx, o, next)
}

// applyHeld makes next run: what is saved, or the part of it that may be applied here.
func (c *Control) applyHeld(ctx context.Context, o appliance.Origin, saved held) (appliance.Revision, error) {
	v := c.view.Load()
	whole := saved.same(v.saved)
	err := c.perform(ctx, saved.config, v.running.config)
	audit := appliance.AuditEntry{Origin: o, Action: "apply", Outcome: "done", Detail: v.pending().Summary()}
	if err != nil {
		reason := sentence(err)
		saved = c.mark(ctx, saved, appliance.Failed, reason)
		c.raise(appliance.Alert{
			Code: codeApplyFailed, Severity: appliance.Critical,
			Sentence: "The last changes could not be applied; what ran before runs on. " + reason, Hint: hintOf(err),
		})
		c.log.Error("revision not applied", "revision", saved.cluster.Number, "error", err)
		audit.Outcome, audit.Detail = "refused", reason
		c.publish(c.beside(saved, v.saved, whole), v.running)
	} else {
		saved = c.mark(ctx, saved, appliance.Applied, "")
		c.clear(codeApplyFailed, codeBootFallback, codeBootFailed)
		c.log.Info("revision applied", "revision", saved.cluster.Number, "local_revision", saved.local.Number, "operator", o.Operator, "via", o.Via)
		c.publish(c.beside(saved, v.saved, whole), saved)
	}
	c.audit(ctx, audit)
	return saved.cluster, err
}

// beside is what is saved after applied was: the same, or with only the local line of it.
func (c *Control) beside(applied, saved held, whole bool) held {
	if whole {
		return applied
	}
	saved.local = applied.local
	return saved
}

func atRest() *appliance.Error {
	return &appliance.Error{
		Kind: appliance.Unavailable, Op: "apply the configuration", Message: "No appliance runs on this data folder.",
		Hint: "Start it; it applies the newest configuration by itself.",
	}
}

// perform brings the machine from old to next: addresses and rules first, then the engine, then what nothing needs any more goes. On an error the addresses are as before
// and the engine has kept what it ran. It goes on when the one who asked goes away: half of it would be worse.
func (c *Control) perform(ctx context.Context, next, old appliance.Config) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyTime)
	defer cancel()
	if c.host != nil {
		if err := c.host.Claim(ctx, addresses(next)); err != nil {
			c.release(ctx, old)
			return claimErrors(next, err)
		}
		if err := c.divert(ctx, next); err != nil {
			c.release(ctx, old)
			return err
		}
	}
	if err := c.engine.Apply(ctx, next); err != nil {
		if c.host != nil {
			c.release(ctx, old)
		}
		return atFields(next, ours("apply the configuration", err))
	}
	if c.host != nil {
		c.release(ctx, next)
	}
	return nil
}

// claimErrors puts what the host said of an address, named by Subject, at the services that use it.
func claimErrors(config appliance.Config, err error) appliance.Errors {
	var out appliance.Errors
	for _, e := range appliance.ErrorsOf(ours("claim the addresses", err)) {
		placed := false
		for _, a := range addresses(config) {
			if e.Subject == a.String() {
				out, placed = append(out, atAddress(config, a, e)...), true
			}
		}
		if !placed {
			out = append(out, e)
		}
	}
	return out
}

// release gives back what config does not need. An address that stays too long disturbs nobody who was served before, so it is an alert and no failure.
func (c *Control) release(ctx context.Context, config appliance.Config) {
	c.undivert(ctx, config)
	if err := c.host.Release(ctx, addresses(config)); err != nil {
		c.log.Warn("addresses not released", "error", err)
		c.raise(appliance.Alert{
			Code: codeAddressLeft, Severity: appliance.Warning, Hint: hintOf(err),
			Sentence: "An address that no service uses any more could not be removed. " + sentence(err),
		})
		return
	}
	c.clear(codeAddressLeft)
}

// mark records the outcome at each line; one that ran once stays applied. What runs is not undone because the disk is full; that is an alert.
func (c *Control) mark(ctx context.Context, saved held, outcome appliance.Outcome, reason string) held {
	ctx = context.WithoutCancel(ctx)
	at := c.now().UTC()
	var failed error
	for _, r := range []*appliance.Revision{&saved.cluster, &saved.local} {
		if r.Number == 0 || r.Outcome == appliance.Applied || r.Outcome == outcome && r.Reason == reason {
			continue
		}
		if err := c.store.Mark(ctx, r.Line, r.Number, outcome, reason, at); err != nil {
			failed = err
		}
		r.Outcome, r.Reason = outcome, reason
		if outcome == appliance.Applied {
			r.AppliedAt = at
		}
	}
	if failed == nil {
		c.clear(codeNotRecorded)
		return saved
	}
	c.log.Error("outcome not recorded", "error", failed)
	c.raise(appliance.Alert{
		Code: codeNotRecorded, Severity: appliance.Warning, Hint: hintOf(failed),
		Sentence: "What became of the last changes could not be recorded; the traffic is not concerned. " + sentence(failed),
	})
	return saved
}

func (c *Control) audit(ctx context.Context, e appliance.AuditEntry) {
	e.At, e.Subject = c.now().UTC(), string(appliance.ClusterLine)
	if err := c.store.Audit(context.WithoutCancel(ctx), e); err != nil {
		c.log.Error("audit entry not written", "action", e.Action, "error", err)
	}
}

// sentence is what an operator reads of an error.
func sentence(err error) string {
	list := appliance.ErrorsOf(err)
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = e.Text()
	}
	return strings.Join(parts, " ")
}

// hintOf returns the first hint.
func hintOf(err error) string {
	for _, e := range appliance.ErrorsOf(err) {
		if e.Hint != "" {
			return e.Hint
		}
	}
	return ""
}
