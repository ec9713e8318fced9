package http1

import (
	"strconv"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/request"
	"evenkeel/engine/wire"
)

// hsts is the header that keeps browsers on https (RFC 6797, 6.1), made anew when the time changes: hardly ever.
type hsts struct {
	age  appliance.Duration
	line []byte
}

// of returns the header for a time, which is not zero.
func (s *hsts) of(age appliance.Duration) []byte {
	if s.age != age {
		s.age = age
		s.line = append(strconv.AppendInt([]byte("Strict-Transport-Security: max-age="), int64(age.D()/time.Second), 10), "\r\n"...)
	}
	return s.line
}

// strictTransport returns the header for answers to a client that came by TLS, or nil.
func (k *core) strictTransport() []byte {
	if !k.secure {
		return nil
	}
	age := k.service.Config().TLS.HSTS
	if age == 0 {
		return nil
	}
	return k.pool.hsts.of(age)
}

// redirect answers a request in clear with where it is served over https: the same host and target, and the port that is configured. Nothing of it goes to a server.
func (k *core) redirect(h *requestHead, to *appliance.TLSOptions) {
	out, ok := h.appendRedirect(k.pool.loop.Scratch(), to)
	if !ok {
		k.refuse(request.Bad("a request without a host cannot be redirected"))
		return
	}
	add(&k.service.Counters().Requests, 1)
	add(&k.service.Counters().BytesIn, uint64(h.size))
	add(&k.service.Counters().BytesOut, uint64(len(out)))
	k.client.Send(out)
	k.recordAnswer(h, wire.Record{Status: status(to.Redirect), Own: true, BytesIn: uint64(h.size), BytesOut: uint64(len(out)), End: wire.EndDone, Why: "the client was sent to HTTPS"})
	k.shut()
}

// appendRedirect appends the answer that leads to https; false: the request has no host.
func (h *requestHead) appendRedirect(out []byte, to *appliance.TLSOptions) ([]byte, bool) {
	host := h.host
	if h.absolute {
		host = h.authority
	}
	if len(host) == 0 {
		return out, false
	}
	out = append(out, "HTTP/1.1 "...)
	out = append(out, to.Redirect...)
	out = append(out, ' ')
	out = append(out, request.Text(status(to.Redirect))...)
	out = append(out, "\r\nLocation: https://"...)
	out = append(out, withoutPort(host)...)
	if port := to.HTTPSPort(); port != 443 {
		out = strconv.AppendUint(append(out, ':'), uint64(port), 10)
	}
	if len(h.path) == 0 || h.path[0] != '/' {
		out = append(out, '/')
	}
	if string(h.path) != asterisk {
		out = append(out, h.path...)
	}
	return append(out, "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"...), true
}

func status(r appliance.HTTPSRedirect) int {
	n, _ := strconv.Atoi(string(r))
	return n
}

// withoutPort cuts the port off a valid host.
func withoutPort(host []byte) []byte {
	for i := len(host) - 1; i >= 0 && host[i] != ']'; i-- {
		if host[i] == ':' {
			return host[:i]
		}
	}
	return host
}
