package ui

import (
	"net/http"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/view"
)

// endsServing returns the labels of the services that have new clients served now and would not have them served without these servers.
func (p *page) endsServing(list []use) []string {
	var serve []use
	for _, u := range list {
		if u.status.State == appliance.Online && u.status.Check.Health == appliance.Up {
			serve = append(serve, u)
		}
	}
	if len(serve) == 0 {
		return nil
	}
	var out []string
	for _, label := range p.unserved(list) {
		for _, u := range serve {
			if u.service.Label == label {
				out = append(out, label)
				break
			}
		}
	}
	return out
}

// askDrainOf asks before many servers are drained whose services, alone, nobody else would serve. hidden is what the form that asks sends along beside the answer.
func (p *page) askDrainOf(list []use, alone []string, path, there string, hidden ...view.Hidden) error {
	v := view.Confirm{
		Text: "Drain " + view.Plural(len(list), "real server") + "?", Path: path, Button: "Drain", Back: there, From: there,
		Facts:   []string{named(list) + ".", "What is open may finish.", "They get no new clients until they are brought online again."},
		Warning: notServed(alone), Hidden: append(hidden, view.Hidden{Name: "sure", Value: "yes"}),
	}
	return p.show(http.StatusOK, view.ConfirmPage(p.frame("Drain real servers", "/lbadmin/"), v))
}

func notServed(alone []string) string {
	return "No other server is up and online for " + strings.Join(alone, ", ") + ": not served by a real server then."
}

// tickedAgain sends along the servers that were ticked.
func tickedAgain(list []use) []view.Hidden {
	out := make([]view.Hidden, len(list))
	for i, u := range list {
		out[i] = view.Hidden{Name: "server", Value: u.service.ID + "/" + u.server.ID}
	}
	return out
}
