package http2

import (
	"strconv"

	"evenkeel/appliance"
	"evenkeel/engine/request"

	"golang.org/x/net/http2/hpack"
)

// maxHead is the most bytes of a head in HTTP/1.1, unless a service says less for its clients, and maxBlock of a header block as it comes.
const (
	maxHead  = appliance.MaxHeadLimit
	maxBlock = 64 << 10
	// maxContinuations bounds the frames of one header block: a peer that fills its frames needs four.
	maxContinuations = 16
)

// headKind is what a header block is to become.
type headKind uint8

const (
	skipHead     headKind = iota // only the decoder's table matters
	requestHead                  // with pseudo-fields of a request
	responseHead                 // with :status
	tunnelHead                   // the same, of the answer to an extended CONNECT
	trailerHead                  // without pseudo-fields
)

// head is a header block on its way to HTTP/1.1. There is one for each loop.
type head struct {
	text      []byte // the head in HTTP/1.1, without the empty line at its end
	cookies   []byte // the values of all Cookie fields, joined (RFC 9113, 8.2.3)
	method    string
	path      string
	scheme    string
	authority string
	protocol  string // of an extended CONNECT (RFC 8441)
	fault     string // why the head is malformed, or empty
	length    int64  // Content-Length, -1 when there is none
	limit     int    // bytes that text may have
	status    int
	kind      headKind
	regular   bool // a field that is no pseudo-field was seen
	hasPath   bool
	hasHost   bool
	upgrade   bool // :protocol was seen
	tunnel    bool // the answer is to an extended CONNECT
	authSeen  bool
	tooLarge  bool
}

// begin empties h for a new block, of which so many bytes are held at most; text goes behind what room is kept for the first line.
func (h *head) begin(kind headKind, limit int) {
	*h = head{kind: kind, text: h.text[:0], cookies: h.cookies[:0], length: -1, limit: limit}
	if kind == tunnelHead {
		h.kind, h.tunnel = responseHead, true
	}
}

func (h *head) bad(reason string) {
	if h.fault == "" {
		h.fault = reason
	}
}

// field takes one decoded field.
func (h *head) field(f hpack.HeaderField) {
	if h.kind == skipHead || h.fault != "" || h.tooLarge {
		return
	}
	if len(h.text)+len(h.cookies)+len(f.Name)+len(f.Value) > h.limit {
		h.tooLarge = true
		return
	}
	if len(f.Name) > 0 && f.Name[0] == ':' {
		h.pseudo(f)
		return
	}
	if !validName(f.Name) {
		h.bad("a field's name is empty, has upper case or a byte that is not allowed")
		return
	}
	if !validValue(f.Value) {
		h.bad("a field's value has a byte that is not allowed")
		return
	}
	if !h.regular {
		h.regular = true
		h.firstLine()
	}
	h.plain(f.Name, f.Value)
}

func (h *head) pseudo(f hpack.HeaderField) {
	switch {
	case h.regular:
		h.bad("a pseudo-field stands behind a field")
	case !validValue(f.Value):
		h.bad("a pseudo-field has a byte that is not allowed")
	case h.kind == responseHead && f.Name == ":status" && h.status == 0:
		h.setStatus(f.Value)
	case h.kind == requestHead:
		h.requestPseudo(f)
	default:
		h.bad("there is a pseudo-field that does not belong there")
	}
}

func (h *head) setStatus(value string) {
	n, err := strconv.Atoi(value)
	if err != nil || len(value) != 3 || n < 100 || n > 599 || n == 101 {
		h.bad("the status is not valid")
		return
	}
	h.status = n
}

func (h *head) requestPseudo(f hpack.HeaderField) {
	switch {
	case f.Name == ":method" && h.method == "" && validToken(f.Value):
		h.method = f.Value
	case f.Name == ":path" && !h.hasPath && validTarget(f.Value):
		h.path, h.hasPath = f.Value, true
	case f.Name == ":scheme" && h.scheme == "" && (f.Value == "http" || f.Value == "https"):
		h.scheme = f.Value
	case f.Name == ":authority" && !h.authSeen && request.ValidHost(text(f.Value)):
		h.authority, h.authSeen = f.Value, true
	case f.Name == ":protocol" && !h.upgrade:
		h.protocol, h.upgrade = f.Value, true
	default:
		h.bad("a pseudo-field is unknown, repeated or malformed")
	}
}

