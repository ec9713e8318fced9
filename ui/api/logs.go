package api

import (
	"net/http"

	"evenkeel/appliance"
)

// TrafficLog is what is kept of the traffic log.
type TrafficLog interface {
	// Last returns the newest lines of a service (by label; empty: of all) that contain a text, the oldest first; deep: from all that is kept.
	Last(service, contains string, limit int, deep bool) (lines []string, whole bool, err error)
}

// Lines is a part of the traffic log.
type Lines struct {
	Lines []string `json:"lines"` // the oldest first
	Whole bool     `json:"whole"` // nothing older is kept that matches
}

func (a *API) logRoutes() []route {
	return []route{{
		Method: "GET", Path: "/logs", Role: appliance.Viewer, Summary: "The newest lines of the traffic log that this appliance keeps.",
		Query: []parameter{
			{"service", "string", "Only the virtual service with this id."},
			{"contains", "string", "Only lines with this text."},
			{"limit", "integer", "At most so many, 1 to 10000; 100 when absent."},
			{"newest", "boolean", "true: only the newest part of what is kept is looked at, which may be asked for every second."},
		},
		Gives: Lines{}, Status: 200, do: showLogs,
	}}
}

func showLogs(c *call) error {
	limit, err := c.number("limit", 100, 1, 10_000)
	if err != nil {
		return err
	}
	newest, err := c.truth("newest")
	if err != nil {
		return err
	}
	label := ""
	if id := c.query.Get("service"); id != "" {
		running := c.api.Control.Running().Config.Cluster
		s := running.Service(id)
		if s == nil {
			return notFound("running virtual service", id)
		}
		label = s.Label
	}
	out := Lines{Lines: []string{}, Whole: true}
	if c.api.Traffic != nil {
		lines, whole, err := c.api.Traffic.Last(label, c.query.Get("contains"), int(limit), !newest)
		if err != nil {
			return err
		}
		out.Lines, out.Whole = append(out.Lines, lines...), whole
	}
	return c.give(http.StatusOK, out)
}
