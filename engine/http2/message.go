package http2

import (
	"bytes"

	"evenkeel/engine/request"
)

// phase is where a message stands that a core sends as HTTP/1.1.
type phase uint8

const (
	phaseHead phase = iota
	phaseLength
	phaseChunkSize
	phaseChunk
	phaseChunkEnd
	phaseTrailers
	phaseClose // until the core closes: a body without length, or a tunnel
	phaseDone
)

// message reads what a core sends. It comes from our own core: what is malformed is a defect, and the stream is broken off.
type message struct {
	part  []byte // a head or a line that is not complete
	block []byte // trailers so far
	left  int64
	phase phase
}

// parse turns a part of the message into frames.
func (s *stream) parse(b []byte) {
	m := &s.message
	for len(b) > 0 && !s.is(isGone) {
		switch m.phase {
		case phaseHead:
			b = s.parseHead(b)
		case phaseLength:
			n := min(m.left, int64(len(b)))
			if m.left -= n; m.left == 0 {
				m.phase = phaseDone
			}
			s.write(b[:n], m.left == 0)
			b = b[n:]
		case phaseChunk:
			n := min(m.left, int64(len(b)))
			if m.left -= n; m.left == 0 {
				m.phase = phaseChunkEnd
			}
			s.write(b[:n], false)
			b = b[n:]
		case phaseClose:
			s.write(b, false)
			return
		case phaseDone:
			return
		default:
			b = s.parseLine(b)
		}
	}
}

// upTo returns what ends with mark, joined with what came before, and what is behind it; nil: it is not complete.
func (m *message) upTo(b []byte, mark string) (whole, rest []byte, ok bool) {
	if len(m.part) == 0 {
		if i := bytes.Index(b, []byte(mark)); i >= 0 {
			return b[:i+len(mark)], b[i+len(mark):], true
		}
		m.part = append(m.part, b...)
		return nil, nil, len(m.part) <= maxBlock
	}
	had := len(m.part)
	m.part = append(m.part, b...)
	i := bytes.Index(m.part, []byte(mark))
	if i < 0 {
		return nil, nil, len(m.part) <= maxBlock
	}
	whole, rest = m.part[:i+len(mark)], b[max(i+len(mark)-had, 0):]
	m.part = nil
	return whole, rest, true
}

// defect breaks the stream off: the core sent what is no HTTP/1.1.
func (s *stream) defect() {
	s.resetWith(internalError)
	s.flags |= isFailed
	s.soon()
}

func (s *stream) parseHead(b []byte) (rest []byte) {
	head, rest, ok := s.message.upTo(b, "\r\n\r\n")
	switch {
	case !ok:
		s.defect()
	case head == nil:
	case s.call != nil:
		if s.sendRequest(head); s.call.waits {
			return nil
		}
	default:
		s.sendResponse(head)
	}
	return rest
}

// parseLine reads a line of the framing of a chunked body.
func (s *stream) parseLine(b []byte) (rest []byte) {
	m := &s.message
	line, rest, ok := m.upTo(b, "\r\n")
	if !ok {
		s.defect()
		return nil
	}
	if line == nil {
		return nil
	}
	line = line[:len(line)-2]
	switch m.phase {
	case phaseChunkSize:
		n, ok := parseHex(line)
		if !ok {
			s.defect()
			return nil
		}
		if m.left, m.phase = n, phaseChunk; n == 0 {
			m.phase = phaseTrailers
		}
	case phaseChunkEnd:
		m.phase = phaseChunkSize
	case phaseTrailers:
		s.trailer(line)
	}
	return rest
}

// trailer takes one trailer, or the empty line behind the last.
func (s *stream) trailer(line []byte) {
	m := &s.message
	if len(line) > 0 {
		name, value, ok := splitField(line)
		if !ok {
			s.defect()
			return
		}
		if m.block == nil {
			m.block = append(m.block, dropTable)
		}
		m.block = appendField(m.block, name, value)
		return
	}
	m.phase = phaseDone
	s.trailers, m.block = m.block, nil
	s.write(nil, true)
}

func parseHex(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 15 {
		return 0, false
	}
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | int64(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			n = n<<4 | int64(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}

func splitField(line []byte) (name, value []byte, ok bool) {
	i := bytes.IndexByte(line, ':')
	if i <= 0 || !request.Token(line[:i]) {
		return nil, nil, false
	}
	return line[:i], request.Trim(line[i+1:]), true
}

// eachField calls f for each field line of a head behind its first line; false: a line is malformed.
func eachField(head []byte, f func(field request.Field, name, value []byte)) bool {
	_, rest, _ := bytes.Cut(head, []byte("\r\n"))
	for len(rest) > 2 {
		line, more, _ := bytes.Cut(rest, []byte("\r\n"))
		name, value, ok := splitField(line)
		if !ok {
			return false
		}
		f(request.FieldOf(name), name, value)
		rest = more
	}
	return true
}

// framing is what the fields of a head say about its body.
type framing struct {
	length    int64 // -1: none
	chunked   bool
	webSocket bool // Upgrade says so
}

// note takes a field; it returns whether the field goes into the header block.
func (g *framing) note(field request.Field, value []byte) bool {
	switch field {
	case request.ContentLength:
		if n, ok := request.ParseLength(value); ok {
			g.length = n
		}
	case request.TransferEncoding:
		g.chunked = true
		return false
	case request.Upgrade:
		g.webSocket = request.SameFold(value, []byte("websocket"))
		return false
	case request.Connection, request.HopByHop:
		return false
	}
	return true
}

// begin sets what follows the head; end says that nothing does.
func (s *stream) begin(g framing, end bool) {
	m := &s.message
	switch {
	case end:
		m.phase = phaseDone
		s.flags |= localEnded | endWanted
		s.leave()
	case s.is(isTunnel):
		m.phase = phaseClose
	case g.chunked:
		m.phase = phaseChunkSize
	case g.length >= 0:
		m.phase, m.left = phaseLength, g.length
	default:
		m.phase = phaseClose
	}
}
