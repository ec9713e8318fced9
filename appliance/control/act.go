package control

import (
	"context"
	"fmt"
	"time"

	"evenkeel/appliance"
)

const longestDrain = 30 * 24 * time.Hour

// Act drains, halts, brings online or weighs live real servers at once, all of them or none. What was saved and not applied stays saved and not applied: the engine gets
// the running configuration with the action, and in one transaction that becomes a revision (applied) followed by the saved one with the action (pending).
// A server that is only saved is changed there and has nothing to act on; one that only runs is changed there. Committed is about what is saved now; its Plan is the action.
// The engine goes first: when it refuses, nothing was changed. When the store refuses, the engine is brought back.
func (c *Control) Act(ctx context.Context, o appliance.Origin, acts []Act) (Committed, error) {
	done, err := c.begin(ctx)
	if err != nil {
		return Committed{}, err
	}
	defer done()
	v := c.view.Load()
	if err := c.Writable(); err != nil {
		return Committed{}, err
	}
	if err := validActs(v, acts); err != nil {
		return Committed{}, err
	}
	running, saved := c.act(v.running, acts), c.act(v.saved, acts)
	if c.engine == nil {
		return Committed{}, atRest()
	}
	moves := running.clusterHash != v.running.clusterHash
	result := Committed{Config: saved.config, Plan: appliance.Diff(v.running.config, running.config)}
	if !moves {
		result.Plan = appliance.Diff(v.saved.config, saved.config)
	}
	if !moves && saved.clusterHash == v.saved.clusterHash {
		result.Unchanged, result.Revision = true, v.saved.cluster
		return result, nil
	}
	if moves {
		status := c.engine.Status()
		result.Warnings = appliance.LastServers(&running.config.Cluster, &status, acts)
		if err := c.perform(ctx, running.config, v.running.config); err != nil {
			c.log.Error("action refused", "operator", o.Operator, "error", err)
			c.audit(ctx, appliance.AuditEntry{Origin: o, Action: "act", Outcome: "refused", Detail: result.Plan.Summary() + ": " + sentence(err)})
			return Committed{}, err
		}
	}
	made, err := c.append(ctx, c.actRevisions(v, o, running, saved, result.Plan.Summary()), []appliance.AuditEntry{
		{At: c.now().UTC(), Origin: o, Action: "act", Subject: string(appliance.ClusterLine), Outcome: "done", Detail: result.Plan.Summary()},
	})
	if err != nil {
		if moves {
			c.undo(ctx, v.running.config, running.config)
		}
		return Committed{}, err
	}
	if made[0].Outcome == appliance.Applied {
		running.cluster = made[0]
	}
	saved.cluster = made[len(made)-1]
	result.Revision = saved.cluster
	c.settle(saved, running)
	return result, nil
}

// actRevisions are the revisions that an action makes: one when running and saved are the same after it, or when only the saved one has such a server.
func (c *Control) actRevisions(v *state, o appliance.Origin, running, saved held, what string) []appliance.NewRevision {
	at := c.now().UTC()
	of := func(h held, outcome appliance.Outcome) appliance.NewRevision {
		return appliance.NewRevision{Line: appliance.ClusterLine, Content: encode(h.config.Cluster), At: at, Origin: o, Summary: what, Outcome: outcome}
	}
	switch {
	case running.clusterHash == saved.clusterHash:
		return []appliance.NewRevision{of(running, appliance.Applied)}
	case running.clusterHash == v.running.clusterHash:
		return []appliance.NewRevision{of(saved, appliance.Pending)}
	}
	rest := of(saved, appliance.Pending)
	rest.Summary += " (beside what is saved and not applied)"
	return []appliance.NewRevision{of(running, appliance.Applied), rest}
}

func (c *Control) undo(ctx context.Context, back, from appliance.Config) {
	if err := c.perform(ctx, back, from); err != nil {
		c.log.Error("action not undone", "error", err)
		c.raise(appliance.Alert{
			Code: codeNotRecorded, Severity: appliance.Critical, Hint: "Repeat the action when the disk works again.",
			Sentence: "An action is in force but could not be saved, and would be lost with a restart. " + sentence(err),
		})
	}
}

// validActs looks at the actions alone: whatever else may be wrong with a configuration, a server can be drained.
func validActs(v *state, acts []Act) error {
	const op = "act on real server"
	var found appliance.Errors
	refuse := func(kind appliance.Kind, a Act, field, format string, args ...any) {
		found = append(found, &appliance.Error{Kind: kind, Op: op, Subject: a.Server, Field: field, Message: fmt.Sprintf(format, args...)})
	}
	if len(acts) == 0 {
		refuse(appliance.Invalid, Act{}, "", "No real server was chosen.")
	}
	for _, a := range acts {
		switch {
		case server(&v.running.config, a) == nil && server(&v.saved.config, a) == nil:
			refuse(appliance.NotFound, a, "", "There is no such real server.")
		case a.State == "" && a.Weight == nil:
			refuse(appliance.Invalid, a, "state", "Say what to do: online, drain, halt, or a weight.")
		}
		if a.State != "" && !a.State.Valid() {
			refuse(appliance.Invalid, a, "state", "%.40q is not a choice here; choose online, drain or halt.", string(a.State))
		}
		if a.Limit < 0 || a.Limit > longestDrain || a.Limit > 0 && a.State != appliance.Drain {
			refuse(appliance.Invalid, a, "limit", "A drain may last up to 30 days; other actions have no time limit.")
		}
		if a.Weight != nil && (*a.Weight < 0 || *a.Weight > appliance.MaxWeight) {
			refuse(appliance.Invalid, a, "weight", "The weight is 0 to %d.", appliance.MaxWeight)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found
}

// act returns h with the actions done to the servers that it has.
func (c *Control) act(h held, acts []Act) held {
	h.config = h.config.Clone()
	for _, a := range acts {
		r := server(&h.config, a)
		if r == nil {
			continue
		}
		if a.State != "" {
			r.State, r.DrainUntil = a.State, time.Time{}
			if a.State == appliance.Drain && a.Limit > 0 {
				r.DrainUntil = c.now().UTC().Add(a.Limit).Truncate(time.Second)
			}
		}
		if a.Weight != nil {
			r.Weight = *a.Weight
		}
	}
	return h.hashed()
}

func server(config *appliance.Config, a Act) *appliance.RealServer {
	s := config.Cluster.Service(a.Service)
	if s == nil {
		return nil
	}
	return s.Server(a.Server)
}
