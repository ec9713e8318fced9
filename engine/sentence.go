package engine

import (
	"fmt"
	"strings"

	"evenkeel/appliance"
)

// judge says how a whole service is, and why in one sentence. Servers that the operator drained or halted do not count as failing.
func judge(c *appliance.VirtualService, servers []appliance.ServerStatus) (appliance.ServiceHealth, string) {
	n := countServers(c, servers)
	switch {
	case c.TLS.Redirects():
		return appliance.ServiceUp, "Every request is redirected to HTTPS; no real server is asked."
	case len(servers) == 0:
		return without(c, "There is no real server")
	case n.online == 0:
		return appliance.ServiceDrained, drained(c, servers, n)
	case len(n.down) > 0 && n.online-len(n.down) < c.MinimumServers:
		return appliance.ServiceDegraded, fmt.Sprintf("%s; because fewer than %d are healthy, all that are online are used again.", failing(n), c.MinimumServers)
	case len(n.down) == n.online:
		return without(c, allDown(n.down))
	case n.regular == 0 && len(n.backups) > 0:
		return appliance.ServiceDegraded, fmt.Sprintf("%s; %s.", withoutRegular(n), backupsServe(n.backups))
	case len(n.down) > 0:
		return appliance.ServiceDegraded, fmt.Sprintf("%s; %s.", areDown(n.down), left(n.regular))
	case n.up == 0:
		return appliance.ServiceUnknown, "The first checks are still under way; clients are served meanwhile."
	case n.unknown > 0:
		return appliance.ServiceUp, fmt.Sprintf("%d of %d real servers are up, the others are being checked.", n.up, n.online)
	case n.off > 0 && n.held > 0:
		return appliance.ServiceUp, fmt.Sprintf("%s; %s drained or halted by an operator, %s kept back by its agent.", everyUp(n.online), isAre(n.off), isAre(n.held))
	case n.off > 0:
		return appliance.ServiceUp, fmt.Sprintf("%s; %s drained or halted by an operator.", everyUp(n.online), isAre(n.off))
	case n.held > 0:
		return appliance.ServiceUp, fmt.Sprintf("%s; %s kept back by its agent.", everyUp(n.online), isAre(n.held))
	}
	return appliance.ServiceUp, everyUp(n.online) + "."
}

// tally is the servers of a service by how they are.
type tally struct {
	up, unknown int
	off         int      // drained or halted by an operator
	held        int      // kept back by their agents
	online      int      // all others
	regular     int      // online, not down, and no backup
	backups     []string // labels of those that are online and not down
	down        []string // labels
}

func countServers(c *appliance.VirtualService, servers []appliance.ServerStatus) tally {
	var n tally
	for i := range servers {
		s := &servers[i]
		if s.State != appliance.Online {
			n.off++
			continue
		}
		if s.Held() && s.Check.Health != appliance.Down {
			n.held++
			continue
		}
		switch s.Check.Health {
		case appliance.Down:
			n.down = append(n.down, s.Label)
			continue
		case appliance.Up:
			n.up++
		default:
			n.unknown++
		}
		if r := c.Server(s.ID); r != nil && r.Backup {
			n.backups = append(n.backups, s.Label)
		} else {
			n.regular++
		}
	}
	n.online = len(servers) - n.off - n.held
	return n
}

// failing tells which servers are down when it does not matter that none is left.
func failing(n tally) string {
	if len(n.down) == n.online && n.online > 1 {
		return fmt.Sprintf("All %d real servers that are online are down", n.online)
	}
	return areDown(n.down)
}

// kept says who keeps servers back.
func (n tally) kept() string {
	switch {
	case n.held == 0:
		return "drained or halted by an operator"
	case n.off == 0:
		return "kept back by its agent"
	}
	return "drained or halted by an operator, or kept back by its agent"
}

// withoutRegular says why only backups are left.
func withoutRegular(n tally) string {
	if len(n.down) == 0 {
		return "Every server that is no backup is " + n.kept()
	}
	return areDown(n.down)
}

func backupsServe(labels []string) string {
	if len(labels) == 1 {
		return "the backup " + labels[0] + " serves"
	}
	return fmt.Sprintf("%d backups serve", len(labels))
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

func drained(c *appliance.VirtualService, servers []appliance.ServerStatus, n tally) string {
	open := 0
	for i := range servers {
		open += servers[i].Connections
	}
	text := "Every real server is " + n.kept()
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

func waiting(n int) string {
	if n == 1 {
		return "1 client waits for a free place."
	}
	return fmt.Sprintf("%d clients wait for a free place.", n)
}
