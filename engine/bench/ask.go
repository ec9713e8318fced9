package bench

import (
	"bytes"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

var (
	requestHead = []byte("GET /some/path HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n")
	message     = bytes.Repeat([]byte("m"), 100)
)

// asker is a kind of web client.
type asker struct {
	once   bool                // a connection for each request
	cookie bool                // gives back the cookie that it was given
	free   func(*load, *peer)  // what a client does behind an answer; nil: it asks again
	timed  func(due time.Time) // told of each answer when its request should have been sent; may be nil
}

// ask sends a request.
func (a *asker) ask(p *peer) {
	if p.request == nil {
		p.request = append(bytes.Clone(requestHead), "\r\n"...)
	}
	_, _ = unix.Write(p.fd, p.request)
}

// act is one event of a web client.
func (a *asker) act(l *load, p *peer, events uint32) {
	if events&unix.EPOLLOUT != 0 {
		if a.free == nil {
			a.ask(p)
		} else {
			a.free(l, p)
		}
		return
	}
	n, ok := a.read(l, p)
	if !ok {
		l.failed++
		l.drop(p)
		return
	}
	if n == 0 || p.left > 0 {
		return
	}
	p.begun = false
	l.done++
	if a.timed != nil {
		a.timed(p.due)
	}
	switch {
	case a.once:
		l.drop(p)
		if !l.paused {
			_ = l.dial(p.to, a.act)
		}
	case a.free != nil:
		a.free(l, p)
	case !l.paused:
		a.ask(p)
	}
}

// read takes what has come of an answer; bodies are thrown away inside the kernel.
func (a *asker) read(l *load, p *peer) (n int, ok bool) {
	if p.begun {
		n, _, err := unix.Recvfrom(p.fd, l.buf, unix.MSG_TRUNC)
		if err == unix.EAGAIN {
			return 0, true
		}
		p.left -= n
		return n, n > 0 && p.left >= 0
	}
	n, err := unix.Read(p.fd, l.buf[:64<<10])
	if err == unix.EAGAIN {
		return 0, true
	}
	if n <= 0 || !bytes.HasPrefix(l.buf[:n], []byte("HTTP/1.1 200 ")) {
		return 0, false
	}
	size := bytes.Index(l.buf[:n], []byte("\r\n\r\n")) + 4
	length, err := strconv.Atoi(field(l.buf[:size], "Content-Length: "))
	if err != nil {
		return 0, false
	}
	if cookie := field(l.buf[:size], "Set-Cookie: "); a.cookie && cookie != "" {
		value, _, _ := bytes.Cut([]byte(cookie), []byte(";"))
		p.request = append(bytes.Clone(requestHead), "Cookie: "...)
		p.request = append(append(p.request, value...), "\r\n\r\n"...)
	}
	p.begun, p.left = true, length-(n-size)
	return n, p.left >= 0
}

// field returns the value of a field of a head, or nothing. The contenders differ in the case of names.
func field(head []byte, name string) string {
	i := bytes.Index(bytes.ToLower(head), bytes.ToLower([]byte("\r\n"+name)))
	if i < 0 {
		return ""
	}
	value := head[i+2+len(name):]
	return string(value[:bytes.IndexByte(value, '\r')])
}

// askEcho makes a connection, sends a message, gets it back, closes, and begins anew.
func askEcho(l *load, p *peer, events uint32) {
	if events&unix.EPOLLOUT != 0 {
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
		_ = l.dial(p.to, askEcho)
	}
}

// keepEcho is askEcho that stays.
func keepEcho(l *load, p *peer, events uint32) {
	if events&unix.EPOLLOUT != 0 {
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
