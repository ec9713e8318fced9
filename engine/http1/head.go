package http1

import (
	"bytes"
	"slices"

	"evenkeel/appliance"
	"evenkeel/engine/request"
)

// Bounds of a head. A head must be smaller than what a driver keeps and than a loop's scratch space; a service may demand smaller ones of its clients.
const (
	MaxHead   = appliance.MaxHeadLimit // bytes
	MaxFields = 128
)

// progress is what a scan comes to.
type progress uint8

const (
	complete progress = iota
	more              // the head is not complete, nothing wrong so far
	refused           // head.verdict says why
)

// cut is a range of the head that is not forwarded as it stands: whole lines, or a part of a Cookie line.
type cut struct {
	from, to int
	field    request.Field
}

// head is what a request head and a response head have in common; slices and offsets point into the scanned bytes.
type head struct {
	verdict request.Verdict
	lines   int   // offset of the first field line
	end     int   // offset of the empty line that ends the head
	size    int   // bytes of the whole head
	length  int64 // Content-Length, -1 when there is none
	fields  int
	cuts    []cut  // ascending
	amended []byte // lines that rules add behind those that stay
	minor   byte   // of the version: 0 or 1
	chunked bool
	hasCode bool // a Transfer-Encoding was seen
	close   bool // Connection: close
	keep    bool // Connection: keep-alive
	switchT bool // Connection: upgrade
	named   bool // Connection names further fields
	options int  // how many options Connection has, empty ones too
}

// maxOptions is how many options Connection may have: each of them is held against every line of the head.
const maxOptions = 32

func (h *head) clear() {
	*h = head{length: -1, cuts: h.cuts[:0], amended: h.amended[:0]}
}

func (h *head) refuse(v request.Verdict) progress {
	h.verdict = v
	return refused
}

func (h *head) bad(reason string) progress { return h.refuse(request.Bad(reason)) }

// line looks at the field line at b[i:] and returns where its name and its value end. At the empty line, done is true.
func (h *head) line(b []byte, i int) (name, value int, done bool, p progress) {
	name = i + request.TokenLen(b[i:])
	if name == len(b) {
		return 0, 0, false, more
	}
	if b[name] != ':' || name == i {
		return h.noField(b, i, name)
	}
	value = name + 1 + request.ValueLen(b[name+1:])
	if value == len(b) {
		return 0, 0, false, more
	}
	if p := h.lineEnd(b, value); p != complete {
		return 0, 0, false, p
	}
	if h.fields++; h.fields > MaxFields {
		return 0, 0, false, h.refuse(request.Verdict{Status: 431, Reason: "the head has too many fields"})
	}
	return name, value, false, complete
}

// noField handles a line that does not begin with a name and a colon: the empty line, or a fault.
func (h *head) noField(b []byte, i, name int) (int, int, bool, progress) {
	switch c := b[name]; {
	case name > i && (c == ' ' || c == '\t'):
		return 0, 0, false, h.bad("there is a space between a field's name and its colon")
	case name > i && c == '\r', name > i && c == '\n':
		return 0, 0, false, h.bad("a line of the head has no colon")
	case name > i:
		return 0, 0, false, h.bad("a field's name has a byte that is not allowed")
	case c == '\r':
		return 0, 0, true, h.lineEnd(b, i)
	case c == ' ' || c == '\t':
		return 0, 0, false, h.bad("a line of the head begins with a space")
	case c == ':':
		return 0, 0, false, h.bad("a field has no name")
	case c == '\n':
		return 0, 0, false, h.bad("a line ends without CR")
	}
	return 0, 0, false, h.bad("a field's name has a byte that is not allowed")
}

// lineEnd demands CR LF at b[i:].
func (h *head) lineEnd(b []byte, i int) progress {
	switch {
	case i == len(b), b[i] == '\r' && i+1 == len(b):
		return more
	case b[i] == '\n':
		return h.bad("a line ends without CR")
	case b[i] != '\r':
		return h.bad("the head has a control byte")
	case b[i+1] != '\n':
		return h.bad("the head has a CR without LF")
	}
	return complete
}

