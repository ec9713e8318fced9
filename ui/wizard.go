package ui

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/form"
	"evenkeel/ui/view"
)

const wizardPath = "/lbadmin/wizard"

func wizardTemplates(p *page) error {
	f := p.frame("Setup Wizard", wizardPath)
	f.Narrow = true
	return p.show(http.StatusOK, view.WizardPage(f))
}

// imaging is the template's form: addresses in, three services out.
type imaging struct {
	vip, first, second, called string
}

// imagingParts are the services of a Mach7 imaging system.
func imagingParts() []struct {
	label string
	port  uint16
	check appliance.MonitorKind
} {
	return []struct {
		label string
		port  uint16
		check appliance.MonitorKind
	}{{"VNA_DICOM", 11112, appliance.MonitorDICOM}, {"HL7", 6667, appliance.MonitorHL7}, {"DMWL", 5104, appliance.MonitorDICOM}}
}

// services returns what the template creates beside what exists.
func (t imaging) services(beside []appliance.VirtualService) ([]appliance.VirtualService, appliance.Errors) {
	var errs appliance.Errors
	vip, err := netip.ParseAddr(strings.TrimSpace(t.vip))
	if err != nil {
		errs = append(errs, appliance.Refuse("vip", "%.60q is not an IP address.", t.vip))
	}
	servers := make([]appliance.RealServer, 0, 2)
	for i, typed := range []string{t.first, t.second} {
		if typed = strings.TrimSpace(typed); typed == "" && i == 1 {
			continue
		}
		r := appliance.NewRealServer()
		r.Label, r.Address = "Mach7-"+strconv.Itoa(i+1), appliance.Host(typed)
		if why, hint := r.Address.Refused(); why != "" {
			e := appliance.Refuse([]string{"first", "second"}[i], "%s", why)
			e.Hint = hint
			errs = append(errs, e)
		}
		servers = append(servers, r)
	}
	out := make([]appliance.VirtualService, 0, 3)
	for _, part := range imagingParts() {
		s := appliance.NewService(appliance.TCP)
		s.Label, s.Address, s.Ports = freeLabel(part.label, beside), vip.Unmap(), appliance.Ports{{First: part.port, Last: part.port}}
		s.Monitor = appliance.NewMonitor(part.check)
		if part.check == appliance.MonitorDICOM {
			s.Monitor.DICOM.Called = strings.TrimSpace(t.called)
		}
		s.Persistence.Kind = appliance.PersistSourceIP
		s.RealServers = append([]appliance.RealServer(nil), servers...)
		s.Normalize()
		out = append(out, s)
	}
	return out, errs
}

func freeLabel(label string, beside []appliance.VirtualService) string {
	taken := func(l string) bool {
		for i := range beside {
			if strings.EqualFold(beside[i].Label, l) {
				return true
			}
		}
		return false
	}
	out := label
	for n := 2; taken(out); n++ {
		out = label + "_" + strconv.Itoa(n)
	}
	return out
}

func wizardForm(p *page) error {
	return p.showWizard(http.StatusOK, imaging{}, nil, nil)
}

func wizardStep(p *page) error {
	t := imaging{vip: typed(p, "vip"), first: typed(p, "first"), second: typed(p, "second"), called: typed(p, "called")}
	if p.FormValue("do") == "back" {
		return p.showWizard(http.StatusOK, t, nil, nil)
	}
	services, errs := t.services(p.ui.Control.Saved().Config.Cluster.VirtualServices)
	if len(errs) == 0 {
		_, err := p.ui.Control.Try(p.ctx(), nil, adding(services))
		errs = appliance.ErrorsOf(err)
	}
	if len(errs) > 0 {
		return p.showWizard(http.StatusUnprocessableEntity, t, p.wizardErrors(t, errs), nil)
	}
	if p.FormValue("do") == "create" {
		return p.create(t, services)
	}
	return p.showWizard(http.StatusOK, t, nil, p.reviewOf(services))
}

func typed(p *page, name string) string {
	text := strings.TrimSpace(p.FormValue(name))
	if len(text) > 200 {
		text = text[:200]
	}
	return strings.ToValidUTF8(text, "")
}

func adding(services []appliance.VirtualService) appliance.Edit {
	return func(c *appliance.Config) error {
		for i := range services {
			c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, services[i].Clone())
		}
		return nil
	}
}

