package certificates

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"evenkeel/appliance"
)

// Bounds of what is read. A chain of the public web has three or four certificates.
const (
	maxText         = 512 << 10 // bytes of one upload
	maxCertificates = 16        // in the upload of a certificate
	maxAuthorities  = 256       // in a bundle; the public web trusts about 150
	maxRSA          = 8192      // bits; a larger key costs a client seconds
	minRSA          = 2048
)

// Names of the fields that errors point at.
const (
	fieldCertificate = "certificate"
	fieldKey         = "private_key"
	fieldPFX         = "pfx"
	fieldPassword    = "password"
)

// pair is a certificate with the chain that leads to its root, in order, and the key.
type pair struct {
	chain []*x509.Certificate // the certificate first
	key   crypto.Signer
}

// id is the SHA-256 of the certificate in lower-case hex.
func (p pair) id() string { return fingerprint(p.chain[0]) }

func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// material is what was found in an upload, in any order.
type material struct {
	certificates []*x509.Certificate
	keys         []crypto.Signer
}

// readUpload finds the certificate, its chain and its key in an upload. The errors are of kind invalid at the fields of appliance.CertificateUpload.
func readUpload(u appliance.CertificateUpload, now time.Time) (pair, error) {
	var m material
	certificateField, keyField := fieldCertificate, fieldKey
	if u.PFX != "" {
		if err := m.readPFX(u.PFX, u.Password); err != nil {
			return pair{}, err
		}
		if u.Certificate == "" && u.Key == "" {
			certificateField, keyField = fieldPFX, fieldPFX
		}
	}
	for _, part := range []struct{ field, text string }{{fieldCertificate, u.Certificate}, {fieldKey, u.Key}} {
		if err := m.readPEM(part.field, part.text, u.Password); err != nil {
			return pair{}, err
		}
	}
	return m.pair(certificateField, keyField, now)
}

func refuse(field, message, hint string) *appliance.Error {
	return &appliance.Error{Kind: appliance.Invalid, Op: "read certificate", Field: field, Message: message, Hint: hint}
}

// readPEM adds what a text holds.
func (m *material) readPEM(field, text, password string) error {
	if len(text) > maxText {
		return refuse(field, fmt.Sprintf("This is larger than %d KB; a certificate with its chain has a few.", maxText>>10), "")
	}
	rest, found := []byte(text), false
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		found = true
		if err := m.readBlock(field, block, password); err != nil {
			return err
		}
	}
	switch {
	case bytes.Contains(rest, []byte("-----BEGIN")):
		return refuse(field, "A part of this text is damaged: it begins like PEM and does not end like it.", "Copy the whole file, from -----BEGIN to -----END with all dashes.")
	case found || strings.TrimSpace(text) == "":
		return nil
	}
	return refuse(field, "This is not PEM: a line -----BEGIN CERTIFICATE----- is missing.", "A binary file (.pfx, .p12, .der) is uploaded as a file.")
}

func (m *material) readBlock(field string, block *pem.Block, password string) error {
	switch block.Type {
	case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
		if len(m.certificates) >= maxCertificates {
			return refuse(field, fmt.Sprintf("This holds more than %d certificates; a chain has three or four.", maxCertificates), "Leave only the certificate and those that lead to its root.")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return refuse(field, "A certificate in this text cannot be read.", reason(err))
		}
		m.certificates = append(m.certificates, c)
		return nil
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
		key, err := readKey(field, block, password)
		if err != nil {
			return err
		}
		m.keys = append(m.keys, key)
		return nil
	case "EC PARAMETERS", "DH PARAMETERS": // OpenSSL writes them beside keys; they say nothing that the key does not
		return nil
	}
	return refuse(field, fmt.Sprintf("This holds a block of the kind %.40q, which belongs to no certificate.", block.Type), "")
}

// readKey reads a private key in any of the usual wrappings.
func readKey(field string, block *pem.Block, password string) (crypto.Signer, error) {
	der := block.Bytes
	switch {
	case strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
		return nil, refuse(field, "This key is encrypted in a way that is no longer safe.", "Convert it with: openssl pkcs8 -topk8 -in FILE; its password is asked for here then.")
	case block.Type == "ENCRYPTED PRIVATE KEY":
		var err error
		if der, err = decryptKey(field, der, password); err != nil {
			return nil, err
		}
	}
	key, err := parseKey(der)
	if err != nil {
		return nil, refuse(field, "The private key cannot be read.", reason(err))
	}
	return usable(field, key)
}

