package api

import (
	"net/http"

	"evenkeel/appliance"
)

// Release names what answers.
type Release struct {
	Product  string `json:"product"`
	Version  string `json:"version"`
	Revision int64  `json:"revision"` // newest, of the cluster line
}

func (a *API) runningRoutes() []route {
	service := parameter{"service", "string", "Only the virtual service with this id."}
	return []route{
		{
			Method: "GET", Path: "/status", Role: appliance.Viewer, Summary: "What is seen of the running services and servers, now.",
			Query: []parameter{service}, Gives: appliance.Status{}, Status: 200, do: showStatus,
		},
		{Method: "GET", Path: "/alerts", Role: appliance.Viewer, Summary: "Standing messages; each disappears with its cause.", Gives: []appliance.Alert{}, Status: 200, do: listAlerts},
		{Method: "GET", Path: "/pending", Role: appliance.Viewer, Summary: "What is saved and not yet running.", Gives: Planned{}, Status: 200, do: showPending},
		{
			Method: "POST", Path: "/apply", Role: appliance.Administrator, Summary: "Makes the saved configuration run. Connections that it does not concern stay open.",
			Query: []parameter{why()}, Gives: appliance.Revision{}, Status: 200, do: apply,
		},
		{
			Method: "POST", Path: "/discard", Role: appliance.Administrator, Summary: "Gives up what is saved and not running: a new revision with the running content.",
			Query: []parameter{why()}, Gives: Planned{}, Status: 200, do: discard,
		},
		{Method: "GET", Path: "/version", Role: appliance.Viewer, Summary: "Product, version and newest revision.", Gives: Release{}, Status: 200, do: showVersion},
		{Method: "GET", Path: "/openapi.json", Role: appliance.Viewer, Summary: "This description, as OpenAPI 3.1.", Status: 200, do: showDescription},
	}
}

func showStatus(c *call) error {
	seen := c.api.Control.Status()
	if c.query.Has("service") {
		s, runs := seen.Service(c.query.Get("service"))
		if !runs {
			return notFound("running virtual service", c.query.Get("service"))
		}
		seen.Services = []appliance.ServiceStatus{s}
	}
	if seen.Services == nil {
		seen.Services = []appliance.ServiceStatus{}
	}
	return c.give(http.StatusOK, seen)
}

func listAlerts(c *call) error {
	list := c.api.Control.Alerts()
	if list == nil {
		list = []appliance.Alert{}
	}
	return c.give(http.StatusOK, list)
}

func showPending(c *call) error {
	running, saved := c.api.Control.Running().Revision.Number, c.api.Control.Saved().Revision.Number
	return c.give(http.StatusOK, planned(running, saved, c.api.Control.Pending()))
}

func apply(c *call) error {
	ctx, cancel := c.lasting()
	defer cancel()
	r, err := c.api.Control.Apply(ctx, c.origin)
	if err != nil {
		return err
	}
	return c.give(http.StatusOK, r)
}

func discard(c *call) error {
	ctx, cancel := c.lasting()
	defer cancel()
	before := c.api.Control.Saved().Revision.Number
	done, err := c.api.Control.Discard(ctx, c.origin)
	if err != nil {
		return err
	}
	return c.give(http.StatusOK, planned(before, done.Revision.Number, done.Plan))
}

func showVersion(c *call) error {
	return c.give(http.StatusOK, Release{"Evenkeel", c.api.Version, c.api.Control.Saved().Revision.Number})
}

func showDescription(c *call) error {
	return c.Blob(http.StatusOK, "application/json", c.api.description)
}
