// Package relay is TCP Mode: it joins a client's connection to one of a server and passes bytes and half-closes both ways. It does no I/O and knows no
// application protocol, so it suits DICOM, HL7, RDP and databases; sessions that are silent for hours are normal.
package relay

import (
	"sync/atomic"
	"syscall"
	"time"

	"evenkeel/engine/wire"
)

// Options are what a session is made of.
type Options struct {
	Service wire.Service
	Client  wire.Conn
	// Recorder is told of the session when it is over; nil: nobody is.
	Recorder wire.Recorder
	TLSName  string // the server name that the client asked for by TLS which ended before; empty: none
	ReadName bool   // the server name is to be read from the client's first bytes, for the rules
}

// session is one client and its server. While it waits it holds nothing but itself.
type session struct {
	service  wire.Service
	recorder wire.Recorder
	client   wire.Conn
	server   wire.Conn // nil until dialed
	choice   wire.Choice
	tried    []*wire.Server
	first    *first    // nil in services that do not look at the first bytes
	stay     *stay     // nil: it never waited in the queue
	trying   wire.Time // when a server was dialed first, or zero
	dialed   wire.Time // when the server was dialed
	active   wire.Time // when bytes last went in either direction
	held     int       // bytes that the peers had not acknowledged when silence was last looked at
	up, down stream
	account  account
	rule     int32 // as the rules decided, for wire.Query
	ruled    bool
	picked   bool // to be released
	linked   bool // the server is connected
	over     bool
	calm     uint8 // times in a row that a splice was looked at and had not moved
}

// stream is one direction.
type stream struct {
	large    uint8 // large reads in a row
	spliced  bool
	ended    bool  // the sender has finished
	accepted int64 // of the running splice: what is counted already
	total    uint64
}

var _ wire.Core = (*session)(nil)

const (
	largeRead   = wire.OneRead // reads of this size, twice in a row, make a stream worth splicing
	largeReads  = 2
	watchSplice = time.Second
	calmest     = 6 // an idle splice is looked at every 2^6 s at least
)

// New begins a session: it chooses a server and dials it, if need be when the client's first bytes have shown who it is. The client's bytes stay in the kernel, or with
// the driver, until the server is connected.
func New(o Options) wire.Core {
	s := &session{service: o.Service, recorder: o.Recorder, client: o.Client, active: o.Service.Loop().Now()}
	s.account.began = s.active
	if !s.wait(&o) {
		s.client.Pause()
		s.connect()
	}
	return s
}

// connect dials the next server; when there is none the client waits for one, or is closed.
func (s *session) connect() {
	for {
		q := wire.Query{Client: s.client.Peer(), Port: s.client.Local().Port(), Tried: s.tried, Waiter: s, Ticket: s.place()}
		s.first.ask(&q)
		q.Rule, q.Ruled = int(s.rule), s.ruled
		q.Spent = wire.IsSpent(s.trying, s.service.Loop().Now(), s.service.Config().Limits.ConnectTimeout.D())
		choice, ok := s.service.Pick(&q)
		s.rule, s.ruled = int32(q.Rule), q.Ruled
		switch {
		case q.Waits:
			s.queue(q.Ticket)
			return
		case !ok:
			s.turnedAway()
			s.end(wire.Conn.Close, s.unserved(&q), why(&q))
			return
		}
		s.choice, s.picked = choice, true
		if s.trying == 0 {
			s.trying = s.service.Loop().Now()
		}
		server, err := s.service.Dial(choice, s.client, s)
		if err == nil {
			s.server, s.dialed = server, s.service.Loop().Now()
			server.WakeAt(s.service.Loop().Now().Add(s.service.Config().Limits.ConnectTimeout.D()))
			return
		}
		s.failed(err)
	}
}

func (s *session) turnedAway() {
	c := s.service.Counters()
	atomic.StoreUint64(&c.Refused, c.Refused+1)
}

// failed gives back a choice that could not be reached.
func (s *session) failed(err error) {
	s.service.Failed(s.choice, err)
	s.service.Release(s.choice)
	s.tried = append(s.tried, s.choice.Server)
	s.account.tries++
	s.server, s.picked = nil, false
}

// Connected opens the way for the client's bytes.
func (s *session) Connected(c wire.Conn) {
	if s.over || c != s.server {
		return
	}
	s.linked, s.tried = true, nil
	s.learn()
	s.touch()
	s.account.connected = s.active
	s.service.Answered(s.choice, wire.StatusConnected, s.active.Sub(s.dialed))
	c.WakeAt(0)
	s.client.WakeAt(s.active.Add(s.patience()))
	s.client.Resume()
}

func (s *session) touch() { s.active = s.service.Loop().Now() }

// patience is how long both directions may be silent together.
func (s *session) patience() time.Duration {
	l := &s.service.Config().Limits
	return min(l.ClientTimeout.D(), l.ServerTimeout.D())
}

// of returns the stream that c sends, and the connection that receives it.
func (s *session) of(c wire.Conn) (*stream, wire.Conn) {
	if c == s.client {
		return &s.up, s.server
	}
	return &s.down, s.client
}

// Received passes bytes on.
func (s *session) Received(c wire.Conn, b []byte) int {
	if s.waits() {
		s.show(b)
		return 0
	}
	if s.over || !s.linked {
		return 0
	}
	from, to := s.of(c)
	s.touch()
	if c == s.server && s.account.firstByte == 0 {
		s.account.firstByte = s.active
	}
	if s.first != nil && c == s.server {
		s.answered(b)
	}
	s.count(from, int64(len(b)))
	if to.Send(b) > 0 {
		c.Pause()
	}
	if len(b) < largeRead || !c.Raw() || !to.Raw() {
		from.large = 0
	} else if from.large++; from.large >= largeReads {
		s.splice(from, c, to)
	}
	return len(b)
}

