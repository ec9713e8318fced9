package tlsterm

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"sync/atomic"
	"time"

	"evenkeel/appliance"
)

// Certificate is a key pair that is ready for handshakes; any goroutine may use it.
type Certificate struct {
	current atomic.Pointer[tls.Certificate] // with the newest staple
	leaf    *x509.Certificate
	issuer  *x509.Certificate // the next of the chain, which may be the root, or nil
	slow    bool              // signatures are made by workers

	stapledUntil time.Time // zero: there is no staple, or it has no end; the Stapler's alone
}

// Load reads a key pair. A root at the end of its chain is not shown to clients, which have it. An error is of kind Invalid.
func Load(pair appliance.KeyPair) (*Certificate, error) {
	parsed, err := tls.X509KeyPair(pair.Chain, pair.Key)
	if err != nil {
		return nil, &appliance.Error{Kind: appliance.Invalid, Op: "load certificate", Message: "The certificate and its key do not make a pair.", Err: err}
	}
	c := &Certificate{leaf: parsed.Leaf, slow: slow(parsed.PrivateKey)}
	if len(parsed.Certificate) > 1 {
		c.issuer, _ = x509.ParseCertificate(parsed.Certificate[1])
		parsed.Certificate = withoutRoot(parsed.Certificate)
	}
	c.current.Store(&parsed)
	return c, nil
}

func withoutRoot(chain [][]byte) [][]byte {
	last, err := x509.ParseCertificate(chain[len(chain)-1])
	if err == nil && bytes.Equal(last.RawSubject, last.RawIssuer) {
		return chain[:len(chain)-1]
	}
	return chain
}

// forHandshake returns what a handshake of conn shows; a slow key signs by way of the workers.
func (c *Certificate) forHandshake(conn *Conn) *tls.Certificate {
	shown := c.current.Load()
	if !c.slow || conn.lane.signers == nil {
		return shown
	}
	own := *shown
	own.PrivateKey = &signer{Signer: shown.PrivateKey.(crypto.Signer), conn: conn}
	return &own
}

// staple adds the responder's answer for the handshakes to come, nil: none. Only the Stapler calls it.
func (c *Certificate) staple(answer []byte, end time.Time) {
	c.stapledUntil = end
	with := *c.current.Load()
	with.OCSPStaple = answer
	c.current.Store(&with)
}
