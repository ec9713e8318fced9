package api

import (
	"cmp"
	"net/http"

	"evenkeel/appliance"
)

func (a *API) heartbeatRoutes() []route {
	h := appliance.Heartbeat{}
	return []route{
		{Method: "GET", Path: "/heartbeat", Role: appliance.Viewer, Summary: "How the nodes of the pair watch each other, as saved.", Gives: h, Status: 200, do: showHeartbeat},
		{
			Method: "PUT", Path: "/heartbeat", Role: appliance.Administrator, Summary: "Replaces how the nodes watch each other; what is left out gets its default.",
			Query: committing(), Takes: h, Gives: h, Status: 200, Guarded: true, do: replaceHeartbeat,
		},
	}
}

func showHeartbeat(c *call) error {
	return c.object(http.StatusOK, c.api.Control.Saved().Config.Cluster.Heartbeat.OrDefault())
}

func replaceHeartbeat(c *call) error {
	hash, err := c.ifMatch(appliance.Hash(c.api.Control.Saved().Config.Cluster.Heartbeat.OrDefault()))
	if err != nil {
		return err
	}
	var h appliance.Heartbeat
	if err := c.decode(&h); err != nil {
		return err
	}
	preset := appliance.NewHeartbeat()
	h.Interval, h.Dead, h.Witness = cmp.Or(h.Interval, preset.Interval), cmp.Or(h.Dead, preset.Dead), cmp.Or(h.Witness, preset.Witness)
	return c.commit(change{
		bases:  []appliance.Base{{Object: "heartbeat", ID: "heartbeat", Hash: hash}},
		edit:   func(cfg *appliance.Config) error { cfg.Cluster.Heartbeat = h; return nil },
		within: func() []string { return []string{"heartbeat."} },
		answer: func(done appliance.Committed) error {
			return c.object(http.StatusOK, done.Config.Cluster.Heartbeat.OrDefault())
		},
	})
}
