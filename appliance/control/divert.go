package control

import (
	"context"
	"time"

	"evenkeel/appliance"
)

// divertEvery is how often it is looked whether the rules for transparent sources are as what runs needs them: another program may have removed them, and those that
// nothing needs any more stay until the last connection that was opened under them has ended.
const divertEvery = 10 * time.Second

// checkDivert asks the host about services that are transparent now and were not before.
func (c *Control) checkDivert(ctx context.Context, config, old appliance.Config) appliance.Errors {
	var found appliance.Errors
	for i := range config.Cluster.VirtualServices {
		s := &config.Cluster.VirtualServices[i]
		if before := old.Cluster.Service(s.ID); !s.SourceAddress.Transparent || before != nil && before.SourceAddress.Transparent {
			continue
		}
		if err := c.host.CheckDivert(ctx); err != nil {
			found = append(found, atSource(s, ours("check the transparent source", err))...)
		}
	}
	return found
}

// divert has the servers' answers come back here before the first connection is opened that needs it.
func (c *Control) divert(ctx context.Context, config appliance.Config) error {
	if !config.Transparent() {
		return nil
	}
	err := c.host.Divert(ctx, true)
	if err == nil {
		c.clear(codeDivertLost)
		return nil
	}
	var found appliance.Errors
	for i := range config.Cluster.VirtualServices {
		if s := &config.Cluster.VirtualServices[i]; s.SourceAddress.Transparent {
			found = append(found, atSource(s, ours("make servers see the clients' addresses", err))...)
		}
	}
	return found
}

// atSource puts what the host said at the field of a service.
func atSource(s *appliance.VirtualService, err error) (out appliance.Errors) {
	for _, e := range appliance.ErrorsOf(err) {
		at := *e
		at.Subject, at.Field = s.ID, "virtual_services["+s.Label+"].source_address"
		out = append(out, &at)
	}
	return out
}

// undivert lets the rules go when config does not need them.
func (c *Control) undivert(ctx context.Context, config appliance.Config) {
	if config.Transparent() {
		return
	}
	c.clear(codeDivertLost)
	if err := c.host.Divert(ctx, false); err != nil {
		c.log.Warn("rules for transparent sources not removed", "error", err)
	}
}

// keepDiverted looks after the rules between two changes.
func (c *Control) keepDiverted(ctx context.Context) {
	if c.host == nil {
		return
	}
	done, err := c.begin(ctx)
	if err != nil {
		return
	}
	defer done()
	running := c.view.Load().running.config
	c.undivert(ctx, running)
	if err := c.divert(ctx, running); err != nil {
		c.log.Error("rules for transparent sources not there", "error", err)
		c.Raise(appliance.Alert{
			Code: codeDivertLost, Severity: appliance.Critical, Hint: hintOf(err),
			Sentence: "The servers' answers to the clients' own addresses may not come back here. " + appliance.ErrorsOf(err)[0].Text(),
		})
	}
}
