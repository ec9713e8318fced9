package appliance

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Validate checks the whole configuration and returns every error at once, as Errors of kind Invalid (Unsupported for what a later version brings, Conflict for
// ports that are taken), or nil. It is pure: what only the machine can know (is the port free, is the address in one of our networks) is the engine's and the host's to check.
// Fields are paths from the root: "virtual_services[HL7].ports", where the part in brackets is the label as typed.
func Validate(c Config, site Site) error {
	v := &validation{config: &c, site: site}
	v.services()
	v.scripts()
	v.page("settings.fallback_page", c.Cluster.Settings.FallbackPage, MaxFallbackPage)
	v.heartbeat(c.Cluster.Heartbeat)
	v.local()
	if len(v.errors) == 0 {
		return nil
	}
	return v.errors
}

// Bounds of the configuration as a whole.
const (
	MaxServices = 5000
	MaxServers  = 1000 // of one service
	maxLabel    = 64
)

type validation struct {
	config *Config
	site   Site
	errors Errors
	prefix string // of the object at hand, ends with a dot
	id     string
}

func (v *validation) refuse(field, format string, args ...any) *Error {
	e := Refuse(v.prefix+field, format, args...)
	e.Subject = v.id
	v.errors = append(v.errors, e)
	return e
}

func (v *validation) services() {
	list := v.config.Cluster.VirtualServices
	if len(list) > MaxServices {
		v.refuse("virtual_services", "There are %d services; one appliance holds %d.", len(list), MaxServices)
		return
	}
	labels, ids := map[string]int{}, map[string]bool{}
	for i := range list {
		labels[strings.ToLower(list[i].Label)]++
	}
	for i := range list {
		s := &list[i]
		v.prefix, v.id = "virtual_services["+s.Label+"].", s.ID
		if v.label(s.Label) && labels[strings.ToLower(s.Label)] > 1 {
			v.refuse("label", "There is already a service named %s.", s.Label).Kind = Conflict
		}
		v.uniqueID(ids, s.ID)
		v.service(s, ids)
		v.listeners(s, list)
	}
	v.prefix, v.id = "", ""
	v.cycles(list)
}

func (v *validation) uniqueID(ids map[string]bool, id string) {
	if !validID.MatchString(id) {
		v.refuse("id", "%.40q is not an id.", id)
	} else if ids[id] {
		v.refuse("id", "The id %s stands twice.", id).Kind = Conflict
	}
	ids[id] = true
}

var (
	validID    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
	validLabel = regexp.MustCompile(`^[\pL\pN][\pL\pN _.-]*$`)
	validToken = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$") // RFC 9110, 5.6.2
)

func (v *validation) label(label string) bool {
	switch {
	case label == "":
		v.refuse("label", "A label is missing.")
	case len(label) > maxLabel:
		v.refuse("label", "The label is longer than %d bytes.", maxLabel)
	case !validLabel.MatchString(label):
		v.refuse("label", "A label has letters, digits, space, dot, _ and -, and begins with a letter or digit.")
	default:
		return true
	}
	return false
}

func (v *validation) service(s *VirtualService, ids map[string]bool) {
	if s.PoolOnly {
		v.poolOnly(s)
	} else {
		v.vip(s.Address)
		v.ports(s.Ports)
	}
	switch {
	case s.Layer != 4 && s.Layer != 7:
		v.refuse("layer", "The layer is 4 or 7.")
	case s.Layer == 4:
		v.refuse("layer", "This version balances at layer 7 only.").Kind = Unsupported
	}
	if !s.Protocol.Valid() {
		v.refuse("protocol", "The protocol is http, tcp or udp.")
	}
	v.balance(s)
	v.servers(s, ids)
	v.rules(s, ids)
	v.persistence(s)
	v.monitor(s)
	v.fallback(s)
	v.proxyProtocol(s)
	v.datagrams(s)
	v.sourceAddress(s)
	v.options(s)
	v.tls(s)
}

func (v *validation) oneOf(field string, valid bool, got string) {
	if !valid {
		v.refuse(field, "%.40q is not a choice here.", got)
	}
}

// listed is oneOf for words that stand in no list of a page or a command: it says them.
func listed[T ~string](v *validation, field string, got T, choices []T) {
	if slices.Contains(choices, got) {
		return
	}
	words := make([]string, len(choices))
	for i, c := range choices {
		words[i] = string(c)
	}
	v.refuse(field, "%.40q is not a choice here.", string(got)).Hint = "The choices are: " + strings.Join(words, ", ") + "."
}

func (v *validation) ports(list Ports) {
	if n := list.Count(); n == 0 {
		v.refuse("ports", "A port is missing; write one, a list or ranges: 80 or 80,443 or 800-900.")
	} else if n > MaxPorts {
		v.refuse("ports", "These are %d ports; one service may listen on %d.", n, MaxPorts)
	} else if list.Contains(0) {
		v.refuse("ports", "Port 0 does not exist; ports are 1 to 65535.")
	}
}

// vip checks the address of a service.
func (v *validation) vip(a netip.Addr) {
	switch {
	case !a.IsValid():
		v.refuse("address", "An IP address is missing, such as 192.168.0.188.")
	case a.Zone() != "":
		v.refuse("address", "An address with a zone cannot be a service's; leave out %%%s.", a.Zone())
	case a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		v.refuse("address", "%s is a multicast or broadcast address; a service needs one of its own.", a)
	case a.IsLinkLocalUnicast():
		v.refuse("address", "%s is link-local; clients on other networks could not reach it.", a)
	}
}

// listeners refuses a service that takes a port which the appliance or another service has. Two services that clash are told both, so that whichever is
// being edited shows it at its field.
func (v *validation) listeners(s *VirtualService, all []VirtualService) {
	if !s.Address.IsValid() {
		return
	}
	for _, l := range v.site.Listeners {
		if s.Protocol != UDP && Collides(s.Address, l.Address.Addr()) && s.Ports.Contains(l.Address.Port()) {
			v.refuse("ports", "Port %d is used by %s of this appliance.", l.Address.Port(), l.Name).Kind = Conflict
		}
	}
	for _, port := range kept(s.Protocol) {
		if s.Ports.Contains(port.port) && (s.Address.IsUnspecified() || port.everywhere) {
			v.refuse("ports", "Port %d is kept for %s of this appliance.", port.port, port.name).Kind = Conflict
		}
	}
	for i := range all {
		o := &all[i]
		if o == s || (o.Protocol == UDP) != (s.Protocol == UDP) || !o.Address.IsValid() || !Collides(s.Address, o.Address) {
			continue
		}
		if port, taken := s.Ports.Overlap(o.Ports); taken {
			v.refuse("ports", "Port %d on %s is already used by the service %s.", port, o.Address, o.Label).Kind = Conflict
		}
	}
}

// keptPort is a port that the appliance uses, or will; everywhere: on a service's own address too.
type keptPort struct {
	port       uint16
	name       string
	everywhere bool
}

func keptPorts() []keptPort {
	return []keptPort{
		{PortSSH, "SSH", false}, // on an address of its own a service may balance SFTP servers
		{PortWebUIPlain, "the redirect to the WebUI", true},
		{PortPersistence, "the replication of persistence tables", true},
	}
}

func (v *validation) servers(s *VirtualService, ids map[string]bool) {
	if len(s.RealServers) > MaxServers {
		v.refuse("real_servers", "There are %d real servers; one service holds %d.", len(s.RealServers), MaxServers)
		return
	}
	outer, id := v.prefix, v.id
	labels := map[string]bool{}
	for i := range s.RealServers {
		r := &s.RealServers[i]
		v.prefix, v.id = fmt.Sprintf("%sreal_servers[%d].", outer, i), r.ID
		if v.label(r.Label) && labels[strings.ToLower(r.Label)] {
			v.refuse("label", "There is already a real server named %s in this service.", r.Label).Kind = Conflict
		}
		labels[strings.ToLower(r.Label)] = true
		v.uniqueID(ids, r.ID)
		v.server(s, r)
	}
	v.prefix, v.id = outer, id
}

func (v *validation) server(s *VirtualService, r *RealServer) {
	if a, ok := r.Address.Addr(); !ok {
		v.serverName(r.Address)
	} else if why := v.badServer(a); why != "" {
		v.refuse("address", "%s", why)
	} else if port, name, own := v.own(a, serverPorts(s, r)); own {
		v.refuse("address", "%s port %d is %s of this appliance itself.", a, port, name)
	} else if port, name, own := v.own(a, Ports{{s.Monitor.Port, s.Monitor.Port}}); own {
		v.refuse("address", "The check would go to %s port %d, which is %s of this appliance itself.", a, port, name)
	} else if port, name, own := v.own(a, Ports{{s.Monitor.Agent.Port, s.Monitor.Agent.Port}}); own && s.Monitor.Agent.Enabled {
		v.refuse("address", "The agent would be asked at %s port %d, which is %s of this appliance itself.", a, port, name)
	}
	if r.Weight < 0 || r.Weight > MaxWeight {
		v.refuse("weight", "The weight is 0 to %d.", MaxWeight)
	}
	if r.MaxConnections < 0 || r.MaxConnections > maxConnections {
		v.refuse("max_connections", "Maximum connections are 0 (no limit) to %d.", maxConnections)
	}
	v.oneOf("state", r.State.Valid(), string(r.State))
}

const maxConnections = 10_000_000

// badServer says why traffic or checks must not go to a, or "".
func (v *validation) badServer(a netip.Addr) string {
	return RefusedServer(a, v.config.Cluster.Settings.AllowLoopback)
}

// own tells which of the appliance's own listeners a and ports lead to.
func (v *validation) own(a netip.Addr, ports Ports) (port uint16, name string, found bool) {
	for _, l := range v.site.Listeners {
		if ports.Contains(l.Address.Port()) && (l.Address.Addr().Unmap() == a || l.Address.Addr().IsUnspecified() && v.here(a)) {
			return l.Address.Port(), l.Name, true
		}
	}
	return 0, "", false
}

// here tells whether a is an address of this machine, so that what listens on a wildcard listens there too.
func (v *validation) here(a netip.Addr) bool {
	return a.IsLoopback() || slices.Contains(v.site.Addresses, a) ||
		slices.ContainsFunc(v.config.Cluster.VirtualServices, func(s VirtualService) bool { return s.Address == a })
}

func serverPorts(s *VirtualService, r *RealServer) Ports {
	if r.Port != 0 {
		return Ports{{r.Port, r.Port}}
	}
	return s.Ports
}

// cycles refuses services whose servers, or pools of their rules, lead back to themselves.
func (v *validation) cycles(list []VirtualService) {
	next := make([][]int, len(list))
	at, place := map[netip.Addr][]int{}, map[string]int{}
	for i := range list {
		at[list[i].Address] = append(at[list[i].Address], i)
		place[list[i].ID] = i
	}
	wildcards := slices.Concat(at[netip.IPv4Unspecified()], at[netip.IPv6Unspecified()])
	leads := func(i int, a netip.Addr, ports Ports) {
		listening := at[a]
		if len(wildcards) > 0 && v.here(a) {
			listening = slices.Concat(listening, wildcards)
		}
		for _, j := range listening {
			if _, hit := ports.Overlap(list[j].Ports); hit {
				next[i] = append(next[i], j)
			}
		}
	}
	through := func(i int, of *VirtualService) {
		for r := range of.RealServers {
			if a, ok := of.RealServers[r].Address.Addr(); ok {
				leads(i, a, serverPorts(&list[i], &of.RealServers[r]))
			}
		}
		if f := of.Fallback; f.Kind == FallbackServer && f.Address.IsValid() {
			leads(i, f.Address.Addr().Unmap(), Ports{{f.Address.Port(), f.Address.Port()}})
		}
	}
	for i := range list {
		through(i, &list[i])
		for _, pool := range list[i].pools() { // its servers, whatever leads clients to the service itself
			if j, found := place[pool]; found {
				through(i, &list[j])
			}
		}
	}
	for i := range list {
		if reaches(next, i, i, make([]bool, len(list))) {
			v.prefix, v.id = "virtual_services["+list[i].Label+"].", list[i].ID
			v.refuse("real_servers", "The real servers, the fallback or the rules of %s lead back to %s itself: its traffic would run in a circle.", list[i].Label, list[i].Label)
		}
	}
	v.prefix, v.id = "", ""
}

func reaches(next [][]int, from, to int, seen []bool) bool {
	for _, n := range next[from] {
		if n == to {
			return true
		}
		if !seen[n] {
			seen[n] = true
			if reaches(next, n, to, seen) {
				return true
			}
		}
	}
	return false
}
