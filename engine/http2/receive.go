package http2

import (
	"encoding/binary"
	"slices"
	"syscall"

	"evenkeel/engine/wire"
)

// Received implements wire.Core: it takes whole frames.
func (c *conn) Received(_ wire.Conn, b []byte) int {
	if c.state.over {
		return len(b)
	}
	c.enter()
	c.heard = c.now()
	taken := c.frames(b)
	c.leave()
	if c.state.over {
		return len(b)
	}
	return taken
}

func (c *conn) frames(b []byte) (taken int) {
	if !c.state.inPreface {
		if taken = c.takePreface(b); taken == 0 {
			return 0
		}
	}
	for !c.state.over && len(b)-taken >= frameHead {
		f, length := readHead(b[taken:])
		if length > frameLimit {
			c.fail(frameSizeError, "a frame is larger than allowed")
			return taken
		}
		next := taken + frameHead + length
		if next > len(b) {
			return taken
		}
		f.payload = b[taken+frameHead : next]
		taken = next
		c.frame(f)
	}
	return taken
}

// takePreface takes the 24 bytes that a client begins with.
func (c *conn) takePreface(b []byte) int {
	n := min(len(b), len(preface))
	if string(b[:n]) != preface[:n] {
		c.fail(protocolError, "the connection does not begin as HTTP/2")
		return 0
	}
	if n < len(preface) {
		return 0
	}
	c.state.inPreface = true
	return n
}

// frame handles one frame.
func (c *conn) frame(f frame) {
	switch {
	case c.state.inBlock && (f.kind != frameContinuation || f.stream != c.pending.stream):
		c.fail(protocolError, "a header block is interrupted")
		return
	case !c.state.greeted && (f.kind != frameSettings || f.has(flagAck)):
		c.fail(protocolError, "the first frame is not SETTINGS")
		return
	}
	switch f.kind {
	case frameData:
		c.data(f)
	case frameHeaders:
		c.headers(f)
	case framePriority:
		c.priority(f)
	case frameReset:
		c.reset(f)
	case frameSettings:
		c.settings(f)
	case framePushPromise:
		c.fail(protocolError, "there is a PUSH_PROMISE")
	case framePing:
		c.ping(f)
	case frameGoAway:
		c.goAway(f)
	case frameWindowUpdate:
		c.windowUpdate(f)
	case frameContinuation:
		c.continuation(f)
	default: // is to be ignored (RFC 9113, 5.5)
		c.charge(1, "there are too many frames of unknown types")
	}
}