// wizardErrors brings errors of the services to the fields of the template.
func (p *page) wizardErrors(t imaging, errs appliance.Errors) form.Errors {
	out := form.Errors{}
	told := map[string]bool{}
	for _, e := range errs {
		path := e.Field
		switch {
		case strings.HasSuffix(path, "real_servers[0].address"):
			path = "first"
		case strings.HasSuffix(path, "real_servers[1].address"):
			path = "second"
		case strings.HasSuffix(path, ".address"), strings.HasSuffix(path, ".ports"):
			path = "vip"
		case strings.HasSuffix(path, "called_ae"):
			path = "called"
		case path != "vip" && path != "first" && path != "second":
			path = ""
		}
		if !told[path+e.Text()] {
			told[path+e.Text()] = true
			out[path] = append(out[path], e)
		}
	}
	if p.ui.Suggest != nil && len(out["vip"]) > 0 {
		if hint := p.ui.Suggest(p.ctx(), t.vip); hint != "" {
			out["vip"][0].Hint = hint
		}
	}
	return out
}

// reviewOf asks every server of the services now and shows what will be created.
func (p *page) reviewOf(services []appliance.VirtualService) []view.WizardService {
	config := p.ui.Control.Saved().Config.Clone()
	config.Cluster.VirtualServices = nil
	var todo []asked
	for i := range services {
		s := services[i].Clone()
		s.ID = "new-" + strconv.Itoa(i)
		for k := range s.RealServers {
			s.RealServers[k].ID = s.ID + "-" + strconv.Itoa(k)
			todo = append(todo, asked{s.ID, s.RealServers[k].ID})
		}
		config.Cluster.VirtualServices = append(config.Cluster.VirtualServices, s)
	}
	answers := p.askAll(config, todo)
	out := make([]view.WizardService, len(services))
	at := 0
	for i := range services {
		s := &services[i]
		out[i] = view.WizardService{Label: s.Label, Address: s.Address.String(), Ports: s.Ports.String(), Check: checkSentence(s), Persistence: s.Persistence.Kind.String() + ", " + form.Spaced(s.Persistence.Timeout)}
		for k := range s.RealServers {
			out[i].Servers = append(out[i].Servers, view.WizardServer{Label: s.RealServers[k].Label, Address: string(s.RealServers[k].Address), Answer: answers[at].probe, Note: answers[at].note})
			at++
		}
	}
	return out
}

func (p *page) create(t imaging, services []appliance.VirtualService) error {
	ctx, cancel := p.lasting()
	defer cancel()
	o := p.origin
	o.Why = "Setup Wizard: Mach7 imaging"
	if _, err := p.ui.Control.Commit(ctx, o, nil, adding(services)); err != nil {
		return p.showWizard(http.StatusUnprocessableEntity, t, p.wizardErrors(t, appliance.ErrorsOf(err)), nil)
	}
	if _, err := p.ui.Control.Apply(ctx, o); err != nil {
		p.say("warning", "The services are saved, but could not be applied: %s", appliance.ErrorsOf(err)[0].Text())
		return p.see("/lbadmin/commit")
	}
	return p.done("/lbadmin/", "%s created and running.", view.Plural(len(services), "virtual service"))
}

func (p *page) showWizard(status int, t imaging, errs form.Errors, review []view.WizardService) error {
	f := p.frame("Setup Wizard", wizardPath)
	f.Narrow = true
	v := view.Wizard{
		Errors: errs, Review: review,
		Fields: []view.SimpleField{
			{Name: "Virtual IP address", Path: "vip", Value: t.vip, Example: "192.168.0.188", Help: "Clients send DICOM to port 11112, HL7 to 6667 and worklist queries to 5104 of this address."},
			{Name: "First server", Path: "first", Value: t.first, Example: "192.168.0.40", Help: "A Mach7 server that runs all three services."},
			{Name: "Second server", Path: "second", Value: t.second, Example: "192.168.0.42", Help: "Leave it empty to begin with one."},
			{Name: "Called AE title", Path: "called", Value: t.called, Example: "optional", Help: helpOf("virtual_service", "check.dicom.called_ae")},
		},
	}
	return p.show(status, view.WizardImagingPage(f, v))
}
