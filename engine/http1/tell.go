package http1

import "evenkeel/engine/wire"

var _ wire.Teller = (*core)(nil)

// Tell implements wire.Teller.
func (k *core) Tell(s *wire.Session) {
	x := k.x
	s.Client = k.client.Peer()
	if x != nil && x.picked {
		s.Server = x.choice.Server
	}
	switch {
	case x == nil && k.waited != 0:
		s.State = "waiting for another's answer"
	case x == nil && k.begun != 0:
		s.State = "reading a request"
	case x == nil:
		s.State = "idle"
	case x.tunnel:
		s.State = "WebSocket"
	case x.waits():
		s.State = "waiting in the queue"
	case x.connecting:
		s.State = "connecting"
	case x.answering:
		s.State = "answering"
	case x.up != upDone:
		s.State = "sending a request"
	default:
		s.State = "waiting for the server"
	}
}
