package engine

import (
	"net/netip"

	"evenkeel/appliance"
	"evenkeel/engine/http2"
	"evenkeel/engine/wire"
)

// Dial implements wire.Service: it puts together what a server's connection goes through, from the inside to the outside.
func (s *shard) Dial(c wire.Choice, client wire.Conn, core wire.Core) (wire.Conn, error) {
	if o := s.ownerOf(c); o != s {
		return o.Dial(c, client, core)
	}
	if s.config.SpeaksHTTP2() && !c.Fallback {
		return s.lane.servers.Open(http2.Route{Choice: c, Dialer: s, Secure: c.Server.Owner.(*seat).secure}, core)
	}
	return s.dial(c, client, core)
}

// DialBelow implements http2.Dialer: it opens what a connection to a server runs over.
func (s *shard) DialBelow(c wire.Choice, core wire.Core) (wire.Conn, error) {
	return s.dial(c, nil, core)
}

// dial opens a connection for client; nil: for several. A fallback is somebody else's server: it sees nothing unusual.
func (s *shard) dial(c wire.Choice, client wire.Conn, core wire.Core) (wire.Conn, error) {
	seat := c.Server.Owner.(*seat)
	dial := func(core wire.Core) (wire.Conn, error) {
		begins := seat.secure != nil || s.begins(client)
		if c.Fallback {
			return s.lane.loop.DialFrom(netip.Addr{}, c.Address, begins, core)
		}
		if client != nil && s.config.Private() {
			core, begins = s.announce(client, core), true
		}
		return s.dialSource(client, c.Address, begins, core)
	}
	if seat.secure != nil {
		return s.dialTLS(seat, core, dial)
	}
	return dial(core)
}

// sender is a client's connection that can tell whether bytes of it wait.
type sender interface{ HasSent() bool }

// begins tells whether the first bytes of a connection to a server are ours. In HTTP Mode they are. In TCP Mode the server may speak first and the client stay silent,
// so they are only if the client has sent some already.
func (s *shard) begins(client wire.Conn) bool {
	if s.config.Protocol == appliance.HTTP {
		return true
	}
	c, knows := client.(sender)
	return knows && c.HasSent()
}

// dialSource opens a connection from the address that the servers are to see.
func (s *shard) dialSource(client wire.Conn, to netip.AddrPort, begins bool, core wire.Core) (wire.Conn, error) {
	if client != nil && s.config.SourceAddress.Transparent {
		peer := client.Peer()
		if from, own := s.config.SourceAddress.For(peer.Addr(), to.Addr()); own {
			return s.lane.loop.DialAs(netip.AddrPortFrom(from, peer.Port()), to, begins, core)
		}
	}
	return s.lane.loop.DialFrom(s.config.SourceAddress.Addr, to, begins, core)
}

// sharingOf returns whom the connections to a service's servers may serve.
func sharingOf(c *appliance.VirtualService) wire.Sharing {
	switch {
	case c.Private():
		return wire.SharedByNobody
	case c.SourceAddress.Transparent:
		return wire.SharedByAddress
	}
	return wire.SharedByAll
}
