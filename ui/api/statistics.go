package api

import (
	"cmp"
	"net/http"

	"evenkeel/appliance"
)

// Statistics are what was counted over time.
type Statistics interface {
	Points(service, server string, period appliance.Period) (points []appliance.Point, kept bool, err error)
}

// Series is what was counted of a service or a server over a period.
type Series struct {
	Service string            `json:"virtual_service"`
	Server  string            `json:"real_server,omitempty"`
	Period  appliance.Period  `json:"period"`
	Step    int               `json:"step_seconds"`
	Kept    bool              `json:"kept"`
	Points  []appliance.Point `json:"points"`
}

func (a *API) statisticsRoutes() []route {
	return []route{{
		Method: "GET", Path: "/statistics", Role: appliance.Viewer, Summary: "What was counted of a service or a server over time, the oldest first. Times of which nothing is known are missing.",
		Query: []parameter{
			{"service", "string", "The virtual service with this id."},
			{"server", "string", "Only its real server with this id."},
			{"period", "string", "hour, day, week, month or year; hour when absent."},
		},
		Gives: Series{}, Status: 200, do: showStatistics,
	}}
}

func showStatistics(c *call) error {
	out := Series{Service: c.query.Get("service"), Server: c.query.Get("server"), Period: cmp.Or(appliance.Period(c.query.Get("period")), appliance.LastHour), Points: []appliance.Point{}}
	running := c.api.Control.Running().Config.Cluster
	s := running.Service(out.Service)
	if s == nil {
		return notFound("running virtual service", out.Service)
	}
	if out.Server != "" && s.Server(out.Server) == nil {
		return notFound("running real server", out.Server)
	}
	if out.Period.Length() == 0 {
		return appliance.Refuse("period", "The period is hour, day, week, month or year.")
	}
	out.Step = int(out.Period.Step().Seconds())
	if c.api.Statistics != nil {
		points, kept, err := c.api.Statistics.Points(out.Service, out.Server, out.Period)
		if err != nil {
			return err
		}
		out.Points, out.Kept = append(out.Points, points...), kept
	}
	return c.give(http.StatusOK, out)
}
