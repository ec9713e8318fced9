package control

import (
	"context"
	"time"

	"evenkeel/appliance"
)

// drainRetry is how long a drain that could not be ended waits for the next try.
const drainRetry = 10 * time.Second

// Run ends drains whose time limit is over: their servers are halted, by the system. And it keeps the rules for transparent sources as what runs needs them. It
// blocks until ctx ends and returns nil.
func (c *Control) Run(ctx context.Context) error {
	changed, stop := c.Watch()
	defer stop()
	due := time.NewTimer(0)
	defer due.Stop()
	rules := time.NewTicker(divertEvery)
	defer rules.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-rules.C:
			c.keepDiverted(ctx)
			continue
		case <-changed:
		case <-due.C:
		}
		due.Reset(c.endDrains(ctx))
	}
}

// endDrains halts what is due and returns how long to wait for the next.
func (c *Control) endDrains(ctx context.Context) time.Duration {
	now := c.now()
	var acts []Act
	next := now.Add(24 * time.Hour)
	for _, s := range c.Running().Config.Cluster.VirtualServices {
		for _, r := range s.RealServers {
			switch {
			case r.State != appliance.Drain || r.DrainUntil.IsZero():
			case r.DrainUntil.After(now):
				next = earlier(next, r.DrainUntil)
			default:
				acts = append(acts, Act{Service: s.ID, Server: r.ID, State: appliance.Halt})
			}
		}
	}
	if len(acts) > 0 && c.Writable() != nil { // the active node halts them; its action comes here
		return drainRetry
	}
	if len(acts) > 0 {
		if _, err := c.Act(ctx, appliance.Origin{Operator: "system", Via: "system", Why: "The time limit of the drain is over"}, acts); err != nil {
			c.log.Error("drain not ended", "error", err)
			next = earlier(next, now.Add(drainRetry))
		}
	}
	return next.Sub(now)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
