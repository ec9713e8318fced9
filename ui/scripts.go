package ui

import (
	"errors"
	"net/http"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/form"
	"evenkeel/ui/problem"
	"evenkeel/ui/view"
)

const scriptsPath = "/lbadmin/scripts"

const scriptModel = "#!/bin/bash\n# VIP, VIP port, RIP, RIP port\nVIP=\"$1\" VIP_PORT=\"$2\" RIP=\"$3\" RIP_PORT=\"$4\"\n\n# Exit status 0 means up.\nexit 1\n"

func errNoScript() error {
	return &appliance.Error{Kind: appliance.NotFound, Message: "There is no such health check script."}
}

func usersOf(c *appliance.Cluster, script string) []string {
	var out []string
	for i := range c.VirtualServices {
		if s := &c.VirtualServices[i]; s.Monitor.Kind == appliance.MonitorScript && s.Monitor.Script == script {
			out = append(out, s.Label)
		}
	}
	return out
}

func scriptList(p *page) error {
	saved := p.ui.Control.Saved().Config.Cluster
	l := view.ScriptList{Edit: p.may(appliance.Administrator)}
	for _, s := range saved.Scripts {
		first, _, _ := strings.Cut(s.Body, "\n")
		l.Rows = append(l.Rows, view.ScriptRow{
			ID: s.ID, Label: s.Label, First: strings.TrimPrefix(first, "#!"), Lines: strings.Count(s.Body, "\n") + 1, UsedBy: usersOf(&saved, s.ID),
		})
	}
	return p.show(http.StatusOK, view.ScriptsPage(p.frame("Health Check Scripts", scriptsPath), l))
}

func newScript(p *page) error {
	return p.showScript(http.StatusOK, appliance.Script{Body: scriptModel}, "", nil, nil)
}

func editScript(p *page) error {
	saved := p.ui.Control.Saved().Config.Cluster
	s := saved.Script(p.Param("script"))
	if s == nil {
		return errNoScript()
	}
	return p.showScript(http.StatusOK, *s, appliance.Hash(s), nil, nil)
}

func (p *page) showScript(status int, s appliance.Script, base string, errs form.Errors, stale *view.Stale) error {
	saved := p.ui.Control.Saved().Config.Cluster
	v := view.SimpleForm{
		Title: "Add a health check script", Path: scriptsPath + "/new", Button: "Add", Back: scriptsPath, Base: base, Errors: errs, Stale: stale, Edit: p.may(appliance.Administrator),
		Fields: []view.SimpleField{
			simple("script", "label", "text", s.Label, "check_pacs"),
			{Name: appliance.FieldName("script", "body"), Path: "body", Kind: "area", Value: s.Body, Help: helpOf("script", "body"), Rows: 20},
		},
	}
	if s.ID != "" {
		v.Title, v.Path, v.Button, v.Delete = s.Label, scriptsPath+"/"+s.ID, "Save", scriptsPath+"/"+s.ID+"/delete"
		if list := usersOf(&saved, s.ID); len(list) > 0 {
			v.Lead = "Used by " + strings.Join(list, ", ") + "."
		}
	}
	return p.show(status, view.SimplePage(p.frame(v.Title, scriptsPath), v))
}

func simple(object, path, kind, value, example string) view.SimpleField {
	return view.SimpleField{Name: appliance.FieldName(object, path), Path: path, Kind: kind, Value: value, Help: helpOf(object, path), Example: example}
}

func helpOf(object, path string) string {
	f, _ := appliance.FieldOf(object, path)
	return f.Help
}

func addScript(p *page) error { return p.commitScript("") }

func saveScript(p *page) error { return p.commitScript(p.Param("script")) }

func (p *page) commitScript(id string) error {
	typed := appliance.Script{ID: id, Label: strings.TrimSpace(p.FormValue("label")), Body: strings.ReplaceAll(p.FormValue("body"), "\r\n", "\n")}
	var bases []appliance.Base
	if id != "" && p.FormValue("do") != "overwrite" {
		bases = []appliance.Base{{Object: "script", ID: id, Hash: p.base()}}
	}
	ctx, cancel := p.lasting()
	defer cancel()
	_, err := p.ui.Control.Commit(ctx, p.origin, bases, func(c *appliance.Config) error {
		if id == "" {
			c.Cluster.Scripts = append(c.Cluster.Scripts, typed)
			return nil
		}
		s := c.Cluster.Script(id)
		if s == nil {
			return errNoScript()
		}
		*s = typed
		return nil
	})
	if err == nil {
		return p.done(scriptsPath, "%s is saved%s.", typed.Label, p.ui.whetherRunning())
	}
	return p.refuse(err, "scripts["+typed.Label+"].", []string{"label", "body"}, scriptsPath+"/"+id, func(status int, errs form.Errors, stale *view.Stale) error {
		return p.showScript(status, typed, p.FormValue("base"), errs, stale)
	})
}

