package http2

import (
	"time"

	"evenkeel/engine/wire"
)

// What a core may do with its stream.

// Send implements wire.Conn: b is of one message in HTTP/1.1.
func (s *stream) Send(b []byte) int {
	if s.is(isOver | isGone) {
		return 0
	}
	if s.call != nil && !s.call.record(s, b) {
		if s.call.waits {
			s.flags |= isDraining
		}
		return s.Queued()
	}
	s.transmit(b)
	return s.Queued()
}

// transmit turns a part of the message into frames.
func (s *stream) transmit(b []byte) {
	s.conn.room()
	s.parse(b)
	if s.out.size() > 0 {
		s.flags |= isDraining
	}
	s.conn.soon()
}

// Queued implements wire.Conn: what waits for the peer's window, or for the connection.
func (s *stream) Queued() int {
	n := s.out.size()
	if s.call != nil && s.call.waits {
		n += len(s.call.replay)
	}
	return n
}

// Unacknowledged implements wire.Conn. While the peer keeps the window of the stream shut, what else it reads is no sign of life for this stream.
func (s *stream) Unacknowledged() int {
	if s.out.size() > 0 && s.sendWindow <= 0 || s.conn.outer == nil || s.conn.state.over {
		return 0
	}
	return s.conn.outer.Queued() + s.conn.outer.Unacknowledged()
}

// Acknowledge implements wire.Conn. The connection has been answered before: by SETTINGS.
func (s *stream) Acknowledge() {}

// Quiet implements wire.Conn. A stream serves one request.
func (s *stream) Quiet() bool { return true }

// Pause implements wire.Conn.
func (s *stream) Pause() { s.flags |= isPaused }

// Resume implements wire.Conn.
func (s *stream) Resume() {
	if s.is(isOver) {
		return
	}
	s.flags = s.flags&^isPaused | isOffered
	s.soon()
}

// CloseWrite implements wire.Conn: the end of a tunnel, or of a body that ends so.
func (s *stream) CloseWrite() {
	if s.is(isOver | isGone) {
		return
	}
	if s.message.phase == phaseClose {
		s.message.phase = phaseDone
		s.write(nil, true)
		s.conn.soon()
	}
}

// Close implements wire.Conn. A message that is not complete is broken off.
func (s *stream) Close() {
	if s.is(isOver) {
		return
	}
	s.CloseWrite()
	whole := s.message.phase == phaseDone && (s.call == nil || !s.call.waits)
	s.over()
	if whole {
		s.leave()
		return
	}
	s.resetWith(s.abandoned())
}

// abandoned is the code for a message that ends before its time.
func (s *stream) abandoned() errorCode {
	if s.call != nil || s.message.phase == phaseHead && !s.is(remoteEnded) {
		return cancelled
	}
	return internalError
}

// Abort implements wire.Conn.
func (s *stream) Abort() {
	if s.is(isGone) {
		return
	}
	if s.call != nil {
		s.call.suspect(s)
	}
	s.over()
	s.resetWith(s.abandoned())
}

// WakeAt implements wire.Conn.
func (s *stream) WakeAt(t wire.Time) {
	if !s.is(isOver) {
		s.deadline = t
		s.conn.wakeBy(t)
	}
}

// patience bounds how long a stream may stay whose core is done.
func (s *stream) patience(d time.Duration) {
	s.deadline = s.conn.now().Add(d)
	s.conn.wakeBy(s.deadline)
}

// SpliceTo implements wire.Conn; a stream is not raw, so nobody calls it.
func (s *stream) SpliceTo(wire.Conn, int64) {}

// Moved implements wire.Conn.
func (s *stream) Moved() int64 { return 0 }

// Raw implements wire.Conn.
func (s *stream) Raw() bool { return false }

// Bind implements wire.Conn.
func (s *stream) Bind(core wire.Core) {
	if !s.is(isOver) {
		s.core = core
	}
}
