package api

import (
	"net/http"

	"evenkeel/appliance"
)

func (a *API) localRoutes() []route {
	l := appliance.Local{}
	return []route{
		{Method: "GET", Path: "/local", Role: appliance.Viewer, Summary: "The settings of this appliance alone, as saved; those of the peer may differ.", Gives: l, Status: 200, do: showLocal},
		{
			Method: "PUT", Path: "/local", Role: appliance.Administrator, Summary: "Replaces the settings of this appliance alone; what is left out gets its default.",
			Query: committing(), Takes: l, Gives: l, Status: 200, Guarded: true, do: replaceLocal,
		},
	}
}

func showLocal(c *call) error {
	return c.object(http.StatusOK, c.api.Control.Saved().Config.Local)
}

func replaceLocal(c *call) error {
	hash, err := c.ifMatch(appliance.Hash(c.api.Control.Saved().Config.Local))
	if err != nil {
		return err
	}
	var l appliance.Local
	if err := c.decode(&l); err != nil {
		return err
	}
	return c.commit(change{
		bases:  []appliance.Base{{Object: "local", ID: "local", Hash: hash}},
		edit:   func(cfg *appliance.Config) error { cfg.Local = l; return nil },
		within: func() []string { return []string{"local."} },
		answer: func(done appliance.Committed) error { return c.object(http.StatusOK, done.Config.Local) },
	})
}
