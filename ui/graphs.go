package ui

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"evenkeel/appliance"
	"evenkeel/ui/form"
	"evenkeel/ui/view"
)

const graphsPath = "/lbadmin/reports/graphs"

// Statistics are what was counted over time.
type Statistics interface {
	// Points returns what is kept of a service (server empty) or a server over a period, the oldest first; kept: there is a place for it.
	Points(service, server string, period appliance.Period) (points []appliance.Point, kept bool, err error)
}

func graphs(p *page) error {
	running := p.ui.Control.Running().Config.Cluster
	period := appliance.Period(p.QueryParam("period"))
	if period.Length() == 0 {
		period = appliance.LastHour
	}
	v := view.Graphs{Service: p.QueryParam("service"), Server: p.QueryParam("server")}
	if v.Service == "" && len(running.VirtualServices) > 0 {
		v.Service = running.VirtualServices[0].ID
	}
	for i := range running.VirtualServices {
		v.Services = append(v.Services, form.Option{Value: running.VirtualServices[i].ID, Name: running.VirtualServices[i].Label})
	}
	s := running.Service(v.Service)
	switch {
	case s == nil && p.QueryParam("service") != "":
		return errNoService()
	case s == nil:
		v.Empty = "No service runs yet."
		return p.show(http.StatusOK, view.GraphsPage(p.frame("Graphs", graphsPath), v))
	}
	if s.Server(v.Server) == nil { // another service was chosen
		v.Server = ""
	}
	for i := range s.RealServers {
		v.Servers = append(v.Servers, form.Option{Value: s.RealServers[i].ID, Name: s.RealServers[i].Label})
	}
	v.Title = s.Label
	if r := s.Server(v.Server); r != nil {
		v.Title = r.Label + " of " + s.Label
	}
	v.Title += ", the last " + string(period)
	for _, one := range appliance.Periods() {
		q := url.Values{"service": {v.Service}, "period": {string(one)}}
		if v.Server != "" {
			q.Set("server", v.Server)
		}
		v.Periods = append(v.Periods, view.Tab{Name: string(one), Path: graphsPath + "?" + q.Encode(), On: one == period})
	}
	if err := p.drawGraphs(&v, s.Protocol, period); err != nil {
		return err
	}
	return p.show(http.StatusOK, view.GraphsPage(p.frame("Graphs", graphsPath), v))
}

func (p *page) drawGraphs(v *view.Graphs, protocol appliance.Protocol, period appliance.Period) error {
	var points []appliance.Point
	kept := p.ui.Statistics != nil
	if kept {
		var err error
		if points, kept, err = p.ui.Statistics.Points(v.Service, v.Server, period); err != nil {
			return err
		}
	}
	switch {
	case !kept && v.Server != "":
		v.Empty = "Nothing is kept of this server yet: it is new, or there are more services and servers than have room in the statistics."
		return nil
	case !kept:
		v.Empty = "Nothing is kept of this service yet."
		return nil
	case len(points) == 0:
		v.Empty = "Nothing was seen in this time yet. The first points come within " + view.Span(2*period.Step()) + "."
		return nil
	}
	v.Availability = availability(points)
	to := p.ui.Now().UTC()
	from := to.Add(-period.Length())
	add := func(id, name string, figure view.Figure, floor float64, say func(float64) string) {
		v.Graphs = append(v.Graphs, view.NewGraph(id, name, points, figure, from, to, period.Step(), floor, say))
	}
	always := func(f func(appliance.Point) float64) view.Figure {
		return func(p appliance.Point) (float64, bool) { return f(p), true }
	}
	add("throughput", "Throughput", always(func(p appliance.Point) float64 { return 8 * (p.BytesIn + p.BytesOut) }), 1000, view.SayBits)
	add("connections", "Open connections", always(func(p appliance.Point) float64 { return p.Connections }), 5, view.SayCount)
	if protocol == appliance.HTTP && v.Server == "" {
		add("requests", "Requests", always(func(p appliance.Point) float64 { return p.Requests }), 1, view.SayRate)
	} else {
		add("opened", "New connections", always(func(p appliance.Point) float64 { return p.Opened }), 1, view.SayRate)
	}
	add("errors", "Errors", always(func(p appliance.Point) float64 { return p.Errors }), 1, view.SayRate)
	latency := func(f func(appliance.Point) time.Duration) view.Figure {
		return func(p appliance.Point) (float64, bool) { return f(p).Seconds(), f(p) > 0 }
	}
	add("p50", "Half of the answers within", latency(func(p appliance.Point) time.Duration { return p.P50 }), 0.001, view.SayTime)
	add("p99", "99 of 100 answers within", latency(func(p appliance.Point) time.Duration { return p.P99 }), 0.001, view.SayTime)
	return nil
}

// availability says which share of the known time was up.
func availability(points []appliance.Point) string {
	known := slices.DeleteFunc(slices.Clone(points), func(p appliance.Point) bool { return p.Up < 0 })
	if len(known) == 0 {
		return ""
	}
	sum := 0.0
	for _, p := range known {
		sum += p.Up
	}
	share := 100 * sum / float64(len(known))
	if share > 99.995 {
		return "up 100 %"
	}
	return fmt.Sprintf("up %.2f %%", min(share, 99.99))
}
