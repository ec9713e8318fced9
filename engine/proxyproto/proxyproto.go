// Package proxyproto reads and writes the header of the PROXY protocol, versions 1 and 2, with which a proxy tells the next one whose connection it is
// (https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt). It does no I/O.
package proxyproto

import (
	"bytes"
	"errors"
	"net/netip"
)

// Header is what one header tells.
type Header struct {
	Version int // 1 or 2
	// Local says that the connection is the proxy's own (LOCAL), or that it does not know whose it is (UNKNOWN): the addresses are those of the connection itself.
	Local       bool
	Source      netip.AddrPort // of the client
	Destination netip.AddrPort // that the client came to
	Options     Options        // version 2 only
}

// Options are the parts of a header that need not be there; the zero value has none.
type Options struct {
	Authority string // the name that the client asked for (SNI)
	ALPN      string
	UniqueID  []byte // at most 128 bytes
	TLS       TLS
	Checksum  bool // the header had a CRC32c, which was right; when written, it gets one
}

// TLS is what a header tells of the client's TLS.
type TLS struct {
	On         bool
	Version    string // "TLSv1.3"
	Cipher     string
	CommonName string // of the client's certificate
	Verified   bool   // the client showed a certificate, and it was good
}

// MaxHeader is the longest header that is read: the specification allows 64 KiB, which nobody needs.
const MaxHeader = 4096

// maxLine is the longest header of version 1, with its end.
const maxLine = 107

// ErrMalformed is every error of Parse; what is around it says why.
var ErrMalformed = errors.New("not a PROXY header")

var signature = []byte("\r\n\r\n\x00\r\nQUIT\n")

var prefix = []byte("PROXY")

// Parse reads a header at the beginning of b and returns its length. n is 0 without an error when b ends within it. What is behind the header is payload, also
// when it looks like a header.
func Parse(b []byte) (h Header, n int, err error) {
	switch {
	case bytes.HasPrefix(b, signature):
		return parseBinary(b)
	case bytes.HasPrefix(b, prefix):
		return parseLine(b)
	case bytes.HasPrefix(signature, b) || bytes.HasPrefix(prefix, b):
		return h, 0, nil
	}
	return h, 0, malformed("it begins with neither PROXY nor the signature of version 2")
}

func malformed(why string) error { return &malformedError{why} }

type malformedError struct{ why string }

// Error says why.
func (e *malformedError) Error() string { return ErrMalformed.Error() + ": " + e.why }

// Is makes every such error ErrMalformed.
func (e *malformedError) Is(other error) bool { return other == ErrMalformed }
