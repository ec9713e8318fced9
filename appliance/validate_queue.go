package appliance

import (
	"fmt"
	"time"
)

// queue checks how many may wait for a place, and what needs that some do.
func (v *validation) queue(s *VirtualService) {
	v.between("limits.queue", s.Limits.Queue, 0, maxConnections)
	v.lasts("limits.queue_timeout", s.Limits.QueueTimeout, 10*time.Millisecond, maxDuration)
	v.between("limits.full_load", s.Limits.FullLoad, 0, maxConnections)
	if s.Protocol == UDP && s.Limits.Queue > 0 {
		v.refuse("limits.queue", "UDP Mode has no queue: a datagram is served at once or lost.")
	}
	for i := range s.RealServers {
		r, field := &s.RealServers[i], fmt.Sprintf("real_servers[%d].min_connections", i)
		switch {
		case r.MinConnections < 0 || r.MinConnections > maxConnections:
			v.refuse(field, "Minimum connections are 0 (always the maximum) to %d.", maxConnections)
		case r.MinConnections == 0:
		case r.MinConnections > r.MaxConnections:
			v.refuse(field, "Minimum connections need maximum connections that are not fewer.")
		case s.Limits.Queue == 0:
			v.refuse(field, "Minimum connections need a queue: with few clients they would be turned away. Set how many may wait under Limits and times.")
		}
	}
}