// splice lets the kernel move the rest of a stream.
func (s *session) splice(from *stream, c, to wire.Conn) {
	from.spliced, from.accepted = true, 0
	c.Resume()
	c.SpliceTo(to, -1)
	s.calm = 0
	s.client.WakeAt(s.active.Add(min(watchSplice, s.patience())))
}

// count adds to what went in one direction.
func (s *session) count(from *stream, n int64) {
	all, one := s.service.Counters(), &s.choice.Server.Counters
	from.total += uint64(n)
	if from == &s.up {
		atomic.StoreUint64(&all.BytesIn, all.BytesIn+uint64(n))
		atomic.StoreUint64(&one.BytesIn, one.BytesIn+uint64(n))
		return
	}
	atomic.StoreUint64(&all.BytesOut, all.BytesOut+uint64(n))
	atomic.StoreUint64(&one.BytesOut, one.BytesOut+uint64(n))
}

// watch counts what a splice has moved since it was last looked at.
func (s *session) watch(from *stream, c wire.Conn) (moved bool) {
	if !from.spliced {
		return false
	}
	n := c.Moved() - from.accepted
	from.accepted += n
	s.count(from, n)
	return n > 0
}

// Drained lets the other side go on.
func (s *session) Drained(c wire.Conn) {
	if s.over || !s.linked {
		return
	}
	s.touch()
	if c == s.server {
		s.client.Resume()
	} else {
		s.server.Resume()
	}
}

// Ended passes a FIN on; behind both the session is over.
func (s *session) Ended(c wire.Conn) {
	if s.waits() || s.queued() { // it leaves in the middle of its first message, or before there is a server
		s.end(wire.Conn.Close, wire.EndClientClosed, "the client broke off")
		return
	}
	if s.over || !s.linked {
		return
	}
	from, to := s.of(c)
	from.ended = true
	s.touch()
	if s.up.ended && s.down.ended {
		s.end(wire.Conn.Close, wire.EndDone, "")
		return
	}
	to.CloseWrite()
}

// Spliced is the end of a stream that the kernel moved.
func (s *session) Spliced(c wire.Conn, _ int64, ended bool) {
	if s.over {
		return
	}
	from, _ := s.of(c)
	s.watch(from, c)
	from.spliced, from.large = false, 0
	if ended {
		s.Ended(c)
	}
}

// Broken goes to another server if this one could not be reached; otherwise it passes a reset on.
func (s *session) Broken(c wire.Conn, err error) {
	switch {
	case s.over:
	case c == s.server && !s.linked:
		s.failed(err)
		s.connect()
	case c == s.server:
		s.end(wire.Conn.Abort, wire.EndServerClosed, "the server broke off")
	default:
		s.end(wire.Conn.Abort, wire.EndClientClosed, "the client broke off")
	}
}

// Woken looks at the time: of the connect, of a splice, or of silence.
func (s *session) Woken(c wire.Conn) {
	switch {
	case s.over:
	case s.waits():
		s.first.source = true
		s.decide()
	case s.queued():
		s.giveUp()
	case c == s.server && !s.linked:
		c.Abort()
		s.failed(syscall.ETIMEDOUT)
		s.connect()
	case s.linked:
		s.look()
	}
}

func (s *session) look() {
	now, patience := s.service.Loop().Now(), s.patience()
	up, down := s.watch(&s.up, s.client), s.watch(&s.down, s.server)
	if up || down {
		s.active, s.calm = now, 0
	}
	if now.Sub(s.active) >= patience && s.acknowledged() {
		s.active, s.calm = now, 0
	}
	if now.Sub(s.active) >= patience {
		s.end(wire.Conn.Close, s.silent(), "nothing was sent either way for too long")
		return
	}
	next := s.active.Add(patience)
	if s.up.spliced || s.down.spliced {
		next = min(next, now.Add(watchSplice<<s.calm))
		s.calm = min(s.calm+1, calmest)
	}
	s.client.WakeAt(next)
}

// acknowledged tells whether a peer has read since it was last asked, though nothing could be sent: a slow one empties the kernel's buffer first.
func (s *session) acknowledged() bool {
	before := s.held
	s.held = s.client.Queued() + s.client.Unacknowledged() + s.server.Queued() + s.server.Unacknowledged()
	return s.held != 0 && s.held != before
}

// Evict ends the session politely.
func (s *session) Evict(server *wire.Server) {
	if !s.over && (server == nil || s.picked && s.choice.Server == server) {
		s.end(wire.Conn.Close, wire.EndEvicted, "an operator or a new configuration ended it")
	}
}

// end closes both sides in the same way, but for a server that is not connected yet, which is just dropped. A side that broke is closed already.
func (s *session) end(closing func(wire.Conn), end wire.End, why string) {
	s.over, s.first = true, nil
	s.leaveQueue()
	if s.server != nil {
		s.watch(&s.up, s.client)
		s.watch(&s.down, s.server)
		if s.linked {
			closing(s.server)
		} else {
			s.server.Abort()
		}
	}
	s.closeAccount(end, why)
	closing(s.client)
	if s.picked {
		s.picked = false
		s.service.Release(s.choice)
	}
}
