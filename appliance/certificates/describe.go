package certificates

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"evenkeel/appliance"
)

// describe says what people see of a certificate.
func describe(c certificate, now time.Time) appliance.Certificate {
	r, leaf := c.record, c.chain[0]
	return appliance.Certificate{
		ID: r.ID, Label: r.Label, Names: namesOf(leaf), Subject: leaf.Subject.String(), Issuer: leaf.Issuer.String(), Serial: leaf.SerialNumber.Text(16),
		KeyKind: kindOf(leaf.PublicKey), NotBefore: leaf.NotBefore.UTC(), NotAfter: leaf.NotAfter.UTC(), SelfSigned: c.selfSigned,
		Chain: string(r.Chain), Warnings: warnings(c.chain, c.selfSigned, now), UsedBy: []string{}, Created: r.Created,
	}
}

// namesOf returns the names and addresses that a certificate is good for. Without any it is the common name, which clients no longer look at.
func namesOf(c *x509.Certificate) []string {
	out := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	return out
}

// selfSigned tells whether a certificate vouches for itself; it costs a signature.
func selfSigned(c *x509.Certificate) bool {
	return selfIssued(c) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

func kindOf(public crypto.PublicKey) string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return "unknown"
}

// warnings are what a client may object to; own tells that the certificate vouches for itself.
func warnings(chain []*x509.Certificate, own bool, now time.Time) []string {
	leaf, out := chain[0], []string{}
	switch {
	case now.After(leaf.NotAfter):
		out = append(out, "It expired on "+day(leaf.NotAfter)+".")
	case now.Before(leaf.NotBefore):
		out = append(out, "It is not valid before "+day(leaf.NotBefore)+".")
	case leaf.NotAfter.Sub(now) < Early:
		out = append(out, fmt.Sprintf("It expires in %s, on %s.", days(leaf.NotAfter.Sub(now)), day(leaf.NotAfter)))
	}
	if len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 {
		out = append(out, "It names no host (only a common name): browsers refuse it.")
	}
	if len(leaf.ExtKeyUsage) > 0 && !forServers(leaf) {
		out = append(out, "It is not meant for servers (extended key usage).")
	}
	if _, isEd := leaf.PublicKey.(ed25519.PublicKey); isEd {
		out = append(out, "Browsers do not accept Ed25519 keys.")
	}
	last := chain[len(chain)-1]
	switch {
	case own:
		out = append(out, "It is signed by itself: clients warn unless they were told to trust it.")
	case len(chain) == 1 && !selfIssued(last):
		out = append(out, "No intermediate certificate came with it: clients that do not know “"+clip(leaf.Issuer.String())+"” refuse it, unless that is a root.")
	}
	for _, c := range chain[1:] {
		if now.After(c.NotAfter) && !selfIssued(c) {
			out = append(out, "The intermediate certificate “"+clip(c.Subject.String())+"” expired on "+day(c.NotAfter)+".")
		}
	}
	return out
}

func forServers(c *x509.Certificate) bool {
	for _, u := range c.ExtKeyUsage {
		if u == x509.ExtKeyUsageServerAuth || u == x509.ExtKeyUsageAny {
			return true
		}
	}
	return false
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }

// days words a span in whole days.
func days(d time.Duration) string {
	switch n := int(d / (24 * time.Hour)); n {
	case 0:
		return "less than a day"
	case 1:
		return "1 day"
	default:
		return fmt.Sprintf("%d days", n)
	}
}

func clip(text string) string {
	if runes := []rune(text); len(runes) > 80 {
		return string(runes[:80]) + "…"
	}
	return text
}

// encodeChain writes certificates as PEM.
func encodeChain(chain []*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range chain {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a bytes.Buffer takes everything
	}
	return b.Bytes()
}

// decodeChain reads what encodeChain wrote.
func decodeChain(text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read certificate: %w", err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no certificate in %d bytes", len(text))
	}
	return out, nil
}
