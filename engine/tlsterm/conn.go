// Package tlsterm puts TLS around a connection: Conn is a wire.Core towards the driver and a wire.Conn towards the core that speaks the protocol inside.
// The records are those of crypto/tls, on the loop: the handshake is a coroutine that yields when it would wait (for the peer, or for a signature that a worker
// makes); behind it, a read that would wait returns a temporary error, from which crypto/tls resumes. Nothing here waits for anybody.
package tlsterm

import (
	"crypto/tls"
	"errors"
	"io"
	"net/netip"

	"evenkeel/engine/wire"
)

// Conn is one connection in TLS, of a client or of a server. It is not raw: its bytes are never spliced.
type Conn struct {
	lane   *Lane
	raw    wire.Conn
	core   wire.Core             // nil until the handshake of a client is over
	accept func(*Conn) wire.Core // of a client's connection
	failed func(error)           // told when a handshake or the encryption fails; may be nil
	tls    *tls.Conn
	in     []byte // records at hand, during Received only
	kept   []byte // plaintext that the core was offered and did not take
	facts  *wire.Secrecy
	held   int // what the loop was told that c holds

	hand         *handshake // nil when it is over
	newer, older *Conn      // in listed
	listed       *ring      // the lane's, while the handshake is not over; or nil

	ended     bool // the peer's FIN has come
	finished  bool // the core was told so
	paused    bool
	scheduled bool // Run is to come
	again     bool // Resume was called: what is kept is offered again
	over      bool // nothing more is told to the core
}

var (
	_ wire.Core    = (*Conn)(nil)
	_ wire.Secured = (*Conn)(nil)
	_ wire.Task    = (*Conn)(nil)
)

// Received takes records.
func (c *Conn) Received(_ wire.Conn, b []byte) int {
	if c.over {
		return len(b)
	}
	if c.hand != nil {
		if c.mustWait(b) {
			c.raw.Acknowledge()
			return 0
		}
		c.in = b
		c.shake()
	} else {
		c.in = b
	}
	if c.hand == nil && !c.over {
		c.read()
	}
	left := len(c.in)
	c.in = nil
	if c.over {
		return len(b)
	}
	return len(b) - left
}

// Run offers again what was left, when the core wants more; it is the loop's to call. A core that panics loses its connection: the loop does not know whose task this is.
func (c *Conn) Run() {
	c.scheduled = false
	if c.over || c.hand != nil {
		return
	}
	sound := false
	defer func() {
		if !sound && !c.over {
			c.giveUp(errDefect)
		}
	}()
	c.read()
	sound = true
}

// read decrypts and offers until the peer has to send more, or the core wants nothing.
func (c *Conn) read() {
	for !c.paused && !c.over {
		have := len(c.kept)
		full, err := c.decrypt(have)
		if c.over {
			return
		}
		if full > have || c.again && have > 0 {
			if c.offer(c.lane.plain[:full]); c.again { // Run is to come
				return
			}
			continue
		}
		if err != nil {
			c.stopped(err)
		}
		return
	}
}

// decrypt fills the lane's buffer behind what is kept, as far as there is something, and returns how much is in it.
func (c *Conn) decrypt(have int) (full int, err error) {
	plain := c.lane.plain
	copy(plain, c.kept)
	for full = have; full < len(plain) && err == nil; {
		var n int
		n, err = c.tls.Read(plain[full:])
		full += n
	}
	c.flush() // an answer to a key update, or an alert
	return full, err
}

// offer hands b to the core, which begins with what was kept, and keeps what is left.
func (c *Conn) offer(b []byte) {
	c.again = false
	had := c.kept
	c.kept = nil
	taken := c.core.Received(c, b)
	switch rest := b[taken:]; {
	case c.over || len(rest) == 0:
		if had == nil {
			return
		}
		c.lane.free(had)
	case len(rest) <= cap(had):
		c.kept = append(had[:0], rest...)
	default:
		c.lane.free(had)
		c.kept = append(c.lane.buffer(len(rest)), rest...)
	}
	c.weigh()
}

// stopped looks at why there is nothing more to read.
func (c *Conn) stopped(err error) {
	switch {
	case errors.Is(err, errWouldWait):
	case err == io.EOF:
		if !c.finished {
			c.finished = true
			c.core.Ended(c)
		}
	default: // an alert was sent
		c.raw.Close()
		c.breakOff(err)
	}
}

// breakOff tells the core that the connection is gone.
func (c *Conn) breakOff(err error) {
	core := c.core
	c.release()
	if c.failed != nil {
		c.failed(err)
	}
	if core != nil {
		core.Broken(c, err)
	}
}

// release gives back everything but the connection itself.
func (c *Conn) release() {
	c.over = true
	c.leave()
	c.lane.free(c.kept)
	c.kept, c.in = nil, nil
	if h := c.hand; h != nil {
		c.hand = nil
		h.end(c.lane)
	}
	c.lane.out = c.lane.out[:0]
	c.weigh()
}

// What a connection in TLS costs beside its buffers: measured with crypto/tls of Go 1.26.
const (
	handshakeCost = 32 << 10 // with its coroutine
	stateCost     = 14 << 10
)

// weigh tells the loop what c holds.
func (c *Conn) weigh() {
	now := cap(c.kept)
	switch {
	case c.over:
		now = 0
	case c.hand == nil:
		now += stateCost
	case c.hand.routine != nil:
		now += handshakeCost
	}
	if now != c.held {
		c.lane.loop.Hold(now - c.held)
		c.held = now
	}
}

