package bench

import (
	"bytes"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// servers opens everything that the contenders forward to.
func (l *load) servers() error {
	for i := range serverIPs {
		for port, s := range map[uint16]struct {
			events uint32
			act    func(*load, *peer, uint32)
		}{
			webServer: {unix.EPOLLIN, serveBody(100)}, midServer: {unix.EPOLLIN, serveBody(16 << 10)}, bigServer: {unix.EPOLLIN, serveBody(1 << 20)},
			echoServer: {unix.EPOLLIN, serveEcho}, bulkServer: {unix.EPOLLOUT | unix.EPOLLRDHUP, serveBulk},
		} {
			if err := l.listen(netip.AddrPortFrom(serverAddress(i), port), s.events, s.act); err != nil {
				return err
			}
		}
	}
	return nil
}

// serveBody answers every request with a body of that size.
func serveBody(size int) func(*load, *peer, uint32) {
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", size)
	answer = append(answer, bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]...)
	return func(l *load, p *peer, events uint32) {
		if p.left > 0 {
			p.write(l, answer[len(answer)-p.left:])
			return
		}
		n, err := unix.Read(p.fd, l.buf)
		switch {
		case err == unix.EAGAIN:
		case n <= 0:
			l.drop(p)
		default:
			for range bytes.Count(l.buf[:n], []byte("\r\n\r\n")) {
				p.write(l, answer)
			}
		}
	}
}

// write sends what the kernel takes and waits with the rest.
func (p *peer) write(l *load, b []byte) {
	waited := p.left > 0
	n, err := unix.Write(p.fd, b)
	if err != nil && err != unix.EAGAIN {
		l.drop(p)
		return
	}
	p.left = len(b) - max(n, 0)
	switch waits := p.left > 0; {
	case waits && !waited:
		l.watch(p, unix.EPOLLOUT)
	case waited && !waits:
		l.watch(p, unix.EPOLLIN)
	}
}

// serveEcho returns what it gets, and the FIN.
func serveEcho(l *load, p *peer, _ uint32) {
	n, err := unix.Read(p.fd, l.buf[:64<<10])
	if err == unix.EAGAIN {
		return
	}
	if n <= 0 {
		l.drop(p)
		return
	}
	_, _ = unix.Write(p.fd, l.buf[:n])
}

// serveBulk sends for ever.
func serveBulk(l *load, p *peer, events uint32) {
	if events&(unix.EPOLLHUP|unix.EPOLLERR|unix.EPOLLRDHUP) != 0 {
		l.drop(p)
		return
	}
	_, _ = unix.Write(p.fd, l.buf[:256<<10])
}
