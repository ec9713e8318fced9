package appliance

import (
	"fmt"
	"net"
)

// A virtual service with PoolOnly is a named pool: it has neither address nor ports and never listens. Rules of other services in the same mode lead clients to its real
// servers, which are checked, counted and shown like others. What is said to clients, by TLS or HTTP, is said by the services in front.

// Place returns address and ports as people read them; a named pool has neither.
func (s *VirtualService) Place() (address, ports string) {
	if s.PoolOnly {
		return "pool", "–"
	}
	return s.Address.String(), s.Ports.String()
}

// HostPort returns address and ports in one; of a named pool it says that.
func (s *VirtualService) HostPort() string {
	if s.PoolOnly {
		return "pool"
	}
	return net.JoinHostPort(s.Address.String(), s.Ports.String())
}

// poolOnly checks what a named pool cannot have.
func (v *validation) poolOnly(s *VirtualService) {
	if s.Address.IsValid() {
		v.refuse("address", "A pool has no address of its own; the services whose rules lead to it have.")
	}
	if s.Ports.Count() > 0 {
		v.refuse("ports", "A pool has no ports of its own; the services whose rules lead to it have.")
	}
	if len(s.Rules) > 0 {
		v.refuse("rules", "A pool has no rules of its own; the services that lead to it have.")
	}
	if s.TLS.On() {
		v.refuse("tls.certificates", "A pool ends no TLS; the services whose rules lead to it do.")
	}
	if s.ProxyProtocol.In {
		v.refuse("proxy_protocol.in", "No proxy comes to a pool; the services whose rules lead to it are told whose a connection is.")
	}
	if s.SourceAddress.Transparent {
		v.refuse("source_address", "A pool has no clients of its own, whose addresses could be seen.")
	}
	if s.Persistence.Kind != PersistNone && s.Persistence.Kind != PersistSourceIP {
		v.refuse("persistence.kind", "A pool can keep clients by source IP; %s needs that they come to it.", s.Persistence.Kind)
	}
	for i := range s.RealServers {
		if s.RealServers[i].Port == 0 {
			v.refuse(fmt.Sprintf("real_servers[%d].port", i), "A pool has no port that the client came to: write the server's.")
		}
	}
}

// pools returns the ids of the services to whose pools the rules lead that are switched on.
func (s *VirtualService) pools() []string {
	var out []string
	for i := range s.Rules {
		for _, a := range s.Rules[i].Then {
			if a.Kind == DoPool && !s.Rules[i].Disabled {
				out = append(out, a.Pool)
			}
		}
	}
	return out
}
