package http1

import (
	"bytes"

	"evenkeel/appliance"
	"evenkeel/engine/request"
)

// requestHead is a scanned request head.
type requestHead struct {
	head
	start       int // where the request line begins: behind an empty line that some old clients send
	method      []byte
	path        []byte // with query; empty only in absolute form
	authority   []byte // of a target in absolute form
	host        []byte // nil when there is none (HTTP/1.0)
	cookie      []byte // value of the persistence cookie; nil when there is none
	expect      bool   // Expect: 100-continue
	hasSettings bool   // HTTP2-Settings were there
	wantsWS     bool   // Upgrade names websocket
	keyWS       bool
	versionWS   bool
	absolute    bool
	forwarding  appliance.ForwardedFor
	hasProto    bool // X-Forwarded-Proto came in and passes
	cookieName  string
	limit       int    // bytes that it may have, 0: MaxHead; to be set before scan
	rare        bool   // TRACE and OPTIONS * are served; to be set before scan
	ownID       bool   // an X-Request-ID of the client does not pass; to be set before scan
	target      []byte // that a rule gives instead of path; nil: none
	newHost     []byte // that a rule sets
	ownFor      bool   // a rule writes X-Forwarded-For, or takes it away
}

// scan reads a request head at the beginning of b. forwarding and cookieName (empty: none) say what is cut out for our own use.
func (h *requestHead) scan(b []byte, forwarding appliance.ForwardedFor, cookieName string) progress {
	cuts, amended, ownID, rare, limit := h.cuts, h.amended, h.ownID, h.rare, h.limit
	if limit == 0 {
		limit = MaxHead
	}
	*h = requestHead{forwarding: forwarding, cookieName: cookieName, ownID: ownID, rare: rare, limit: limit}
	h.cuts, h.amended = cuts, amended
	h.clear()
	p := h.scanAll(b)
	if p == more && len(b) > limit || p == complete && h.size > limit {
		return h.refuse(request.Verdict{Status: 431, Reason: "the head is too large"})
	}
	return p
}

func (h *requestHead) scanAll(b []byte) progress {
	if p := h.requestLine(b); p != complete {
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
			if p := h.field(b, field, i, next, request.Trim(b[name+1:value])); p != complete {
				return p
			}
		}
		i = next
	}
}

// requestLine reads the method, the target and the version.
func (h *requestHead) requestLine(b []byte) progress {
	if len(b) > 0 && b[0] == '\r' {
		if p := h.lineEnd(b, 0); p != complete {
			return p
		}
		h.start = 2
	}
	i := h.start + request.TokenLen(b[h.start:])
	if i == len(b) && i-h.start <= 32 {
		return more
	}
	h.method = b[h.start:i]
	if v := request.CheckMethod(h.method, h.rare); !v.OK() {
		return h.refuse(v)
	}
	if b[i] != ' ' {
		return h.bad("the request line is malformed")
	}
	i++
	end := i + request.TargetLen(b[i:])
	if end == len(b) {
		return more
	}
	if b[end] != ' ' {
		return h.bad("the request target has a byte that is not allowed")
	}
	if p := h.version(b, end+1); p != complete {
		return p
	}
	if h.rare && string(b[i:end]) == asterisk && string(h.method) == "OPTIONS" {
		h.path = b[i:end]
		return complete
	}
	var v request.Verdict
	if h.authority, h.path, v = request.SplitTarget(b[i:end]); !v.OK() {
		return h.refuse(v)
	}
	h.absolute = h.authority != nil
	return complete
}

// asterisk is the target of an OPTIONS that asks about a server as a whole (RFC 9112, 3.2.4).
const asterisk = "*"

