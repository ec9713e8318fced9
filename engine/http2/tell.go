package http2

import (
	"fmt"

	"evenkeel/engine/wire"
)

var (
	_ wire.Teller = (*conn)(nil)
	_ wire.Teller = (*Sniff)(nil)
)

// Tell implements wire.Teller. Streams may use different servers; the one of the oldest stream is told.
func (c *conn) Tell(s *wire.Session) {
	s.Client = c.outer.Peer()
	open := 0
	for _, stream := range c.streams {
		if stream.is(isOver) {
			continue
		}
		open++
		one := wire.Session{}
		if t, tells := stream.core.(wire.Teller); tells && s.Server == nil {
			t.Tell(&one)
			s.Server = one.Server
		}
	}
	switch open {
	case 0:
		s.State = "HTTP/2, idle"
	case 1:
		s.State = "HTTP/2, 1 stream"
	default:
		s.State = fmt.Sprintf("HTTP/2, %d streams", open)
	}
}

// Tell implements wire.Teller.
func (s *Sniff) Tell(to *wire.Session) { to.Client, to.State = s.Client.Peer(), "first bytes" }
