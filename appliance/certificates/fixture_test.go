package certificates

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/store"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// issued is a certificate that a test made, with its key.
type issued struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

func (i issued) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.certificate.Raw}))
}

func (i issued) keyPEM(t testing.TB) string {
	t.Helper()
	der, err := encodeKey(i.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// issue makes a certificate; by nil signs it with its own key. edit changes the template.
func issue(t testing.TB, name string, by *issued, edit func(*x509.Certificate)) issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issueFor(t, name, key, by, edit)
}

func issueFor(t testing.TB, name string, key crypto.Signer, by *issued, edit func(*x509.Certificate)) issued {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: noon.Add(-24 * time.Hour), NotAfter: noon.Add(365 * 24 * time.Hour), BasicConstraintsValid: true,
	}
	if edit != nil {
		edit(template)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.certificate, by.key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return issued{c, key}
}

func asAuthority(c *x509.Certificate) {
	c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
}

func asServer(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = names, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
}

// ladder is a root, two intermediates and a server's certificate.
type ladder struct{ root, upper, lower, leaf issued }

func newLadder(t testing.TB, names ...string) ladder {
	t.Helper()
	var l ladder
	l.root = issue(t, "Root", nil, asAuthority)
	l.upper = issue(t, "Upper", &l.root, asAuthority)
	l.lower = issue(t, "Lower", &l.upper, asAuthority)
	l.leaf = issue(t, names[0], &l.lower, asServer(names...))
	return l
}

func revocations(t testing.TB, by issued, revoked ...issued) string {
	t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: noon.Add(-time.Hour), NextUpdate: noon.Add(24 * time.Hour)}
	for _, r := range revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: r.certificate.SerialNumber, RevocationTime: noon})
	}
	raw, err := x509.CreateRevocationList(rand.Reader, template, by.certificate, by.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: raw}))
}

// rig is a vault on a real store, and the configuration that says what is used.
type rig struct {
	*Vault
	store          *store.Store
	saved, running appliance.Config
	now            time.Time
	renewed        int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{now: noon}
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), SnapshotEvery: time.Hour, Now: func() time.Time { return r.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	r.store = s
	r.reopen(t)
	return r
}

func (r *rig) reopen(t *testing.T) {
	t.Helper()
	v, err := Open(t.Context(), Options{
		Store: r.store, Configurations: func() (appliance.Config, appliance.Config) { return r.saved, r.running }, Now: func() time.Time { return r.now },
		Renew: func(context.Context) error { r.renewed++; return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Vault = v
}

// serving returns a configuration with one service that names these certificates.
func serving(label string, ids ...string) appliance.Config {
	s := appliance.NewService(appliance.HTTP)
	s.ID, s.Label, s.TLS.Certificates = label, label, ids
	return appliance.Config{Cluster: appliance.Cluster{VirtualServices: []appliance.VirtualService{s}}}
}

func origin() appliance.Origin { return appliance.Origin{Operator: "anna", Via: "webui"} }

func wantKind(t *testing.T, err error, kind appliance.Kind, field string) *appliance.Error {
	t.Helper()
	if appliance.KindOf(err) != kind {
		t.Fatalf("kind %q, want %q: %v", appliance.KindOf(err), kind, err)
	}
	e := appliance.ErrorsOf(err)[0]
	if e.Field != field {
		t.Fatalf("field %q, want %q: %v", e.Field, field, err)
	}
	return e
}
