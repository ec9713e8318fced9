package tlsterm

import "evenkeel/engine/wire"

var _ wire.Teller = (*Conn)(nil)

// Tell implements wire.Teller: it asks the core inside.
func (c *Conn) Tell(s *wire.Session) {
	s.TLS, s.State = true, "open"
	if c.hand != nil {
		s.State = "TLS handshake"
	}
	if t, tells := c.core.(wire.Teller); tells {
		t.Tell(s)
	}
}

var _ wire.Leaver = (*Conn)(nil)

// Leave implements wire.Leaver: it asks the core inside.
func (c *Conn) Leave() {
	if l, leaves := c.core.(wire.Leaver); leaves && !c.over {
		l.Leave()
	}
}