func parseKey(der []byte) (any, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return nil, err
}

// usable refuses keys that TLS cannot use or should not.
func usable(field string, key any) (crypto.Signer, error) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		bits := key.N.BitLen()
		if bits < minRSA || bits > maxRSA {
			return nil, refuse(field, fmt.Sprintf("This is an RSA key of %d bits; %d to %d are accepted.", bits, minRSA, maxRSA), "Make a new key: a signing request with ECDSA P-256 is the usual choice.")
		}
		return key, nil
	case *ecdsa.PrivateKey:
		if key.Curve == elliptic.P224() {
			return nil, refuse(field, "This is an ECDSA key on the curve P-224, which TLS clients do not accept.", "Make a new key: ECDSA P-256 is the usual choice.")
		}
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, refuse(field, "This kind of private key is not used in TLS.", "RSA, ECDSA and Ed25519 are.")
}

// pair finds the certificate that a key belongs to, and puts its chain into order.
func (m *material) pair(certificateField, keyField string, now time.Time) (pair, error) {
	switch {
	case len(m.certificates) == 0:
		return pair{}, refuse(certificateField, "There is no certificate in it.", "")
	case len(m.keys) == 0:
		return pair{}, refuse(keyField, "The private key is missing.", "If this is the answer to a signing request of this appliance, upload it there: the key is here already.")
	case len(m.keys) > 1 && !same(m.keys):
		return pair{}, refuse(keyField, "There are several private keys in it.", "Leave only the one of this certificate.")
	}
	chain, found := m.chainOf(m.keys[0])
	if !found {
		return pair{}, refuse(keyField, "The private key does not belong to this certificate.", "Look for the key that the signing request was made with.")
	}
	p := pair{chain, m.keys[0]}
	return p, acceptable(certificateField, p.chain[0], now)
}

func same(keys []crypto.Signer) bool {
	for _, k := range keys[1:] {
		if !matches(k, keys[0].Public()) {
			return false
		}
	}
	return true
}

// matches tells whether a key is the private half of a public one.
func matches(key crypto.Signer, public crypto.PublicKey) bool {
	own, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && own.Equal(public)
}

// chainOf returns the certificate of the key and, in order, those of the upload that lead to its root. The root itself is left out, because
// clients have it, unless it issued the certificate: its issuer has to be known, and handshakes leave a root out.
func (m *material) chainOf(key crypto.Signer) ([]*x509.Certificate, bool) {
	var chain []*x509.Certificate
	for _, c := range m.certificates {
		if matches(key, c.PublicKey) && (chain == nil || c.NotAfter.After(chain[0].NotAfter)) { // of a renewal with the same key the newer
			chain = []*x509.Certificate{c}
		}
	}
	if chain == nil {
		return nil, false
	}
	for len(chain) <= maxCertificates && !selfIssued(chain[len(chain)-1]) {
		next := issuerOf(chain[len(chain)-1], m.certificates)
		if next == nil || selfIssued(next) && len(chain) > 1 {
			break
		}
		chain = append(chain, next)
	}
	return chain, true
}

func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, c.RawSubject) }

func issuerOf(c *x509.Certificate, among []*x509.Certificate) *x509.Certificate {
	for _, by := range among {
		if !by.Equal(c) && bytes.Equal(by.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(by) == nil {
			return by
		}
	}
	return nil
}

// acceptable refuses what no client would take.
func acceptable(field string, c *x509.Certificate, now time.Time) error {
	if now.After(c.NotAfter) {
		return refuse(field, "This certificate expired on "+day(c.NotAfter)+".", "Ask the authority for a new one.")
	}
	switch c.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		if !selfIssued(c) {
			return refuse(field, fmt.Sprintf("This certificate is signed with %s; clients refuse that.", c.SignatureAlgorithm), "Ask the authority for one that is signed with SHA-256.")
		}
	}
	if c.IsCA && len(c.DNSNames)+len(c.IPAddresses) == 0 {
		return refuse(field, "This is the certificate of an authority, not of a server.", "Authorities of client certificates are added under Authorities.")
	}
	return nil
}

// reason words an error of a parser for the hint.
func reason(err error) string {
	text := strings.TrimPrefix(err.Error(), "x509: ")
	if len(text) > 160 {
		text = text[:160]
	}
	return "Reason: " + strings.ToValidUTF8(text, "") + "."
}
