package replica

import (
	"context"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What a connection to a node is given that the network cuts off now and then. Without a limit, what was under way when the network was cut would be sent again at ever
// longer intervals, and arrive half a minute behind the network's return.
const (
	unacknowledged = 2 * time.Second        // bytes without a sign that they have come: the kernel ends the connection
	attemptEvery   = 150 * time.Millisecond // between the first packets of attempts to connect: one that is lost is not waited for
	stallFirst     = 150 * time.Millisecond // what is lost stays lost for so long: a new connection is made. It doubles while that does not help.
	signFirst      = 700 * time.Millisecond // for a sign-in by key; it doubles while that is too short
	lookAtLine     = 50 * time.Millisecond
)

// impatient ends connections to a machine that is not there any more.
func impatient(_, _ string, c syscall.RawConn) error {
	var err error
	if failed := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unacknowledged.Milliseconds()))
	}); failed != nil {
		return failed
	}
	return err
}

// racing begins a further attempt whenever the ones before were not answered for a while. The first answer counts, be it a refusal.
func racing(dial Dial) Dial {
	type answer struct {
		conn net.Conn
		err  error
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		var all sync.WaitGroup
		answers := make(chan answer)
		defer func() {
			cancel()
			all.Wait()
		}()
		next := time.NewTicker(attemptEvery)
		defer next.Stop()
		for {
			all.Go(func() {
				c, err := dial(ctx, network, address)
				select {
				case answers <- answer{c, err}:
				case <-ctx.Done():
					if err == nil {
						c.Close()
					}
				}
			})
			select {
			case a := <-answers:
				return a.conn, a.err
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-next.C:
			}
		}
	}
}

// lossy looks at what the kernel knows of a connection.
func lossy(raw net.Conn) (lost, waiting bool) {
	s, ok := raw.(syscall.Conn)
	if !ok {
		return false, false
	}
	c, err := s.SyscallConn()
	if err != nil {
		return false, false
	}
	_ = c.Control(func(fd uintptr) {
		if state, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			lost, waiting = state.Retransmits > 0, state.Unacked > 0
		}
	})
	return lost, waiting
}

// watch closes the connection when what it sends is lost and stays lost for the patience that is given, until the returned function is called, which says whether it did.
// Small packets go out while nothing else does, so that an answer which cannot come is noticed too.
func (l *line) watch(patience time.Duration) (stop func() (stalled bool)) {
	end := make(chan struct{})
	stalled := false
	var all sync.WaitGroup
	all.Go(func() {
		t := time.NewTicker(lookAtLine)
		defer t.Stop()
		var since time.Time
		for {
			select {
			case <-end:
				return
			case now := <-t.C:
				lost, waiting := lossy(l.client.raw)
				switch {
				case !lost:
					since = time.Time{}
					if !waiting {
						_, _, _ = l.client.SendRequest("keepalive@evenkeel", false, nil) // an error is the call's too
					}
				case since.IsZero():
					since = now
				case now.Sub(since) >= patience:
					stalled = true
					l.close()
					return
				}
			}
		}
	})
	return func() bool {
		close(end)
		all.Wait()
		return stalled
	}
}
