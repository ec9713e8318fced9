package appliance

import "time"

// The bounds of Pool.HashLoad, in percent of a server's share.
const (
	minHashLoad = 101
	maxHashLoad = 10000
)

// balance checks how the servers of a service are chosen.
func (v *validation) balance(s *VirtualService) {
	v.oneOf("scheduler", s.Scheduler.Valid(), string(s.Scheduler))
	v.oneOf("mode", s.Mode.Valid(), string(s.Mode))
	if s.Scheduler.ReadsRequest() && s.Protocol != HTTP {
		v.refuse("scheduler", "The %s needs HTTP Mode; TCP Mode can choose by source hash.", s.Scheduler)
	}
	switch {
	case s.HashHeader != "" && !validToken.MatchString(s.HashHeader):
		v.refuse("hash_header", "A header's name has letters, digits and signs such as - and _, no space and no colon.")
	case s.HashHeader == "" && s.Scheduler == HeaderHash:
		v.refuse("hash_header", "Write the header whose value chooses the server, such as X-Tenant.")
	}
	if s.HashLoad != 0 {
		v.between("hash_load", s.HashLoad, minHashLoad, maxHashLoad)
	}
	v.between("minimum_servers", s.MinimumServers, 0, MaxServers)
	v.lasts("slow_start", s.SlowStart, 0, time.Hour)
}