// version reads HTTP/1.0 or HTTP/1.1 and the end of the line.
func (h *requestHead) version(b []byte, i int) progress {
	const prefix = "HTTP/"
	got := b[i:min(i+8, len(b))]
	if n := min(len(got), len(prefix)); string(got[:n]) != prefix[:n] {
		return h.bad("the version is malformed")
	}
	if len(got) < 8 {
		return more
	}
	switch {
	case string(got) == "HTTP/1.1":
		h.minor = 1
	case string(got) == "HTTP/1.0":
		h.minor = 0
	case digit(got[5]) && got[6] == '.' && digit(got[7]):
		return h.refuse(request.Verdict{Status: 505, Reason: "the version is neither HTTP/1.0 nor HTTP/1.1"})
	default:
		return h.bad("the version is malformed")
	}
	h.lines = i + 10
	return h.lineEnd(b, i+8)
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// field takes note of a field that means something to us and cuts what is not forwarded as it stands.
func (h *requestHead) field(b []byte, field request.Field, from, to int, value []byte) progress {
	switch field {
	case request.Host:
		if h.host != nil {
			return h.bad("there are two Hosts")
		}
		if h.host = value; !request.ValidHost(value) {
			return h.bad("the Host is not valid")
		}
	case request.ContentLength:
		return h.framing(field, value)
	case request.TransferEncoding:
		h.drop(from, to, field)
		return h.framing(field, value)
	case request.Connection:
		h.drop(from, to, field)
		return h.connection(value, true)
	case request.Expect:
		return h.expects(from, to, value)
	case request.Cookie:
		if h.cookieName != "" {
			h.takeCookie(b, from, to, value)
		}
	case request.Upgrade:
		h.drop(from, to, field)
		return h.upgrade(value)
	case request.ForwardedForField:
		if h.forwarding != appliance.ForwardedOff {
			h.drop(from, to, field)
		}
	case request.Forwarding:
		twin := bytes.IndexByte(b[from:from+request.TokenLen(b[from:to])], '_') >= 0 // servers that make variables of fields take it for the real one
		if h.forwarding == appliance.ForwardedReplace || h.forwarding == appliance.ForwardedAppend && twin {
			h.drop(from, to, field)
		} else if request.Equal(b[from:from+request.TokenLen(b[from:to])], "x-forwarded-proto") {
			h.hasProto = true
		}
	case request.HopByHop:
		h.drop(from, to, field)
		if b[from]|0x20 == 'h' {
			return h.settings(value)
		}
	case request.RequestID:
		if h.ownID {
			h.drop(from, to, field)
		}
	case request.Disguised:
		return h.bad("a field that frames is spelled with an underscore")
	case request.WebSocketKey:
		h.keyWS = len(value) > 0
	case request.WebSocketVersion:
		h.versionWS = len(value) > 0
	}
	return complete
}

func (h *requestHead) expects(from, to int, value []byte) progress {
	if !request.Equal(value, "100-continue") || h.expect {
		return h.refuse(request.Verdict{Status: 417, Reason: "the Expect is not 100-continue"})
	}
	h.expect = true
	if h.minor == 0 { // RFC 9110, 10.1.1: of no effect there
		h.drop(from, to, request.Expect)
	}
	return complete
}

// upgrade looks at what the client would rather speak. What is not spoken here is not passed on, and the request is served as it is (RFC 9110, 7.8): clients such as
// Java's offer h2c with their first request. A name that only begins like h2c is none that anybody sends.
func (h *requestHead) upgrade(list []byte) progress {
	for len(list) > 0 {
		var protocol []byte
		protocol, list = nextItem(list)
		switch {
		case len(protocol) > 3 && request.SameFold(protocol[:3], []byte("h2c")):
			return h.bad("the Upgrade is malformed")
		case request.SameFold(protocol, []byte("websocket")):
			h.wantsWS = true
		}
	}
	return complete
}

// settings looks at HTTP2-Settings, which come with an offer of h2c: once, in base64url (RFC 7540, 3.2.1).
func (h *requestHead) settings(value []byte) progress {
	for _, c := range value {
		if c != '-' && c != '_' && c != '=' && !digit(c) && (c|0x20 < 'a' || c|0x20 > 'z') {
			return h.bad("the HTTP2-Settings are malformed")
		}
	}
	if h.hasSettings || len(value) == 0 {
		return h.bad("the HTTP2-Settings are malformed")
	}
	h.hasSettings = true
	return complete
}

// whole checks what can be known at the end only.
func (h *requestHead) whole(b []byte) progress {
	switch {
	case h.host == nil && h.minor == 1:
		return h.bad("there is no Host")
	case h.absolute && h.host != nil && !request.SameFold(h.authority, h.host):
		return h.bad("the Host and the request target disagree")
	case string(h.method) == "TRACE" && (h.chunked || h.length > 0):
		return h.bad("a TRACE has a body")
	}
	if p := h.framed(); p != complete {
		return p
	}
	if h.wantsWS = h.wantsWS && h.switchT && h.minor == 1; h.wantsWS {
		if !h.keyWS || !h.versionWS || string(h.method) != "GET" || h.chunked || h.length > 0 {
			return h.bad("the WebSocket handshake is malformed")
		}
	}
	if h.named {
		h.dropNamed(b)
	}
	return complete
}

// takeCookie finds the persistence cookie in a Cookie line and cuts it out, so that servers never see it.
func (h *requestHead) takeCookie(b []byte, from, to int, value []byte) {
	first := len(h.cuts)
	base := from + bytes.IndexByte(b[from:to], ':') + 1
	for base < to && (b[base] == ' ' || b[base] == '\t') {
		base++
	}
	keptEnd := -1 // where the last pair that stays ends
	for i := 0; i < len(value); {
		end, next := len(value), len(value)
		if n := bytes.IndexByte(value[i:], ';'); n >= 0 {
			end, next = i+n, i+n+1
			for next < len(value) && (value[next] == ' ' || value[next] == '\t') {
				next++
			}
		}
		switch found, ours := h.cookieOf(value[i:end]); {
		case !ours:
			keptEnd = end
		case h.cookie == nil:
			h.cookie = found
			fallthrough
		default:
			h.drop(base+i, base+next, request.Cookie)
		}
		i = next
	}
	h.closeCookie(first, base, keptEnd, from, to, len(value))
}

// closeCookie takes away the whole line when no other cookie is left in it, and otherwise the separator behind the last one that stays.
func (h *requestHead) closeCookie(first, base, keptEnd, from, to, size int) {
	if len(h.cuts) == first {
		return
	}
	if keptEnd < 0 {
		h.cuts = h.cuts[:first]
		h.drop(from, to, request.Cookie)
		return
	}
	if last := &h.cuts[len(h.cuts)-1]; last.to == base+size && base+keptEnd < last.from {
		for len(h.cuts) > first && h.cuts[len(h.cuts)-1].from > base+keptEnd {
			h.cuts = h.cuts[:len(h.cuts)-1]
		}
		h.drop(base+keptEnd, base+size, request.Cookie)
	}
}

// cookieOf returns the value when the pair is the persistence cookie.
func (h *requestHead) cookieOf(pair []byte) ([]byte, bool) {
	n := len(h.cookieName)
	pair = request.Trim(pair)
	if len(pair) <= n || pair[n] != '=' || string(pair[:n]) != h.cookieName {
		return nil, false
	}
	return pair[n+1:], true
}
