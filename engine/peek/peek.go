// Package peek reads by what a client can be recognised in the first bytes of a connection that is passed on as it is: TLS handshakes (RFC 5246, RFC 8446) and the
// connection request of RDP (MS-RDPBCGR 2.2.1.1). It looks and changes nothing; whatever it is given, it returns at once and keeps nothing.
package peek

import "encoding/binary"

// Verdict is what a look at first bytes comes to.
type Verdict uint8

// The verdicts.
const (
	More  Verdict = iota // what is there is right so far, and not complete
	Found                // it is what was looked for
	None                 // it is something else
)

// Limit is how many bytes a hello or a request may have; nothing that is longer is looked at.
const Limit = 16 << 10

// Hello is what a TLS hello shows. Session points into the bytes that were read.
type Hello struct {
	Session []byte // at most 32 bytes; nil: none
	TLS13   bool   // the client can speak 1.3, or the server chose it. A session id identifies nothing there: each connection has another
}

const (
	recordHandshake = 22
	clientHello     = 1
	serverHello     = 2
	recordHead      = 5
	handshakeHead   = 4
	maxFragment     = 16 << 10
	versions        = 43 // supported_versions
	version13       = 0x0304
)

// ClientHello reads the beginning of what a TLS client sends. A hello that is split into several records is None: no client does that unasked.
func ClientHello(b []byte) (Hello, Verdict) {
	body, v := handshake(b, clientHello)
	if v != Found {
		return Hello{}, v
	}
	h, rest, ok := opening(body)
	if !ok {
		return Hello{}, None
	}
	if _, rest, ok = vector(rest, 2); ok { // cipher suites
		_, rest, ok = vector(rest, 1) // compression methods
	}
	if !ok {
		return Hello{}, None
	}
	h.TLS13, ok = speaks13(rest, func(list []byte) bool {
		list, _, whole := vector(list, 1)
		for ; whole && len(list) >= 2; list = list[2:] {
			if binary.BigEndian.Uint16(list) == version13 {
				return true
			}
		}
		return false
	})
	if !ok {
		return Hello{}, None
	}
	return h, Found
}

// ServerHello reads the beginning of what a TLS server answers.
func ServerHello(b []byte) (Hello, Verdict) {
	body, v := handshake(b, serverHello)
	if v != Found {
		return Hello{}, v
	}
	h, rest, ok := opening(body)
	if !ok || len(rest) < 3 { // cipher suite and compression method
		return Hello{}, None
	}
	h.TLS13, ok = speaks13(rest[3:], func(chosen []byte) bool { return len(chosen) == 2 && binary.BigEndian.Uint16(chosen) == version13 })
	if !ok {
		return Hello{}, None
	}
	return h, Found
}

// handshake returns the body of the handshake message of that kind at the beginning of b.
func handshake(b []byte, kind byte) ([]byte, Verdict) {
	if len(b) > 0 && b[0] != recordHandshake || len(b) > 1 && b[1] != 3 {
		return nil, None
	}
	if len(b) < recordHead {
		return nil, More
	}
	n := int(binary.BigEndian.Uint16(b[3:]))
	b = b[recordHead:]
	switch {
	case n < handshakeHead || n > maxFragment || len(b) > 0 && b[0] != kind:
		return nil, None
	case len(b) < handshakeHead:
		return nil, More
	}
	size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	switch {
	case size > n-handshakeHead:
		return nil, None
	case len(b) < handshakeHead+size:
		return nil, More
	}
	return b[handshakeHead : handshakeHead+size], Found
}

// opening reads version, random and session id.
func opening(body []byte) (h Hello, rest []byte, ok bool) {
	const head = 2 + 32
	if len(body) < head || body[0] != 3 {
		return h, nil, false
	}
	session, rest, ok := vector(body[head:], 1)
	if !ok || len(session) > 32 {
		return h, nil, false
	}
	if len(session) > 0 {
		h.Session = session
	}
	return h, rest, true
}

// vector reads a length of that many bytes, and so much.
func vector(b []byte, size int) (value, rest []byte, ok bool) {
	if len(b) < size {
		return nil, nil, false
	}
	n := 0
	for _, c := range b[:size] {
		n = n<<8 | int(c)
	}
	if b = b[size:]; len(b) < n {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

// speaks13 looks through the extensions, which may be absent, for the one of versions.
func speaks13(b []byte, has func([]byte) bool) (yes, ok bool) {
	ok = eachExtension(b, func(kind uint16, value []byte) { yes = yes || kind == versions && has(value) })
	return yes && ok, ok
}
