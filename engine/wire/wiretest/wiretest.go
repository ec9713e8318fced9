// Package wiretest is a deterministic driver for testing protocol cores without sockets: the test says what arrives, what connects and what time it is,
// and looks at what the core sent. Nothing happens by itself, but for what Loop.Settle does.
package wiretest

import (
	"net/netip"
	"syscall"
	"time"

	"evenkeel/engine/wire"
)

// Loop is a wire.Loop whose clock stands still until Advance.
type Loop struct {
	Dialed  []*Conn // every connection that was dialed, in order
	DialErr error   // when set, Dial returns it once
	Held    int     // sum of what Hold was told
	now     wire.Time
	conns   []*Conn
	tasks   []wire.Task
	scratch []byte
}

// NewLoop returns a loop at a time of one second.
func NewLoop() *Loop {
	return &Loop{now: wire.Time(time.Second), scratch: make([]byte, 0, 2*wire.KeepLimit)}
}

// Now implements wire.Loop.
func (l *Loop) Now() wire.Time { return l.now }

// Scratch implements wire.Loop.
func (l *Loop) Scratch() []byte { return l.scratch }

// Soon implements wire.Loop: Settle runs the task.
func (l *Loop) Soon(t wire.Task) { l.tasks = append(l.tasks, t) }

// End breaks every connection that is open, until none is, and returns how many bytes are said to be held still.
func (l *Loop) End() (held int) {
	for i := 0; i < len(l.conns); i++ {
		if c := l.conns[i]; !c.Over() {
			c.Break(nil)
		}
	}
	return l.Held
}

// Hold implements wire.Loop.
func (l *Loop) Hold(n int) { l.Held += n }

// Dial implements wire.Loop; the test calls Connect or Break on the connection.
func (l *Loop) Dial(to netip.AddrPort, core wire.Core) (wire.Conn, error) {
	if err := l.DialErr; err != nil {
		l.DialErr = nil
		return nil, err
	}
	c := l.newConn(to, netip.MustParseAddrPort("192.0.2.1:40000"))
	c.core, c.connecting = core, true
	l.Dialed = append(l.Dialed, c)
	return c, nil
}

// Accept returns a client's connection; Bind its core before anything arrives.
func (l *Loop) Accept(peer, local netip.AddrPort) *Conn { return l.newConn(peer, local) }

func (l *Loop) newConn(peer, local netip.AddrPort) *Conn {
	c := &Conn{loop: l, peer: peer, local: local, Room: -1}
	l.conns = append(l.conns, c)
	return c
}

// Advance moves the clock and fires every timer that comes due, in order of time.
func (l *Loop) Advance(d time.Duration) {
	until := l.now.Add(d)
	for {
		var first *Conn
		for _, c := range l.conns {
			if !c.over && c.wake != 0 && c.wake <= until && (first == nil || c.wake < first.wake) {
				first = c
			}
		}
		if first == nil {
			break
		}
		l.now = max(l.now, first.wake)
		first.wake = 0
		first.core.Woken(first)
		l.Settle()
	}
	l.now = until
}

// Settle does what a real driver does in its next turn, until nothing is left: run tasks, offer what was resumed, tell what drained, move what is spliced.
func (l *Loop) Settle() {
	for busy := true; busy; {
		tasks := l.tasks
		l.tasks = nil
		for _, t := range tasks {
			t.Run()
		}
		busy = len(tasks) > 0
		for _, c := range l.conns {
			busy = c.step() || busy
		}
	}
}

// Conn is a wire.Conn in the test's hands.
type Conn struct {
	Room    int    // how many bytes the kernel takes before Send leaves some queued; -1: any number
	Sent    []byte // what the kernel took
	Sends   int    // how often Send was called
	FIN     bool   // CloseWrite or Close took effect
	Closed  bool   // Close was called
	Aborted bool   // Abort was called
	Paused  bool   // the core wants no bytes
	Adapted bool   // as a connection in TLS, or a stream of HTTP/2: not raw
	Held    int    // what Unacknowledged tells
	More    bool   // the kernel may have more of the peer: it is not quiet

	Acknowledged bool // Acknowledge was called

	loop     *Loop
	core     wire.Core
	peer     netip.AddrPort
	local    netip.AddrPort
	queue    []byte
	inbox    []byte
	finished bool // the peer's FIN stands behind inbox
	told     bool // Ended was told
	again    bool // the inbox was not offered yet, or Resume was called
	draining bool
	wantsFIN bool
	over     bool // the core is told nothing more

	connecting bool
	wake       wire.Time
	splice     *splice
	moved      int64
}

type splice struct {
	to   *Conn
	left int64
}

// Arrive gives bytes from the peer.
func (c *Conn) Arrive(b []byte) {
	c.inbox = append(c.inbox, b...)
	c.again = true
	c.loop.Settle()
}

// Finish is the peer's FIN.
func (c *Conn) Finish() {
	c.finished = true
	c.loop.Settle()
}

// Connect completes a dial.
func (c *Conn) Connect() {
	c.connecting = false
	c.core.Connected(c)
	c.loop.Settle()
}

// Break fails the dial or the connection; nil is a reset.
func (c *Conn) Break(err error) {
	if c.over {
		return
	}
	if err == nil {
		err = syscall.ECONNRESET
	}
	core := c.core
	c.end()
	core.Broken(c, err)
	c.loop.Settle()
}

