package demo

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"
)

// retryAccept is the pause after an accept that failed for want of descriptors or memory.
const retryAccept = 50 * time.Millisecond

// speaker serves one connection until it ends. io.EOF and nil are good ends. The crowd closes the connection.
type speaker interface {
	serve(conn *net.TCPConn) error
}

// crowd is every connection of a sample, one goroutine each.
type crowd struct {
	speaker speaker
	log     *slog.Logger
	over    chan struct{}
	members sync.WaitGroup

	mu     sync.Mutex // guards what follows
	conns  map[*net.TCPConn]struct{}
	closed bool
}

func newCrowd(s speaker, log *slog.Logger) *crowd {
	return &crowd{speaker: s, log: log, over: make(chan struct{}), conns: map[*net.TCPConn]struct{}{}}
}

func (c *crowd) run(listener net.Listener) error {
	defer c.members.Wait()
	for {
		conn, err := listener.Accept()
		switch {
		case err == nil:
			c.welcome(conn.(*net.TCPConn))
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
			c.log.Warn("accept pauses", "error", err)
			select {
			case <-time.After(retryAccept):
			case <-c.over:
			}
		default:
			_ = c.close()
			return err
		}
	}
}

// welcome starts a member, unless the crowd is closed.
func (c *crowd) welcome(conn *net.TCPConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = conn.Close()
		return
	}
	c.conns[conn] = struct{}{}
	c.members.Go(func() { c.member(conn) })
}

// member serves one connection.
func (c *crowd) member(conn *net.TCPConn) {
	err := c.speaker.serve(conn)
	_ = conn.Close()
	c.mu.Lock()
	delete(c.conns, conn)
	closed := c.closed
	c.mu.Unlock()
	if err != nil && !errors.Is(err, io.EOF) && !closed {
		c.log.Debug("connection ended", "client", conn.RemoteAddr().String(), "error", err)
	}
}

func (c *crowd) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	close(c.over)
	for conn := range c.conns {
		_ = conn.Close()
	}
	return nil
}
