package ui

import (
	"net/http"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/form"
	"evenkeel/ui/view"
)

const fallbackPath = "/lbadmin/fallback"

func fallbackForm(p *page) error {
	s := p.ui.Control.Saved().Config.Cluster.Settings
	return p.showFallback(http.StatusOK, s.FallbackPage, appliance.Hash(&s), nil, nil)
}

func (p *page) showFallback(status int, text, base string, errs form.Errors, stale *view.Stale) error {
	area := simple("settings", "fallback_page", "area", text, "<h1>We are back soon</h1>")
	area.Rows = 18
	v := view.SimpleForm{
		Title: "Fallback Page", Lead: "What visitors of a web service see while none of its servers can serve.", Path: fallbackPath, Button: "Save", Base: base,
		Errors: errs, Stale: stale, Edit: p.may(appliance.Administrator), Fields: []view.SimpleField{area},
	}
	return p.show(status, view.SimplePage(p.frame("Fallback Page", fallbackPath), v))
}

func saveFallback(p *page) error {
	text := p.FormValue("fallback_page")
	ctx, cancel := p.lasting()
	defer cancel()
	_, err := p.ui.Control.Commit(ctx, p.origin, p.baseOf("settings"), func(c *appliance.Config) error {
		c.Cluster.Settings.FallbackPage = strings.ReplaceAll(text, "\r\n", "\n")
		return nil
	})
	if err == nil {
		return p.done(fallbackPath, "Saved%s.", p.ui.whetherRunning())
	}
	return p.refuse(err, "settings.", []string{"fallback_page"}, fallbackPath, func(status int, errs form.Errors, stale *view.Stale) error {
		return p.showFallback(status, text, p.FormValue("base"), errs, stale)
	})
}
