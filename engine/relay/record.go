package relay

import "evenkeel/engine/wire"

// account is what is told of a session when it is over.
type account struct {
	began     wire.Time
	connected wire.Time
	firstByte wire.Time
	tries     uint16 // servers that could not be reached
}

// unserved says why there is no server.
func (s *session) unserved(q *wire.Query) wire.End {
	if q.Refusal != "" {
		return wire.EndRefused
	}
	if s.account.tries > 0 {
		return wire.EndConnectFailed
	}
	return wire.EndNoServer
}

// why says it in a sentence.
func why(q *wire.Query) string {
	if q.Refusal != "" {
		return q.Refusal
	}
	if q.Crowded {
		return "every server is at its limit, and the queue is full"
	}
	return "no server can serve the session"
}

// silent says whose limit of silence was reached.
func (s *session) silent() wire.End {
	l := &s.service.Config().Limits
	if l.ServerTimeout < l.ClientTimeout {
		return wire.EndServerTimeout
	}
	return wire.EndClientTimeout
}

// closeAccount tells the recorder what became of the session.
func (s *session) closeAccount(end wire.End, why string) {
	if s.recorder == nil {
		return
	}
	a := &s.account
	r := s.recorder.Blank()
	*r = wire.Record{
		ID: s.recorder.NewID(), Began: a.began, Ended: s.service.Loop().Now(), Connected: a.connected, FirstByte: a.firstByte, Session: true,
		Client: s.client.Peer(), Server: s.choice.Server, Address: s.choice.Address, Reason: s.choice.Reason, Tries: int(a.tries), Queued: s.inQueue(),
		BytesIn: s.up.total, BytesOut: s.down.total, End: end, Why: why,
	}
	s.recorder.Record(r)
}
