package api

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	"evenkeel/appliance"
)

// History is what became of services and servers.
type History interface {
	// Changes lists what changed, the newest first.
	Changes(q appliance.HealthQuery) (appliance.HealthList, error)
	// Outages lists the times in which no real server of a service (empty: of any) served, as far as they lie behind from, the oldest first.
	Outages(service string, from time.Time) ([]appliance.Outage, error)
}

func (a *API) healthRoutes() []route {
	return []route{
		{
			Method: "GET", Path: "/availability", Role: appliance.Viewer, Summary: "How much of a period each running service was served by its real servers, with its outages. What is not known counts neither way.",
			Query: []parameter{
				{"service", "string", "Only the virtual service with this id."},
				{"period", "string", "hour, day, week, month or year; month when absent."},
			},
			Gives: []appliance.Availability{}, Status: 200, do: showAvailability,
		},
		{
			Method: "GET", Path: "/health-changes", Role: appliance.Viewer, Summary: "When services and real servers went up or down, and why, the newest first. The header Total-Count says how many match.",
			Query: []parameter{
				{"service", "string", "Only the virtual service with this id, and its servers."},
				{"server", "string", "Only the real server with this id."},
				{"text", "string", "Only changes with this in a label or in the reason."},
				{"offset", "integer", "So many are skipped; 0 when absent."},
				{"limit", "integer", "At most so many, 1 to 100000; 1000 when absent."},
			},
			Gives: []appliance.HealthEvent{}, Status: 200, do: listHealthChanges,
		},
	}
}

func showAvailability(c *call) error {
	period, only := cmp.Or(appliance.Period(c.query.Get("period")), appliance.LastMonth), c.query.Get("service")
	if period.Length() == 0 {
		return appliance.Refuse("period", "The period is hour, day, week, month or year.")
	}
	running := c.api.Control.Running().Config.Cluster
	if only != "" && running.Service(only) == nil {
		return notFound("running virtual service", only)
	}
	out, now := []appliance.Availability{}, time.Now()
	if c.api.History == nil || c.api.Statistics == nil {
		return c.give(http.StatusOK, out)
	}
	outages, err := c.api.History.Outages(only, now.Add(-period.Length()))
	if err != nil {
		return err
	}
	for i := range running.VirtualServices {
		s := &running.VirtualServices[i]
		if only != "" && s.ID != only {
			continue
		}
		points, _, err := c.api.Statistics.Points(s.ID, "", period)
		if err != nil {
			return err
		}
		a := appliance.AvailabilityOf(period, points, slices.DeleteFunc(slices.Clone(outages), func(o appliance.Outage) bool { return o.ServiceID != s.ID }), now)
		a.ServiceID, a.Service = s.ID, s.Label
		out = append(out, a)
	}
	return c.give(http.StatusOK, out)
}

func listHealthChanges(c *call) error {
	q := appliance.HealthQuery{Service: c.query.Get("service"), Server: c.query.Get("server"), Text: c.query.Get("text")}
	var err error
	if q.Offset, q.Limit, _, err = c.part(); err != nil {
		return err
	}
	found := appliance.HealthList{}
	if c.api.History != nil {
		if found, err = c.api.History.Changes(q); err != nil {
			return err
		}
	}
	c.Response().Header().Set("Total-Count", strconv.Itoa(found.Total))
	return c.give(http.StatusOK, append([]appliance.HealthEvent{}, found.Events...))
}
