package wire

import "net/netip"

// Session is what a core tells people about the session it serves.
type Session struct {
	Client netip.AddrPort // as a proxy in front told it, or the peer; the zero value: the peer
	Server *Server        // in use now; nil: none
	State  string         // what it does now, in a few words
	TLS    bool           // the client came by TLS
}

// Teller is a Core that can tell about its session. A core that stands around another asks that one.
type Teller interface {
	// Tell completes s. It changes nothing of the session, and costs no system call.
	Tell(s *Session)
}

// Leaver is a Core whose client may ask for more beside what is under way. A core that stands around another passes it on.
type Leaver interface {
	// Leave has the client ask for more over another connection: what is under way goes on, and this connection ends behind it.
	Leave()
}
