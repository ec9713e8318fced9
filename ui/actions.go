package ui

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"evenkeel/appliance"
	"evenkeel/ui/view"
)

// act carries out an operator's action on live real servers.
func (p *page) act(acts ...appliance.Act) error {
	ctx, cancel := p.lasting()
	defer cancel()
	_, err := p.ui.Control.Act(ctx, p.origin, acts)
	return err
}

// after is where the browser goes after an action: to the page it came from, when that is the server's own.
func (p *page) after(s *appliance.VirtualService, r *appliance.RealServer) string {
	if p.FormValue("back") == "server" {
		return serverPath(s.ID, r.ID)
	}
	return "/lbadmin/"
}

func (p *page) setState(state appliance.State, done string) error {
	s, r, _ := p.useOf(p.Param("service"), p.Param("server"))
	if s == nil {
		return errNoServer()
	}
	status := p.ui.Control.Status()
	seen, _ := status.Service(s.ID)
	server, _ := seen.Server(r.ID)
	if err := p.act(appliance.Act{Service: s.ID, Server: r.ID, State: state}); err != nil {
		return err
	}
	return p.done(p.after(s, r), done, r.Label, s.Label, view.Plural(server.Connections, "open connection"))
}

func bringOnline(p *page) error {
	return p.setState(appliance.Online, "%s of %s is online: it gets new clients again.%.0s")
}

// drainServer drains until told otherwise, or, when the form has a time limit, halts after it.
func drainServer(p *page) error {
	s, r, _ := p.useOf(p.Param("service"), p.Param("server"))
	if s == nil {
		return errNoServer()
	}
	limited, limit, err := p.Request().PostForm.Has("limit"), time.Duration(0), error(nil)
	if limited {
		limit, err = p.limit()
	}
	switch {
	case err == nil && p.FormValue("sure") == "" && p.leavesNone(s, r):
		return p.askDrain(s, r)
	case !limited:
		return p.setState(appliance.Drain, "%s of %s is draining: no new clients; %s may finish.")
	case err == nil:
		err = p.act(appliance.Act{Service: s.ID, Server: r.ID, State: appliance.Drain, Limit: limit})
	}
	if refused := appliance.ErrorsOf(err); len(refused) > 0 && refused[0].Field == "limit" {
		return p.showServer(http.StatusUnprocessableEntity, func(v *view.Server) { v.Limit = p.refusedLimit(refused[0]) })
	}
	if err != nil {
		return err
	}
	return p.done(p.after(s, r), "%s of %s is draining: no new clients; what is open may finish. It is halted in %s.", r.Label, s.Label, view.Span(limit))
}

// limit reads how long a drain may last.
func (p *page) limit() (time.Duration, error) {
	limit, err := appliance.ParseDuration(p.FormValue("limit"))
	if err != nil {
		return 0, appliance.Refuse("limit", "%s.", strings.ToUpper(err.Error()[:1])+err.Error()[1:])
	}
	if limit < appliance.Duration(time.Second) {
		return 0, appliance.Refuse("limit", "A time limit is at least 1 s; write for example 30 m or 2 h.")
	}
	if limit.D() > longestDrain {
		return 0, appliance.Refuse("limit", "A drain may last up to 30 days.")
	}
	return limit.D(), nil
}

// longestDrain is the longest time limit that control takes: a longer one is refused before anything is asked.
const longestDrain = 30 * 24 * time.Hour

func (p *page) refusedLimit(e *appliance.Error) view.Limit {
	return view.Limit{Typed: typed(p, "limit"), Wrong: e.Text()}
}

func haltServer(p *page) error {
	return p.setState(appliance.Halt, "%s of %s is halted; %s ended.")
}

// askHalt names what a halt ends, before it does.
func askHalt(p *page) error {
	s, r, _ := p.useOf(p.Param("service"), p.Param("server"))
	if s == nil {
		return errNoServer()
	}
	status := p.ui.Control.Status()
	seen, _ := status.Service(s.ID)
	server, _ := seen.Server(r.ID)
	v := view.Confirm{
		Text: "Halt " + r.Label + " of " + s.Label + "?", Path: serverPath(s.ID, r.ID) + "/halt", Button: "Halt", Danger: true, Back: p.askBack(s, r), From: p.QueryParam("back"),
		Facts: []string{ends(server.Connections), "It gets no new clients until it is brought online again."},
	}
	if serving(&seen, r.ID) == 0 {
		v.Warning = wouldNotServe(s)
	}
	if server.Connections > 0 && server.State == appliance.Online {
		v.Alternative, v.AlternativePath = "Drain instead: they may finish", serverPath(s.ID, r.ID)+"/drain"
	}
	return p.show(http.StatusOK, view.ConfirmPage(p.frame("Halt "+r.Label, "/lbadmin/"), v))
}

// leavesNone tells whether a server is the last of its service that gets new clients.
func (p *page) leavesNone(s *appliance.VirtualService, r *appliance.RealServer) bool {
	status := p.ui.Control.Status()
	seen, _ := status.Service(s.ID)
	server, _ := seen.Server(r.ID)
	return server.State == appliance.Online && server.Check.Health == appliance.Up && serving(&seen, r.ID) == 0
}

