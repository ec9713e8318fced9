package ui

import (
	"evenkeel/appliance"
	"evenkeel/ui/form"
)

// poolChoices lists the services whose pool a rule of the service with that id may use.
func poolChoices(c *appliance.Cluster, id, protocol string) []form.Option {
	out := []form.Option{{Value: "", Name: "choose a service"}}
	for i := range c.VirtualServices {
		if s := &c.VirtualServices[i]; s.ID != id && string(s.Protocol) == protocol {
			out = append(out, form.Option{Value: s.ID, Name: s.Label})
		}
	}
	return out
}

// serverChoices lists the typed servers; one that has no id yet goes by its label.
func serverChoices(rows []form.Row) []form.Option {
	out := []form.Option{{Value: "", Name: "choose a real server"}}
	for _, r := range rows {
		switch {
		case r.ID != "":
			out = append(out, form.Option{Value: r.ID, Name: r.Label})
		case r.Label != "":
			out = append(out, form.Option{Value: r.Label, Name: r.Label})
		}
	}
	return out
}
