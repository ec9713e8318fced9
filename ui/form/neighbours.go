package form

import (
	"strings"

	"evenkeel/appliance"
)

// neighbourFields are about who stands before the service and what the servers see of the client.
func neighbourFields() []Field {
	return []Field{
		{
			Path: "source_address", Kind: Text, Example: "as the routes say, or transparent",
			get: func(s *vs) string { return s.SourceAddress.String() },
			set: func(s *vs, t string) error {
				if err := s.SourceAddress.UnmarshalText([]byte(strings.ToLower(strings.TrimSpace(t)))); err != nil {
					return appliance.Refuse("source_address", "%.60q is no IP address; it may be transparent, too.", t)
				}
				return nil
			},
		},
		check("proxy_protocol.in", func(s *vs) *bool { return &s.ProxyProtocol.In }),
		networksField("proxy_protocol.trusted", func(s *vs) *appliance.Networks { return &s.ProxyProtocol.Trusted }),
		duration("proxy_protocol.within", func(s *vs) *appliance.Duration { return &s.ProxyProtocol.Within }),
		choice("proxy_protocol.out", func(s *vs) *appliance.ProxyOut { return &s.ProxyProtocol.Out },
			Option{string(appliance.ProxyOutOff), "off"}, Option{string(appliance.ProxyOutV1), "version 1"}, Option{string(appliance.ProxyOutV2), "version 2"}),
	}
}

// networksField is a list of addresses and networks in one line.
func networksField(path string, at func(*vs) *appliance.Networks) Field {
	return Field{
		Path: path, Kind: Text, Example: "192.168.0.10, 10.1.0.0/16",
		get: func(s *vs) string {
			list := *at(s)
			parts := make([]string, len(list))
			for i, n := range list {
				if parts[i] = n.String(); n.IsSingleIP() {
					parts[i] = n.Addr().String()
				}
			}
			return strings.Join(parts, ", ")
		},
		set: func(s *vs, t string) error {
			list, err := readNetworks(path, t)
			if err == nil {
				*at(s) = list
			}
			return err
		},
	}
}

func sayNeighbours(s *vs) string {
	p, from := &s.ProxyProtocol, "of the route"
	if !s.SourceAddress.IsZero() {
		from = s.SourceAddress.String()
	}
	out := "source address " + from
	if p.In {
		out += ", PROXY protocol from " + count(len(p.Trusted), "trusted network")
	}
	if p.Out != appliance.ProxyOutOff {
		out += ", PROXY protocol " + string(p.Out) + " to the servers"
	}
	return out
}
