package ui

import (
	"fmt"
	"net/http"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/view"
)

const persistencePath = "/lbadmin/reports/persistence"

func persistenceColumns() []column {
	return []column{
		{"CLIENT", "", string(appliance.SortByKey), false},
		{"VIRTUAL SERVICE", "", string(appliance.SortByService), false},
		{"REAL SERVER", "", string(appliance.SortByServer), false},
		{"SINCE", "num", string(appliance.SortByAge), true},
		{"FORGOTTEN IN", "num", string(appliance.SortByExpiry), false},
		{"", "acts", "", false},
	}
}

// entriesOf is what a report asks of the engine.
func (r report) entriesOf(limit int) appliance.PersistenceQuery {
	return appliance.PersistenceQuery{
		Service: r.service, Server: r.server, Text: r.query, Sort: appliance.PersistenceSort(r.sort), Reverse: r.descending, Offset: r.from, Limit: limit,
	}
}

func persistence(p *page) error {
	r := readReport(persistencePath, p.QueryParams(), persistenceColumns())
	if running := p.ui.Control.Running().Config.Cluster; r.service != "" && running.Service(r.service) == nil {
		return errNoService()
	}
	if p.exporting() {
		r.from = 0
		return p.export(p.persistenceList(r))
	}
	known := p.ui.Engine.Persistence(r.entriesOf(rowsOnPage))
	v := view.Persistence{
		Bar: p.bar(r, "Client, server or session", func(s *appliance.VirtualService) bool { return s.Persistence.Kind.Tabled() }), Heads: r.heads(persistenceColumns()),
		Pager: r.pager(len(known.Entries), known.Total), Act: p.may(appliance.OperatorRole),
	}
	names := p.labels()
	for _, e := range known.Entries {
		row := view.PersistenceRow{
			ServiceID: e.ServiceID, Service: of(names.services, e.ServiceID), Server: of(names.servers, e.ServerID), ServerPath: serverPath(e.ServiceID, e.ServerID),
			Key: e.Key, Age: e.Age, Remaining: e.Remaining,
		}
		if e.Client.IsValid() {
			row.Explain = explainOf(e.ServiceID, e.Client.Addr())
		}
		v.Rows = append(v.Rows, row)
	}
	return p.show(http.StatusOK, view.PersistencePage(p.frame("Persistence table", persistencePath), v))
}

func (p *page) persistenceList(r report) list {
	out := list{name: "persistence", columns: []string{"client", "kind", "virtual_service", "real_server", "age_in_seconds", "forgotten_in_seconds"}}
	names := p.labels()
	for _, e := range p.ui.Engine.Persistence(r.entriesOf(mostExported)).Entries {
		out.add(e.Key, e.Kind, of(names.services, e.ServiceID), of(names.servers, e.ServerID), int(e.Age.Seconds()), int(e.Remaining.Seconds()))
	}
	return out
}

// clearPersistence forgets one entry, or all that the page shows.
func clearPersistence(p *page) error {
	values, err := p.FormParams()
	if err != nil {
		return err
	}
	r := readReport(persistencePath, values, persistenceColumns())
	q := appliance.PersistenceQuery{Service: r.service, Server: r.server, Text: r.query}
	running := p.ui.Control.Running().Config.Cluster
	if q.Service != "" && running.Service(q.Service) == nil {
		return errNoService()
	}
	if p.FormValue("do") != "all" {
		q.Server, q.Text, q.Key = "", "", p.FormValue("key")
		if q.Key == "" || q.Service == "" {
			return appliance.Refuse("key", "Say which entry.")
		}
	}
	n := p.ui.Engine.ClearPersistence(q)
	p.noteDone("persistence_clear", strings.TrimSpace(q.Service+" "+q.Server+" "+q.Key+q.Text), fmt.Sprintf("entries: %d", n))
	return p.done(r.address(), "%s forgotten.", strings.ToUpper(entryCount(n)[:1])+entryCount(n)[1:])
}

// noteDone records what is no commit. A record that cannot be written is logged: the deed is done.
func (p *page) noteDone(action, subject, detail string) {
	ctx, cancel := p.lasting()
	defer cancel()
	if err := p.ui.Store.Audit(ctx, appliance.AuditEntry{Origin: p.origin, Action: action, Subject: subject, Outcome: "done", Detail: detail}); err != nil {
		p.ui.Log.Error("audit entry lost", "action", action, "operator", p.operator.Name, "error", err)
	}
}
