package tlsterm

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"time"

	"evenkeel/appliance"
)

// Authority is who signed the certificates of peers, and what it took back.
type Authority struct {
	pool    *x509.CertPool
	revoked map[revocation]struct{}
	until   time.Time // when the first of the lists is out of date; zero: there is none
}

// revocation names one certificate: the issuer's name as it is encoded, and the serial number.
type revocation struct{ issuer, serial string }

var errRevoked = errors.New("the peer's certificate is revoked")

// LoadAuthority reads a bundle and its revocation lists; a list must be signed by one of the bundle. An error is of kind Invalid.
func LoadAuthority(a appliance.Authority) (*Authority, error) {
	out := &Authority{pool: x509.NewCertPool(), revoked: map[revocation]struct{}{}}
	var signers []*x509.Certificate
	for _, der := range blocks(a.Bundle, "CERTIFICATE") {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, invalid("read authority", "A certificate of the authority cannot be read.", err)
		}
		out.pool.AddCert(c)
		signers = append(signers, c)
	}
	if len(signers) == 0 {
		return nil, invalid("read authority", "The authority holds no certificate.", nil)
	}
	lists := blocks(a.CRL, "X509 CRL")
	if len(lists) == 0 && len(a.CRL) > 0 {
		lists = [][]byte{a.CRL}
	}
	for _, der := range lists {
		if err := out.revoke(der, signers); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (a *Authority) revoke(der []byte, signers []*x509.Certificate) error {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return invalid("read revocation list", "The revocation list cannot be read.", err)
	}
	by := false
	for _, s := range signers {
		by = by || bytes.Equal(s.RawSubject, list.RawIssuer) && list.CheckSignatureFrom(s) == nil
	}
	if !by {
		return invalid("read revocation list", "The revocation list was not signed by the authority.", nil)
	}
	for _, e := range list.RevokedCertificateEntries {
		a.revoked[revocation{string(list.RawIssuer), string(e.SerialNumber.Bytes())}] = struct{}{}
	}
	if !list.NextUpdate.IsZero() && (a.until.IsZero() || list.NextUpdate.Before(a.until)) {
		a.until = list.NextUpdate
	}
	return nil
}

// Outdated tells whether a revocation list should have been replaced by now. It still counts: what it names is refused, and nobody else.
func (a *Authority) Outdated(now time.Time) bool { return !a.until.IsZero() && now.After(a.until) }

// check refuses a peer all of whose chains hold a revoked certificate.
func (a *Authority) check(chains [][]*x509.Certificate) error {
	if len(chains) == 0 || len(a.revoked) == 0 {
		return nil
	}
	for _, chain := range chains {
		if !a.tainted(chain) {
			return nil
		}
	}
	return errRevoked
}

func (a *Authority) tainted(chain []*x509.Certificate) bool {
	for _, c := range chain {
		if _, gone := a.revoked[revocation{string(c.RawIssuer), string(c.SerialNumber.Bytes())}]; gone {
			return true
		}
	}
	return false
}

func blocks(text []byte, kind string) (out [][]byte) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return out
		}
		if block.Type == kind {
			out = append(out, block.Bytes)
		}
		text = rest
	}
}

func invalid(op, sentence string, err error) error {
	return &appliance.Error{Kind: appliance.Invalid, Op: op, Message: sentence, Err: err}
}
