package http1

import (
	"strconv"

	"evenkeel/engine/request"
)

// Bounds of what stands around the data of a chunked body.
const (
	maxExtension = 256
	maxTrailers  = 8 << 10
)

// chunkState is where a chunk decoder stands.
type chunkState uint8

const (
	chunkSize chunkState = iota // at the digits of a size
	chunkExtension
	chunkSizeLF
	chunkBody
	chunkCR
	chunkLF
	chunkTrailers
	chunkDone
)

// chunks decodes and validates one chunked body (RFC 9112, 7.1) and writes it again in canonical form: the same chunks with plain sizes, no extensions,
// allowed trailers only. The zero value is at the beginning. What it writes does not depend on how the input was cut into pieces.
type chunks struct {
	left     int64 // of the chunk at hand
	verdict  request.Verdict
	digits   uint8
	state    chunkState
	around   uint16 // bytes of the extension, then of the trailers
	trailers uint8
	bare     bool // write the data only, without framing and trailers
}

// decode takes from b what it can and appends to out. It returns how much was taken; false when the body is refused.
func (d *chunks) decode(out, b []byte) (taken int, _ []byte, ok bool) {
	for taken < len(b) && d.state != chunkDone {
		switch d.state {
		case chunkBody:
			n := int(min(d.left, int64(len(b)-taken)))
			out = append(out, b[taken:taken+n]...)
			taken += n
			if d.left -= int64(n); d.left == 0 {
				d.state = chunkCR
			}
		case chunkTrailers:
			n, written, good := d.trailer(out, b[taken:])
			if out = written; !good || n == 0 {
				return taken, out, good
			}
			taken += n
		default:
			if out, ok = d.step(out, b[taken]); !ok {
				return taken, out, false
			}
			taken++
		}
	}
	return taken, out, true
}

// step takes one byte of the framing.
func (d *chunks) step(out []byte, c byte) ([]byte, bool) {
	switch d.state {
	case chunkSize:
		return out, d.size(c)
	case chunkExtension:
		if c == '\r' {
			d.state = chunkSizeLF
			return out, true
		}
		if d.around++; d.around > maxExtension || c < ' ' && c != '\t' || c == 0x7f {
			return out, d.refuse("a chunk's extension is malformed or too long")
		}
		return out, true
	case chunkCR:
		if c != '\r' {
			return out, d.refuse("a chunk's data is longer than its size")
		}
		d.state = chunkLF
		return out, true
	}
	if c != '\n' {
		return out, d.refuse("a line of the chunked body has a CR without LF")
	}
	if d.state == chunkLF {
		d.state, d.digits, d.around = chunkSize, 0, 0
		return d.frame(out, "\r\n"), true
	}
	return d.sizeDone(out), true
}

func (d *chunks) size(c byte) bool {
	v, isDigit := hexDigit(c)
	switch {
	case isDigit && d.digits < 16:
		if d.digits++; d.left > 1<<59-1 {
			return d.refuse("a chunk is larger than 2^63-1 bytes")
		}
		d.left = d.left<<4 | int64(v)
	case isDigit:
		return d.refuse("a chunk's size has more than 16 digits")
	case d.digits == 0:
		return d.refuse("a chunk has no size")
	case c == '\r':
		d.state = chunkSizeLF
	case c == ';':
		d.state = chunkExtension
	default:
		return d.refuse("a chunk's size is malformed")
	}
	return true
}

func (d *chunks) sizeDone(out []byte) []byte {
	if d.state = chunkBody; d.left == 0 {
		d.state, d.around = chunkTrailers, 0
	}
	if !d.bare {
		out = strconv.AppendInt(out, d.left, 16)
	}
	return d.frame(out, "\r\n")
}

// trailer takes one whole line behind the last chunk; zero means that it is not complete.
func (d *chunks) trailer(out, b []byte) (int, []byte, bool) {
	h := head{fields: int(d.trailers)}
	name, value, done, p := h.line(b, 0)
	switch {
	case p == refused:
		return 0, out, d.refuse("a trailer is malformed")
	case p == more:
		if len(b)+int(d.around) > maxTrailers {
			return 0, out, d.refuse("the trailers are too large")
		}
		return 0, out, true
	case done:
		d.state = chunkDone
		return 2, d.frame(out, "\r\n"), true
	}
	size := value + 2
	if d.trailers++; int(d.around)+size > maxTrailers {
		return 0, out, d.refuse("the trailers are too large")
	}
	d.around += uint16(size)
	if !d.bare && request.TrailerAllowed(b[:name]) {
		out = append(out, b[:size]...)
	}
	return size, out, true
}

func (d *chunks) refuse(reason string) bool {
	d.verdict = request.Bad(reason)
	return false
}

// frame appends text of the framing, unless only the data is wanted.
func (d *chunks) frame(out []byte, text string) []byte {
	if d.bare {
		return out
	}
	return append(out, text...)
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return (c | 0x20) - 'a' + 10, true
	}
	return 0, false
}
