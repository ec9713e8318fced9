// Package compress is the content coding of responses (RFC 9110, 8.4): which one a client and a content allow, and encoders that turn pieces of a body into pieces
// of the coded one. It does no I/O and starts no goroutine.
package compress

import (
	"bytes"

	"evenkeel/engine/request"
)

// Coding is a content coding.
type Coding uint8

// The codings, by preference: of those that a client takes equally gladly the last is chosen.
const (
	Identity Coding = iota
	Gzip
	Brotli
	Zstd
)

// String returns the name in Content-Encoding.
func (c Coding) String() string {
	switch c {
	case Gzip:
		return "gzip"
	case Brotli:
		return "br"
	case Zstd:
		return "zstd"
	}
	return "identity"
}

// Choose returns the coding that an Accept-Encoding wants most (RFC 9110, 12.5.3); Identity when it names none of ours with a weight above that of identity.
func Choose(accept []byte) Coding {
	var weight [Zstd + 1]int
	var named [Zstd + 1]bool
	any, star := 0, false
	for len(accept) > 0 {
		item := accept
		if i := bytes.IndexByte(accept, ','); i >= 0 {
			item, accept = accept[:i], accept[i+1:]
		} else {
			accept = nil
		}
		name, q, ok := weighted(item)
		if !ok {
			continue
		}
		if len(name) == 1 && name[0] == '*' {
			any, star = q, true
			continue
		}
		if c, known := codingOf(name); known {
			weight[c], named[c] = q, true
		}
	}
	best := Identity
	for c := Gzip; c <= Zstd; c++ {
		if !named[c] && star {
			weight[c] = any
		}
		if weight[c] > 0 && weight[c] >= weight[best] {
			best = c
		}
	}
	return best
}

func codingOf(name []byte) (Coding, bool) {
	switch {
	case request.Equal(name, "gzip"), request.Equal(name, "x-gzip"):
		return Gzip, true
	case request.Equal(name, "br"):
		return Brotli, true
	case request.Equal(name, "zstd"):
		return Zstd, true
	case request.Equal(name, "identity"):
		return Identity, true
	}
	return 0, false
}

// weighted splits "name;q=0.5" into the name and the weight in thousandths; false: it is malformed.
func weighted(item []byte) (name []byte, q int, ok bool) {
	name, parameter, found := bytes.Cut(item, []byte(";"))
	name = request.Trim(name)
	if !request.Token(name) {
		return nil, 0, false
	}
	if !found {
		return name, 1000, true
	}
	parameter = request.Trim(parameter)
	if len(parameter) < 3 || parameter[0]|0x20 != 'q' || parameter[1] != '=' {
		return nil, 0, false
	}
	q, ok = quality(parameter[2:])
	return name, q, ok
}

// quality reads 0 to 1 with at most three decimals.
func quality(b []byte) (int, bool) {
	if b[0] != '0' && b[0] != '1' || len(b) > 5 || len(b) > 1 && b[1] != '.' {
		return 0, false
	}
	q, unit := int(b[0]-'0')*1000, 100
	for i := 2; i < len(b); i++ {
		if b[i] < '0' || b[i] > '9' {
			return 0, false
		}
		q, unit = q+int(b[i]-'0')*unit, unit/10
	}
	return q, q <= 1000
}

// Compressible tells whether a Content-Type is worth compressing: text and the formats made of it. Event streams are left as they are, because each event must
// arrive at once.
func Compressible(contentType []byte) bool {
	kind, _, _ := bytes.Cut(contentType, []byte(";"))
	kind = bytes.ToLower(request.Trim(kind))
	main, sub, found := bytes.Cut(kind, []byte("/"))
	switch {
	case !found || string(kind) == "text/event-stream":
		return false
	case string(main) == "text", bytes.HasSuffix(sub, []byte("+xml")), bytes.HasSuffix(sub, []byte("+json")):
		return true
	}
	switch string(kind) {
	case "application/json", "application/javascript", "application/xml", "application/x-javascript", "application/dicom+json", "application/wasm",
		"application/ld+json", "application/manifest+json", "application/x-ndjson", "application/x-www-form-urlencoded", "application/vnd.ms-fontobject",
		"font/ttf", "font/otf", "image/bmp", "image/x-icon", "image/vnd.microsoft.icon":
		return true
	}
	return false
}
