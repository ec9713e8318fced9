package http2

import (
	"syscall"
	"time"

	"evenkeel/engine/wire"
)

// How a connection ends: by GOAWAY.

var _ wire.Leaver = (*conn)(nil)

// drainPatience is how long a peer may take to answer the PING behind our first GOAWAY.
const drainPatience = time.Second

// Evict implements wire.Core: the streams that use the server end politely; all, and then the connection, when server is nil.
func (c *conn) Evict(server *wire.Server) {
	if c.state.over {
		return
	}
	c.enter()
	if server == nil {
		c.drain()
	}
	for i := 0; i < len(c.streams) && !c.state.over; i++ {
		if s := c.streams[i]; !s.is(isOver) {
			s.core.Evict(server)
		}
	}
	c.leave()
}

// Leave implements wire.Leaver: no new stream, while those that are open go on.
func (c *conn) Leave() {
	if c.state.over {
		return
	}
	c.enter()
	c.drain()
	c.leave()
}

// drain announces the end (RFC 9113, 6.8): first without a number, so that what is on its way is still served; the last number follows when the peer has answered a PING.
func (c *conn) drain() {
	if c.state.draining || c.state.final {
		return
	}
	c.state.draining, c.since = true, c.now()
	c.room()
	c.out = appendGoAway(c.out, largestWindow, noError)
	c.out = append(appendHead(c.out, 8, framePing, 0, 0), drainPing...)
}

const drainPing = "evenkeel"

// drained is the second half of drain.
func (c *conn) drained() {
	if c.state.draining && !c.state.final {
		c.state.final = true
		c.room()
		c.out = appendGoAway(c.out, c.lastID, noError)
	}
}

// restOrEnd closes a connection that has no stream and gets none, and otherwise notes since when it has none.
func (c *conn) restOrEnd() {
	if len(c.streams) > 0 {
		c.state.idle = false
		return
	}
	switch {
	case c.state.final || c.state.bye:
		c.close(noError)
		return
	case c.state.draining: // what is on its way is still served
		return
	}
	if !c.state.idle {
		c.state.idle = true
		c.since = c.now()
	}
	if cap(c.streams) > 16 {
		c.streams = nil
	}
}

// close ends the connection with a GOAWAY.
func (c *conn) close(code errorCode) {
	if c.state.over {
		return
	}
	c.room()
	c.out = appendGoAway(c.out, c.lastID, code)
	out := c.out
	c.state.over = true
	if c.outer != nil {
		c.outer.Send(out)
		c.outer.Close()
	}
	c.end(syscall.ECONNRESET)
}

// fail closes the connection because of what the peer did.
func (c *conn) fail(code errorCode, reason string) {
	if !c.state.over {
		c.role.refused(reason)
	}
	c.close(code)
}

// retire keeps new streams from a connection to a server.
func (c *conn) retire() {
	c.state.final = true
	c.role.retired(c)
}
