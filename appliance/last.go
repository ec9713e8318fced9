package appliance

import (
	"fmt"
	"slices"
)

// LastServers warns of every service whose last servers that take new clients are those which the acts keep from it. status is what was seen before them.
func LastServers(c *Cluster, status *Status, acts []Act) []string {
	var out []string
	for i := range status.Services {
		s := &status.Services[i]
		config := c.Service(s.ID)
		if config == nil {
			continue
		}
		var taken []string
		left := 0
		for k := range s.Servers {
			switch r := &s.Servers[k]; {
			case r.State != Online || r.Weight == 0 || r.Check.Health == Down:
			case slices.ContainsFunc(acts, func(a Act) bool { return a.Service == s.ID && a.Server == r.ID && a.stops() }):
				taken = append(taken, r.Label)
			default:
				left++
			}
		}
		for _, a := range acts { // one that comes online in the same go serves, unless it is down
			if r, seen := s.Server(a.Server); a.Service == s.ID && seen && a.State == Online && r.State != Online && r.Weight > 0 && r.Check.Health != Down {
				left++
			}
		}
		if len(taken) > 0 && left == 0 {
			out = append(out, config.lost(taken))
		}
	}
	return out
}

// stops tells whether a server gets no new clients from an act on.
func (a *Act) stops() bool {
	return a.State == Drain || a.State == Halt || a.State == "" && a.Weight != nil && *a.Weight == 0
}

// lost says what it means that these were the last servers.
func (s *VirtualService) lost(labels []string) string {
	text := fmt.Sprintf("%s was the last server that takes new clients of %s", labels[0], s.Label)
	if n := len(labels); n > 1 {
		text = fmt.Sprintf("These %d were the last servers that take new clients of %s", n, s.Label)
	}
	switch s.Fallback.Kind {
	case FallbackPage:
		return text + ": they get the fallback page now."
	case FallbackServer:
		return text + ": they get the fallback server now."
	}
	return text + ": they are turned away now."
}
