package relay

import "evenkeel/engine/wire"

var _ wire.Teller = (*session)(nil)

// Tell implements wire.Teller.
func (s *session) Tell(to *wire.Session) {
	to.Client = s.client.Peer()
	if s.picked {
		to.Server = s.choice.Server
	}
	switch {
	case s.waits():
		to.State = "first bytes"
	case s.queued():
		to.State = "waiting in the queue"
	case !s.linked:
		to.State = "connecting"
	case s.up.ended:
		to.State = "client has finished"
	case s.down.ended:
		to.State = "server has finished"
	default:
		to.State = "open"
	}
}
