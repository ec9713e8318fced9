package http2

// queue is bytes that wait: b[off:].
type queue struct {
	b   []byte
	off int
}

func (q *queue) size() int { return len(q.b) - q.off }

func (q *queue) add(p *Shared, b []byte) {
	if q.b == nil {
		q.b = p.get()
	}
	if q.off > 0 && len(q.b)+len(b) > cap(q.b) {
		q.b = append(q.b[:0], q.b[q.off:]...)
		q.off = 0
	}
	q.b = append(q.b, b...)
}

func (q *queue) free(p *Shared) {
	p.put(q.b)
	*q = queue{}
}

// write sends a piece of a body as far as the windows allow, and keeps the rest. With end, END_STREAM follows it.
func (s *stream) write(b []byte, end bool) {
	if end {
		s.flags |= endWanted
	}
	if !s.waits() {
		for len(b) > 0 {
			n := s.push(b, end)
			if n == 0 {
				break
			}
			b = b[n:]
		}
	}
	if len(b) > 0 {
		s.out.add(s.conn.shared, b)
	}
	s.close()
}

// push sends one DATA frame and returns how much of b is in it. last says that b ends the message, unless trailers follow.
func (s *stream) push(b []byte, last bool) int {
	c := s.conn
	if s.sendWindow <= 0 || !c.writable() {
		return 0
	}
	n := int(min(int64(len(b)), frameLimit, s.sendWindow, c.sendWindow))
	flags := uint8(0)
	if last && n == len(b) && s.trailers == nil {
		flags = flagEndStream
		s.flags |= localEnded
	}
	c.room()
	c.out = append(appendHead(c.out, n, frameData, flags, s.id), b[:n]...)
	c.budget.sent()
	s.sendWindow -= int64(n)
	c.sendWindow -= int64(n)
	return n
}

// waits tells whether a part of the message waits for a window.
func (s *stream) waits() bool { return s.out.size() > 0 && !s.is(isGone) }

// pushOne sends one frame of what waits; false: it cannot.
func (s *stream) pushOne() bool {
	n := s.push(s.out.b[s.out.off:], s.is(endWanted))
	if s.out.off += n; s.out.size() == 0 {
		s.out.free(s.conn.shared)
		s.close()
	}
	return n > 0
}

// close sends what ends the message, when nothing waits before it.
func (s *stream) close() {
	if !s.is(endWanted) || s.waits() || s.is(isGone) {
		return
	}
	c := s.conn
	switch {
	case s.is(localEnded):
	case s.trailers != nil:
		c.sendBlock(s.trailers, s.id, true)
		s.trailers = nil
	default:
		c.room()
		c.out = appendHead(c.out, 0, frameData, flagEndStream, s.id)
	}
	s.flags |= localEnded
	s.leave()
}

// drained tells the core that everything is sent, after Send had to leave bytes queued.
func (s *stream) drained() {
	if s.is(isDraining) && s.Queued() == 0 {
		s.flags &^= isDraining
		if !s.is(isOver) {
			s.core.Drained(s.face)
		}
	}
}

// sendBlock sends a header block that begins with the byte that empties the peer's table, which is left out unless it is needed.
func (c *conn) sendBlock(block []byte, id uint32, end bool) {
	if !c.state.dropTable {
		block = block[1:]
	}
	c.state.dropTable = false
	c.room()
	c.out = appendBlock(c.out, block, id, end)
}

// dropTable is the representation that empties the table of the peer's decoder (RFC 7541, 6.3): we use none.
const dropTable = 0x20
