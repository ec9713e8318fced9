package api

import (
	"net/http"

	"evenkeel/appliance"
)

const oneFork = "/forks/{fork}"

// SetAside is what was set aside at once, compared with what runs.
type SetAside struct {
	appliance.Fork
	Changes []appliance.Change `json:"changes"`
}

func listForks(c *call) error { return c.give(http.StatusOK, c.api.Control.Forks()) }

func showFork(c *call) error {
	f, plan, err := c.api.Control.Fork(c.Request().Context(), c.Param("fork"))
	if err != nil {
		return err
	}
	return c.give(http.StatusOK, SetAside{f, append([]appliance.Change{}, plan.Changes...)})
}

func keepFork(c *call) error {
	ctx, cancel := c.lasting()
	defer cancel()
	if err := c.api.Control.KeepFork(ctx, c.origin, c.Param("fork")); err != nil {
		return err
	}
	f, _, err := c.api.Control.Fork(ctx, c.Param("fork"))
	if err != nil {
		return err
	}
	return c.give(http.StatusOK, f)
}

func discardFork(c *call) error {
	ctx, cancel := c.lasting()
	defer cancel()
	if err := c.api.Control.DiscardFork(ctx, c.origin, c.Param("fork")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
