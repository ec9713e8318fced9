package engine

import (
	"errors"
	"net/netip"
	"strconv"
	"sync/atomic"

	"evenkeel/appliance"
	"evenkeel/engine/tlsterm"
	"evenkeel/engine/wire"
)

// terminate puts TLS around a client's connection.
func (s *shard) terminate(c wire.Conn) wire.Core {
	h := &handshake{shard: s, client: c, peer: c.Peer(), began: s.lane.loop.Now()}
	return s.lane.secure.Server(c, s.secrecy.terminator.Config, h.over, h.failed)
}

// handshake is what is to be told of a client whose TLS comes to nothing.
type handshake struct {
	shard  *shard
	client wire.Conn
	peer   netip.AddrPort
	began  wire.Time
	inside bool // it is over, and what is inside records how it ends
}

// over returns the core of what is inside TLS.
func (h *handshake) over(c *tlsterm.Conn) wire.Core {
	h.inside = true
	return h.shard.plain(c)
}

// failed counts why a client's TLS came to nothing, gives it a line in the traffic log, and logs it at most once a second.
func (h *handshake) failed(err error) {
	s := h.shard
	switch {
	case errors.Is(err, tlsterm.ErrClear):
		s.answerInClear(h.client)
	case !h.inside:
		end := wire.EndRefused
		why, byClient := tlsterm.Why(err)
		if byClient {
			end = wire.EndClientClosed
		}
		s.recordStranger(h.peer, h.began, end, why)
	}
	atomic.StoreUint64(&s.counters.Refused, s.counters.Refused+1)
	if s.seldom(&s.quietClients) {
		s.engine.log.Info("client turned away by TLS", "service", s.config.Label, "reason", err.Error())
	}
}

// recordStranger records a connection that ended before it said what it wants.
func (s *shard) recordStranger(peer netip.AddrPort, began wire.Time, end wire.End, why string) {
	r := s.Blank()
	r.ID, r.Began, r.Ended, r.Client, r.Session = s.NewID(), began, s.lane.loop.Now(), peer, true
	r.End, r.Why = end, why
	s.Record(r)
}

// serverFailed logs, at most once a second, why TLS with a server came to nothing: its certificate may be of another name or authority.
func (s *shard) serverFailed(server string, err error) {
	if s.seldom(&s.quietServers) {
		s.engine.log.Warn("TLS with a real server failed", "service", s.config.Label, "real_server", server, "reason", err.Error())
	}
}

// The words for a client that speaks HTTP in clear where TLS is spoken.
const (
	speaksHTTPS = "This port speaks HTTPS: write https:// in front of the address.\n"
	speaksTLS   = "This port speaks TLS, and no HTTP.\n"
)

// answerInClear tells a client so, and the traffic log of it.
func (s *shard) answerInClear(c wire.Conn) {
	words := speaksHTTPS
	if s.config.Protocol != appliance.HTTP {
		words = speaksTLS
	}
	answer := "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " + strconv.Itoa(len(words)) + "\r\nConnection: close\r\n\r\n" + words
	c.Send([]byte(answer))
	r, now := s.Blank(), s.lane.loop.Now()
	r.ID, r.Began, r.Ended, r.Client = s.NewID(), now, now, c.Peer()
	r.Session = s.config.Protocol != appliance.HTTP
	r.Status, r.Own, r.BytesOut, r.End, r.Why = 400, true, uint64(len(answer)), wire.EndRefused, tlsterm.ErrClear.Error()
	s.Record(r)
}

func (s *shard) seldom(quiet *wire.Time) bool {
	now := s.lane.loop.Now()
	if now < *quiet {
		return false
	}
	*quiet = now.Add(refusedLogRate)
	return true
}

// rekey gives every seat what a connection to its server needs for TLS. A server for which nothing changed keeps its session.
func (s *shard) rekey(next *snapshot) {
	same := s.secrecy != nil && next.secrecy != nil && s.secrecy.initiator == next.secrecy.initiator
	for i, r := range next.servers {
		seat, config := r.seats[s.lane.number], &next.config.RealServers[i]
		switch {
		case !next.config.Encrypts(config):
			seat.secure = nil
		case !same || seat.secure == nil || seat.host != string(config.Address):
			seat.host = string(config.Address)
			seat.secure = next.secrecy.initiator.For(seat.host)
		}
	}
	s.rekeyFallback(next, same)
	s.secrecy = next.secrecy
}

// rekeyFallback does the same for the fallback server, whose idle connections go when it is spoken to in another way.
func (s *shard) rekeyFallback(next *snapshot, same bool) {
	to, was := s.fallback, s.fallback.secure
	switch host := next.config.Fallback.Address.Addr().String(); {
	case !next.config.EncryptsFallback():
		to.secure = nil
	case !same || was == nil || to.host != host:
		to.host, to.secure = host, next.secrecy.initiator.For(host)
		to.secure.NextProtos = nil // whatever the servers speak
	}
	if to.secure != was {
		s.lane.idle.DropServer(&to.Server)
	}
}

// dialTLS opens a connection in TLS to the server of a seat, by way of dial.
func (s *shard) dialTLS(to *seat, core wire.Core, dial func(wire.Core) (wire.Conn, error)) (wire.Conn, error) {
	return s.lane.secure.Client(to.secure, core, func(err error) { s.serverFailed(to.Label, err) }, dial)
}
