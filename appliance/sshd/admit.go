package sshd

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"evenkeel/appliance"
)

// conn is a connection with its limits. A read or a write that waits longer than idleTime ends it, and so do too many bytes.
type conn struct {
	net.Conn
	from     netip.AddrPort
	stranger bool // guarded by the server's mutex
	user     string
	entered  uint64 // its number among those that signed in; guarded by the server's mutex
	signedIn atomic.Bool
	bytesIn  atomic.Int64
	bytesOut atomic.Int64
	most     atomic.Int64
	refusals atomic.Int32
}

// admit takes a connection in, or says that there are too many.
func (s *Server) admit(ctx context.Context, raw net.Conn) (*conn, bool) {
	c := &conn{Conn: raw, from: addrPort(raw.RemoteAddr()), stranger: true}
	c.most.Store(strangersBytes)
	s.mu.Lock()
	full := false
	if who := c.from.Addr(); !s.known(who) {
		total := 0
		for _, n := range s.strangers {
			total += n
		}
		full = total >= mostStrangers || s.strangers[who] >= mostBySource
	} else {
		full = s.strangers[who] >= mostStrangers
	}
	if !full {
		s.conns[c] = struct{}{}
		s.strangers[c.from.Addr()]++
	}
	s.mu.Unlock()
	if full {
		s.events.refused(ctx, c.from.Addr(), "ssh_connect", "", "Too many connections that have not signed in.")
	}
	return c, !full
}

// signIn moves the connection behind its door; false: too many are there.
func (s *Server) signIn(c *conn, d *Door) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inside[d.User] >= mostInDoor {
		if !d.Newest {
			return false
		}
		old := s.oldest(d.User)
		s.inside[d.User]--
		old.user = "" // it leaves by itself, and was counted off now
		old.Close()
	}
	s.entered++
	c.entered = s.entered
	s.inside[d.User]++
	c.user = d.User
	s.forgetStranger(c)
	c.most.Store(usualBytes)
	if d.Bytes > 0 {
		c.most.Store(d.Bytes)
	}
	c.signedIn.Store(true)
	_ = c.SetDeadline(time.Now().Add(idleTime)) // a read is under way already, with the deadline of a stranger
	return true
}

// oldest returns the connection that signed in first of those that are behind the door. The caller holds mu.
func (s *Server) oldest(user string) *conn {
	var first *conn
	for c := range s.conns {
		if c.user == user && (first == nil || c.entered < first.entered) {
			first = c
		}
	}
	return first
}

func (s *Server) leave(c *conn) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.forgetStranger(c)
	if c.user != "" {
		s.inside[c.user]--
	}
}

func (s *Server) forgetStranger(c *conn) {
	if !c.stranger {
		return
	}
	c.stranger = false
	if s.strangers[c.from.Addr()]--; s.strangers[c.from.Addr()] == 0 {
		delete(s.strangers, c.from.Addr())
	}
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	if err := c.allow(c.SetReadDeadline, &c.bytesIn); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	c.bytesIn.Add(int64(n))
	return n, err
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	if err := c.allow(c.SetWriteDeadline, &c.bytesOut); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(b)
	c.bytesOut.Add(int64(n))
	return n, err
}

// allow gives who has signed in time anew; a stranger has one deadline for everything, which was set before.
func (c *conn) allow(deadline func(time.Time) error, moved *atomic.Int64) error {
	if moved.Load() > c.most.Load() {
		return &appliance.Error{Kind: appliance.Denied, Op: "speak SSH", Message: "The connection moved more bytes than it may."}
	}
	if c.signedIn.Load() {
		return deadline(time.Now().Add(idleTime))
	}
	return nil
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := tcp.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap().WithZone(""), p.Port())
}