// firstLine writes the request line; the rest of the pseudo-fields is checked at the end.
func (h *head) firstLine() {
	switch {
	case h.kind == responseHead && h.tunnel && h.status/100 == 2:
		h.text = append(h.text, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"...)
		return
	case h.kind == responseHead:
		h.text = append(h.text, "HTTP/1.1 "...)
		h.text = strconv.AppendInt(h.text, int64(h.status), 10)
		h.text = append(h.text, " \r\n"...)
		return
	case h.kind != requestHead:
		return
	case h.upgrade:
		h.text = append(h.text, "GET"...)
	default:
		h.text = append(h.text, h.method...)
	}
	h.text = append(h.text, ' ')
	h.text = append(h.text, h.path...)
	h.text = append(h.text, " HTTP/1.1\r\n"...)
	if h.authSeen {
		h.line("Host", h.authority)
	}
}

func (h *head) line(name, value string) {
	h.text = append(h.text, name...)
	h.text = append(h.text, ": "...)
	h.text = append(h.text, value...)
	h.text = append(h.text, "\r\n"...)
}

// plain takes a field that is no pseudo-field and is valid by itself.
func (h *head) plain(name, value string) {
	switch request.FieldOf(text(name)) {
	case request.Connection, request.TransferEncoding, request.Upgrade:
		h.bad("there is a field that belongs to a connection of HTTP/1")
		return
	case request.HopByHop:
		if name == "te" && value == "trailers" || name == "proxy-authorization" {
			return
		}
		h.bad("there is a field that belongs to a connection of HTTP/1")
		return
	case request.Host:
		h.setHost(value)
		return
	case request.ContentLength:
		h.setLength(value)
		return
	case request.Cookie:
		if h.kind == requestHead {
			if len(h.cookies) > 0 {
				h.cookies = append(h.cookies, "; "...)
			}
			h.cookies = append(h.cookies, value...)
			return
		}
	case request.WebSocketKey:
		if h.upgrade { // ours stands there
			return
		}
	}
	if h.tunnel && name == "sec-websocket-accept" { // ours stands there
		return
	}
	h.line(name, value)
}

func (h *head) setHost(value string) {
	switch {
	case h.kind != requestHead:
		h.line("host", value)
	case h.hasHost || h.authSeen && !request.SameFold(text(value), text(h.authority)):
		h.bad("there are two authorities")
	default:
		if h.hasHost = true; !h.authSeen {
			h.line("Host", value)
		}
	}
}

func (h *head) setLength(value string) {
	n, ok := request.ParseLength(text(value))
	switch {
	case h.kind == trailerHead || h.tunnel && h.status/100 == 2: // frames nothing there
	case !ok || h.length >= 0:
		h.bad("the Content-Length is not a length, or there are two")
	default:
		h.length = n
		h.line("content-length", value)
	}
}

// wholeRequest checks what can be known at the end only.
func (h *head) wholeRequest() {
	if !h.regular {
		h.firstLine()
	}
	switch {
	case h.method == "":
		h.bad("there is no :method")
	case h.upgrade:
		if h.method != "CONNECT" || h.scheme == "" || h.path == "" || !h.authSeen || h.length > 0 || h.protocol != "websocket" {
			h.bad("the extended CONNECT is malformed, or for another protocol than websocket")
		}
	case h.method == "CONNECT":
		if h.scheme != "" || h.hasPath || !h.authSeen {
			h.bad("the CONNECT is malformed")
		}
	case h.scheme == "" || h.path == "":
		h.bad("there is no :scheme or no :path")
	case !h.authSeen && !h.hasHost:
		h.bad("there is no authority")
	}
	if len(h.cookies) > 0 {
		h.text = append(append(append(h.text, "Cookie: "...), h.cookies...), "\r\n"...)
	}
}

// wholeResponse checks what can be known at the end only.
func (h *head) wholeResponse() {
	if !h.regular {
		h.firstLine()
	}
	if h.status == 0 {
		h.bad("there is no :status")
	}
}
