package relay

import (
	"bytes"
	"net/netip"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/peek"
	"evenkeel/engine/wire"
)

// first is what the first bytes of a session showed, in services whose persistence or whose rules look at them; other sessions have none, nor has one that needs it no more.
type first struct {
	kind    appliance.PersistenceKind
	named   bool           // the server name is wanted, and known when it is not waited for
	name    string         // that the client asks for by TLS
	waiting bool           // for the client's first bytes: no server is chosen yet
	source  bool           // the client showed nothing by which it could be told from others: its address counts
	session []byte         // see wire.Query
	route   netip.AddrPort // see wire.Query
	answer  []byte         // the beginning of the server's first bytes, while they are not complete
}

const (
	// peekPatience is how long a client may take for its first bytes; then its address counts. Whoever speaks TLS or RDP speaks at once.
	peekPatience = 2 * time.Second
	maxAnswer    = 4 << 10 // of a server's hello
)

// wait has the session wait for the client's first bytes if its service looks at them.
func (s *session) wait(o *Options) bool {
	kind := s.service.Config().Persistence.Kind
	if kind != appliance.PersistTLSSession && kind != appliance.PersistRDPCookie {
		kind = appliance.PersistNone
	}
	if kind == appliance.PersistNone && !o.ReadName {
		if o.TLSName != "" {
			s.first = &first{kind: kind, name: o.TLSName}
		}
		return false
	}
	s.first = &first{kind: kind, named: o.ReadName, name: o.TLSName, waiting: true}
	s.client.WakeAt(s.active.Add(peekPatience))
	return true
}

func (s *session) waits() bool { return s.first != nil && s.first.waiting }

// show looks at what the client has sent so far. The bytes are not taken: they are offered again when the server is connected.
func (s *session) show(b []byte) {
	f := s.first
	verdict := peek.None
	if f.named {
		if f.name, verdict = peek.ServerName(b); verdict == peek.More {
			return
		}
	}
	switch {
	case f.kind == appliance.PersistNone:
		verdict = peek.Found
	case f.kind == appliance.PersistTLSSession:
		var h peek.Hello
		h, verdict = peek.ClientHello(b)
		f.session, f.source = bytes.Clone(h.Session), h.TLS13
	default:
		var r peek.Request
		r, verdict = peek.RDP(b)
		f.session, f.route = bytes.ToLower(r.User), r.Route
		f.source = r.User == nil && !r.Route.IsValid()
	}
	if verdict == peek.More {
		return
	}
	f.source = f.source || verdict == peek.None
	s.decide()
}

// decide chooses a server by what is known of the client.
func (s *session) decide() {
	s.first.waiting = false
	s.client.WakeAt(0)
	s.client.Pause()
	s.connect()
}

// ask completes a question for a server.
func (f *first) ask(q *wire.Query) {
	if f != nil {
		q.Session, q.Route, q.BySource, q.TLSName = f.session, f.route, f.source, f.name
	}
}

// answered looks for the session that a server begins or resumes in its first bytes.
func (s *session) answered(b []byte) {
	f := s.first
	if len(f.answer) > 0 {
		b = append(f.answer, b[:min(len(b), maxAnswer)]...)
	}
	h, verdict := peek.ServerHello(b)
	switch {
	case verdict == peek.More && len(b) < maxAnswer:
		f.answer = bytes.Clone(b)
		return
	case verdict == peek.Found && len(h.Session) > 0 && !h.TLS13:
		s.tell(h.Session)
	}
	s.first = nil
}

// learn tells the service that the server of its choice accepted the connection, if it wants to know.
func (s *session) learn() {
	if s.first != nil && s.first.kind != appliance.PersistTLSSession {
		s.first = nil // it has served
	}
	if s.service.Config().Persistence.Kind == appliance.PersistLastSuccessful {
		s.tell(nil)
	}
}

func (s *session) tell(session []byte) {
	if learner, wants := s.service.(wire.Learner); wants {
		learner.Learn(s.choice, &wire.Query{Client: s.client.Peer(), Session: session})
	}
}