// framing takes note of Content-Length and Transfer-Encoding.
func (h *head) framing(field request.Field, value []byte) progress {
	if field == request.ContentLength {
		if h.length >= 0 {
			return h.bad("there are two Content-Lengths")
		}
		n, ok := request.ParseLength(value)
		if !ok {
			return h.bad("the Content-Length is not a length")
		}
		h.length = n
		return complete
	}
	switch {
	case h.hasCode:
		return h.bad("there are two Transfer-Encodings")
	case !request.Token(value) && bytes.IndexByte(value, ',') < 0:
		return h.bad("the Transfer-Encoding is malformed")
	case !request.Equal(value, "chunked"):
		return h.refuse(request.Verdict{Status: 501, Reason: "the Transfer-Encoding is not chunked alone"})
	}
	h.hasCode, h.chunked = true, true
	return complete
}

// framed checks what the fields of framing say together.
func (h *head) framed() progress {
	switch {
	case h.chunked && h.length >= 0:
		return h.bad("there are both Content-Length and Transfer-Encoding")
	case h.chunked && h.minor == 0:
		return h.bad("there is a Transfer-Encoding in HTTP/1.0")
	}
	return complete
}

// connection reads the options of one Connection field. With strict, naming a protected field is refused, otherwise it is without effect.
func (h *head) connection(value []byte, strict bool) progress {
	for len(value) > 0 {
		var option []byte
		option, value = nextItem(value)
		if h.options++; h.options > maxOptions {
			return h.bad("the Connection field has too many options")
		}
		switch {
		case len(option) == 0:
		case request.Equal(option, "close"):
			h.close = true
		case request.Equal(option, "keep-alive"):
			h.keep = true
		case request.Equal(option, "upgrade"):
			h.switchT = true
		case request.FieldOf(option) == request.HopByHop:
		case !request.Token(option):
			return h.bad("the Connection field is malformed")
		case !request.Protected(option):
			h.named = true
		case strict:
			return h.bad("the Connection field names a field that must reach the server")
		}
	}
	return complete
}

// nextItem splits a comma-separated list.
func nextItem(list []byte) (item, rest []byte) {
	if i := bytes.IndexByte(list, ','); i >= 0 {
		return request.Trim(list[:i]), list[i+1:]
	}
	return request.Trim(list), nil
}

func (h *head) drop(from, to int, field request.Field) {
	h.cuts = append(h.cuts, cut{from, to, field})
}

// dropNamed cuts the fields that Connection names as well; it is seldom needed and walks the lines again.
func (h *head) dropNamed(b []byte) {
	known := h.cuts // what is cut now stands behind them until all lines were seen
	for i := h.lines; i < h.end; {
		name := i + request.TokenLen(b[i:])
		next := i + bytes.IndexByte(b[i:], '\n') + 1
		if isNamed(known, b, b[i:name]) && !request.Protected(b[i:name]) {
			h.drop(i, next, request.HopByHop)
		}
		i = next
	}
	slices.SortFunc(h.cuts, func(c, d cut) int { return c.from - d.from })
	h.cuts = slices.CompactFunc(h.cuts, func(c, d cut) bool { return c.from == d.from }) // cut twice; parts are cut only of protected lines
}

// isNamed tells whether one of the Connection fields that were cut has name among its options.
func isNamed(cuts []cut, b, name []byte) bool {
	for _, c := range cuts {
		if c.field != request.Connection {
			continue
		}
		for list := lineValue(b[c.from:c.to]); len(list) > 0; {
			var option []byte
			if option, list = nextItem(list); request.SameFold(option, name) {
				return true
			}
		}
	}
	return false
}

// lineValue returns the value of a field line.
func lineValue(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte("\r\n"))
	return request.Trim(line[bytes.IndexByte(line, ':')+1:])
}

// kept appends what of the field lines is forwarded as it stands, beginning at from.
func (h *head) kept(out, b []byte, from int) []byte {
	for _, c := range h.cuts {
		out = append(out, b[from:c.from]...)
		from = c.to
	}
	out = append(out, b[from:h.end]...)
	return append(out, h.amended...)
}
