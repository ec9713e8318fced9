package tlsterm

import (
	"io"
	"net"
	"time"
)

// transport is a Conn as crypto/tls sees it: what it reads is what the driver offered last, what it writes waits in the lane until the call is over.
type transport Conn

var _ net.Conn = (*transport)(nil)

// Read gives what is there. When that is nothing, a handshake waits for more and everybody else is told to come again.
func (t *transport) Read(p []byte) (int, error) {
	for len(t.in) == 0 {
		switch {
		case t.ended:
			return 0, io.EOF
		case t.hand == nil:
			return 0, errWouldWait
		case !t.hand.wait():
			return 0, net.ErrClosed
		}
	}
	n := copy(p, t.in)
	t.in = t.in[n:]
	return n, nil
}

// Write never fails: a connection that is broken tells so by itself.
func (t *transport) Write(p []byte) (int, error) {
	t.lane.out = append(t.lane.out, p...)
	return len(p), nil
}

// Close does nothing: the Conn closes its connection.
func (t *transport) Close() error { return nil }

// LocalAddr implements net.Conn.
func (t *transport) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(t.raw.Local()) }

// RemoteAddr implements net.Conn.
func (t *transport) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(t.raw.Peer()) }

// SetDeadline does nothing: time is the loop's.
func (t *transport) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (t *transport) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (t *transport) SetWriteDeadline(time.Time) error { return nil }

// wouldWait is a net.Error that crypto/tls takes for temporary: it keeps its state and reads on at the next call.
type wouldWait struct{}

func (wouldWait) Error() string   { return "no bytes at the moment" }
func (wouldWait) Timeout() bool   { return true }
func (wouldWait) Temporary() bool { return true }

var errWouldWait net.Error = wouldWait{}
