package engine

import (
	"fmt"
	"strings"

	"evenkeel/appliance"
)

// judge says how a whole service is, and why in one sentence. Servers that the operator drained or halted do not count as failing.
func judge(c *appliance.VirtualService, servers []appliance.ServerStatus) (appliance.ServiceHealth, string) {
	var up, unknown, off int
	var down []string
	for i := range servers {
		s := &servers[i]
		switch {
		case s.State != appliance.Online:
			off++
		case s.Check.Health == appliance.Down:
			down = append(down, s.Label)
		case s.Check.Health == appliance.Up:
			up++
		default:
			unknown++
		}
	}
	online := len(servers) - off
	switch {
	case len(servers) == 0:
		return without(c, "There is no real server")
	case online == 0:
		return appliance.ServiceDrained, drained(c, servers)
	case len(down) == online:
		return without(c, allDown(down))
	case len(down) > 0:
		return appliance.ServiceDegraded, fmt.Sprintf("%s; %s.", areDown(down), left(online-len(down)))
	case up == 0:
		return appliance.ServiceUnknown, "The first checks are still under way; clients are served meanwhile."
	case unknown > 0:
		return appliance.ServiceUp, fmt.Sprintf("%d of %d real servers are up, the others are being checked.", up, online)
	case off > 0:
		return appliance.ServiceUp, fmt.Sprintf("%s; %s drained or halted by an operator.", everyUp(online), isAre(off))
	}
	return appliance.ServiceUp, everyUp(online) + "."
}

// without is the state of a service that no real server serves.
func without(c *appliance.VirtualService, why string) (appliance.ServiceHealth, string) {
	switch c.Fallback.Kind {
	case appliance.FallbackPage:
		return appliance.ServiceFallback, why + "; clients get the fallback page."
	case appliance.FallbackServer:
		return appliance.ServiceFallback, fmt.Sprintf("%s; the fallback server %s serves.", why, c.Fallback.Address)
	}
	if c.Protocol == appliance.HTTP {
		return appliance.ServiceDown, why + "; clients get the answer 503."
	}
	return appliance.ServiceDown, why + "; clients are disconnected at once."
}

func drained(c *appliance.VirtualService, servers []appliance.ServerStatus) string {
	open := 0
	for i := range servers {
		open += servers[i].Connections
	}
	text := "Every real server is drained or halted by an operator"
	if open > 0 {
		text += fmt.Sprintf("; %s still open", connections(open))
	}
	if c.Fallback.Kind != appliance.FallbackNone {
		return text + "; new clients get the fallback."
	}
	return text + "; new clients are turned away."
}

func connections(n int) string {
	if n == 1 {
		return "1 connection is"
	}
	return fmt.Sprintf("%d connections are", n)
}

func allDown(labels []string) string {
	if len(labels) == 1 {
		return labels[0] + " is down and there is no other real server online"
	}
	return fmt.Sprintf("All %d real servers that are online are down", len(labels))
}

func areDown(labels []string) string {
	switch {
	case len(labels) == 1:
		return labels[0] + " is down"
	case len(labels) <= 3:
		return strings.Join(labels[:len(labels)-1], ", ") + " and " + labels[len(labels)-1] + " are down"
	}
	return fmt.Sprintf("%s, %s and %d more are down", labels[0], labels[1], len(labels)-2)
}

func left(n int) string {
	if n == 1 {
		return "1 other serves"
	}
	return fmt.Sprintf("%d others serve", n)
}

func everyUp(n int) string {
	if n == 1 {
		return "The real server is up"
	}
	return fmt.Sprintf("All %d real servers are up", n)
}

func isAre(n int) string {
	if n == 1 {
		return "1 more is"
	}
	return fmt.Sprintf("%d more are", n)
}
