package http2

import "encoding/binary"

// headers takes a HEADERS frame, and the header block when it is complete in it.
func (c *conn) headers(f frame) {
	block, ok := f.unpad()
	switch {
	case f.stream == 0 || f.stream%2 == 0:
		c.fail(protocolError, "there are HEADERS on a stream that cannot be")
		return
	case !ok || f.has(flagPriority) && len(block) < 5:
		c.fail(protocolError, "the padding is longer than its frame")
		return
	}
	if f.has(flagPriority) {
		if binary.BigEndian.Uint32(block)&^(1<<31) == f.stream {
			c.fail(protocolError, "a stream depends on itself")
			return
		}
		block = block[5:]
	}
	if f.has(flagEndHeaders) {
		c.role.fields(c, f, block)
		return
	}
	c.state.inBlock, c.more, c.since = true, 0, c.now()
	c.pending = frame{stream: f.stream, kind: f.kind, flags: f.flags}
	c.block = append(c.block[:0], block...)
}

// continuation takes more of a header block.
func (c *conn) continuation(f frame) {
	if !c.state.inBlock {
		c.fail(protocolError, "there is a CONTINUATION without HEADERS")
		return
	}
	c.more++
	if len(c.block)+len(f.payload) > maxBlock || c.more > maxContinuations {
		c.fail(enhanceYourCalm, "a header block has no end")
		return
	}
	c.block = append(c.block, f.payload...)
	if f.has(flagEndHeaders) {
		block := c.block
		c.state.inBlock, c.block = false, nil
		c.state.idle = false
		c.role.fields(c, c.pending, block)
	}
}

// decode turns a header block into shared.head; false: the connection is closed, because the decoder's table is in doubt.
func (c *conn) decode(block []byte, kind headKind) bool {
	h := &c.shared.head
	h.begin(kind, c.role.headLimit())
	c.dec.SetEmitEnabled(kind != skipHead)
	_, err := c.dec.Write(block)
	if err == nil {
		err = c.dec.Close()
	}
	if err != nil {
		c.fail(compressionError, "a header block cannot be decoded")
		return false
	}
	return true
}

// trailers takes the header block behind a body.
func (c *conn) trailers(s *stream, f frame, block []byte) {
	kind := trailerHead
	if s.is(remoteEnded | isOver) {
		kind = skipHead
	}
	if !c.decode(block, kind) {
		return
	}
	h := &c.shared.head
	switch {
	case s.is(remoteEnded):
		s.refuse(streamClosed, "there are HEADERS behind the end of a request")
	case !f.has(flagEndStream):
		s.refuse(protocolError, "trailers do not end their stream")
	case h.fault != "":
		s.refuse(protocolError, h.fault)
	case h.tooLarge:
		s.refuse(enhanceYourCalm, "the trailers are too large")
	default:
		s.end(h.text)
	}
}
