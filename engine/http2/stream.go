package http2

import (
	"net/netip"
	"syscall"

	"evenkeel/engine/wire"
)

// stream is one request and its answer: the wire.Conn of a core that speaks HTTP/1.1.
type stream struct {
	conn *conn
	core wire.Core
	face wire.Conn // what the core knows the stream as: itself, or its secured
	call *call     // of a stream to a server; nil towards clients
	id   uint32

	flags  streamFlags
	queued bool   // stands in conn.work
	inbox  []byte // was offered and not taken, or not offered yet
	waste  int    // bytes at the beginning of inbox that were taken

	sendWindow int64
	recvWindow int64 // what the peer may still send
	unread     int64 // bytes of the peer's body that wait in inbox
	owed       int64 // were taken, and not given back yet
	promised   int64 // what is left of the Content-Length of what comes in; -1: none
	deadline   wire.Time
	message    message // what goes out
	out        queue   // of it, what waits for windows
	trailers   []byte  // a header block behind out
}

// streamFlags are the state of a stream.
type streamFlags uint32

const (
	remoteEnded  streamFlags = 1 << iota // END_STREAM has come
	localEnded                           // END_STREAM was sent
	endWanted                            // END_STREAM follows out
	isPaused                             // the core wants nothing now
	isOffered                            // Resume was called, or the inbox has something new
	isDraining                           // Drained is owed
	isOver                               // the core is told nothing more
	isGone                               // the stream is closed; conn forgets it
	toldEnded                            // the core knows that the peer has finished
	isChunked                            // what comes in is chunked towards the core
	isTunnel                             // an extended CONNECT
	isHead                               // the request is HEAD
	isConnecting                         // to a server, whose core was not told Connected
	isFailed                             // the core is to be told Broken
	headCame                             // of a server's stream: the answer's final head
)

func (s *stream) is(f streamFlags) bool { return s.flags&f != 0 }

var _ wire.Conn = (*stream)(nil)

// soon puts s on the list of those with work.
func (s *stream) soon() {
	if !s.queued {
		s.queued = true
		s.conn.work = append(s.conn.work, s)
	}
	s.conn.soon()
}

// run does what was put off: nothing of it happens within a call of the core.
func (s *stream) run() {
	switch {
	case s.is(isOver):
	case s.is(isFailed):
		s.lost(syscall.ECONNRESET)
	case s.is(isConnecting):
		s.connected()
	default:
		if s.is(isOffered) {
			s.offer(nil)
		}
		s.greeted()
		s.tellEnded()
		s.drained()
		s.complete()
	}
}

// complete ends a core that has nothing more to do: its request has come whole and its answer is sent.
func (s *stream) complete() {
	if s.call == nil && s.flags&(localEnded|remoteEnded|isOver) == localEnded|remoteEnded {
		s.conn.budget.earn(1)
		s.lost(syscall.ECONNRESET)
	}
}

// body takes a piece of the message that comes in.
func (s *stream) body(b []byte, last bool) {
	if s.is(isOver) {
		s.conn.giveBack(int64(len(b)))
		if last {
			s.flags |= remoteEnded
			s.leave()
		}
		return
	}
	if s.promised >= 0 {
		if s.promised -= int64(len(b)); s.promised < 0 || last && s.promised > 0 {
			s.conn.giveBack(int64(len(b)))
			s.refuse(protocolError, "the length of a body is not its Content-Length")
			return
		}
	}
	s.unread += int64(len(b))
	switch {
	case len(b) == 0:
	case s.is(isChunked):
		p := s.conn.shared
		p.offer = append(appendHex(p.offer[:0], len(b)), "\r\n"...)
		p.offer = append(append(p.offer, b...), "\r\n"...)
		if last {
			p.offer = append(p.offer, "0\r\n\r\n"...)
			s.flags |= remoteEnded
			s.offer(p.offer)
			s.tellEnded()
			return
		}
		s.offer(p.offer)
	default:
		if last {
			s.flags |= remoteEnded
		}
		s.offer(b)
	}
	if last {
		s.end(nil)
	}
}

// end is the end of the message that comes in, behind its trailers.
func (s *stream) end(trailers []byte) {
	s.flags |= remoteEnded
	switch {
	case s.is(isOver):
		s.leave()
		return
	case s.promised > 0:
		s.refuse(protocolError, "the length of a body is not its Content-Length")
		return
	case s.is(isChunked):
		p := s.conn.shared
		p.offer = append(append(append(p.offer[:0], "0\r\n"...), trailers...), "\r\n"...)
		s.offer(p.offer)
	}
	s.tellEnded()
}

