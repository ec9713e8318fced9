package ui

import (
	"net/http"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/form"
	"evenkeel/ui/view"
)

// tryPrefix begins the names of the fields of a request that rules are tried with, within the form of their service.
const tryPrefix = "try."

// tryRules shows what the typed rules, saved or not, make of a request.
func (e *editing) tryRules() error {
	e.open = "rules"
	typed := e.p.Request().PostForm.Get
	made, err := e.p.ui.Control.Try(e.p.ctx(), nil, e.edit)
	if err != nil {
		return e.refused(err)
	}
	s := serviceLabelled(&made.Config.Cluster, e.typed.Values["label"])
	if s == nil {
		return errNoService()
	}
	q, errs := appliance.ReadQuestion(func(field string) string {
		if field == "virtual_service" {
			return s.Label
		}
		return typed(tryPrefix + field)
	})
	if len(errs) == 0 {
		answer, err := e.p.ui.Engine.TryRules(*s, made.Config.Cluster.NameOf, q)
		if err == nil {
			e.tried = &answer
			return e.show(http.StatusOK)
		}
		errs = appliance.ErrorsOf(err)
	}
	e.tryErrs = form.Sort(errs, "", isQuestionField)
	return e.show(http.StatusUnprocessableEntity)
}

func serviceLabelled(c *appliance.Cluster, label string) *appliance.VirtualService {
	for i := range c.VirtualServices {
		if c.VirtualServices[i].Label == strings.TrimSpace(label) {
			return &c.VirtualServices[i]
		}
	}
	return nil
}

// trial is the part of the form that tries the rules.
func (e *editing) trial() view.Trial {
	typed := func(string) string { return "" }
	if form := e.p.Request().PostForm; form != nil {
		typed = form.Get
	}
	t := view.Trial{Asked: e.p.asked(tryPrefix, typed), Answer: e.tried}
	t.Asked.Errors, t.Asked.Fields = e.tryErrs, []string{"client", "tls_name"}
	if e.typed.Values["protocol"] == string(appliance.HTTP) {
		t.Asked.Fields = []string{"client", "url"}
		t.Asked.More = []string{"method", "headers", "cookies", "tls_name", "answer"}
	}
	t.Asked.Unfold()
	return t
}
