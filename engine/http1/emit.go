package http1

import (
	"net/netip"

	"evenkeel/appliance"
	"evenkeel/engine/request"
)

// emit appends the head that the server gets: always HTTP/1.1, one Host, one kind of framing. local stands in for the Host of an HTTP/1.0 client that sent none.
func (h *requestHead) emit(out, b []byte, peer netip.Addr, local netip.AddrPort, keep bool) []byte {
	from := h.start
	if h.minor == 0 || h.absolute || h.target != nil {
		path := h.path
		if h.target != nil {
			path = h.target
		}
		out = append(out, h.method...)
		out = append(out, ' ')
		if len(path) == 0 || path[0] != '/' && string(path) != asterisk {
			out = append(out, '/')
		}
		out = append(out, path...)
		out = append(out, " HTTP/1.1\r\n"...)
		from = h.lines
	}
	out = h.kept(out, b, from)
	if h.host == nil {
		out = append(out, "Host: "...)
		switch {
		case h.newHost != nil:
			out = append(out, h.newHost...)
		case h.absolute:
			out = append(out, h.authority...)
		default:
			out = local.AppendTo(out)
		}
		out = append(out, "\r\n"...)
	}
	if h.forwarding != appliance.ForwardedOff && !h.ownFor {
		out = h.emitForwarded(out, b, peer)
	}
	if h.chunked {
		out = append(out, "Transfer-Encoding: chunked\r\n"...)
	}
	switch {
	case h.wantsWS:
		out = append(out, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
	case !keep:
		out = append(out, "Connection: close\r\n"...)
	}
	return append(out, "\r\n"...)
}

// forward is emit with what a client who came by TLS adds.
func (h *requestHead) forward(out, b []byte, peer netip.Addr, local netip.AddrPort, keep, secure bool) []byte {
	out = h.emit(out, b, peer, local, keep)
	if secure && !h.hasProto && h.forwarding != appliance.ForwardedOff {
		out = append(out[:len(out)-2], "X-Forwarded-Proto: https\r\n\r\n"...)
	}
	return out
}

// emitForwarded writes one X-Forwarded-For: what came in, in its order, when that is to be kept, and the client's address at the end.
func (h *requestHead) emitForwarded(out, b []byte, peer netip.Addr) []byte {
	out = append(out, "X-Forwarded-For: "...)
	if h.forwarding == appliance.ForwardedAppend {
		for _, c := range h.cuts {
			if c.field != request.ForwardedForField {
				continue
			}
			if value := lineValue(b[c.from:c.to]); len(value) > 0 {
				out = append(out, value...)
				out = append(out, ", "...)
			}
		}
	}
	out = request.AppendAddr(out, peer)
	return append(out, "\r\n"...)
}

// ending says how the client's connection goes on behind a response.
type ending uint8

const (
	staysOpen ending = iota // HTTP/1.1: nothing need be said
	staysOpenOld
	closes
	switches // 101
)

// emit appends the head that the client gets. chunked says that the body follows in chunks.
func (h *responseHead) emit(out, b []byte, chunked bool, end ending, setCookie []byte) []byte {
	out = append(out, "HTTP/1.1 "...)
	out = append(out, b[9:12]...)
	out = append(out, ' ')
	out = append(out, h.reason...)
	out = append(out, "\r\n"...)
	out = h.kept(out, b, h.lines)
	out = append(out, h.added...)
	if h.status >= 200 {
		out = append(out, h.hsts...)
	}
	if len(setCookie) > 0 {
		out = append(out, "Set-Cookie: "...)
		out = append(out, setCookie...)
		out = append(out, "\r\n"...)
	}
	if chunked {
		out = append(out, "Transfer-Encoding: chunked\r\n"...)
	}
	switch end {
	case closes:
		out = append(out, "Connection: close\r\n"...)
	case staysOpenOld:
		out = append(out, "Connection: keep-alive\r\n"...)
	case switches:
		out = append(out, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
	}
	return append(out, "\r\n"...)
}
