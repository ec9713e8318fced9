package appliance

import (
	"fmt"
	"net/netip"
	"slices"
)

// Source says which address the real servers see connections come from. The zero value leaves it to the route. As text it is "transparent", an address, or empty.
type Source struct {
	Addr        netip.Addr // of this appliance; zero: the one of the route, or the client's
	Transparent bool       // the client's own address, and its port where that is free
}

// transparent is Source.Transparent as text.
const transparent = "transparent"

// String returns the text.
func (s Source) String() string {
	switch {
	case s.Transparent:
		return transparent
	case s.Addr.IsValid():
		return s.Addr.String()
	}
	return ""
}

// IsZero tells whether the route decides.
func (s Source) IsZero() bool { return s == Source{} }

// MarshalText implements encoding.TextMarshaler.
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Source) UnmarshalText(text []byte) error {
	*s = Source{}
	switch string(text) {
	case "":
		return nil
	case transparent:
		s.Transparent = true
		return nil
	}
	a, err := netip.ParseAddr(string(text))
	if err != nil {
		return fmt.Errorf("%.60q is neither an IP address nor %q", text, transparent)
	}
	s.Addr = a.Unmap()
	return nil
}

// For returns which address a connection to a server comes from on behalf of a client, and false when that is not the client's own: the service does not want that, or
// the server could not answer it, being of the other family or, for a client on this machine, elsewhere.
func (s Source) For(client, server netip.Addr) (netip.Addr, bool) {
	client, server = client.Unmap(), server.Unmap()
	if !s.Transparent || !client.IsValid() || client.Is4() != server.Is4() || client.Zone() != "" || client.IsUnspecified() || client.IsMulticast() ||
		client.IsLoopback() != server.IsLoopback() {
		return s.Addr, false
	}
	return client, true
}

// Transparent tells whether servers of any service see the clients' own addresses.
func (c *Config) Transparent() bool {
	return slices.ContainsFunc(c.Cluster.VirtualServices, func(s VirtualService) bool { return s.SourceAddress.Transparent })
}

// sourceAddress checks the address that servers see.
func (v *validation) sourceAddress(s *VirtualService) {
	if s.SourceAddress.Transparent {
		v.transparent(s)
		return
	}
	a := s.SourceAddress.Addr
	switch {
	case !a.IsValid():
		return
	case a.Zone() != "" || a.IsUnspecified() || a.IsMulticast():
		v.refuse("source_address", "%s is no address that connections can come from.", a)
		return
	case len(v.site.Addresses) > 0 && !v.here(a):
		v.refuse("source_address", "%s is no address of this appliance; take one of its own or a service's.", a)
	}
	if i := otherFamily(s, a); i >= 0 {
		v.refuse("source_address", "The real server %s has the address %s; from %s it cannot be reached.", s.RealServers[i].Label, s.RealServers[i].Address, a)
	}
}

// transparent checks a service whose servers see its clients.
func (v *validation) transparent(s *VirtualService) {
	switch {
	case s.Protocol == UDP:
		v.refuse("source_address", "Transparent works in TCP Mode and HTTP Mode.")
		return
	case s.SpeaksHTTP2():
		v.refuse("source_address", "HTTP/2 to the real servers shares connections between clients; they could not come from each client's own address.")
	}
	if s.Address.IsUnspecified() {
		return
	}
	if i := otherFamily(s, s.Address); i >= 0 {
		v.refuse("source_address", "The real server %s has the address %s; clients of %s cannot be seen there with their own.", s.RealServers[i].Label, s.RealServers[i].Address, s.Address)
		return
	}
	i := slices.IndexFunc(s.RealServers, func(r RealServer) bool {
		to, ok := r.Address.Addr()
		return ok && to.IsLoopback() && !s.Address.IsLoopback()
	})
	if i >= 0 {
		v.refuse("source_address", "The real server %s is on this appliance itself; its answers to the clients would not come back here.", s.RealServers[i].Label)
	}
}

// otherFamily returns the first real server that an address of a's family cannot reach, or -1.
func otherFamily(s *VirtualService, a netip.Addr) int {
	return slices.IndexFunc(s.RealServers, func(r RealServer) bool {
		to, ok := r.Address.Addr()
		return ok && to.Is4() != a.Is4()
	})
}
