package http2

import (
	"crypto/rand"
	"encoding/base64"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/request"
	"evenkeel/engine/wire"
)

// Options are what the connection of a client is made of.
type Options struct {
	Shared  *Shared   // the loop's; never nil
	Client  wire.Conn // the connection below: of the loop, or of an adapter
	Config  func() *appliance.VirtualService
	New     func(stream wire.Conn) wire.Core // makes the core of one request and its answer; never nil
	Refused func(reason string)              // told once for each connection or request that is turned away for what it is; nil: nobody wants to know
}

// New returns the core of a client's connection that speaks HTTP/2 from its first byte. Each stream becomes a core of its own, which is told Ended behind its
// request and may send one message; what is no HTTP/2 ends the connection, what is no request ends its stream.
func New(o Options) wire.Core {
	c := newConn(o.Shared, &clientRole{o})
	c.outer = o.Client
	c.greet()
	c.flush()
	c.wakeBy(c.due())
	return c
}

// clientRole is what is particular to the connection of a client.
type clientRole struct{ Options }

func (r *clientRole) answers() bool { return true }
func (r *clientRole) retired(*conn) {}

func (r *clientRole) refused(reason string) {
	if r.Refused != nil {
		r.Refused(reason)
	}
}

func (r *clientRole) greeting(out []byte) []byte {
	return appendSettings(out, option{maxConcurrentStreams, maxStreams}, option{initialWindowSize, streamWindow},
		option{maxHeaderListSize, uint32(r.headLimit())}, option{enableConnectProtocol, 1})
}

func (r *clientRole) headLimit() int { return r.Config().HTTP.HeadLimit }

func (r *clientRole) patience() (idle, first time.Duration) {
	config := r.Config()
	return config.Limits.ClientTimeout.D(), config.HTTP.HeadTimeout.D()
}

// fields handles a header block: a new request, or trailers.
func (r *clientRole) fields(c *conn, f frame, block []byte) {
	if s := c.open(f.stream); s != nil {
		c.trailers(s, f, block)
		return
	}
	if f.stream <= c.lastID {
		if c.decode(block, skipHead) {
			c.late(f.stream, protocolError)
		}
		return
	}
	if c.state.final { // the peer knows that we do not look at it
		c.decode(block, skipHead)
		return
	}
	c.lastID = f.stream
	if len(c.streams) >= maxStreams {
		c.sweep()
	}
	if len(c.streams) >= maxStreams {
		if c.decode(block, skipHead) {
			c.refuse(f.stream, refusedStream, "there are too many requests at the same time")
		}
		return
	}
	if c.decode(block, requestHead) {
		r.request(c, f)
	}
}

// request begins a stream with the head that was decoded.
func (r *clientRole) request(c *conn, f frame) {
	h := &c.shared.head
	h.wholeRequest()
	last := f.has(flagEndStream)
	switch {
	case h.tooLarge:
		r.refused("the head is too large")
		if c.charge(1, "there are too many broken streams") {
			c.answerTooLarge(f.stream, last)
		}
		return
	case h.fault == "" && last && h.length > 0:
		h.bad("the length of a body is not its Content-Length")
	case h.fault == "" && last && h.upgrade:
		h.bad("the extended CONNECT is malformed")
	}
	if h.fault != "" {
		c.refuse(f.stream, protocolError, h.fault)
		return
	}
	s := &stream{conn: c, id: f.stream, sendWindow: c.peerInitial, recvWindow: streamWindow, promised: h.length}
	c.streams = append(c.streams, s)
	c.state.idle = false
	if h.method == "HEAD" {
		s.flags |= isHead
	}
	switch {
	case last:
		s.flags |= remoteEnded
	case h.upgrade:
		s.flags |= isTunnel
		h.text = appendHandshake(h.text)
	case h.length < 0:
		s.flags |= isChunked
		h.text = append(h.text, "Transfer-Encoding: chunked\r\n"...)
	}
	h.text = append(h.text, "\r\n"...)
	c.shared.offer = append(c.shared.offer[:0], h.text...)
	s.face = s
	if outer, secure := c.outer.(wire.Secured); secure {
		s.face = &secured{stream: s, secrecy: outer.Secrecy()}
	}
	s.core = r.New(s.face)
	s.offer(c.shared.offer)
	s.tellEnded()
}

// answerTooLarge answers a request whose head nobody wants to hold.
func (c *conn) answerTooLarge(id uint32, last bool) {
	block := appendStatus(append(c.shared.block[:0], dropTable), []byte("431"))
	c.sendBlock(block, id, true)
	if !last {
		c.out = appendReset(c.out, id, noError)
		c.resets.add(id)
	}
}

// appendHandshake turns an extended CONNECT into the upgrade that it stands for (RFC 8441, 5): the key has no meaning there, so we make one.
func appendHandshake(out []byte) []byte {
	var key [16]byte
	_, _ = rand.Read(key[:]) // never fails
	out = append(out, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: "...)
	return append(base64.StdEncoding.AppendEncode(out, key[:]), "\r\n"...)
}

// sendResponse turns the head of an answer into a header block.
func (s *stream) sendResponse(head []byte) {
	if len(head) < 17 || string(head[:8]) != "HTTP/1.1" {
		s.defect()
		return
	}
	status := head[9:12]
	interim, switches := status[0] == '1', string(status) == "101"
	if switches && !s.is(isTunnel) {
		s.defect()
		return
	}
	if switches {
		status = []byte("200")
	}
	p, g := s.conn.shared, framing{length: -1}
	block := appendStatus(append(p.block[:0], dropTable), status)
	ok := eachField(head, func(field request.Field, name, value []byte) {
		if g.note(field, value) && !(switches && request.Equal(name, "sec-websocket-accept")) {
			block = appendField(block, name, value)
		}
	})
	p.block = block
	if !ok || switches && !g.webSocket {
		s.defect()
		return
	}
	if interim && !switches {
		s.conn.sendBlock(block, s.id, false)
		return
	}
	if !switches { // an answer that declines the upgrade ends like any other
		s.flags &^= isTunnel
	}
	end := !switches && (s.is(isHead) || string(status) == "204" || string(status) == "304" || g.length == 0 && !g.chunked)
	s.conn.sendBlock(block, s.id, end)
	s.begin(g, end)
}
