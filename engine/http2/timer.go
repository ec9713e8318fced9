package http2

import "evenkeel/engine/wire"

// One timer of the connection below serves all streams. It is set to what is due first when something is set, and looked at when it fires: a deadline that was
// moved or is gone costs one early look.

func (c *conn) wakeBy(t wire.Time) {
	if t != 0 && !c.state.over && c.outer != nil && (c.wake == 0 || t < c.wake) {
		c.wake = t
		c.outer.WakeAt(t)
	}
}

// Woken implements wire.Core.
func (c *conn) Woken(wire.Conn) {
	if c.state.over {
		return
	}
	c.enter()
	c.wake = 0
	now := c.now()
	for i := 0; i < len(c.streams) && !c.state.over; i++ {
		if s := c.streams[i]; s.deadline != 0 && s.deadline <= now {
			s.deadline = 0
			s.woken()
		}
	}
	if due := c.due(); !c.state.over && due != 0 && due <= now {
		c.expired()
	}
	c.arm()
	c.leave()
}

// due returns when the connection itself has waited for long enough, or zero.
func (c *conn) due() wire.Time {
	idle, first := c.role.patience()
	switch {
	case c.state.draining && !c.state.final:
		return c.since.Add(drainPatience)
	case !c.state.greeted || c.state.inBlock:
		return c.since.Add(first)
	case c.state.idle:
		return c.since.Add(idle)
	}
	return 0
}

func (c *conn) expired() {
	switch {
	case c.state.draining && !c.state.final:
		c.drained()
	case !c.state.greeted:
		c.fail(settingsTimeout, "the client did not begin HTTP/2 in time")
	case c.state.inBlock:
		c.fail(enhanceYourCalm, "the request head did not arrive in time")
	default:
		c.close(noError)
	}
}

// arm sets the timer to what is due first in a stream.
func (c *conn) arm() {
	first := wire.Time(0)
	for _, s := range c.streams {
		if s.deadline != 0 && (first == 0 || s.deadline < first) {
			first = s.deadline
		}
	}
	c.wakeBy(first)
}
