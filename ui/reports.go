package ui

import (
	"cmp"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/form"
	"evenkeel/ui/view"
)

const (
	auditPath       = "/lbadmin/reports/audit"
	persistencePath = "/lbadmin/reports/persistence"
	mostAudit       = 100
	mostEntries     = 500
)

func audit(p *page) error {
	before, _ := strconv.ParseInt(p.QueryParam("before"), 10, 64)
	if p.exporting() {
		l, err := p.auditList(max(before, 0))
		if err != nil {
			return err
		}
		return p.export(l)
	}
	list, err := p.ui.Store.AuditEntries(p.ctx(), max(before, 0), mostAudit+1)
	if err != nil {
		return err
	}
	a := view.Audit{Newest: before <= 0}
	if len(list) > mostAudit {
		list = list[:mostAudit]
		a.Older = auditPath + "?before=" + strconv.FormatInt(list[len(list)-1].ID, 10)
	}
	a.Entries = list
	return p.show(http.StatusOK, view.AuditPage(p.frame("Audit", auditPath), a))
}

func persistence(p *page) error {
	running := p.ui.Control.Running().Config.Cluster
	v := view.Persistence{Service: p.QueryParam("service"), Query: strings.TrimSpace(p.QueryParam("q")), Act: p.may(appliance.OperatorRole)}
	for i := range running.VirtualServices {
		if s := &running.VirtualServices[i]; s.Persistence.Kind == appliance.PersistSourceIP {
			v.Services = append(v.Services, form.Option{Value: s.ID, Name: s.Label})
		}
	}
	if v.Service != "" && running.Service(v.Service) == nil {
		return errNoService()
	}
	out := list{name: "persistence", columns: []string{"client", "virtual_service", "real_server", "forgotten_in_seconds"}}
	known := p.ui.Engine.Persistence(v.Service)
	slices.SortFunc(known, func(a, b appliance.PersistenceEntry) int { return cmp.Compare(b.Remaining, a.Remaining) })
	for _, e := range known {
		row := view.PersistenceRow{ServiceID: e.ServiceID, Service: e.ServiceID, Server: e.ServerID, Client: clientOf(e.Client), Remaining: e.Remaining, ServerPath: serverPath(e.ServiceID, e.ServerID)}
		if s := running.Service(e.ServiceID); s != nil {
			row.Service = s.Label
			if r := s.Server(e.ServerID); r != nil {
				row.Server = r.Label
			}
		}
		if !strings.Contains(strings.ToLower(row.Client+" "+row.Server), strings.ToLower(v.Query)) {
			continue
		}
		v.Total++
		out.add(row.Client, row.Service, row.Server, int(row.Remaining.Seconds()))
		if len(v.Rows) < mostEntries {
			v.Rows = append(v.Rows, row)
		}
	}
	if p.exporting() {
		return p.export(out)
	}
	return p.show(http.StatusOK, view.PersistencePage(p.frame("Persistence table", persistencePath), v))
}

// clientOf writes a whole address without its mask.
func clientOf(c netip.Prefix) string {
	if c.IsSingleIP() {
		return c.Addr().String()
	}
	return c.String()
}

func parseClient(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	c, err := netip.ParsePrefix(text)
	if err != nil {
		return c, appliance.Refuse("client", "%.60q is not a client's address.", text)
	}
	return c, nil
}

func clearPersistence(p *page) error {
	service := p.FormValue("service")
	if running := p.ui.Control.Running().Config.Cluster; running.Service(service) == nil {
		return errNoService()
	}
	var client netip.Prefix
	if p.FormValue("do") != "all" {
		var err error
		if client, err = parseClient(p.FormValue("client")); err != nil {
			return err
		}
	}
	n := p.ui.Engine.ClearPersistence(service, "", client)
	p.ui.Log.Info("persistence entries cleared", "operator", p.operator.Name, "virtual_service", service, "entries", n)
	return p.done(persistencePath+"?service="+url.QueryEscape(service), "%s forgotten.", strings.ToUpper(entryCount(n)[:1])+entryCount(n)[1:])
}

const mostHits = 40

// search finds pages, virtual services, real servers, addresses and scripts.
func search(p *page) error {
	query := strings.TrimSpace(p.QueryParam("q"))
	if len(query) > 200 {
		query = query[:200]
	}
	query = strings.ToValidUTF8(query, "")
	hits := p.hits(strings.Fields(strings.ToLower(query)))
	if p.QueryParam("part") == "1" {
		return p.show(http.StatusOK, view.Hits(query, hits))
	}
	f := p.frame("Search", "")
	f.Query, f.Narrow = query, true
	return p.show(http.StatusOK, view.SearchPage(f, query, hits))
}

func (p *page) hits(words []string) []view.Hit {
	var out []view.Hit
	add := func(h view.Hit, text string) {
		if len(out) < mostHits && len(words) > 0 && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(strings.ToLower(text), w) }) {
			out = append(out, h)
		}
	}
	saved := p.ui.Control.Saved().Config.Cluster
	for i := range saved.VirtualServices {
		s := &saved.VirtualServices[i]
		at := s.Address.String() + ":" + s.Ports.String()
		add(view.Hit{Kind: "Virtual service", Name: s.Label, Path: layer7 + "/" + s.ID, Note: at}, s.Label+" "+at)
	}
	for i := range saved.VirtualServices {
		s := &saved.VirtualServices[i]
		for k := range s.RealServers {
			r := &s.RealServers[k]
			at := string(r.Address) + ":" + portOf(s, r)
			add(view.Hit{Kind: "Real server", Name: r.Label + " of " + s.Label, Path: serverPath(s.ID, r.ID), Note: at}, r.Label+" "+at)
		}
	}
	for _, s := range saved.Scripts {
		add(view.Hit{Kind: "Script", Name: s.Label, Path: scriptsPath + "/" + s.ID}, s.Label)
	}
	for _, g := range menu("", p.may(appliance.Administrator)) {
		if g.Path != "" {
			add(view.Hit{Kind: "Page", Name: g.Name, Path: g.Path}, g.Name)
		}
		for _, e := range g.Entries {
			add(view.Hit{Kind: "Page", Name: e.Name, Path: e.Path, Note: g.Name}, e.Name+" "+g.Name)
		}
	}
	return out
}
