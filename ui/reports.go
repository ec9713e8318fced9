package ui

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/view"
)

const (
	auditPath = "/lbadmin/reports/audit"
	mostAudit = 100
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
		at := s.HostPort()
		add(view.Hit{Kind: "Virtual service", Name: s.Label, Path: layer7 + "/" + s.ID, Note: at}, s.Label+" "+at)
	}
	for i := range saved.VirtualServices {
		s := &saved.VirtualServices[i]
		for k := range s.RealServers {
			r := &s.RealServers[k]
			at := net.JoinHostPort(string(r.Address), portOf(s, r))
			add(view.Hit{Kind: "Real server", Name: r.Label + " of " + s.Label, Path: serverPath(s.ID, r.ID), Note: at}, r.Label+" "+at)
		}
	}
	for _, s := range saved.Scripts {
		add(view.Hit{Kind: "Script", Name: s.Label, Path: scriptsPath + "/" + s.ID}, s.Label)
	}
	for _, c := range p.ui.Certificates.Certificates() {
		names := strings.Join(c.Names, ", ")
		add(view.Hit{Kind: "Certificate", Name: c.Label, Path: certificatesPath + "/" + c.ID, Note: names}, c.Label+" "+names)
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
