package ui

import (
	"net/http"
	"net/url"

	"evenkeel/appliance"
	"evenkeel/ui/view"
)

// reviewCommit shows field by field what is saved and not yet running, and what applying does to live connections.
func reviewCommit(p *page) error {
	plan, status := p.ui.Control.Pending(), p.ui.Control.Status()
	f := p.liveFrame("Commit changes", "", url.Values{"on": {"review"}, "at": {"/lbadmin/commit"}}, nil)
	f.Narrow = true
	v := view.Review{Box: p.commitBox()}
	for _, c := range plan.Changes {
		v.Changes = append(v.Changes, changeOf(c, &status))
	}
	return p.show(http.StatusOK, view.ReviewPage(f, v))
}

// changeOf draws one change; with a status it says in numbers what the change does.
func changeOf(c appliance.Change, status *appliance.Status) view.Change {
	out := view.Change{Change: c}
	if status == nil {
		return out
	}
	n := concerned(c, *status)
	switch {
	case c.Effect == appliance.Ends && c.Action != appliance.Added:
		out.Effect, out.Ends = ends(n), n > 0
	case c.Effect == appliance.Drains && n > 0:
		out.Effect = "It gets no new clients; " + view.Plural(n, "connection") + " may finish."
	case c.Effect == appliance.Drains:
		out.Effect = "It gets no new clients; no connection is open on it."
	case c.Object == "virtual_service" && c.Action == appliance.Added:
		out.Effect = "It begins to serve."
	default:
		out.Effect = "No connection is touched."
	}
	return out
}

func applySaved(p *page) error {
	ctx, cancel := p.lasting()
	defer cancel()
	revision, err := p.ui.Control.Apply(ctx, p.origin)
	if err != nil {
		if appliance.KindOf(err) == appliance.Conflict && p.ui.Control.Writable() != nil {
			return err
		}
		for _, e := range appliance.ErrorsOf(err) {
			if e.Kind == appliance.Internal {
				return err
			}
			p.say("error", "Not applied: %s%s", e.Text(), hinted(e))
		}
		return p.see("/lbadmin/commit")
	}
	return p.done(back(p.FormValue("back")), "Applied: revision %d runs now.", revision.Number)
}

func discardSaved(p *page) error {
	ctx, cancel := p.lasting()
	defer cancel()
	made, err := p.ui.Control.Discard(ctx, p.origin)
	if err != nil {
		return err
	}
	if made.Unchanged {
		return p.done("/lbadmin/", "There was nothing to discard.")
	}
	return p.done("/lbadmin/", "Discarded. What was saved is still in the history, before revision %d.", made.Revision.Number)
}
