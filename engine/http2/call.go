package http2

import (
	"crypto/sha1"
	"encoding/base64"

	"evenkeel/engine/request"
	"evenkeel/engine/wire"
)

// call is what a stream to a server has besides: what it needs to be sent again when the server did not look at it.
type call struct {
	pool       *Servers
	route      Route
	replay     []byte    // all that the core sent, until the answer begins
	key        []byte    // of a WebSocket's handshake
	since      wire.Time // when it was given to its connection
	tries      uint8
	waits      bool // nothing was sent of it: the connection is not there yet
	closed     bool // replay is not all any more
	idempotent bool
	patient    bool // waits for the server's settings
}

const (
	replayLimit = 64 << 10
	maxTries    = 3
)

// record keeps what the core sends; false: it is not to be sent now.
func (k *call) record(s *stream, b []byte) bool {
	if !k.closed && (k.waits || len(k.replay)+len(b) <= replayLimit) {
		k.replay = append(k.replay, b...)
	} else {
		k.closed, k.replay = true, nil
	}
	if k.waits {
		s.start()
		return false
	}
	return true
}

// answered: the server has looked at the request, which is never sent again.
func (k *call) answered() { k.closed, k.replay = true, nil }

// start sends what waited for the connection.
func (s *stream) start() {
	k := s.call
	if !k.waits || len(k.replay) == 0 || !s.conn.state.connected || k.patient && !s.conn.state.greeted || s.is(isOver) {
		return
	}
	k.waits = false
	if s.transmit(k.replay); !k.waits {
		s.soon() // somebody may wait for Drained
	}
}

// connected tells the core that its connection is there, or sends again what was refused elsewhere.
func (s *stream) connected() {
	switch {
	case s.is(isOver) || !s.conn.state.connected:
	case s.is(isConnecting):
		s.flags &^= isConnecting
		s.core.Connected(s.face)
	default:
		s.start()
	}
}

// greeted sends what waited: what the server can do is known, or the connection is another.
func (s *stream) greeted() {
	if s.call != nil && !s.is(isConnecting) {
		s.start()
	}
}

// again sends a request once more, by any connection; false: it cannot be.
func (s *stream) again() bool {
	k := s.call
	if k == nil || k.closed || k.tries >= maxTries || s.is(isOver|headCame) {
		return false
	}
	k.tries++
	old := s.conn
	s.id, s.owed, s.promised = 0, 0, -1
	s.message = message{}
	s.out.free(old.shared)
	s.trailers = nil
	s.flags &= isPaused | isConnecting | isDraining
	k.waits, s.queued = true, false
	if err := k.pool.place(s); err != nil {
		return false
	}
	old.remove(s)
	s.soon()
	return true
}

// mayGoAgain tells whether a request that the server reset with code may be sent again. Some servers count a stream a moment longer than we do, and then reset the
// next for breaking the protocol: what may be sent twice is tried once more.
func (s *stream) mayGoAgain(code errorCode) bool {
	return code == refusedStream || s.call != nil && code == protocolError && s.call.idempotent && s.call.tries < maxTries
}

// remove takes a stream out that goes to another connection.
func (c *conn) remove(s *stream) {
	if s.conn == c { // the same connection takes it again: once is enough
		n := len(c.streams) - 1
		c.streams = c.streams[:n]
		return
	}
	for i, o := range c.streams {
		if o == s {
			c.streams = append(c.streams[:i:i], c.streams[i+1:]...)
			return
		}
	}
}

// repeats sends a request again whose connection broke, when that does no harm: nothing of it was sent, or it may be sent twice and nothing came back.
func (s *stream) repeats() bool {
	return s.call != nil && s.conn.state.greeted && (s.id == 0 || s.call.idempotent) && s.again()
}

// suspect retires a connection that has been silent since a request began that is given up now: it may be dead without anybody having said so.
func (k *call) suspect(s *stream) {
	c := s.conn
	if !s.is(headCame) && s.id != 0 && c.heard <= k.since && !c.state.over {
		c.retire()
	}
}

// sendRequest turns the head of a request into a header block.
func (s *stream) sendRequest(head []byte) {
	c, k, g := s.conn, s.call, framing{length: -1}
	method, target, ok := requestLine(head)
	var host []byte
	grpc := false
	ok = ok && eachField(head, func(field request.Field, name, value []byte) {
		g.note(field, value)
		switch {
		case field == request.Host:
			host = value
		case field == request.WebSocketKey:
			k.key = append(k.key[:0], value...)
		case request.Equal(name, "content-type"):
			grpc = len(value) >= 16 && string(value[:16]) == "application/grpc"
		}
	})
	switch {
	case !ok || host == nil:
		s.defect()
		return
	case g.webSocket && !c.state.greeted: // whether the server can is not known yet
		s.message, k.waits, k.patient = message{}, true, true
		return
	case g.webSocket && !c.state.webSocket:
		s.cannot()
		return
	}
	k.idempotent = request.Idempotent(method)
	if string(method) == "HEAD" {
		s.flags |= isHead
	}
	block := s.pseudo(append(c.shared.block[:0], dropTable), method, target, host, g.webSocket)
	eachField(head, func(field request.Field, name, value []byte) {
		if (&framing{}).note(field, value) && field != request.Host && field != request.WebSocketKey {
			block = appendField(block, name, value)
		}
	})
	if grpc { // the servers of gRPC want to see it
		block = appendField(block, []byte("te"), []byte("trailers"))
	}
	c.shared.block = block
	s.id = c.nextID
	c.nextID += 2
	end := !g.webSocket && !g.chunked && g.length <= 0
	c.sendBlock(block, s.id, end)
	s.begin(g, end)
}

// pseudo appends the pseudo-fields.
func (s *stream) pseudo(block, method, target, host []byte, webSocket bool) []byte {
	switch {
	case webSocket:
		s.flags |= isTunnel
		block = appendNamed(block, nameMethod, "CONNECT")
		block = appendText(appendText(append(block, literal), ":protocol"), "websocket")
	case string(method) == "GET":
		block = append(block, 0x80|indexMethodGet)
	case string(method) == "POST":
		block = append(block, 0x80|indexMethodPost)
	default:
		block = appendNamed(block, nameMethod, method)
	}
	scheme := byte(indexHTTP)
	if s.call.route.Secure != nil {
		scheme = indexHTTPS
	}
	block = append(block, 0x80|scheme)
	block = appendNamed(block, nameAuthority, host)
	if string(target) == "/" {
		return append(block, 0x80|indexPathSlash)
	}
	return appendNamed(block, namePath, target)
}

func requestLine(head []byte) (method, target []byte, ok bool) {
	i := request.TokenLen(head)
	if i == 0 || i == len(head) || head[i] != ' ' {
		return nil, nil, false
	}
	rest := head[i+1:]
	n := request.TargetLen(rest)
	return head[:i], rest[:n], n > 0 && len(rest) > n && rest[n] == ' '
}

// cannot answers in the server's place: it does not take a WebSocket over HTTP/2 (RFC 8441).
func (s *stream) cannot() {
	s.message.phase = phaseDone
	s.flags |= localEnded | headCame | isOffered
	s.call.answered()
	s.inbox, s.waste = append(s.inbox[:0], "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"...), 0
	s.soon()
}

// acceptOf is what proves that a WebSocket's handshake was understood (RFC 6455, 4.2.2).
func acceptOf(key []byte) string {
	sum := sha1.Sum(append(key[:len(key):len(key)], "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	return base64.StdEncoding.EncodeToString(sum[:])
}
