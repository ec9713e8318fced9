package http2

import (
	"bytes"

	"evenkeel/engine/wire"
)

// Sniff is what tells HTTP/2 with prior knowledge (RFC 9113, 3.3) from HTTP/1 on a connection in clear.
type Sniff struct {
	Client wire.Conn
	Until  wire.Time                        // when the first bytes must have come
	HTTP1  func(client wire.Conn) wire.Core // never nil
	HTTP2  func(client wire.Conn) wire.Core // never nil
}

var _ wire.Core = (*Sniff)(nil)

// sniffed is how much of the preface tells: no method of HTTP/1 begins so.
const sniffed = len("PRI *")

// NewSniff returns the core of a connection whose first bytes decide who serves it.
func NewSniff(o Sniff) wire.Core {
	o.Client.WakeAt(o.Until)
	return &o
}

// Received hands the connection over as soon as it is known what it speaks.
func (s *Sniff) Received(c wire.Conn, b []byte) int {
	n := min(len(b), sniffed)
	next := s.HTTP1
	switch {
	case string(b[:n]) != preface[:n] && neither(b):
		c.Close()
		return len(b)
	case string(b[:n]) != preface[:n]:
	case n < sniffed:
		return 0
	default:
		next = s.HTTP2
	}
	c.WakeAt(0)
	core := next(c)
	c.Bind(core)
	return core.Received(c, b)
}

// neither tells whether b begins with a whole line that is no request line of HTTP/1 either: who sends it would not understand an answer.
func neither(b []byte) bool {
	line, _, whole := bytes.Cut(b, []byte("\r\n"))
	return whole && len(line) > 0 && !bytes.Contains(line, []byte(" HTTP/"))
}

// Ended closes a connection that said nothing, or not enough.
func (s *Sniff) Ended(c wire.Conn) { c.Close() }

// Woken closes a connection that says nothing.
func (s *Sniff) Woken(c wire.Conn) { c.Close() }

// Evict closes a connection on which nothing has begun.
func (s *Sniff) Evict(server *wire.Server) {
	if server == nil {
		s.Client.Close()
	}
}

// Broken ends it; nothing is held.
func (s *Sniff) Broken(wire.Conn, error) {}

// Drained does not happen: nothing was sent.
func (s *Sniff) Drained(wire.Conn) {}

// Connected does not happen to an accepted connection.
func (s *Sniff) Connected(wire.Conn) {}

// Spliced does not happen.
func (s *Sniff) Spliced(wire.Conn, int64, bool) {}
