package appliance

import (
	"slices"
	"strings"
)

// spokenRule is a rule as a plan tells it.
type spokenRule struct {
	Label    string `json:"label"`
	Disabled bool   `json:"disabled"`
	When     string `json:"when"`
	Then     string `json:"then"`
}

// diffRules tells what differs in the rules of one service, which are matched by id. No connection is concerned: a rule looks at requests that begin.
func diffRules(a, b *Cluster, pair [2]*VirtualService) []Change {
	old, fresh := pair[0], pair[1]
	if fresh == nil {
		return nil
	}
	if old == nil {
		old = &VirtualService{}
	}
	var out []Change
	for _, rules := range match(old.Rules, fresh.Rules, func(r *Rule) string { return r.ID }) {
		var spoken [2]*spokenRule
		for i, r := range rules {
			if r != nil {
				spoken[i] = &spokenRule{r.Label, r.Disabled, r.Conditions(), r.Actions([2]*Cluster{a, b}[i].NameOf)}
			}
		}
		name := idOf(rules, func(r *Rule) (string, string) { return r.ID, r.Label })
		if c, differs := diffObject("rule", name, spoken); differs {
			c.Service, c.Of, c.Effect = fresh.ID, fresh.Label, Keeps
			out = append(out, c)
		}
	}
	if reordered(old.Rules, fresh.Rules, func(r Rule) string { return r.ID }) {
		labels := func(r Rule) string { return r.Label }
		out = append(out, orderChange([2]string{fresh.ID, fresh.Label}, "rules", "Order of the rules", joined(old.Rules, labels), joined(fresh.Rules, labels)))
	}
	return out
}

// reordered tells whether the elements that both lists hold stand in another order.
func reordered[T any](a, b []T, id func(T) string) bool {
	last := -1
	for _, r := range b {
		i := slices.IndexFunc(a, func(x T) bool { return id(x) == id(r) })
		if i < 0 {
			continue
		}
		if i < last {
			return true
		}
		last = i
	}
	return false
}

func joined[T any](list []T, label func(T) string) string {
	out := make([]string, len(list))
	for i, r := range list {
		out[i] = label(r)
	}
	return strings.Join(out, ", ")
}

func orderChange(service [2]string, field, name, from, to string) Change {
	f := FieldChange{Field: field, Name: name, From: from, To: to}
	return Change{Object: "virtual_service", ID: service[0], Label: service[1], Action: Changed, Fields: []FieldChange{f}, Effect: Keeps}
}
