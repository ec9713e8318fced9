package ui

import (
	"net/http"
	"net/url"
	"slices"

	"evenkeel/appliance"
	"evenkeel/ui/view"
)

func errNoServer() error {
	return &appliance.Error{Kind: appliance.NotFound, Message: "There is no such real server.", Hint: "It may have been removed meanwhile."}
}

// serverPage says why a real server is up or down, and what can be done.
func serverPage(p *page) error { return p.showServer(http.StatusOK, func(*view.Server) {}) }

// showServer shows the page with what the request adds to it.
func (p *page) showServer(status int, add func(*view.Server)) error {
	s, err := p.server(p.Param("service"), p.Param("server"))
	if err != nil {
		return err
	}
	add(&s)
	topic := url.Values{"on": {"server"}, "service": {s.Row.Service}, "server": {s.Row.ID}}
	f := p.liveFrame(s.Row.Label+" of "+s.Service, "/lbadmin/", topic, p.partsOfServer(s))
	return p.show(status, view.ServerPage(f, s))
}

func (p *page) server(serviceID, serverID string) (view.Server, error) {
	s, r, runs := p.useOf(serviceID, serverID)
	if s == nil {
		return view.Server{}, errNoServer()
	}
	status, saved := p.ui.Control.Status(), p.ui.Control.Saved().Config.Cluster
	seen, _ := status.Service(s.ID)
	observed, ok := seen.Server(r.ID)
	if !ok {
		observed = appliance.ServerStatus{State: r.State, Weight: r.Weight, Check: appliance.ServerHealth{Health: appliance.Unknown}}
	}
	out := view.Server{
		Row: p.serverRow(s, r, &seen, saved.Service(s.ID)), Service: s.Label, Runs: runs,
		Check: checkSentence(s), Sentence: observed.Check.Sentence, Since: observed.Check.Since, Next: observed.Check.Next,
		Connections: observed.Connections, Total: observed.Total, In: observed.BytesIn, Out: observed.BytesOut, Oldest: observed.Oldest,
		Entries: observed.PersistenceEntries, Healthy: observed.Check.Health, Others: len(p.usesOf(r.Label)),
	}
	if observed.Agent != nil && runs {
		out.Agent = observed.Agent.Sentence
	}
	if observed.Resolved.IsValid() {
		out.Resolved = observed.Resolved.String()
	}
	out.Probes = slices.Clone(observed.Check.Probes)
	slices.Reverse(out.Probes)
	out.Changes = slices.Clone(observed.Check.Changes)
	slices.Reverse(out.Changes)
	if !runs {
		out.Row.State, out.Sentence = view.State{Key: "saved", Word: "Saved"}, "Saved, not running yet. Apply starts it."
		out.Row.Act = false
	}
	if out.Sentence == "" && runs {
		out.Sentence = "Not checked yet."
	}
	return out, nil
}

func (p *page) partsOfServer(s view.Server) fragments {
	return fragments{
		"server-verdict": p.ui.drawn(p.ctx(), view.ServerVerdict(s)), "server-facts": p.ui.drawn(p.ctx(), view.ServerFacts(s)),
		"server-probes": p.ui.drawn(p.ctx(), view.ServerProbes(s)), "server-changes": p.ui.drawn(p.ctx(), view.ServerChanges(s)),
	}
}

func (p *page) serverParts(service, server string) fragments {
	s, err := p.server(service, server)
	if err != nil {
		return nil
	}
	return p.partsOfServer(s)
}

// testServer probes once, now, and shows each step.
func testServer(p *page) error {
	s, r, runs := p.useOf(p.Param("service"), p.Param("server"))
	if s == nil {
		return errNoServer()
	}
	config := p.ui.Control.Saved().Config
	if runs {
		config = p.ui.Control.Running().Config
	}
	probe, transcript, err := p.ui.Engine.Test(p.ctx(), config, s.ID, r.ID)
	if err != nil {
		return err
	}
	return p.showServer(http.StatusOK, func(v *view.Server) { v.Test = &view.Test{Probe: probe, Transcript: transcript} })
}

// serversByLabel shows one label on all services: usually one machine.
func serversByLabel(p *page) error {
	return p.showLabel(http.StatusOK, p.QueryParam("label"), view.Limit{})
}

func (p *page) showLabel(status int, label string, limit view.Limit) error {
	v, err := p.label(label)
	if err != nil {
		return err
	}
	v.Limit = limit
	topic := url.Values{"on": {"label"}, "label": {v.Label}}
	f := p.liveFrame(v.Label+" on all services", "/lbadmin/", topic, p.partsOfLabel(v))
	return p.show(status, view.LabelPage(f, v))
}

func (p *page) label(label string) (view.Label, error) {
	uses := p.usesOf(label)
	if len(uses) == 0 {
		return view.Label{}, errNoServer()
	}
	v := view.Label{Label: uses[0].server.Label, Act: p.may(appliance.OperatorRole)}
	for _, u := range uses {
		seen := appliance.ServiceStatus{Servers: []appliance.ServerStatus{u.status}}
		v.Rows = append(v.Rows, p.serverRow(&u.service, &u.server, &seen, &u.service))
		v.Services = append(v.Services, u.service.Label)
		v.Connections += u.status.Connections
		v.Safe = v.Safe + boolCount(u.status.State != appliance.Online && u.status.Connections == 0)
		v.Entries += u.status.PersistenceEntries
	}
	return v, nil
}

func (p *page) partsOfLabel(v view.Label) fragments {
	return fragments{"label-facts": p.ui.drawn(p.ctx(), view.LabelFacts(v)), "label-rows": p.ui.drawn(p.ctx(), view.LabelRows(v))}
}

func (p *page) labelParts(label string) fragments {
	v, err := p.label(label)
	if err != nil {
		return nil
	}
	return p.partsOfLabel(v)
}

func boolCount(b bool) int {
	if b {
		return 1
	}
	return 0
}
