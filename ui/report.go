package ui

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/form"
	"evenkeel/ui/view"
)

// report is how a page of Reports was asked for: what it shows, in which order, from which row on.
type report struct {
	path, service, server, query string
	sort                         string
	descending                   bool
	from                         int
}

// mostRows is how far a report can be paged through; whoever wants more takes the export or asks for less.
const mostRows = 10_000

// column is a heading of a report; without sort it orders nothing. down says that its first order is a descending one.
type column struct {
	name, class, sort string
	down              bool
}

// readReport reads the address of a report.
func readReport(path string, q url.Values, columns []column) report {
	r := report{path: path, service: q.Get("service"), server: q.Get("server"), query: strings.TrimSpace(q.Get("q")), sort: q.Get("sort"), descending: q.Get("dir") == "desc"}
	if len(r.query) > 200 {
		r.query = r.query[:200]
	}
	r.query = strings.ToValidUTF8(r.query, "")
	if r.sort == "" || !slices.ContainsFunc(columns, func(c column) bool { return c.sort == r.sort }) {
		r.sort, r.descending = "", false
	}
	if n, err := strconv.Atoi(q.Get("from")); err == nil && n > 0 && n < mostRows {
		r.from = n / rowsOnPage * rowsOnPage
	}
	return r
}

func (r report) values() url.Values {
	q := url.Values{}
	for name, v := range map[string]string{"service": r.service, "server": r.server, "q": r.query, "sort": r.sort} {
		if v != "" {
			q.Set(name, v)
		}
	}
	if r.descending {
		q.Set("dir", "desc")
	}
	if r.from > 0 {
		q.Set("from", strconv.Itoa(r.from))
	}
	return q
}

// address is where the report stands as it was asked for.
func (r report) address() string {
	if q := r.values().Encode(); q != "" {
		return r.path + "?" + q
	}
	return r.path
}

func (r report) heads(columns []column) []view.Head {
	out := make([]view.Head, len(columns))
	for i, c := range columns {
		out[i] = view.Head{Name: c.name, Class: c.class}
		if c.sort == "" {
			continue
		}
		to := r
		to.sort, to.descending, to.from = c.sort, c.down, 0
		if r.sort == c.sort {
			to.descending = !r.descending
			out[i].Sorted = "ascending"
			if r.descending {
				out[i].Sorted = "descending"
			}
		}
		out[i].Path = to.address()
	}
	return out
}

// pager says which rows are shown of how many, and where the others are.
func (r report) pager(shown, total int) view.Pager {
	p := view.Pager{First: r.from + 1, Last: r.from + shown, Total: total}
	to := r
	if r.from > 0 {
		to.from = max(0, r.from-rowsOnPage)
		p.Earlier = to.address()
	}
	if r.from+shown < total && r.from+rowsOnPage < mostRows {
		to.from = r.from + rowsOnPage
		p.Later = to.address()
	}
	return p
}

// bar is what chooses the rows: services are those that the report is about.
func (p *page) bar(r report, placeholder string, about func(*appliance.VirtualService) bool) view.ReportBar {
	b := view.ReportBar{Service: r.service, Server: r.server, Query: r.query, Placeholder: placeholder, Sort: r.sort}
	if r.descending {
		b.Dir = "desc"
	}
	running := p.ui.Control.Running().Config.Cluster
	for i := range running.VirtualServices {
		s := &running.VirtualServices[i]
		if !about(s) {
			continue
		}
		b.Services = append(b.Services, form.Option{Value: s.ID, Name: s.Label})
		if s.ID != r.service {
			continue
		}
		for _, server := range s.RealServers {
			b.Servers = append(b.Servers, form.Option{Value: server.ID, Name: server.Label})
		}
	}
	return b
}

// names of what runs, by id.
type labels struct{ services, servers map[string]string }

func (p *page) labels() labels {
	l := labels{map[string]string{}, map[string]string{}}
	for _, s := range p.ui.Control.Running().Config.Cluster.VirtualServices {
		l.services[s.ID] = s.Label
		for _, r := range s.RealServers {
			l.servers[r.ID] = r.Label
		}
	}
	return l
}

// of returns the name of an id, or the id when nothing of that name runs any more.
func of(names map[string]string, id string) string {
	if name := names[id]; name != "" {
		return name
	}
	return id
}
