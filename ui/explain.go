package ui

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"

	"evenkeel/appliance"
	"evenkeel/ui/form"
	"evenkeel/ui/problem"
	"evenkeel/ui/view"
)

const explainPath = "/lbadmin/reports/explain"

// explain is a page that can be linked to with its question.
func explain(p *page) error {
	values := p.QueryParams()
	v := view.Explain{Asked: p.asked("", values.Get)}
	v.Asked.Fields, v.Asked.More = []string{"client", "url", "virtual_service"}, []string{"listener", "method", "headers", "cookies", "tls_name", "proxy", "tls_session", "rdp_cookie", "answer"}
	status := http.StatusOK
	if p.Request().URL.RawQuery != "" {
		q, errs := appliance.ReadQuestion(values.Get)
		var err error = errs
		if len(errs) == 0 {
			var answer appliance.Explanation
			if answer, err = p.ui.Engine.Explain(p.ctx(), q); err == nil {
				v.Answer, v.Links = &answer, p.links(&answer)
			}
		}
		if err != nil {
			if kind := problem.KindOf(err); kind == appliance.Internal || kind == appliance.Unavailable {
				return err
			}
			v.Asked.Errors, status = form.Sort(err, "", isQuestionField), http.StatusUnprocessableEntity
			v.Asked.Unfold()
		}
	}
	return p.show(status, view.ExplainPage(p.frame("Explain", explainPath), v))
}

// explainOf is where it is explained what becomes of a client of a service.
func explainOf(service string, client netip.Addr) string {
	return explainPath + "?" + url.Values{"virtual_service": {service}, "client": {client.Unmap().WithZone("").String()}}.Encode()
}

func isQuestionField(path string) bool { return slices.Contains(appliance.QuestionFields(), path) }

// asked is a question as typed; names of its fields begin with a prefix.
func (p *page) asked(prefix string, typed func(string) string) view.Asked {
	a := view.Asked{Prefix: prefix, Values: map[string]string{}, Services: []form.Option{{Value: "", Name: "whoever listens there"}}}
	for _, name := range appliance.QuestionFields() {
		text := typed(prefix + name)
		if len(text) > mostAsked {
			text = text[:mostAsked]
		}
		a.Values[name] = text
	}
	if a.Values["client"] == "" {
		a.Values["client"] = p.origin.From.String() // somebody who is there
	}
	running := p.ui.Control.Running().Config.Cluster
	for i := range running.VirtualServices {
		s := &running.VirtualServices[i]
		a.Services = append(a.Services, form.Option{Value: s.ID, Name: s.Label})
	}
	return a
}

// mostAsked bounds what a page shows again of one field.
const mostAsked = 20 << 10

// links lead to what an explanation names.
func (p *page) links(x *appliance.Explanation) view.Links {
	l := view.Links{Servers: map[string]string{}}
	running := p.ui.Control.Running().Config.Cluster
	if running.Service(x.ServiceID) != nil {
		l.Service = layer7 + "/" + x.ServiceID
	}
	for i := range running.VirtualServices {
		s := &running.VirtualServices[i]
		for k := range s.RealServers {
			l.Servers[s.RealServers[k].ID] = serverPath(s.ID, s.RealServers[k].ID)
		}
	}
	return l
}
