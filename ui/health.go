package ui

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"evenkeel/appliance"
	"evenkeel/ui/form"
	"evenkeel/ui/view"
)

const (
	availabilityPath  = "/lbadmin/reports/availability"
	healthChangesPath = "/lbadmin/reports/health-changes"
)

// History is what became of services and servers.
type History interface {
	// Changes lists what changed, the newest first.
	Changes(q appliance.HealthQuery) (appliance.HealthList, error)
	// Outages lists the times in which no real server of a service (empty: of any) served, as far as they lie behind from, the oldest first.
	Outages(service string, from time.Time) ([]appliance.Outage, error)
}

func availabilityReport(p *page) error {
	period := appliance.Period(p.QueryParam("period"))
	if period.Length() == 0 {
		period = appliance.LastMonth
	}
	v := view.Availability{Service: p.QueryParam("service"), Period: string(period)}
	running := p.ui.Control.Running().Config.Cluster
	if v.Service != "" && running.Service(v.Service) == nil {
		return errNoService()
	}
	for i := range running.VirtualServices {
		v.Services = append(v.Services, form.Option{Value: running.VirtualServices[i].ID, Name: running.VirtualServices[i].Label})
	}
	at := func(service string, period appliance.Period) string {
		q := url.Values{"period": {string(period)}}
		if service != "" {
			q.Set("service", service)
		}
		return availabilityPath + "?" + q.Encode()
	}
	for _, one := range appliance.Periods() {
		v.Periods = append(v.Periods, view.Tab{Name: string(one), Path: at(v.Service, one), On: one == period})
	}
	all, err := p.availabilities(v.Service, period)
	if err != nil {
		return err
	}
	for _, a := range all {
		v.Rows = append(v.Rows, view.AvailabilityRow{Availability: a, Path: at(a.ServiceID, period)})
		for _, o := range a.Outages {
			v.Outages = append(v.Outages, view.OutageRow{Outage: o, Path: healthChangesPath + "?service=" + url.QueryEscape(o.ServiceID)})
		}
	}
	slices.SortStableFunc(v.Outages, func(a, b view.OutageRow) int { return b.From.Compare(a.From) })
	if p.exporting() {
		return p.export(listOfAvailability(&v, p.QueryParam("list")))
	}
	switch {
	case p.ui.History == nil || p.ui.Statistics == nil:
		v.Empty = "Nothing is kept over time."
	case len(v.Rows) == 0:
		v.Empty = "No service runs yet."
	}
	return p.show(http.StatusOK, view.AvailabilityPage(p.frame("Availability", availabilityPath), v))
}

// availabilities are those of one running service, or of all.
func (p *page) availabilities(service string, period appliance.Period) ([]appliance.Availability, error) {
	if p.ui.History == nil || p.ui.Statistics == nil {
		return nil, nil
	}
	now := p.ui.Now()
	outages, err := p.ui.History.Outages(service, now.Add(-period.Length()))
	if err != nil {
		return nil, err
	}
	var out []appliance.Availability
	running := p.ui.Control.Running().Config.Cluster
	for i := range running.VirtualServices {
		s := &running.VirtualServices[i]
		if service != "" && s.ID != service {
			continue
		}
		points, _, err := p.ui.Statistics.Points(s.ID, "", period)
		if err != nil {
			return nil, err
		}
		own := slices.DeleteFunc(slices.Clone(outages), func(o appliance.Outage) bool { return o.ServiceID != s.ID })
		a := appliance.AvailabilityOf(period, points, own, now)
		a.ServiceID, a.Service = s.ID, s.Label
		out = append(out, a)
	}
	return out, nil
}

func listOfAvailability(v *view.Availability, which string) list {
	if which == "outages" {
		out := list{name: "outages", columns: []string{"virtual_service", "from", "to", "lasted_seconds", "state", "why"}}
		for _, o := range v.Outages {
			out.add(o.Service, o.From, o.To, int(o.Lasted.Seconds()), o.State, o.Sentence)
		}
		return out
	}
	out := list{name: "availability", columns: []string{"virtual_service", "period", "up_percent", "outages", "down_seconds", "longest_seconds", "known_seconds"}}
	for _, r := range v.Rows {
		out.add(r.Service, string(r.Period), r.Percent, len(r.Outages), int(r.Down.Seconds()), int(r.Longest.Seconds()), int(r.Known.Seconds()))
	}
	return out
}

func healthChanges(p *page) error {
	r := readReport(healthChangesPath, p.QueryParams(), nil)
	if p.ui.History == nil {
		return p.show(http.StatusOK, view.HealthChangesPage(p.frame("Health changes", healthChangesPath), view.HealthChanges{}))
	}
	q := appliance.HealthQuery{Service: r.service, Server: r.server, Text: r.query, Offset: r.from, Limit: rowsOnPage}
	if p.exporting() {
		q.Offset, q.Limit = 0, mostExported
	}
	found, err := p.ui.History.Changes(q)
	if err != nil {
		return err
	}
	if p.exporting() {
		out := list{name: "health-changes", columns: []string{"at", "virtual_service", "real_server", "state", "why"}}
		for _, e := range found.Events {
			out.add(e.At, e.Service, e.Server, e.State, e.Sentence)
		}
		return p.export(out)
	}
	running := p.ui.Control.Running().Config.Cluster
	v := view.HealthChanges{
		Bar: p.bar(r, "Service, server or reason", func(*appliance.VirtualService) bool { return true }), Pager: r.pager(len(found.Events), found.Total),
	}
	for _, e := range found.Events {
		row := view.HealthRow{HealthEvent: e}
		if s := running.Service(e.ServiceID); s != nil && e.ServerID == "" {
			row.Path = layer7 + "/" + s.ID
		} else if s != nil && s.Server(e.ServerID) != nil {
			row.Path = serverPath(s.ID, e.ServerID)
		}
		v.Rows = append(v.Rows, row)
	}
	return p.show(http.StatusOK, view.HealthChangesPage(p.frame("Health changes", healthChangesPath), v))
}
