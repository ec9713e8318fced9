package engine

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"sync/atomic"

	"evenkeel/appliance"
	"evenkeel/engine/proxyproto"
	"evenkeel/engine/wire"
)

// renamed is a connection that can be given the addresses of the client whom a proxy speaks for: those of the loop can.
type renamed interface {
	Rename(peer, local netip.AddrPort)
}

// greeting is the core of a connection from a proxy until its header is complete; then it gives the connection to what is inside and is gone.
type greeting struct {
	shard  *shard
	client wire.Conn
	began  wire.Time
	over   bool
}

var _ wire.Core = (*greeting)(nil)

// proxied begins with a proxy's connection. From an address that is not trusted it is closed.
func (s *shard) proxied(c wire.Conn) wire.Core {
	p := &s.config.ProxyProtocol
	if !p.Trusts(c.Peer().Addr()) {
		s.unannounced(c.Peer(), s.lane.loop.Now(), "a connection from "+c.Peer().Addr().String()+", which is no trusted proxy")
		return nil
	}
	c.WakeAt(s.lane.loop.Now().Add(p.Within.D()))
	return &greeting{shard: s, client: c, began: s.lane.loop.Now()}
}

// unannounced counts, records and logs a connection whose header did not come or does not count.
func (s *shard) unannounced(peer netip.AddrPort, began wire.Time, why string) {
	s.recordStranger(peer, began, wire.EndRefused, why)
	atomic.StoreUint64(&s.counters.Refused, s.counters.Refused+1)
	s.refused(why)
}

// Received takes the header alone: what is behind it is payload, and offered to the next core.
func (g *greeting) Received(c wire.Conn, b []byte) int {
	h, n, err := proxyproto.Parse(b)
	switch {
	case g.over:
		return len(b)
	case err != nil:
		g.refuse("a proxy's header: " + err.Error())
		return len(b)
	case n == 0:
		c.Acknowledge()
		return 0
	}
	if g.over = true; n == len(b) {
		c.Acknowledge() // who waits for that before it sends its request need not wait longer
	}
	c.WakeAt(0)
	if !h.Local {
		c.(renamed).Rename(h.Source, h.Destination)
	}
	c.Resume() // what is behind the header is offered again, unless the next core pauses
	if inner := g.shard.behind(c); inner != nil {
		c.Bind(inner)
	} else {
		c.Close()
	}
	return n
}

func (g *greeting) refuse(why string) {
	g.over = true
	g.shard.unannounced(g.client.Peer(), g.began, why)
	g.client.Close()
}

// Ended is a client that left before it said whose it is.
func (g *greeting) Ended(c wire.Conn) { g.over = true; c.Close() }

// Broken is the same.
func (g *greeting) Broken(wire.Conn, error) { g.over = true }

// Woken is the end of the patience.
func (g *greeting) Woken(wire.Conn) {
	if !g.over {
		g.refuse("a proxy's header was not complete in time")
	}
}

// Evict ends the connection.
func (g *greeting) Evict(server *wire.Server) {
	if server == nil && !g.over {
		g.over = true
		g.client.Close()
	}
}

// Drained does not happen: nothing was sent.
func (g *greeting) Drained(wire.Conn) {}

// Connected does not happen to an accepted connection.
func (g *greeting) Connected(wire.Conn) {}

// Spliced does not happen.
func (g *greeting) Spliced(wire.Conn, int64, bool) {}

// herald is the core of a connection to a server until it stands: it says whose connection it is, and gives it to what is inside.
type herald struct {
	wire.Core
	header []byte
}

// Connected sends the header before everything else.
func (h *herald) Connected(c wire.Conn) {
	c.Send(h.header)
	c.Bind(h.Core)
	h.Core.Connected(c)
}

// announce returns the core for a server's connection that begins with a header about client.
func (s *shard) announce(client wire.Conn, core wire.Core) wire.Core {
	h := proxyproto.Header{Source: client.Peer(), Destination: client.Local()}
	if s.config.ProxyProtocol.Out == appliance.ProxyOutV1 {
		return &herald{core, h.AppendLine(nil)}
	}
	h.Options = proxyproto.Options{UniqueID: s.lane.uniqueID(s.engine), Checksum: true}
	if inside, secure := client.(wire.Secured); secure {
		secrecyOf(inside.Secrecy(), &h.Options)
	}
	return &herald{core, h.AppendBinary(nil)}
}

// uniqueID names a connection: when the engine began, the loop, and a number.
func (n *lane) uniqueID(e *Engine) []byte {
	n.announced++
	id := binary.BigEndian.AppendUint64(make([]byte, 0, 16), uint64(e.epoch.UnixNano()))
	return binary.BigEndian.AppendUint64(id, uint64(n.number)<<48|n.announced&(1<<48-1))
}

// commonName returns the first CN of a subject as RFC 2253 writes it.
func commonName(subject string) string {
	for part := range strings.SplitSeq(subject, ",") {
		if name, ok := strings.CutPrefix(part, "CN="); ok {
			return name
		}
	}
	return ""
}

// secrecyOf says in a header what is known of a client's TLS.
func secrecyOf(t *wire.Secrecy, o *proxyproto.Options) {
	o.Authority, o.ALPN = t.ServerName, t.Protocol
	o.TLS = proxyproto.TLS{On: true, Version: "TLSv" + t.Version, Cipher: t.Cipher, CommonName: commonName(t.Subject), Verified: t.Subject != ""}
}
