package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"evenkeel/appliance"
)

func TestUploadIsReadInAnyOrder(t *testing.T) {
	l := newLadder(t, "pacs.example.org")
	key := l.leaf.keyPEM(t)
	for name, u := range map[string]appliance.CertificateUpload{
		"two texts":             {Certificate: l.leaf.pem() + l.lower.pem() + l.upper.pem(), Key: key},
		"one text":              {Certificate: key + l.leaf.pem() + l.lower.pem() + l.upper.pem()},
		"chain upside down":     {Certificate: l.root.pem() + l.upper.pem() + l.lower.pem() + l.leaf.pem() + key},
		"swapped fields":        {Certificate: key, Key: l.upper.pem() + l.lower.pem() + l.leaf.pem()},
		"text around":           {Certificate: "subject=CN=pacs\nissuer=CN=Lower\n" + l.leaf.pem() + "\r\n\r\n" + l.upper.pem() + l.lower.pem(), Key: key + "\n"},
		"a certificate besides": {Certificate: l.leaf.pem() + issue(t, "stranger", nil, asServer("x")).pem() + l.lower.pem() + l.upper.pem(), Key: key},
		"DER and a PEM key":     {PFX: encoded(l.leaf.certificate.Raw), Certificate: l.lower.pem() + l.upper.pem(), Key: key},
		"key twice":             {Certificate: key + l.leaf.pem() + l.lower.pem() + l.upper.pem(), Key: key},
	} {
		p, err := readUpload(u, noon)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, want := string(encodeChain(p.chain)), l.leaf.pem()+l.lower.pem()+l.upper.pem(); got != want || !matches(p.key, l.leaf.certificate.PublicKey) {
			t.Errorf("%s: a chain of %d, not certificate, lower, upper", name, len(p.chain))
		}
	}
}

// TestARootIsKeptWhenItIssuedTheCertificate: without its issuer nothing could be stapled.
func TestARootIsKeptWhenItIssuedTheCertificate(t *testing.T) {
	l := newLadder(t, "pacs.example.org")
	plain := issue(t, "plain", &l.root, asServer("plain.example.org"))
	p, err := readUpload(appliance.CertificateUpload{Certificate: l.root.pem() + plain.pem(), Key: plain.keyPEM(t)}, noon)
	if err != nil || string(encodeChain(p.chain)) != plain.pem()+l.root.pem() {
		t.Errorf("a chain of %d, %v", len(p.chain), err)
	}
	if said := warnings(p.chain, false, noon); len(said) != 0 {
		t.Errorf("%q", said)
	}
}

