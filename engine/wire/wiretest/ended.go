package wiretest

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
)

// Ended counts the connections that the other side ended. A client that keeps its connections has none; how often it connected says less, because net/http also leaves
// a connection when its own goroutines were late.
type Ended struct {
	atomic.Int64
	Dial func(ctx context.Context, network, address string) (net.Conn, error) // nil: net.Dialer's
}

// DialContext is for http.Transport.
func (e *Ended) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	dial := e.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	c, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &endable{Conn: c, ended: e}, nil
}

type endable struct {
	net.Conn
	ended *Ended
	seen  atomic.Bool // that it has ended, by whomever
}

// Close is not the other side's: what that does then, before the connection is closed here, is its answer.
func (c *endable) Close() error {
	c.seen.Store(true)
	return c.Conn.Close()
}

// Read counts the connection when the other side ends it.
func (c *endable) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if timeout, is := errors.AsType[net.Error](err); err != nil && !errors.Is(err, net.ErrClosed) && !(is && timeout.Timeout()) && !c.seen.Swap(true) {
		c.ended.Add(1)
	}
	return n, err
}
