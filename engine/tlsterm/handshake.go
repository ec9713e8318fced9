package tlsterm

import (
	"crypto/tls"
	"errors"
	"io"

	"evenkeel/engine/wire"
)

// Why handshakes are given up; also what the core of a server's connection is told.
var (
	errSlow     = errors.New("the TLS handshake did not end in time")
	errHalfOpen = errors.New("too many TLS handshakes are under way")
	errLeft     = errors.New("the peer closed within the TLS handshake")
	errDefect   = errors.New("a defect of the engine broke the connection off")
)

// handshake is what a connection has until its handshake is over.
type handshake struct {
	routine *routine // that runs it; nil until the hello has come
	err     error
	signing *job      // what a worker signs for it, or nil
	began   wire.Time // when it became half open
	due     wire.Time // when a client's has to be over
	running bool
	gone    bool // the connection is: nothing is waited for any more
}

// wait gives the loop its thread back until there is something new; false: the connection is gone.
func (h *handshake) wait() bool {
	if !h.gone {
		h.routine.yield(struct{}{})
	}
	return !h.gone
}

// end has a handshake that waits come to its own end, with an error.
func (h *handshake) end(l *Lane) {
	if h.routine != nil && !h.running {
		h.gone = true
		l.resume(h)
	}
}

// Server begins the server's side of TLS on a connection that was accepted, and returns its core. When the handshake is over accept gives the core of what is
// inside; nil ends the connection. failed, which may be nil, is told why a handshake, or later the encryption, came to nothing.
func (l *Lane) Server(raw wire.Conn, config *tls.Config, accept func(*Conn) wire.Core, failed func(error)) *Conn {
	c := &Conn{lane: l, raw: raw, accept: accept, failed: failed, hand: &handshake{due: l.loop.Now().Add(handshakeTime)}}
	c.tls = tls.Server((*transport)(c), config)
	raw.WakeAt(c.hand.due)
	return c
}

// mustWait tells whether the handshake has no use for b now: a signature is being made, a client's hello is not there yet, or its turn has not come. Before it begins
// a client costs no more than its connection.
func (c *Conn) mustWait(b []byte) bool {
	h := c.hand
	switch {
	case h.routine != nil:
		return h.signing != nil
	case c.listed != nil || !helloComplete(b):
		return true
	case c.lane.room():
		return false
	}
	c.lane.waiting.add(c)
	c.raw.Pause()
	c.raw.WakeAt(min(h.due, c.lane.loop.Now().Add(honestTime)))
	return true
}

// wokenEarly is told before the handshake is over.
func (c *Conn) wokenEarly() {
	now := c.lane.loop.Now()
	switch {
	case now >= c.hand.due:
		c.giveUp(errSlow)
	case c.listed == &c.lane.waiting && c.lane.room():
		c.lane.next()
		fallthrough
	default:
		c.raw.WakeAt(min(c.hand.due, now.Add(honestTime)))
	}
}

// leave takes c off the lane's lists; who waits for a turn may have it.
func (c *Conn) leave() {
	c.lane.waiting.remove(c)
	if c.listed != nil {
		c.lane.begun.remove(c)
		c.lane.next()
	}
}

// Client returns the client's side of TLS on a connection that dial opens for the core that it is given: a Dial of the loop's, or what stands for it. core is
// told Connected when the handshake is over, or Broken when it fails; how long that may last is for core to decide.
func (l *Lane) Client(config *tls.Config, core wire.Core, failed func(error), dial func(wire.Core) (wire.Conn, error)) (wire.Conn, error) {
	c := &Conn{lane: l, core: core, failed: failed, hand: &handshake{}}
	c.tls = tls.Client((*transport)(c), config)
	raw, err := dial(c)
	if err != nil {
		return nil, err
	}
	c.raw = raw
	return c, nil
}

// Connected begins the handshake with a server.
func (c *Conn) Connected(wire.Conn) {
	if !c.over {
		c.shake()
	}
}

// shake lets the handshake go on as far as it can.
func (c *Conn) shake() {
	h := c.hand
	if h.signing != nil {
		return
	}
	if h.routine == nil {
		if c.accept != nil && c.ended && len(c.in) == 0 { // it never said anything: a port scan, or a check of somebody's
			c.release()
			c.raw.Close()
			return
		}
		if h.began = c.lane.loop.Now(); c.accept != nil {
			c.lane.waiting.remove(c)
			c.lane.begun.add(c)
		}
		h.routine = c.lane.routineFor(c)
		c.weigh()
	}
	waits := c.lane.resume(h)
	c.flush()
	switch {
	case waits && h.signing != nil:
		c.raw.Pause()
	case waits:
	case h.err != nil:
		c.fail(h.err)
	default:
		c.shaken()
	}
}

// shaken begins what is inside.
func (c *Conn) shaken() {
	c.hand = nil
	c.weigh()
	c.leave()
	if c.accept == nil {
		c.core.Connected(c)
		return
	}
	c.raw.WakeAt(0)
	accept := c.accept
	c.accept = nil
	core := accept(c)
	switch {
	case c.over:
	case core == nil:
		c.Close()
	default:
		c.core = core
	}
}

// fail ends a handshake that went wrong; the alert that says why is on its way.
func (c *Conn) fail(err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errLeft
	}
	if c.accept != nil && spokeClear(err) {
		c.breakOff(ErrClear)
		c.raw.Close()
		return
	}
	c.raw.Close()
	c.breakOff(err)
}

// giveUp ends a handshake from outside.
func (c *Conn) giveUp(err error) {
	c.raw.Abort()
	c.breakOff(err)
}

// helloComplete tells whether b, the first bytes of a client, hold its whole hello (RFC 8446, 5.1 and 4), or something that crypto/tls will refuse anyway.
func helloComplete(b []byte) bool {
	const record, handshakeType, message, most, fragments = 5, 22, 4, 1 << 14, 16
	var want, have int
	var head [message]byte
	for range fragments {
		if len(b) > 0 && b[0] != handshakeType || len(b) > 1 && b[1] != 3 {
			return true
		}
		if len(b) < record {
			return false
		}
		n := int(b[3])<<8 | int(b[4])
		if n == 0 || n > most {
			return true
		}
		if len(b) < record+n {
			return have+len(b)-record > most
		}
		if have < message {
			copy(head[have:], b[record:record+n])
		}
		have += n
		if have >= message {
			want = message + int(head[1])<<16 + int(head[2])<<8 + int(head[3])
			if have >= want || want > most {
				return true
			}
		}
		b = b[record+n:]
	}
	return true // crypto/tls puts smaller crumbs together at less cost than looking at them again each time
}