// askDrain asks before the last server of a service gets no new clients.
func (p *page) askDrain(s *appliance.VirtualService, r *appliance.RealServer) error {
	v := view.Confirm{
		Text: "Drain " + r.Label + " of " + s.Label + "?", Path: serverPath(s.ID, r.ID) + "/drain", Button: "Drain", Back: p.after(s, r), From: p.FormValue("back"),
		Facts:   []string{"What is open may finish.", "It gets no new clients until it is brought online again."},
		Warning: wouldNotServe(s), Hidden: []view.Hidden{{Name: "sure", Value: "yes"}},
	}
	if p.Request().PostForm.Has("limit") {
		v.Hidden = append(v.Hidden, view.Hidden{Name: "limit", Value: p.FormValue("limit")})
	}
	return p.show(http.StatusOK, view.ConfirmPage(p.frame("Drain "+r.Label, "/lbadmin/"), v))
}

func wouldNotServe(s *appliance.VirtualService) string {
	return "No other server of " + s.Label + " is up and online: the service would not be served by a real server."
}

func (p *page) askBack(s *appliance.VirtualService, r *appliance.RealServer) string {
	if p.QueryParam("back") == "server" {
		return serverPath(s.ID, r.ID)
	}
	return "/lbadmin/"
}

func ends(n int) string {
	switch n {
	case 0:
		return "No connection is open on it now."
	case 1:
		return "One open connection ends at once (FIN)."
	}
	return view.Number(n) + " open connections end at once (FIN)."
}

// serving counts the servers beside one that get new clients now.
func serving(s *appliance.ServiceStatus, except string) int {
	n := 0
	for i := range s.Servers {
		if r := &s.Servers[i]; r.ID != except && r.State == appliance.Online && r.Check.Health == appliance.Up {
			n++
		}
	}
	return n
}

func weighServer(p *page) error {
	s, r, _ := p.useOf(p.Param("service"), p.Param("server"))
	if s == nil {
		return errNoServer()
	}
	weight, err := strconv.Atoi(strings.TrimSpace(p.FormValue("weight")))
	if err != nil || weight < 0 || weight > appliance.MaxWeight {
		p.say("error", "A weight is a whole number from 0 to %d; %s of %s keeps its own.", appliance.MaxWeight, r.Label, s.Label)
		return p.see(p.after(s, r))
	}
	if err := p.act(appliance.Act{Service: s.ID, Server: r.ID, Weight: &weight}); err != nil {
		return err
	}
	return p.done(p.after(s, r), "%s of %s has weight %d now.", r.Label, s.Label, weight)
}

func checkServer(p *page) error {
	s, r, runs := p.useOf(p.Param("service"), p.Param("server"))
	if s == nil || !runs {
		return errNoServer()
	}
	p.ui.Engine.CheckNow(s.ID, r.ID)
	return p.done(p.after(s, r), "%s of %s is being checked; its row shows the answer.", r.Label, s.Label)
}

// actOnLabel does the same to every server of one label. A halt is asked about first.
func actOnLabel(p *page) error {
	label, state := p.FormValue("label"), appliance.State(p.FormValue("state"))
	if !state.Valid() {
		return appliance.Refuse("state", "Choose Online, Drain or Halt.")
	}
	there := "/lbadmin/servers?label=" + url.QueryEscape(label)
	if uses := p.usesOf(label); state == appliance.Halt && p.FormValue("sure") == "" && len(uses) > 0 {
		return p.askHaltOf(uses, there)
	}
	limit, err := time.Duration(0), error(nil)
	if p.Request().PostForm.Has("limit") {
		limit, err = p.limit()
	}
	if uses := p.usesOf(label); err == nil && state == appliance.Drain && p.FormValue("sure") == "" {
		if alone := p.endsServing(uses); len(alone) > 0 {
			return p.askDrainOf(uses, alone, "/lbadmin/servers", there, p.againOf(label, state)...)
		}
	}
	var acts []appliance.Act
	for _, u := range p.usesOf(label) {
		acts = append(acts, appliance.Act{Service: u.service.ID, Server: u.server.ID, State: state, Limit: limit})
	}
	if len(acts) == 0 {
		return errNoServer()
	}
	if err == nil {
		err = p.act(acts...)
	}
	if refused := appliance.ErrorsOf(err); len(refused) > 0 && refused[0].Field == "limit" {
		return p.showLabel(http.StatusUnprocessableEntity, label, p.refusedLimit(refused[0]))
	}
	if err != nil {
		return err
	}
	word := map[appliance.State]string{appliance.Online: "online", appliance.Drain: "draining", appliance.Halt: "halted"}[state]
	return p.done(there, "%s is %s on %s.", label, word, view.Plural(len(acts), "service"))
}

// againOf sends along what was asked of every server of one label.
func (p *page) againOf(label string, state appliance.State) []view.Hidden {
	hidden := []view.Hidden{{Name: "label", Value: label}, {Name: "state", Value: string(state)}}
	if p.Request().PostForm.Has("limit") {
		hidden = append(hidden, view.Hidden{Name: "limit", Value: p.FormValue("limit")})
	}
	return hidden
}
