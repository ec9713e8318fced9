package http2

import (
	"crypto/tls"
	"slices"
	"time"

	"evenkeel/engine/wire"
)

// Dialer opens connections to servers, as far as HTTP/2 does not begin: with TLS, the connection is told Connected when "h2" was agreed on.
type Dialer interface {
	DialBelow(choice wire.Choice, core wire.Core) (wire.Conn, error)
}

// Route is where a request goes.
type Route struct {
	Choice wire.Choice
	Dialer Dialer
	Secure *tls.Config // what TLS below was made with: connections are not shared beyond it; nil: in clear
}

// Servers keeps the connections of one loop to servers that speak HTTP/2. Requests to one address share a connection as far as the server allows.
type Servers struct {
	shared *Shared
	open   []*serverRole // that take new streams
	closed bool
}

// NewServers returns the connections of a loop; there are none.
func NewServers(shared *Shared) *Servers { return &Servers{shared: shared} }

// serverRole is what is particular to a connection to a server.
type serverRole struct {
	pool  *Servers
	route Route
	conn  *conn
}

const (
	idlePatience  = 30 * time.Second
	firstPatience = 10 * time.Second
	lastNumber    = 1 << 30 // a connection has no more streams than this
)

func (r *serverRole) answers() bool  { return false }
func (r *serverRole) refused(string) {}

func (r *serverRole) greeting(out []byte) []byte {
	out = append(out, preface...)
	return appendSettings(out, option{enablePush, 0}, option{initialWindowSize, streamWindow}, option{maxHeaderListSize, maxHead})
}

func (r *serverRole) headLimit() int { return maxHead }

func (r *serverRole) patience() (idle, first time.Duration) { return idlePatience, firstPatience }

func (r *serverRole) retired(*conn) {
	p := r.pool
	if i := slices.Index(p.open, r); i >= 0 {
		p.open = slices.Delete(p.open, i, i+1)
	}
}

// Open begins a request: what it returns is a connection for one exchange in HTTP/1.1, whose Connected or Broken follows. A request that the server did not look at
// is sent again by itself. An error at once is that of the Dialer.
func (p *Servers) Open(r Route, core wire.Core) (wire.Conn, error) {
	s := &stream{core: core, flags: isConnecting, promised: -1, call: &call{pool: p, route: r, waits: true}}
	s.face = s
	if err := p.place(s); err != nil {
		return nil, err
	}
	return s, nil
}

// place gives a stream to a connection, which is dialed when no other has room.
func (p *Servers) place(s *stream) error {
	route := &s.call.route
	for _, r := range p.open {
		if r.route.Choice.Server == route.Choice.Server && r.route.Choice.Address == route.Choice.Address && r.route.Secure == route.Secure && r.conn.hasRoom() {
			s.join(r.conn)
			return nil
		}
	}
	r := &serverRole{pool: p, route: *route}
	c := newConn(p.shared, r)
	c.state.inPreface = true // a server has none
	r.conn = c
	outer, err := route.Dialer.DialBelow(route.Choice, c)
	if err != nil {
		return err
	}
	c.outer = outer
	if !p.closed {
		p.open = append(p.open, r)
	}
	s.join(c)
	return nil
}

// hasRoom tells whether one more stream may begin.
func (c *conn) hasRoom() bool {
	return !c.state.over && !c.state.final && c.nextID < lastNumber && len(c.streams) < min(c.peerStreams, maxStreams)
}

func (s *stream) join(c *conn) {
	s.conn = c
	s.sendWindow, s.recvWindow = c.peerInitial, streamWindow
	s.call.since = c.now()
	c.streams = append(c.streams, s)
	c.state.idle = false
	if c.state.connected {
		s.soon()
	}
}

// DropServer lets no new request use the connections to a server, which was removed or is down; they end with their last request.
func (p *Servers) DropServer(server *wire.Server) {
	for _, r := range slices.Clone(p.open) {
		if r.route.Choice.Server == server {
			r.conn.leaveOff()
		}
	}
}

// Close lets no new request use any connection.
func (p *Servers) Close() {
	p.closed = true
	for _, r := range slices.Clone(p.open) {
		r.conn.leaveOff()
	}
}

func (c *conn) leaveOff() {
	c.enter()
	c.retire()
	c.leave()
}

// fields handles a header block: an answer, or trailers.
func (r *serverRole) fields(c *conn, f frame, block []byte) {
	s := c.open(f.stream)
	switch {
	case c.idle(f.stream):
		c.fail(protocolError, "the server answers what was not asked")
	case s == nil:
		if c.decode(block, skipHead) {
			c.late(f.stream, protocolError)
		}
	case s.is(headCame | remoteEnded):
		c.trailers(s, f, block)
	case s.is(isOver):
		if c.decode(block, skipHead) && f.has(flagEndStream) {
			s.flags |= remoteEnded
			s.leave()
		}
	default:
		kind := responseHead
		if s.is(isTunnel) {
			kind = tunnelHead
		}
		if c.decode(block, kind) {
			s.answer(f.has(flagEndStream))
		}
	}
}

// answer takes the head of an answer, which was decoded.
func (s *stream) answer(last bool) {
	h := &s.conn.shared.head
	h.wholeResponse()
	empty := s.is(isHead) || h.status == 204 || h.status == 304
	switch {
	case h.tooLarge:
		h.bad("the server's head is too large")
	case h.status < 200 && last, last && !empty && h.length > 0:
		h.bad("the length of a body is not its Content-Length")
	}
	if h.fault != "" {
		s.refuse(protocolError, h.fault)
		return
	}
	if h.status >= 200 {
		s.frameAnswer(h, last, empty)
	}
	h.text = append(h.text, "\r\n"...)
	p := s.conn.shared
	p.offer = append(p.offer[:0], h.text...)
	s.offer(p.offer)
	s.tellEnded()
}

// frameAnswer says how the body follows.
func (s *stream) frameAnswer(h *head, last, empty bool) {
	s.flags |= headCame
	s.call.answered()
	if last {
		s.flags |= remoteEnded
	}
	switch {
	case h.tunnel && h.status/100 == 2:
		h.line("Sec-WebSocket-Accept", acceptOf(s.call.key))
		return
	case empty:
		s.promised = 0
	case h.length >= 0:
		s.promised = h.length
	case last:
		h.line("Content-Length", "0")
	default:
		s.flags |= isChunked
		h.line("Transfer-Encoding", "chunked")
	}
	h.line("Connection", "close")
}