// open returns the stream with a number, or nil.
func (c *conn) open(id uint32) *stream {
	if !c.role.answers() { // their numbers are given when they begin, which is not in the order of the list
		return c.ours(id)
	}
	low, high := 0, len(c.streams)
	for low < high {
		if mid := (low + high) / 2; c.streams[mid].id < id {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low < len(c.streams) && c.streams[low].id == id && !c.streams[low].is(isGone) {
		return c.streams[low]
	}
	return nil
}

func (c *conn) ours(id uint32) *stream {
	for _, s := range c.streams {
		if s.id == id && !s.is(isGone) {
			return s
		}
	}
	return nil
}

// idle tells whether a stream with that number was never opened.
func (c *conn) idle(id uint32) bool {
	if c.role.answers() {
		return id%2 == 0 || id > c.lastID
	}
	return id%2 == 0 || id >= c.nextID
}

// data takes a DATA frame. What it counts for the windows is its whole payload.
func (c *conn) data(f frame) {
	size := int64(len(f.payload))
	body, ok := f.unpad()
	switch {
	case f.stream == 0 || c.idle(f.stream):
		c.fail(protocolError, "there is DATA on a stream that is not open")
		return
	case !ok:
		c.fail(protocolError, "the padding is longer than its frame")
		return
	case size > c.recvWindow:
		c.fail(flowControlError, "more DATA came than the window allows")
		return
	}
	c.recvWindow -= size
	s := c.open(f.stream)
	if s == nil {
		c.giveBack(size)
		c.late(f.stream, streamClosed)
		return
	}
	if len(body) == 0 && !f.has(flagEndStream) && !c.charge(1, "there is too much empty DATA") {
		return
	}
	switch {
	case s.is(remoteEnded):
		c.giveBack(size)
		s.refuse(streamClosed, "there is DATA behind the end of a request")
	case size > s.recvWindow:
		c.giveBack(size)
		s.refuse(flowControlError, "more DATA came than the window allows")
	default:
		s.recvWindow -= size
		c.giveBack(size - int64(len(body)))
		s.owed += size - int64(len(body))
		s.body(body, f.has(flagEndStream))
	}
}

// late handles DATA or HEADERS for a stream that is over: what was on its way when we reset it is nobody's fault. otherwise is the code for a stream of which
// nothing is known any more, or that was left out.
func (c *conn) late(id uint32, otherwise errorCode) {
	switch {
	case c.resets.has(id):
		c.charge(1, "there are too many frames on closed streams")
	case c.closed.has(id):
		c.fail(streamClosed, "there is a frame on a closed stream")
	default:
		c.fail(otherwise, "there is a frame on a closed stream")
	}
}

// giveBack counts bytes that wait for nobody any more and tells the peer when they are many.
func (c *conn) giveBack(n int64) {
	if c.owed += n; c.owed >= connWindow/4 && !c.state.over {
		c.room()
		c.out = appendWindowUpdate(c.out, 0, c.owed)
		c.recvWindow += c.owed
		c.owed = 0
		c.soon()
	}
}

// priority is checked and otherwise ignored (RFC 9113, 5.3.2).
func (c *conn) priority(f frame) {
	switch {
	case f.stream == 0:
		c.fail(protocolError, "there is a PRIORITY without a stream")
	case len(f.payload) != 5:
		c.refuse(f.stream, frameSizeError, "a PRIORITY has a wrong size")
	case binary.BigEndian.Uint32(f.payload)&^(1<<31) == f.stream:
		c.refuse(f.stream, protocolError, "a stream depends on itself")
	default:
		c.charge(1, "there are too many PRIORITY frames")
	}
}

// refuse resets a stream, which need not be open, because of what the peer did.
func (c *conn) refuse(id uint32, code errorCode, reason string) {
	if s := c.open(id); s != nil {
		s.refuse(code, reason)
		return
	}
	c.role.refused(reason)
	if c.charge(1, "there are too many broken streams") {
		c.room()
		c.out = appendReset(c.out, id, code)
		c.resets.add(id)
	}
}

// reset takes RST_STREAM.
func (c *conn) reset(f frame) {
	switch {
	case len(f.payload) != 4:
		c.fail(frameSizeError, "a RST_STREAM has a wrong size")
		return
	case f.stream == 0 || c.idle(f.stream):
		c.fail(protocolError, "a stream is reset that was never opened")
		return
	}
	s := c.open(f.stream)
	if !c.charge(1, "there are too many resets") || s == nil {
		return
	}
	code := errorCode(binary.BigEndian.Uint32(f.payload))
	if s.mayGoAgain(code) && s.again() {
		return
	}
	if code == noError && s.is(remoteEnded) { // we need not send the rest
		s.flags |= localEnded
		s.leave()
		return
	}
	s.lost(syscall.ECONNRESET)
}

// ping answers a PING.
func (c *conn) ping(f frame) {
	switch {
	case f.stream != 0:
		c.fail(protocolError, "a PING has a stream")
	case len(f.payload) != 8:
		c.fail(frameSizeError, "a PING has a wrong size")
	case f.has(flagAck):
		if string(f.payload) == drainPing {
			c.drained()
		}
	case c.budget.answer() || c.charge(1, "there are too many PINGs"):
		c.room()
		c.out = append(appendHead(c.out, 8, framePing, flagAck, 0), f.payload...)
	}
}

// goAway ends the use of the connection: the peer does not look at streams above a number.
func (c *conn) goAway(f frame) {
	switch {
	case f.stream != 0:
		c.fail(protocolError, "a GOAWAY has a stream")
		return
	case len(f.payload) < 8:
		c.fail(frameSizeError, "a GOAWAY has a wrong size")
		return
	case !c.charge(1, "there are too many GOAWAYs"):
		return
	}
	if c.role.answers() {
		c.state.bye = true
		return
	}
	c.retire()
	last := binary.BigEndian.Uint32(f.payload) &^ (1 << 31)
	for _, s := range slices.Clone(c.streams) {
		if (s.id > last || s.id == 0) && !s.is(isGone) && !s.again() {
			s.lost(syscall.ECONNRESET)
		}
	}
}

// windowUpdate lets us send more.
func (c *conn) windowUpdate(f frame) {
	if len(f.payload) != 4 {
		c.fail(frameSizeError, "a WINDOW_UPDATE has a wrong size")
		return
	}
	n := int64(binary.BigEndian.Uint32(f.payload) &^ (1 << 31))
	if !c.budget.answer() && n < 64 && !c.charge(1, "there are too many tiny windows") {
		return
	}
	if f.stream == 0 {
		if c.sendWindow += n; n == 0 || c.sendWindow > largestWindow {
			c.failWindow(n)
			return
		}
		c.pump()
		return
	}
	if c.idle(f.stream) {
		c.fail(protocolError, "there is a WINDOW_UPDATE on a stream that is not open")
		return
	}
	s := c.open(f.stream)
	if s == nil {
		return
	}
	switch s.sendWindow += n; {
	case n == 0:
		s.refuse(protocolError, "a WINDOW_UPDATE is zero")
	case s.sendWindow > largestWindow:
		s.refuse(flowControlError, "a window is larger than 2^31-1")
	default:
		c.pump()
	}
}

func (c *conn) failWindow(n int64) {
	if n == 0 {
		c.fail(protocolError, "a WINDOW_UPDATE is zero")
		return
	}
	c.fail(flowControlError, "a window is larger than 2^31-1")
}
