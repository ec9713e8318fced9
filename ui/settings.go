package ui

import (
	"net/http"
	"strconv"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/form"
	"evenkeel/ui/view"
)

const (
	localPath    = "/lbadmin/local"
	advancedPath = "/lbadmin/advanced"
)

func localForm(p *page) error {
	l := p.ui.Control.Saved().Config.Local
	return p.showLocal(http.StatusOK, l.Hostname, strings.Join(l.Names, "\n"), strings.Join(l.MetricsNetworks, "\n"), appliance.Hash(&l), nil, nil)
}

func (p *page) showLocal(status int, hostname, names, networks, base string, errs form.Errors, stale *view.Stale) error {
	area := simple("local", "host_names", "area", names, "lb1.example.org")
	area.Rows = 4
	readers := simple("local", "metrics_networks", "area", networks, "192.168.0.0/24")
	readers.Rows = 3
	v := view.SimpleForm{
		Title: "Hostname", Lead: view.NeverReplicated, Path: localPath, Button: "Save", Base: base, Errors: errs, Stale: stale, Edit: p.holds(appliance.Administrator),
		Fields: []view.SimpleField{simple("local", "hostname", "text", hostname, p.ui.Hostname), area, readers},
	}
	return p.show(status, view.SimplePage(p.frame("Hostname", localPath), v))
}

func saveLocal(p *page) error {
	hostname, names, networks := strings.TrimSpace(p.FormValue("hostname")), p.FormValue("host_names"), p.FormValue("metrics_networks")
	ctx, cancel := p.lasting()
	defer cancel()
	_, err := p.ui.Control.Commit(ctx, p.origin, p.baseOf("local"), func(c *appliance.Config) error {
		c.Local.Hostname, c.Local.Names = hostname, separate(names)
		c.Local.MetricsNetworks = separate(networks)
		return nil
	})
	if err == nil {
		return p.done(localPath, "Saved%s.", p.ui.whetherRunning())
	}
	return p.refuse(err, "local.", []string{"hostname", "host_names", "metrics_networks"}, localPath, func(status int, errs form.Errors, stale *view.Stale) error {
		return p.showLocal(status, hostname, names, networks, p.FormValue("base"), errs, stale)
	})
}

// separate splits what was typed one a line, or with commas.
func separate(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r <= ' ' })
}

// baseOf names the one object of its kind as the form read it, unless the other change shall be overwritten.
func (p *page) baseOf(object string) []appliance.Base {
	if p.FormValue("do") == "overwrite" {
		return nil
	}
	return []appliance.Base{{Object: object, Hash: p.base()}}
}

func advancedForm(p *page) error {
	s := p.ui.Control.Saved().Config.Cluster.Settings
	return p.showAdvanced(http.StatusOK, s, appliance.Hash(&s), nil, nil)
}

func (p *page) showAdvanced(status int, s appliance.Settings, base string, errs form.Errors, stale *view.Stale) error {
	v := view.SimpleForm{
		Title: "Layer 7 – Advanced Configuration", Path: advancedPath, Button: "Save", Base: base, Errors: errs, Stale: stale, Edit: p.may(appliance.Administrator),
		Fields: []view.SimpleField{
			simple("settings", "apply_at_once", "check", strconv.FormatBool(s.ApplyAtOnce), ""),
			simple("settings", "allow_loopback", "check", strconv.FormatBool(s.AllowLoopback), ""),
		},
	}
	return p.show(status, view.SimplePage(p.frame("Layer 7 – Advanced Configuration", advancedPath), v))
}

func saveAdvanced(p *page) error {
	typed := appliance.Settings{ApplyAtOnce: p.FormValue("apply_at_once") == "true", AllowLoopback: p.FormValue("allow_loopback") == "true"}
	ctx, cancel := p.lasting()
	defer cancel()
	_, err := p.ui.Control.Commit(ctx, p.origin, p.baseOf("settings"), func(c *appliance.Config) error {
		c.Cluster.Settings.ApplyAtOnce, c.Cluster.Settings.AllowLoopback = typed.ApplyAtOnce, typed.AllowLoopback
		return nil
	})
	if err == nil {
		return p.done(advancedPath, "Saved%s.", p.ui.whetherRunning())
	}
	return p.refuse(err, "settings.", []string{"apply_at_once", "allow_loopback"}, advancedPath, func(status int, errs form.Errors, stale *view.Stale) error {
		return p.showAdvanced(status, typed, p.FormValue("base"), errs, stale)
	})
}
