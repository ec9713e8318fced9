package appliance

import (
	"slices"
	"strings"
)

// Rule is one of a service's rules, which are looked at in the operator's order. All its conditions must hold for what the client sent; then its actions are done, in their
// order. A rule without conditions always holds. The first answer (redirect, deny, a limit that is reached) ends the rules; of several pools or servers the first counts.
type Rule struct {
	ID       string       `json:"id"`    // immutable, given at first commit, unique in the appliance
	Label    string       `json:"label"` // unique in the service
	Disabled bool         `json:"disabled,omitempty"`
	When     []Condition  `json:"when"`
	Then     []RuleAction `json:"then"`
}

// Conditions returns the rule's conditions in a few words.
func (r Rule) Conditions() string {
	if len(r.When) == 0 {
		return "always"
	}
	parts := make([]string, len(r.When))
	for i, c := range r.When {
		parts[i] = c.String()
	}
	return strings.Join(parts, " and ")
}

// Actions returns what the rule does in a few words; name as in RuleAction.Sentence.
func (r Rule) Actions(name func(id string) string) string {
	parts := make([]string, len(r.Then))
	for i, a := range r.Then {
		parts[i] = a.Sentence(name)
	}
	return strings.Join(parts, ", ")
}

func cloneRules(list []Rule) []Rule {
	list = slices.Clone(list)
	for i := range list {
		list[i].When, list[i].Then = slices.Clone(list[i].When), slices.Clone(list[i].Then)
	}
	return list
}

func (r *Rule) normalize() {
	r.Label = strings.TrimSpace(r.Label)
	if r.When == nil {
		r.When = []Condition{}
	}
	if r.Then == nil {
		r.Then = []RuleAction{}
	}
	for i := range r.When {
		c := &r.When[i]
		c.Name = strings.TrimSpace(c.Name)
		if c.Operator == "" {
			c.Operator = OpEqual
		}
		if c.Operator == OpPresent {
			c.Value = ""
		}
		if c.Subject.listed() && c.Operator != OpRegexp {
			c.Value = strings.Join(c.Values(), ", ")
		}
		if c.Subject != SubjectQuery && !c.Subject.Named() {
			c.Name = ""
		}
	}
	for i := range r.Then {
		r.Then[i] = r.Then[i].canonical()
	}
}

// NameRules turns the labels that rules were written with into ids: a program that adds a service cannot know the ids of its servers yet.
func (c *Cluster) NameRules() {
	byLabel := make(map[string]string, len(c.VirtualServices))
	for i := range c.VirtualServices {
		byLabel[c.VirtualServices[i].Label] = c.VirtualServices[i].ID
	}
	for i := range c.VirtualServices {
		s := &c.VirtualServices[i]
		for r := range s.Rules {
			for k := range s.Rules[r].Then {
				a := &s.Rules[r].Then[k]
				if id := byLabel[a.Pool]; a.Kind == DoPool && id != "" && c.Service(a.Pool) == nil {
					a.Pool = id
				}
				if a.Kind == DoServer && s.Server(a.Server) == nil {
					a.Server = s.serverLabelled(a.Server)
				}
			}
		}
	}
}

// serverLabelled returns the id of the server with that label, or what was given.
func (s *VirtualService) serverLabelled(label string) string {
	for i := range s.RealServers {
		if s.RealServers[i].Label == label && s.RealServers[i].ID != "" {
			return s.RealServers[i].ID
		}
	}
	return label
}

// NameOf returns the label of the service or real server with that id, or the id.
func (c *Cluster) NameOf(id string) string {
	for i := range c.VirtualServices {
		s := &c.VirtualServices[i]
		if s.ID == id {
			return s.Label
		}
		if r := s.Server(id); r != nil {
			return r.Label
		}
	}
	return id
}
