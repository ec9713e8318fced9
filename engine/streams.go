package engine

import (
	"context"

	"evenkeel/appliance"
	"evenkeel/engine/http1"
	"evenkeel/engine/http2"
	"evenkeel/engine/wire"
)

// web returns the core that serves a client of HTTP Mode: HTTP/2 where it was agreed on by ALPN, or, in clear, where the service takes it with prior knowledge.
func (s *shard) web(c wire.Conn) wire.Core {
	inside, secure := c.(wire.Secured)
	switch {
	case secure && inside.Secrecy().Protocol == appliance.ProtocolHTTP2:
		return s.http2(c, true)
	case secure || s.config.HTTP.HTTP2In != appliance.HTTP2Always:
		return s.http1(c, secure, false)
	}
	return http2.NewSniff(http2.Sniff{
		Client: c, Until: s.lane.loop.Now().Add(s.config.HTTP.HeadTimeout.D()),
		HTTP1: func(c wire.Conn) wire.Core { return s.http1(c, false, false) },
		HTTP2: func(c wire.Conn) wire.Core { return s.http2(c, false) },
	})
}

// http1 returns the core of a client that speaks HTTP/1, or of one stream of a client that speaks HTTP/2.
func (s *shard) http1(c wire.Conn, secure, stream bool) wire.Core {
	way := 0
	if secure {
		way |= 1
	}
	if stream {
		way |= 2
	}
	if s.sites[way] == nil {
		s.sites[way] = http1.NewSite(http1.Options{Service: s, Idle: s.lane.idle, Refused: s.refused, Recorder: s, Ruled: s, Secure: secure, Stream: stream})
	}
	return http1.New(http1.Options{Site: s.sites[way], Client: c})
}

// http2 returns the core of a client that speaks HTTP/2 from its first byte: every stream is a client of HTTP/1 to all that follows.
func (s *shard) http2(c wire.Conn, secure bool) wire.Core {
	core := http2.New(http2.Options{
		Shared: s.lane.streams, Client: c, Config: s.Config, Refused: s.refused,
		New: func(stream wire.Conn) wire.Core { return s.http1(stream, secure, true) },
	})
	if s.leaving {
		leave(core)
	}
	return core
}

// leave has a client whose connection can carry more requests send them to the process that took over.
func leave(core wire.Core) {
	if l, leaves := core.(wire.Leaver); leaves {
		l.Leave()
	}
}

// leave tells every client of the loop.
func (n *lane) leave(ctx context.Context) error {
	for from := 0; from >= 0; {
		if err := n.loop.Call(ctx, func() { from = n.loop.Tell(from, lookAt, leave) }); err != nil {
			return err
		}
	}
	return nil
}

// dropServer keeps no connection to a server that is not in use, and lets no new request use one that is.
func (n *lane) dropServer(server *wire.Server) {
	n.idle.DropServer(server)
	n.servers.DropServer(server)
}