// refuse shows a simple form again with what was wrong; errors that no field explains are answered as such.
func (p *page) refuse(err error, prefix string, paths []string, theirs string, show func(int, form.Errors, *view.Stale) error) error {
	var stale *appliance.StaleError
	if errors.As(err, &stale) {
		return show(http.StatusConflict, nil, staleOf(stale, theirs))
	}
	kind := problem.KindOf(err)
	if kind == appliance.Internal || kind == appliance.NotFound {
		return err
	}
	status := problem.FormStatus(kind)
	if kind == appliance.Conflict || kind == appliance.Denied {
		status = http.StatusUnprocessableEntity
	}
	known := func(path string) bool {
		for _, p := range paths {
			if p == path {
				return true
			}
		}
		return false
	}
	return show(status, form.Sort(err, prefix, known), nil)
}

func askDeleteScript(p *page) error {
	saved := p.ui.Control.Saved().Config.Cluster
	s := saved.Script(p.Param("script"))
	if s == nil {
		return errNoScript()
	}
	v := view.Confirm{
		Text: "Delete " + s.Label + "?", Path: scriptsPath + "/" + s.ID + "/delete", Button: "Delete", Danger: true, Back: scriptsPath, Base: appliance.Hash(s),
		Facts: []string{"The history keeps it; going back to an earlier revision brings it back."},
	}
	if list := usersOf(&saved, s.ID); len(list) > 0 {
		v.Warning = "It is used by " + strings.Join(list, ", ") + ": choose another check there first."
	}
	return p.show(http.StatusOK, view.ConfirmPage(p.frame("Delete "+s.Label, scriptsPath), v))
}

func deleteScript(p *page) error {
	id, label := p.Param("script"), ""
	return p.remove(scriptsPath, appliance.Base{Object: "script", ID: id, Hash: p.base()}, func(c *appliance.Config) error {
		for i := range c.Cluster.Scripts {
			if c.Cluster.Scripts[i].ID == id {
				label = c.Cluster.Scripts[i].Label
				c.Cluster.Scripts = append(c.Cluster.Scripts[:i], c.Cluster.Scripts[i+1:]...)
				return nil
			}
		}
		return errNoScript()
	}, &label)
}

// remove commits a deletion; when it is refused, the list says why.
func (p *page) remove(list string, base appliance.Base, edit appliance.Edit, label *string) error {
	ctx, cancel := p.lasting()
	defer cancel()
	_, err := p.ui.Control.Commit(ctx, p.origin, []appliance.Base{base}, edit)
	var stale *appliance.StaleError
	switch kind := problem.KindOf(err); {
	case err == nil:
		return p.done(list, "%s is deleted%s.", *label, p.ui.whetherRunning())
	case errors.As(err, &stale):
		p.say("error", "%s %s", stale.Err.Text(), "Look at it again before you delete it.")
		return p.see(list)
	case kind == appliance.Internal || kind == appliance.NotFound:
		return err
	}
	for _, e := range appliance.ErrorsOf(err) {
		p.say("error", "Not deleted: %s%s", e.Text(), hinted(e))
	}
	return p.see(list)
}

func askDeleteService(p *page) error {
	saved := p.ui.Control.Saved().Config.Cluster
	s := saved.Service(p.Param("service"))
	if s == nil {
		return errNoService()
	}
	status := p.ui.Control.Status()
	seen, _ := status.Service(s.ID)
	v := view.Confirm{
		Text: "Delete " + s.Label + "?", Path: layer7 + "/" + s.ID + "/delete", Button: "Delete", Danger: true, Back: layer7, Base: appliance.Hash(s),
		Facts: []string{
			noLonger(s),
			endsLater(seen.Connections),
			view.Plural(len(s.RealServers), "real server") + " of this service go with it. The history keeps it; going back to an earlier revision brings it back.",
		},
	}
	if len(s.RealServers) == 1 {
		v.Facts[2] = "Its real server goes with it. The history keeps it; going back to an earlier revision brings it back."
	}
	return p.show(http.StatusOK, view.ConfirmPage(p.frame("Delete "+s.Label, layer7), v))
}

func endsLater(n int) string {
	switch n {
	case 0:
		return "No connection is open on it now."
	case 1:
		return "The one connection that is open ends then."
	}
	return "The " + view.Number(n) + " connections that are open now end then."
}

func deleteService(p *page) error {
	id, label := p.Param("service"), ""
	return p.remove(layer7, appliance.Base{Object: "virtual_service", ID: id, Hash: p.base()}, func(c *appliance.Config) error {
		for i := range c.Cluster.VirtualServices {
			if c.Cluster.VirtualServices[i].ID == id {
				label = c.Cluster.VirtualServices[i].Label
				c.Cluster.VirtualServices = append(c.Cluster.VirtualServices[:i], c.Cluster.VirtualServices[i+1:]...)
				return nil
			}
		}
		return errNoService()
	}, &label)
}

// noLonger says what clients lose with a service.
func noLonger(s *appliance.VirtualService) string {
	if s.PoolOnly {
		return "No rule can lead to it any more; those that do must go first."
	}
	return s.Address.String() + " no longer answers on port " + s.Ports.String() + ", once this is applied."
}
