package ui

import (
	"net/http"
	"slices"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/view"
)

// chosen returns the real servers that were ticked in the overview, each once.
func (p *page) chosen() ([]use, error) {
	status := p.ui.Control.Status()
	ids := slices.Clone(p.Request().PostForm["server"])
	slices.Sort(ids)
	var out []use
	for _, id := range slices.Compact(ids) {
		service, server, _ := strings.Cut(id, "/")
		s, r, _ := p.useOf(service, server)
		if s == nil {
			return nil, errNoServer()
		}
		seen, _ := status.Service(s.ID)
		now, _ := seen.Server(r.ID)
		out = append(out, use{*s, *r, now})
	}
	return out, nil
}

// actOnChosen does the same to every real server that was ticked. A halt is asked about first.
func actOnChosen(p *page) error {
	state, there := appliance.State(p.FormValue("do")), back(p.FormValue("back"))
	if !state.Valid() {
		return appliance.Refuse("do", "Choose Online, Drain or Halt.")
	}
	list, err := p.chosen()
	if err != nil {
		return err
	}
	if len(list) == 0 {
		p.say("error", "Tick the real servers first.")
		return p.see(there)
	}
	if state == appliance.Halt && p.FormValue("sure") == "" {
		return p.askHaltOf(list, there)
	}
	if alone := p.endsServing(list); state == appliance.Drain && p.FormValue("sure") == "" && len(alone) > 0 {
		return p.askDrainOf(list, alone, "/lbadmin/servers/chosen", there, append(tickedAgain(list), view.Hidden{Name: "do", Value: string(state)})...)
	}
	acts := make([]appliance.Act, len(list))
	for i, u := range list {
		acts[i] = appliance.Act{Service: u.service.ID, Server: u.server.ID, State: state}
	}
	if err := p.act(acts...); err != nil {
		return err
	}
	word := map[appliance.State]string{appliance.Online: "online", appliance.Drain: "draining", appliance.Halt: "halted"}[state]
	return p.done(there, "Now %s: %s.", word, named(list))
}

const mostNamed = 6

// named lists servers for a sentence; many are counted.
func named(list []use) string {
	names := make([]string, 0, mostNamed+1)
	for i, u := range list {
		if i == mostNamed && len(list) > mostNamed+1 {
			names = append(names, "and "+view.Plural(len(list)-i, "more server"))
			break
		}
		names = append(names, u.server.Label+" of "+u.service.Label)
	}
	return strings.Join(names, ", ")
}

// askHaltOf names what a halt of many servers ends, before it does.
func (p *page) askHaltOf(list []use, there string) error {
	v := view.Confirm{Text: "Halt " + view.Plural(len(list), "real server") + "?", Path: "/lbadmin/servers/chosen", Button: "Halt", Danger: true, Back: there, From: there}
	v.Hidden = append(v.Hidden, view.Hidden{Name: "do", Value: string(appliance.Halt)}, view.Hidden{Name: "sure", Value: "yes"})
	open := 0
	for _, u := range list {
		open += u.status.Connections
		v.Hidden = append(v.Hidden, view.Hidden{Name: "server", Value: u.service.ID + "/" + u.server.ID})
	}
	v.Facts = append(v.Facts, named(list)+".", ends(open), "They get no new clients until they are brought online again.")
	if alone := p.unserved(list); len(alone) > 0 {
		v.Warning = notServed(alone)
	}
	return p.show(http.StatusOK, view.ConfirmPage(p.frame("Halt real servers", "/lbadmin/"), v))
}

// unserved returns the labels of the services that no other server would serve.
func (p *page) unserved(list []use) []string {
	status := p.ui.Control.Status()
	var out []string
	for i := range status.Services {
		s := &status.Services[i]
		left, concerned := 0, false
		for k := range s.Servers {
			r := &s.Servers[k]
			if slices.ContainsFunc(list, func(u use) bool { return u.service.ID == s.ID && u.server.ID == r.ID }) {
				concerned = true
			} else if r.State == appliance.Online && r.Check.Health == appliance.Up {
				left++
			}
		}
		if concerned && left == 0 {
			out = append(out, s.Label)
		}
	}
	return out
}
