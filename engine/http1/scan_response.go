package http1

import "evenkeel/engine/request"

// responseHead is a scanned response head. Every verdict about it ends in 502: the server is to blame.
type responseHead struct {
	head
	status    int
	reason    []byte
	websocket bool   // Upgrade says websocket
	added     []byte // whole lines that the client gets besides
	hsts      []byte // the line that stands in for the server's own Strict-Transport-Security; nil: the server's stays
}

// scan reads a response head at the beginning of b.
func (h *responseHead) scan(b []byte) progress {
	cuts, amended := h.cuts, h.amended
	*h = responseHead{added: h.added[:0], hsts: h.hsts}
	h.cuts, h.amended = cuts, amended
	h.clear()
	p := h.scanAll(b)
	if p == more && len(b) > MaxHead || p == complete && h.size > MaxHead {
		return h.bad("the server's head is too large")
	}
	return p
}

func (h *responseHead) scanAll(b []byte) progress {
	if p := h.statusLine(b); p != complete {
		return p
	}
	for i := h.lines; ; {
		name, value, done, p := h.line(b, i)
		if p != complete {
			return p
		}
		if done {
			h.end, h.size = i, i+2
			return h.whole(b)
		}
		next := value + 2
		if field := request.FieldOf(b[i:name]); field != request.Plain {
			if p := h.field(field, i, next, request.Trim(b[name+1:value])); p != complete {
				return p
			}
		}
		i = next
	}
}

// statusLine reads version, status and reason; some servers leave out the space before an empty reason.
func (h *responseHead) statusLine(b []byte) progress {
	const prefix = "HTTP/1."
	if n := min(len(b), len(prefix)); string(b[:n]) != prefix[:n] {
		return h.bad("the status line is malformed")
	}
	if len(b) < 13 {
		return more
	}
	if b[7] != '0' && b[7] != '1' || b[8] != ' ' || !digit(b[9]) || !digit(b[10]) || !digit(b[11]) {
		return h.bad("the status line is malformed")
	}
	h.minor = b[7] - '0'
	h.status = int(b[9]-'0')*100 + int(b[10]-'0')*10 + int(b[11]-'0')
	if h.status < 100 || h.status > 599 {
		return h.bad("the status is not 100 to 599")
	}
	end := 12
	if b[12] == ' ' {
		if end = 13 + request.ValueLen(b[13:]); end == len(b) {
			return more
		}
		h.reason = b[13:end]
	}
	h.lines = end + 2
	return h.lineEnd(b, end)
}

func (h *responseHead) field(field request.Field, from, to int, value []byte) progress {
	switch field {
	case request.ContentLength:
		if h.status == 204 || h.status < 200 {
			h.drop(from, to, field)
		}
		return h.framing(field, value)
	case request.TransferEncoding:
		h.drop(from, to, field)
		return h.framing(field, value)
	case request.Connection:
		h.drop(from, to, field)
		return h.connection(value, false)
	case request.Upgrade:
		h.drop(from, to, field)
		h.websocket = request.SameFold(value, []byte("websocket"))
	case request.HopByHop:
		h.drop(from, to, field)
	case request.StrictTransport:
		if h.hsts != nil {
			h.drop(from, to, field)
		}
	}
	return complete
}

func (h *responseHead) whole(b []byte) progress {
	if p := h.framed(); p != complete {
		return p
	}
	if h.status < 200 && (h.chunked || h.length > 0) {
		return h.bad("an interim answer has a body")
	}
	if h.named {
		h.dropNamed(b)
	}
	return complete
}

// bodyless tells whether a response to a request (HEAD or not) has no body whatever its fields say.
func (h *responseHead) bodyless(isHead bool) bool {
	return isHead || h.status < 200 || h.status == 204 || h.status == 304
}
