package relay

import (
	"evenkeel/appliance"
	"evenkeel/engine/wire"
)

// learn tells the service that the server of its choice accepted the connection, if it wants to know.
func (s *session) learn() {
	if s.service.Config().Persistence.Kind != appliance.PersistLastSuccessful {
		return
	}
	if learner, wants := s.service.(wire.Learner); wants {
		learner.Learn(s.choice, &wire.Query{Client: s.client.Peer()})
	}
}
