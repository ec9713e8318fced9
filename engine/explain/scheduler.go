package explain

import (
	"fmt"
	"strings"

	"evenkeel/appliance"
)

// byScheduler says why the scheduler chose whom it chose.
func (w *account) byScheduler(f *Finding) string {
	c := f.Config
	switch {
	case c.Mode == appliance.Failover:
		return "it is the first in the order that can serve"
	case c.Scheduler == appliance.FirstAvailable:
		return "it is the first in the order that has room"
	case c.Scheduler == appliance.SourceHash:
		return fmt.Sprintf("the address %s belongs to it while it can serve%s", w.query.Client.Addr(), bounded(c))
	case c.Scheduler.ReadsRequest() && w.query.Key != 0:
		return fmt.Sprintf("%s belongs to it while it can serve%s", hashed(c), bounded(c))
	case c.Scheduler == appliance.RoundRobin:
		return "it is its turn, by weight"
	case c.Scheduler == appliance.RandomOfTwo:
		return "of two that were drawn by weight it is the less loaded"
	case c.Scheduler == appliance.FastestResponse:
		return w.byPace(f)
	}
	return w.byLoad(f)
}

func bounded(c *appliance.VirtualService) string {
	if c.HashLoad == 0 {
		return ""
	}
	return fmt.Sprintf(" and has no more than %d %% of its share", c.HashLoad)
}

func hashed(c *appliance.VirtualService) string {
	if c.Scheduler == appliance.URIHash {
		return "the path"
	}
	return "the value of " + c.HashHeader
}

// byLoad is weighted least connections.
func (w *account) byLoad(f *Finding) string {
	chosen := seatOf(f, f.ID())
	mine, weight := f.Seats[chosen].Open, f.Config.RealServers[chosen].Weight
	var tied []string
	for i, s := range f.Seats {
		r := &f.Config.RealServers[i]
		if i != chosen && s.Usable && r.Backup == f.Config.RealServers[chosen].Backup && s.Open*int64(weight*f.Seats[chosen].Percent) == mine*int64(r.Weight*s.Percent) {
			tied = append(tied, r.Label)
		}
	}
	text := fmt.Sprintf("it has the fewest connections for its weight, %d for %d", mine, weight)
	if len(tied) > 0 {
		text += ", as many as " + strings.Join(tied, " and ") + ", and it is its turn"
	}
	if f.Config.Scheduler.ReadsRequest() {
		return "the request has nothing to choose by, and " + text
	}
	return text
}

func (w *account) byPace(f *Finding) string {
	s := f.Seats[seatOf(f, f.ID())]
	if s.Pace == 0 {
		return "how fast it answers is not known yet"
	}
	return fmt.Sprintf("a client waits the shortest there: it answers in %s on average, with %d open", s.Pace.Round(10000), s.Open)
}
