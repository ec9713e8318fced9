package control

import "context"

// Renew applies again what runs, so that the engine takes up what changed beside the configuration, such as a list of revoked certificates. What is saved and not
// applied stays so.
func (c *Control) Renew(ctx context.Context) error {
	if c.engine == nil {
		return nil
	}
	done, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := c.engine.Apply(ctx, c.view.Load().running.config); err != nil {
		return ours("apply again what runs", err)
	}
	return nil
}