// Over tells whether the connection is closed, aborted or broken.
func (c *Conn) Over() bool { return c.over }

// Unblock lets the kernel take n more bytes, all when n is negative.
func (c *Conn) Unblock(n int) {
	if c.Room = n; n < 0 {
		c.Room = -1
	}
	c.loop.Settle()
}

// Waiting returns when the timer fires, zero when it is off.
func (c *Conn) Waiting() wire.Time { return c.wake }

// Splicing tells whether a splice of c's bytes runs.
func (c *Conn) Splicing() bool { return c.splice != nil }

func (c *Conn) step() bool {
	if c.connecting {
		return false
	}
	if len(c.queue) > 0 && c.Room != 0 {
		b := c.queue
		c.queue = nil
		c.give(b)
	}
	if len(c.queue) == 0 {
		if c.wantsFIN {
			c.FIN = true
		}
		if c.draining && !c.over {
			c.draining = false
			c.core.Drained(c)
			return true
		}
	}
	switch {
	case c.over:
		return false
	case c.splice != nil:
		return c.pump()
	case c.Paused:
		return false
	case c.again && len(c.inbox) > 0:
		c.again = false
		b := c.inbox
		c.inbox = nil
		n := c.core.Received(c, b)
		c.inbox = append(append([]byte(nil), b[n:]...), c.inbox...)
		c.again = c.again && len(c.inbox) > 0
		return true
	case c.finished && !c.told:
		c.told = true
		c.core.Ended(c)
		return true
	}
	return false
}

func (c *Conn) pump() bool {
	s := c.splice
	if len(s.to.queue) > 0 || s.to.connecting {
		return false
	}
	n := int64(len(c.inbox))
	if s.left >= 0 {
		n = min(n, s.left)
	}
	if s.to.Room >= 0 {
		n = min(n, int64(s.to.Room))
	}
	if n > 0 {
		s.to.give(c.inbox[:n])
		c.inbox = c.inbox[n:]
		c.moved += n
		if s.left >= 0 {
			s.left -= n
		}
		return true
	}
	ended := c.finished && len(c.inbox) == 0
	if s.left != 0 && !ended {
		return false
	}
	ended = ended && s.left != 0
	c.splice, c.told, c.again = nil, c.told || ended, true
	c.core.Spliced(c, c.moved, ended)
	return true
}

// give hands b to the kernel as far as there is room, and queues the rest.
func (c *Conn) give(b []byte) {
	n := len(b)
	if c.Room >= 0 {
		n = min(n, c.Room)
		c.Room -= n
	}
	c.Sent = append(c.Sent, b[:n]...)
	c.queue = append(c.queue, b[n:]...)
}

// Send implements wire.Conn.
func (c *Conn) Send(b []byte) int {
	c.Sends++
	if c.over || c.wantsFIN {
		return len(c.queue)
	}
	if c.connecting || len(c.queue) > 0 {
		c.queue = append(c.queue, b...)
	} else {
		c.give(b)
	}
	c.draining = c.draining || len(c.queue) > 0
	return len(c.queue)
}

// Queued implements wire.Conn.
func (c *Conn) Queued() int { return len(c.queue) }

// Unacknowledged implements wire.Conn: what the test put into Held.
func (c *Conn) Unacknowledged() int { return c.Held }

// Acknowledge implements wire.Conn: the test sees that it was called.
func (c *Conn) Acknowledge() { c.Acknowledged = true }

// Quiet implements wire.Conn: nothing is left of what arrived, and the test did not say otherwise.
func (c *Conn) Quiet() bool { return len(c.inbox) == 0 && !c.More }

// Pause implements wire.Conn.
func (c *Conn) Pause() { c.Paused = true }

// Resume implements wire.Conn.
func (c *Conn) Resume() { c.Paused, c.again = false, true }

// CloseWrite implements wire.Conn.
func (c *Conn) CloseWrite() {
	c.wantsFIN = true
	c.FIN = c.FIN || len(c.queue) == 0
}

// Close implements wire.Conn.
func (c *Conn) Close() {
	if !c.over {
		c.Closed = true
		c.CloseWrite()
		c.end()
	}
}

// Abort implements wire.Conn.
func (c *Conn) Abort() {
	if !c.over {
		c.Aborted, c.queue = true, nil
		c.end()
	}
}

func (c *Conn) end() {
	c.over, c.wake, c.splice = true, 0, nil
	for _, o := range c.loop.conns {
		if o.splice != nil && o.splice.to == c {
			o.splice, o.again = nil, true
		}
	}
}

// WakeAt implements wire.Conn.
func (c *Conn) WakeAt(t wire.Time) { c.wake = t }

// Raw implements wire.Conn.
func (c *Conn) Raw() bool { return !c.Adapted }

// SpliceTo implements wire.Conn.
func (c *Conn) SpliceTo(to wire.Conn, n int64) {
	c.splice, c.moved = &splice{to: to.(*Conn), left: max(n, -1)}, 0
}

// Moved implements wire.Conn.
func (c *Conn) Moved() int64 { return c.moved }

// Bind implements wire.Conn.
func (c *Conn) Bind(core wire.Core) { c.core = core }

// Peer implements wire.Conn.
func (c *Conn) Peer() netip.AddrPort { return c.peer }

// Local implements wire.Conn.
func (c *Conn) Local() netip.AddrPort { return c.local }
