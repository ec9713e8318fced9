package certificates

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"evenkeel/appliance"
)

const (
	maxNames    = 100
	maxDays     = 3650
	presetDays  = 397 // the most that browsers accept of a certificate that is meant to be trusted
	maxNamePart = 64  // X.520 upper bound of a part of a subject
)

var hostName = regexp.MustCompile(`^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// wished is a wish that was read: names sorted into host names and addresses.
type wished struct {
	subject   pkix.Name
	hosts     []string
	addresses []net.IP
	kind      appliance.KeyKind
	days      int
}

// readWish checks a wish; every field's error at once.
func readWish(w appliance.CertificateWish) (wished, error) {
	out := wished{kind: w.KeyKind, days: w.Days}
	var found appliance.Errors
	no := func(field, message, hint string) {
		e := refuse(field, message, hint)
		e.Op = "make certificate"
		found = append(found, e)
	}
	if len(w.Names) == 0 || len(w.Names) > maxNames {
		no("names", "A certificate has 1 to 100 names.", "Write the names by which clients reach the service, such as pacs.example.org.")
	}
	for _, n := range w.Names {
		name := strings.ToLower(strings.TrimSpace(n))
		ip := net.ParseIP(name)
		switch {
		case ip != nil:
			out.addresses = append(out.addresses, ip)
		case len(name) <= 253 && hostName.MatchString(name):
			out.hosts = append(out.hosts, name)
		default:
			no("names", "“"+clip(strings.ToValidUTF8(n, "?"))+"” is neither a host name nor an address.", "A name has letters, digits, dots and hyphens; *.example.org stands for every name below.")
		}
	}
	if out.kind == "" {
		out.kind = appliance.KeyECDSA256
	}
	if !out.kind.Valid() {
		no("key", "This kind of key is not made here.", "Choose ecdsa_p256, ecdsa_p384, rsa_2048 or rsa_4096.")
	}
	if out.days == 0 {
		out.days = presetDays
	}
	if out.days < 1 || out.days > maxDays {
		no("days", "A certificate is valid for 1 to 3650 days.", "")
	}
	for field, text := range map[string]string{"organisation": w.Organisation, "unit": w.Unit, "locality": w.Locality, "region": w.Region} {
		if len([]rune(text)) > maxNamePart || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			no(field, "This is at most 64 printable characters.", "")
		}
	}
	if c := w.Country; c != "" && (len(c) != 2 || strings.Trim(strings.ToUpper(c), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "") {
		no("country", "A country has two letters, such as DE.", "")
	}
	if len(found) > 0 {
		slices.SortStableFunc(found, func(a, b *appliance.Error) int { return strings.Compare(a.Field, b.Field) })
		return out, found
	}
	out.subject = subjectOf(w, out)
	return out, nil
}

func subjectOf(w appliance.CertificateWish, read wished) pkix.Name {
	part := func(text string) []string {
		if text = strings.TrimSpace(text); text != "" {
			return []string{text}
		}
		return nil
	}
	name := pkix.Name{
		Organization: part(w.Organisation), OrganizationalUnit: part(w.Unit), Locality: part(w.Locality), Province: part(w.Region), Country: part(strings.ToUpper(w.Country)),
	}
	if first := strings.ToLower(strings.TrimSpace(w.Names[0])); len(first) <= maxNamePart {
		name.CommonName = first
	}
	return name
}

func newKey(kind appliance.KeyKind) (crypto.Signer, error) {
	switch kind {
	case appliance.KeyECDSA384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case appliance.KeyRSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case appliance.KeyRSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func broken(op string, err error) *appliance.Error {
	return &appliance.Error{Kind: appliance.Internal, Op: op, Err: err}
}

// selfSign makes a certificate that vouches for itself.
func selfSign(w wished, now time.Time) (pair, error) {
	const op = "make certificate"
	key, err := newKey(w.kind)
	if err != nil {
		return pair{}, broken(op, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return pair{}, broken(op, err)
	}
	template := x509.Certificate{
		SerialNumber: serial, Subject: w.subject, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Duration(w.days) * 24 * time.Hour), DNSNames: w.hosts, IPAddresses: w.addresses,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	if _, isRSA := key.(*rsa.PrivateKey); isRSA {
		template.KeyUsage |= x509.KeyUsageKeyEncipherment // TLS 1.2 with RSA key exchange, which old devices speak
	}
	raw, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return pair{}, broken(op, err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		return pair{}, broken(op, err)
	}
	return pair{[]*x509.Certificate{leaf}, key}, nil
}

// request makes a key and the request for its certificate, PEM.
func request(w wished) (crypto.Signer, []byte, error) {
	const op = "make signing request"
	key, err := newKey(w.kind)
	if err != nil {
		return nil, nil, broken(op, err)
	}
	raw, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: w.subject, DNSNames: w.hosts, IPAddresses: w.addresses}, key)
	if err != nil {
		return nil, nil, broken(op, err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: raw}), nil
}

func decodeRequest(text []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, broken("read signing request", nil)
	}
	return x509.ParseCertificateRequest(block.Bytes)
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, broken("write key", err)
	}
	return der, nil
}

func decodeKey(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, broken("read key", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, broken("read key", nil)
	}
	return signer, nil
}

// labelFrom makes a label of the first name when none was typed.
func labelFrom(typed string, names []string) string {
	typed = strings.TrimSpace(typed)
	if typed != "" || len(names) == 0 {
		return typed
	}
	name := strings.Replace(names[0], "*", "wildcard", 1)
	name = strings.ReplaceAll(name, ":", "-")
	return name[:min(len(name), maxNamePart)]
}
