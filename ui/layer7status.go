package ui

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"evenkeel/appliance"
	"evenkeel/ui/view"
)

const layer7StatusPath = "/lbadmin/reports/layer7"

// layer7Status is all that is seen of the services and their servers, in one table.
func layer7Status(p *page) error {
	query := strings.TrimSpace(p.QueryParam("q"))
	if len(query) > 200 {
		query = query[:200]
	}
	query = strings.ToValidUTF8(query, "")
	if p.exporting() {
		return p.export(p.layer7List(query))
	}
	v := p.layer7(query)
	f := p.liveFrame("Layer 7 status", layer7StatusPath, url.Values{"on": {"layer7"}, "q": {query}}, p.partsOfLayer7(v))
	return p.show(http.StatusOK, view.Layer7Page(f, v))
}

func (p *page) layer7(query string) view.Layer7 {
	v := view.Layer7{Query: query}
	for _, s := range p.seenServices(query) {
		row := view.Layer7Service{
			Name: s.config.Label, Path: layer7 + "/" + s.config.ID, At: s.config.HostPort(), State: view.ServiceState(s.seen.Health), Sentence: s.seen.Sentence,
			Connections: s.seen.Connections, Waiting: s.seen.Waiting, Total: s.seen.Total, Requests: s.seen.Requests, Web: s.config.Protocol == appliance.HTTP, Refused: s.seen.Refused, In: s.seen.BytesIn, Out: s.seen.BytesOut,
		}
		for _, r := range s.seen.Servers {
			one := view.Layer7Server{
				Name: r.Label, Path: serverPath(s.config.ID, r.ID), State: view.ServerState(r), Sentence: r.Check.Sentence, Since: r.Check.Since,
				Connections: r.Connections, Total: r.Total, In: r.BytesIn, Out: r.BytesOut, Weight: r.Weight,
			}
			if last, ok := lastProbe(r); ok {
				one.Checked = last.At
			}
			row.Servers = append(row.Servers, one)
		}
		v.Services = append(v.Services, row)
	}
	return v
}

// seenServices returns what runs and matches, in the order of labels.
func (p *page) seenServices(query string) []listed {
	c := choice{query: query}
	all := slices.DeleteFunc(p.services(), func(s listed) bool { return !s.runs || s.config.Layer != 7 || !c.holds(&s) })
	slices.SortStableFunc(all, c.compare)
	return all
}

func lastProbe(r appliance.ServerStatus) (appliance.Probe, bool) {
	if n := len(r.Check.Probes); n > 0 {
		return r.Check.Probes[n-1], true
	}
	return appliance.Probe{}, false
}

func (p *page) partsOfLayer7(v view.Layer7) fragments {
	return fragments{"layer7": p.ui.drawn(p.ctx(), view.Layer7Table(v))}
}

// layer7List has a row for each service and each of its servers.
func (p *page) layer7List(query string) list {
	out := list{name: "layer7-status", columns: []string{
		"object", "virtual_service", "real_server", "health", "state", "sentence", "since", "connections", "waiting", "total", "requests", "refused", "bytes_in", "bytes_out", "last_check", "weight",
	}}
	for _, s := range p.seenServices(query) {
		n := &s.seen
		out.add("virtual_service", s.config.Label, "", string(n.Health), "", n.Sentence, time.Time{}, n.Connections, n.Waiting, n.Total, n.Requests, n.Refused, n.BytesIn, n.BytesOut, time.Time{}, "")
		for _, r := range n.Servers {
			last, _ := lastProbe(r)
			out.add("real_server", s.config.Label, r.Label, string(r.Check.Health), string(r.State), r.Check.Sentence, r.Check.Since, r.Connections, "", r.Total, "", "", r.BytesIn, r.BytesOut, last.At, r.Weight)
		}
	}
	return out
}
