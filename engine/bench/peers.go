package bench

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// serveWeb answers every request.
func serveWeb(l *load, p *peer, _ uint32) {
	n, err := unix.Read(p.fd, l.buf)
	if err == unix.EAGAIN {
		return
	}
	if n <= 0 {
		l.drop(p)
		return
	}
	for range bytes.Count(l.buf[:n], []byte("\r\n\r\n")) {
		_, _ = unix.Write(p.fd, answer)
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

// askWeb sends a request whenever the answer to the last one is complete.
func askWeb(l *load, p *peer, events uint32) {
	if events&unix.EPOLLOUT != 0 {
		l.watch(p, unix.EPOLLIN)
		_, _ = unix.Write(p.fd, request)
		return
	}
	n, err := unix.Read(p.fd, l.buf[:64<<10])
	if err == unix.EAGAIN {
		return
	}
	if n <= 0 {
		l.failed++
		l.drop(p)
		return
	}
	if p.got == 0 { // the head; a contender may send the body behind it
		head := bytes.Index(l.buf[:n], []byte("\r\n\r\n"))
		p.got = n - head - 4
		if !bytes.HasPrefix(l.buf[:n], []byte("HTTP/1.1 200 ")) {
			l.failed++
		}
	} else {
		p.got += n
	}
	if p.got < bodySize {
		return
	}
	p.got = 0
	l.done++
	if !l.paused {
		_, _ = unix.Write(p.fd, request)
	}
}

// askEcho makes a connection, sends a message, gets it back, closes, and begins anew.
func askEcho(l *load, p *peer, events uint32) {
	if events&unix.EPOLLOUT != 0 {
		l.watch(p, unix.EPOLLIN)
		_, _ = unix.Write(p.fd, message)
		return
	}
	n, err := unix.Read(p.fd, l.buf[:64<<10])
	if err == unix.EAGAIN {
		return
	}
	if p.got += max(n, 0); n > 0 && p.got < len(message) {
		return
	}
	if p.got == len(message) {
		l.done++
	} else {
		l.failed++
	}
	l.drop(p)
	if !l.paused {
		_ = l.dial(p.to, unix.EPOLLOUT, askEcho)
	}
}

// keepEcho is askEcho that stays.
func keepEcho(l *load, p *peer, events uint32) {
	if events&unix.EPOLLOUT != 0 {
		l.watch(p, unix.EPOLLIN)
		_, _ = unix.Write(p.fd, message)
		return
	}
	n, err := unix.Read(p.fd, l.buf[:64<<10])
	switch {
	case err == unix.EAGAIN:
	case n <= 0:
		l.failed++
		l.drop(p)
	default:
		if p.got += n; p.got == len(message) {
			l.done++
		}
	}
}

// swallow throws away what arrives, inside the kernel.
func swallow(l *load, p *peer, events uint32) {
	if events&unix.EPOLLOUT != 0 {
		l.watch(p, unix.EPOLLIN)
		return
	}
	n, _, err := unix.Recvfrom(p.fd, l.buf, unix.MSG_TRUNC)
	if err == unix.EAGAIN {
		return
	}
	if n <= 0 {
		l.failed++
		l.drop(p)
		return
	}
	l.done += int64(n)
}
