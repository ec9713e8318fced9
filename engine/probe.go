package engine

import (
	"context"

	"evenkeel/appliance"
)

// CheckNow makes the next probe of a running server due at once and returns its result, which counts like any other. The error is of kind NotFound for a
// server that does not run, or the context's.
func (e *Engine) CheckNow(ctx context.Context, serverID string) (appliance.Probe, error) {
	return e.monitor.CheckNow(ctx, serverID)
}
