package wiretest

import (
	"context"
	"io"
	"net"
	"testing"
)

// polite is a connection whose other side ends as soon as this one says that it does, before Close returns: TLS's close_notify.
type polite struct {
	net.Conn
	told, seen chan struct{}
}

func (c *polite) Close() error {
	close(c.told)
	<-c.seen
	return nil
}

func (c *polite) Read([]byte) (int, error) {
	<-c.told
	return 0, io.EOF
}

func TestEndedCountsTheOtherSideOnly(t *testing.T) {
	own := &polite{told: make(chan struct{}), seen: make(chan struct{})}
	theirs := &polite{told: make(chan struct{})}
	for next, want := range map[*polite]int64{own: 0, theirs: 1} {
		ended := &Ended{Dial: func(context.Context, string, string) (net.Conn, error) { return next, nil }}
		c, err := ended.DialContext(t.Context(), "tcp", "")
		if err != nil {
			t.Fatal(err)
		}
		closed := make(chan struct{})
		if next == own {
			go func() {
				_ = c.Close()
				close(closed)
			}()
		} else {
			close(next.told)
			close(closed)
		}
		if _, err := c.Read(nil); err != io.EOF {
			t.Fatal(err)
		}
		if next.seen != nil {
			close(next.seen)
		}
		<-closed
		if n := ended.Load(); n != want {
			t.Errorf("%d connections were ended by the other side, want %d", n, want)
		}
	}
}