func TestUploadIsRefusedAtItsField(t *testing.T) {
	l, other := newLadder(t, "pacs.example.org"), newLadder(t, "other.example.org")
	key := l.leaf.keyPEM(t)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weak := issueFor(t, "weak", small, nil, asServer("weak.example.org"))
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	odd := issueFor(t, "odd", p224, nil, asServer("odd.example.org"))
	old := issue(t, "old", &l.lower, func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Hour); c.DNSNames = []string{"old"} })
	for name, c := range map[string]struct {
		upload appliance.CertificateUpload
		field  string
		says   string
	}{
		"nothing":                {appliance.CertificateUpload{}, fieldCertificate, "no certificate"},
		"no key":                 {appliance.CertificateUpload{Certificate: l.leaf.pem()}, fieldKey, "private key is missing"},
		"no certificate":         {appliance.CertificateUpload{Key: key}, fieldCertificate, "no certificate"},
		"key of another":         {appliance.CertificateUpload{Certificate: l.leaf.pem(), Key: other.leaf.keyPEM(t)}, fieldKey, "does not belong"},
		"two keys":               {appliance.CertificateUpload{Certificate: l.leaf.pem() + other.leaf.keyPEM(t), Key: key}, fieldKey, "several"},
		"expired":                {appliance.CertificateUpload{Certificate: old.pem(), Key: old.keyPEM(t)}, fieldCertificate, "expired on 2026-03-01"},
		"RSA 1024":               {appliance.CertificateUpload{Certificate: weak.pem(), Key: weak.keyPEM(t)}, fieldKey, "1024 bits"},
		"P-224":                  {appliance.CertificateUpload{Certificate: odd.pem(), Key: odd.keyPEM(t)}, fieldKey, "P-224"},
		"an authority":           {appliance.CertificateUpload{Certificate: l.upper.pem(), Key: l.upper.keyPEM(t)}, fieldCertificate, "authority"},
		"10,000 in a chain":      {appliance.CertificateUpload{Certificate: strings.Repeat(l.lower.pem(), 600) + l.leaf.pem(), Key: key}, fieldCertificate, "more than 16"},
		"a megabyte":             {appliance.CertificateUpload{Certificate: strings.Repeat("x", 1<<20), Key: key}, fieldCertificate, "larger"},
		"no PEM":                 {appliance.CertificateUpload{Certificate: "MIIB", Key: key}, fieldCertificate, "not PEM"},
		"cut off":                {appliance.CertificateUpload{Certificate: l.leaf.pem() + l.lower.pem()[:200], Key: key}, fieldCertificate, "damaged"},
		"rubbish in PEM":         {appliance.CertificateUpload{Certificate: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", Key: key}, fieldCertificate, "cannot be read"},
		"rubbish key":            {appliance.CertificateUpload{Certificate: l.leaf.pem(), Key: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}, fieldKey, "cannot be read"},
		"another kind of block":  {appliance.CertificateUpload{Certificate: "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"}, fieldCertificate, "OPENSSH"},
		"no base64":              {appliance.CertificateUpload{PFX: "*"}, fieldPFX, "not base64"},
		"rubbish PFX":            {appliance.CertificateUpload{PFX: encoded([]byte("hello"))}, fieldPFX, "This is not a PFX (PKCS #12) file."},
		"a PFX cut short":        {appliance.CertificateUpload{PFX: encoded([]byte{0x30, 0x07, 2, 1, 3, 0x30, 2, 5, 0})}, fieldPFX, "does not hold one certificate"},
		"DER without a key":      {appliance.CertificateUpload{PFX: encoded(l.leaf.certificate.Raw)}, fieldPFX, "key is missing"},
		"encrypted, no password": {appliance.CertificateUpload{Certificate: l.leaf.pem(), Key: file(t, "encrypted-aes256.pem")}, fieldPassword, "password is needed"},
		"encrypted, wrong one":   {appliance.CertificateUpload{Certificate: l.leaf.pem(), Key: file(t, "encrypted-aes256.pem"), Password: "no"}, fieldPassword, "does not open"},
		"legacy encryption":      {appliance.CertificateUpload{Certificate: l.leaf.pem(), Key: file(t, "encrypted-legacy.pem"), Password: "open sesame"}, fieldKey, "no longer safe"},
	} {
		_, err := readUpload(c.upload, noon)
		if e := appliance.ErrorsOf(err); err == nil || e[0].Kind != appliance.Invalid || e[0].Field != c.field || !strings.Contains(e[0].Message, c.says) {
			t.Errorf("%s: %v at %q, want %q at %q", name, err, e[0].Field, c.says, c.field)
		}
	}
}

func encoded(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func file(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEncryptedKeyOpensWithItsPassword(t *testing.T) {
	for _, name := range []string{"encrypted-aes256.pem", "encrypted-aes128-sha512.pem"} {
		p, err := readUpload(appliance.CertificateUpload{Certificate: file(t, "encrypted.crt"), Key: file(t, name), Password: "open sesame"}, time.Now())
		if err != nil || len(p.chain) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPFXOfOldAndNewProgramsIsRead(t *testing.T) {
	l := newLadder(t, "pacs.example.org")
	more := []*x509.Certificate{l.root.certificate, l.upper.certificate, l.lower.certificate}
	for name, e := range map[string]*pkcs12.Encoder{"modern": pkcs12.Modern2023, "triple DES": pkcs12.LegacyDES, "RC2": pkcs12.LegacyRC2} {
		b, err := e.Encode(l.leaf.key, l.leaf.certificate, more, "geheim")
		if err != nil {
			t.Fatal(err)
		}
		p, err := readUpload(appliance.CertificateUpload{PFX: encoded(b), Password: "geheim"}, noon)
		if err != nil || string(encodeChain(p.chain)) != l.leaf.pem()+l.lower.pem()+l.upper.pem() {
			t.Errorf("%s: %v", name, err)
		}
		_, err = readUpload(appliance.CertificateUpload{PFX: encoded(b), Password: "other"}, noon)
		wantKind(t, err, appliance.Invalid, fieldPassword)
		_, err = readUpload(appliance.CertificateUpload{PFX: encoded(b)}, noon)
		if e := wantKind(t, err, appliance.Invalid, fieldPassword); !strings.Contains(e.Message, "has a password") {
			t.Errorf("%s: %v", name, e)
		}
	}
	if p, err := readUpload(appliance.CertificateUpload{PFX: encoded([]byte(l.leaf.pem() + l.leaf.keyPEM(t)))}, noon); err != nil || len(p.chain) != 1 {
		t.Errorf("PEM in the field of the PFX: %v", err)
	}
}

func TestPFXThatWouldDeriveForHoursIsRefused(t *testing.T) {
	type parameters struct {
		Salt   []byte
		Rounds *big.Int
	}
	for _, n := range []*big.Int{big.NewInt(maxRounds + 1), big.NewInt(-1), new(big.Int).Lsh(big.NewInt(1), 200)} {
		inner, err := asn1.Marshal(parameters{[]byte("salt"), n})
		if err != nil {
			t.Fatal(err)
		}
		file, err := asn1.Marshal(struct {
			Version int
			Content []byte
		}{3, inner}) // nested in a text of bytes, as a PFX nests its parts
		if err != nil {
			t.Fatal(err)
		}
		_, err = readUpload(appliance.CertificateUpload{PFX: encoded(file)}, noon)
		if e := wantKind(t, err, appliance.Invalid, fieldPFX); !strings.Contains(e.Message, "rounds") {
			t.Errorf("%s rounds: %v", n, e)
		}
	}
}

func TestWarningsTellWhatClientsObjectTo(t *testing.T) {
	l := newLadder(t, "pacs.example.org")
	soon := issue(t, "soon", &l.lower, func(c *x509.Certificate) {
		asServer("soon")(c)
		c.NotAfter = noon.Add(9*24*time.Hour + time.Minute)
	})
	early := issue(t, "early", &l.lower, func(c *x509.Certificate) { asServer("early")(c); c.NotBefore = noon.Add(24 * time.Hour) })
	client := issue(t, "client", &l.lower, func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{"client"}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	for says, chain := range map[string][]*x509.Certificate{
		"":                            {l.leaf.certificate, l.lower.certificate},
		"No intermediate":             {l.leaf.certificate},
		"expires in 9 days":           {soon.certificate, l.lower.certificate},
		"not valid before 2026-03-02": {early.certificate, l.lower.certificate},
		"names no host":               {issue(t, "plain", &l.lower, nil).certificate, l.lower.certificate},
		"signed by itself":            {issue(t, "own", nil, asServer("own")).certificate},
		"not meant for servers":       {client.certificate, l.lower.certificate},
	} {
		got := warnings(chain, selfSigned(chain[0]), noon)
		if says == "" && len(got) > 0 || says != "" && (len(got) != 1 || !strings.Contains(got[0], says)) {
			t.Errorf("want %q, got %q", says, got)
		}
	}
}

func FuzzUpload(f *testing.F) {
	l := newLadder(f, "pacs.example.org")
	pfx, err := pkcs12.LegacyDES.Encode(l.leaf.key, l.leaf.certificate, nil, "p")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(l.leaf.pem()+l.lower.pem(), l.leaf.keyPEM(f), []byte{}, "")
	f.Add("", "", pfx, "p")
	f.Add(file(f, "encrypted.crt"), file(f, "encrypted-aes256.pem"), []byte{}, "x")
	f.Fuzz(func(t *testing.T, text, key string, pfx []byte, password string) {
		if len(pfx) > 0 && rounds(pfx, 0) > 20_000 { // bounded for the appliance, too slow for a fuzzer
			return
		}
		if b, _ := pem.Decode([]byte(key)); b != nil && rounds(b.Bytes, 0) > 20_000 {
			return
		}
		p, err := readUpload(appliance.CertificateUpload{Certificate: text, Key: key, PFX: encoded(pfx), Password: password}, noon)
		if err != nil {
			if e := appliance.ErrorsOf(err)[0]; e.Kind != appliance.Invalid || e.Message == "" || e.Field == "" {
				t.Fatalf("refused without saying why and where: %+v", e)
			}
			return
		}
		if len(p.chain) == 0 || len(p.chain) > maxCertificates+1 || !matches(p.key, p.chain[0].PublicKey) {
			t.Fatalf("accepted a chain of %d whose key does not match", len(p.chain))
		}
		again, err := decodeChain(encodeChain(p.chain))
		if err != nil || len(again) != len(p.chain) {
			t.Fatalf("what was accepted cannot be read again: %v", err)
		}
		describe(certificate{chain: p.chain}, noon)
	})
}

func FuzzBundle(f *testing.F) {
	l := newLadder(f, "pacs.example.org")
	f.Add(l.root.pem()+l.upper.pem(), revocations(f, l.root, l.leaf))
	f.Fuzz(func(t *testing.T, bundle, crl string) {
		b, err := readBundle(appliance.AuthorityUpload{Bundle: bundle, CRL: crl})
		if err != nil {
			if e := appliance.ErrorsOf(err)[0]; e.Kind != appliance.Invalid || e.Message == "" || e.Field == "" {
				t.Fatalf("refused without saying why and where: %+v", e)
			}
			return
		}
		if again, err := readBundle(appliance.AuthorityUpload{Bundle: string(b.encode()), CRL: string(b.encodeLists())}); err != nil || len(again.authorities) != len(b.authorities) {
			t.Fatalf("what was accepted cannot be read again: %v", err)
		}
	})
}
