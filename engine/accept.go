package engine

import (
	"strings"
	"sync/atomic"

	"evenkeel/appliance"
	"evenkeel/engine/relay"
	"evenkeel/engine/wire"
)

// Accepted implements loop.Acceptor: it puts together what a client's connection goes through, from the outside to the inside.
func (s *shard) Accepted(c wire.Conn) wire.Core {
	atomic.StoreUint64(&s.counters.Total, s.counters.Total+1)
	if s.config.ProxyProtocol.In {
		return s.proxied(c)
	}
	return s.behind(c)
}

// behind returns the core of what a connection carries, after a proxy's header if there was one.
func (s *shard) behind(c wire.Conn) wire.Core {
	if s.secrecy != nil && s.secrecy.terminator != nil {
		return s.terminate(c)
	}
	return s.plain(c)
}

// plain returns the core that reads the service's protocol on c.
func (s *shard) plain(c wire.Conn) wire.Core {
	if s.config.Protocol == appliance.HTTP {
		return s.web(c)
	}
	o := relay.Options{Service: s, Client: c, Recorder: s}
	if inside, secure := c.(wire.Secured); secure {
		o.TLSName = strings.ToLower(inside.Secrecy().ServerName)
	} else {
		o.ReadName = s.readsName()
	}
	return relay.New(o)
}
