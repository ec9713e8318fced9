// Package tlstest makes authorities, certificates and revocation lists for tests.
package tlstest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"

	"evenkeel/appliance"
)

// Authority signs certificates.
type Authority struct {
	t      testing.TB
	key    *ecdsa.PrivateKey
	Leaf   *x509.Certificate
	serial int64
}

// Issued is a certificate that an Authority signed.
type Issued struct {
	ID   string // as services name it
	Pair appliance.KeyPair
	Leaf *x509.Certificate
	TLS  tls.Certificate
}

// NewAuthority returns an authority of that name.
func NewAuthority(t testing.TB, name string) *Authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	plain := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, plain, plain, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &Authority{t: t, key: key, Leaf: leaf, serial: 1}
}

// Key returns the authority's private key.
func (a *Authority) Key() crypto.Signer { return a.key }

// Pool returns the authority for clients.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Leaf)
	return pool
}

// Bundle returns the authority as the engine is given it, with a revocation list of these if there are any.
func (a *Authority) Bundle(revoked ...*Issued) appliance.Authority {
	a.t.Helper()
	out := appliance.Authority{Bundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Leaf.Raw})}
	if len(revoked) == 0 {
		return out
	}
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}
	for _, r := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: r.Leaf.SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.Leaf, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	out.CRL = pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
	return out
}

// Issue signs a certificate with a key of P-256 for these names or addresses; the first is its common name.
func (a *Authority) Issue(names ...string) *Issued {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.IssueFor(key, nil, names...)
}

// IssueRSA is Issue with an RSA key of 2048 bits.
func (a *Authority) IssueRSA(names ...string) *Issued {
	a.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.IssueFor(key, nil, names...)
}

// IssueFor signs a certificate for a key; edit, which may be nil, changes it before.
func (a *Authority) IssueFor(key crypto.Signer, edit func(*x509.Certificate), names ...string) *Issued {
	a.t.Helper()
	a.serial++
	plain := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: names[0]}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			plain.IPAddresses = append(plain.IPAddresses, ip)
		} else {
			plain.DNSNames = append(plain.DNSNames, name)
		}
	}
	if edit != nil {
		edit(plain)
	}
	der, err := x509.CreateCertificate(rand.Reader, plain, a.Leaf, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	var chain bytes.Buffer
	_ = pem.Encode(&chain, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	_ = pem.Encode(&chain, &pem.Block{Type: "CERTIFICATE", Bytes: a.Leaf.Raw})
	out := &Issued{Pair: appliance.KeyPair{Chain: chain.Bytes(), Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})}}
	sum := sha256.Sum256(der)
	out.ID = hex.EncodeToString(sum[:])
	if out.TLS, err = tls.X509KeyPair(out.Pair.Chain, out.Pair.Key); err != nil {
		a.t.Fatal(err)
	}
	out.Leaf = out.TLS.Leaf
	return out
}