// offer hands what waits, and b behind it, to the core, and keeps what it leaves.
func (s *stream) offer(b []byte) {
	if s.is(isOver) {
		return
	}
	if s.is(isPaused) {
		s.keep(b)
		s.flags |= isOffered
		return
	}
	s.flags &^= isOffered
	if rest := s.inbox[s.waste:]; len(rest) > 0 {
		s.keep(b)
		rest = s.inbox[s.waste:]
		if taken := s.core.Received(s.face, rest); s.is(isOver) || taken == len(rest) {
			s.inbox, s.waste = s.inbox[:0], 0
		} else {
			s.waste += taken
		}
	} else if len(b) > 0 {
		s.inbox, s.waste = s.inbox[:0], 0
		if taken := s.core.Received(s.face, b); !s.is(isOver) && taken < len(b) {
			s.keep(b[taken:])
		}
	}
	s.credit()
	if s.is(isOffered) && !s.is(isPaused|isOver) && len(s.inbox) > s.waste {
		s.soon()
	}
}

func (s *stream) keep(b []byte) {
	if s.waste > 0 && len(s.inbox)+len(b) > cap(s.inbox) {
		s.inbox = append(s.inbox[:0], s.inbox[s.waste:]...)
		s.waste = 0
	}
	s.inbox = append(s.inbox, b...)
}

// credit opens the windows for what the core has taken. Framing in the inbox counts as body: what waits is never taken for less than it is.
func (s *stream) credit() {
	taken := s.unread - int64(len(s.inbox)-s.waste)
	if s.is(isOver) {
		taken = s.unread
	}
	if taken <= 0 {
		return
	}
	s.unread -= taken
	s.conn.giveBack(taken)
	if s.owed += taken; s.owed >= streamWindow/4 && !s.is(remoteEnded|isGone|isOver) {
		s.conn.room()
		s.conn.out = appendWindowUpdate(s.conn.out, s.id, s.owed)
		s.recvWindow += s.owed
		s.owed = 0
		s.conn.soon()
	}
}

// tellEnded tells the core that the peer has finished, when everything before was offered.
func (s *stream) tellEnded() {
	if s.flags&(remoteEnded|toldEnded|isOver|isPaused|isOffered) == remoteEnded {
		s.flags |= toldEnded
		s.core.Ended(s.face)
	}
}

// refuse resets the stream because of what the peer did, and tells the core.
func (s *stream) refuse(code errorCode, reason string) {
	s.conn.role.refused(reason)
	if s.conn.charge(1, "there are too many broken streams") {
		s.resetWith(code)
		s.broken(syscall.EPROTO)
	}
}

// resetWith sends RST_STREAM.
func (s *stream) resetWith(code errorCode) {
	if s.is(isGone) || s.id == 0 {
		s.gone()
		return
	}
	s.conn.room()
	s.conn.out = appendReset(s.conn.out, s.id, code)
	s.conn.resets.add(s.id)
	s.gone()
	s.conn.soon()
}

// gone closes the stream towards the peer.
func (s *stream) gone() {
	s.flags |= isGone
	s.conn.state.gone = true
	s.conn.closed.add(s.id)
	s.out.free(s.conn.shared)
	s.trailers = nil
	if s.is(isOver) {
		s.forget()
	}
}

// lost is broken for a stream that the peer knows to be closed.
func (s *stream) lost(err error) {
	s.gone()
	s.broken(err)
}

// broken tells the core that the stream failed.
func (s *stream) broken(err error) {
	if s.is(isOver) {
		return
	}
	core := s.core
	s.over()
	if !s.is(isGone) {
		s.resetWith(cancelled)
	}
	core.Broken(s.face, err)
}

// over ends the core's part.
func (s *stream) over() {
	s.flags |= isOver
	s.deadline = 0
	s.forget()
}

// forget gives back what waited for the core.
func (s *stream) forget() {
	s.inbox, s.waste = nil, 0
	s.credit()
	if s.call != nil {
		s.call.replay = nil
	}
}

// leave is called when the core is done or END_STREAM went either way: a stream that is ended both ways is closed.
func (s *stream) leave() {
	switch {
	case s.is(isGone) || !s.is(isOver):
		if s.is(localEnded) && s.is(remoteEnded) {
			s.soon()
		}
	case s.flags&(localEnded|remoteEnded) == localEnded|remoteEnded:
		s.conn.budget.earn(1)
		s.gone()
		s.conn.soon()
	case !s.is(localEnded):
		s.patience(flushPatience)
	case s.call == nil: // the rest of the request is of no use (RFC 9113, 8.1)
		s.resetWith(noError)
	default:
		s.patience(closePatience)
	}
}

// woken looks at the time: the core's, or that of a stream whose core is done.
func (s *stream) woken() {
	if s.is(isOver) {
		s.resetWith(cancelled)
		return
	}
	s.core.Woken(s.face)
}

// Peer implements wire.Conn.
func (s *stream) Peer() netip.AddrPort {
	if s.call != nil {
		return s.call.route.Choice.Address
	}
	return s.conn.outer.Peer()
}

// Local implements wire.Conn.
func (s *stream) Local() netip.AddrPort {
	if s.conn.outer == nil {
		return netip.AddrPort{}
	}
	return s.conn.outer.Local()
}

// secured is a stream of a connection in TLS.
type secured struct {
	*stream
	secrecy *wire.Secrecy
}

var _ wire.Secured = (*secured)(nil)

// Secrecy implements wire.Secured.
func (s *secured) Secrecy() *wire.Secrecy { return s.secrecy }