// flush gives the records that were made to the connection.
func (c *Conn) flush() int {
	out := c.lane.out
	if len(out) == 0 {
		return c.raw.Queued()
	}
	queued := c.raw.Send(out)
	c.lane.out = out[:0]
	return queued
}

// Ended tells the core as soon as it has everything that came before.
func (c *Conn) Ended(wire.Conn) {
	c.ended = true
	switch {
	case c.over:
	case c.hand != nil:
		c.shake()
		if c.hand == nil && !c.over {
			c.read()
		}
	default:
		c.read()
	}
}

// Drained passes on.
func (c *Conn) Drained(wire.Conn) {
	if !c.over && c.hand == nil {
		c.core.Drained(c)
	}
}

// Broken passes on.
func (c *Conn) Broken(_ wire.Conn, err error) {
	if c.over {
		return
	}
	core := c.core
	c.release()
	if core != nil {
		core.Broken(c, err)
	}
}

// Woken passes on, or ends a handshake that lasts too long.
func (c *Conn) Woken(wire.Conn) {
	switch {
	case c.over:
	case c.core == nil:
		c.wokenEarly()
	default:
		c.core.Woken(c)
	}
}

// Spliced does not happen: nothing of a connection in TLS is spliced.
func (c *Conn) Spliced(wire.Conn, int64, bool) {}

// Evict passes on; a client that has not come in yet is turned away.
func (c *Conn) Evict(server *wire.Server) {
	switch {
	case c.over:
	case c.core != nil:
		c.core.Evict(server)
	case server == nil:
		c.release()
		c.raw.Close()
	}
}

// Send implements wire.Conn.
func (c *Conn) Send(b []byte) int {
	if c.over || c.hand != nil {
		return c.raw.Queued()
	}
	queued := c.raw.Queued()
	for len(b) > 0 {
		n := min(len(b), wire.KeepLimit)
		if _, err := c.tls.Write(b[:n]); err != nil { // shut down, or out of sequence numbers: as if the queue were closed
			break
		}
		b = b[n:]
		queued = c.flush()
	}
	return queued
}

// Queued implements wire.Conn: in records.
func (c *Conn) Queued() int { return c.raw.Queued() }

// Unacknowledged implements wire.Conn: in records.
func (c *Conn) Unacknowledged() int { return c.raw.Unacknowledged() }

// Acknowledge implements wire.Conn.
func (c *Conn) Acknowledge() { c.raw.Acknowledge() }

// Quiet implements wire.Conn.
func (c *Conn) Quiet() bool { return len(c.in) == 0 && c.kept == nil && c.raw.Quiet() }

// Pause implements wire.Conn. What was decrypted and is kept meanwhile is bounded: wire.KeepLimit and one record.
func (c *Conn) Pause() {
	c.paused = true
	c.raw.Pause()
}

// Resume implements wire.Conn.
func (c *Conn) Resume() {
	if c.over {
		return
	}
	c.paused, c.again = false, true
	c.raw.Resume()
	if !c.scheduled {
		c.scheduled = true
		c.lane.loop.Soon(c)
	}
}

// CloseWrite implements wire.Conn: the alert close_notify, then FIN. Receiving goes on (RFC 8446, 6.1).
func (c *Conn) CloseWrite() {
	if !c.over {
		c.notify()
		c.raw.CloseWrite()
	}
}

func (c *Conn) notify() {
	if c.hand == nil {
		_ = c.tls.CloseWrite()
		c.flush()
	}
}

// Close implements wire.Conn.
func (c *Conn) Close() {
	if !c.over {
		c.notify()
		c.release()
		c.raw.Close()
	}
}

// Abort implements wire.Conn.
func (c *Conn) Abort() {
	if !c.over {
		c.release()
		c.raw.Abort()
	}
}

// WakeAt implements wire.Conn.
func (c *Conn) WakeAt(t wire.Time) {
	if !c.over {
		c.raw.WakeAt(t)
	}
}

// SpliceTo implements wire.Conn; a connection that is not raw is never asked.
func (c *Conn) SpliceTo(wire.Conn, int64) { panic("tlsterm: splice of a connection in TLS") }

// Moved implements wire.Conn.
func (c *Conn) Moved() int64 { return 0 }

// Raw implements wire.Conn.
func (c *Conn) Raw() bool { return false }

// Bind implements wire.Conn.
func (c *Conn) Bind(core wire.Core) { c.core = core }

// Peer implements wire.Conn.
func (c *Conn) Peer() netip.AddrPort { return c.raw.Peer() }

// Local implements wire.Conn.
func (c *Conn) Local() netip.AddrPort { return c.raw.Local() }

// Secrecy implements wire.Secured.
func (c *Conn) Secrecy() *wire.Secrecy {
	if c.facts == nil {
		s := c.tls.ConnectionState()
		c.facts = &wire.Secrecy{ServerName: s.ServerName, Version: "1.2", Cipher: c.lane.suites[s.CipherSuite], Protocol: s.NegotiatedProtocol, Resumed: s.DidResume}
		if s.Version == tls.VersionTLS13 {
			c.facts.Version = "1.3"
		}
		if len(s.PeerCertificates) > 0 {
			c.facts.Subject = s.PeerCertificates[0].Subject.String()
		}
	}
	return c.facts
}
