package appliance

import (
	"log/slog"
	"slices"
	"time"
)

// Certificate is what is shown of a certificate that services may present. Its key is in no part of it.
type Certificate struct {
	ID         string    `json:"id"` // SHA-256 of the certificate in lower-case hex; services name it by this
	Label      string    `json:"label"`
	Names      []string  `json:"names"` // host names and addresses that it is good for
	Subject    string    `json:"subject"`
	Issuer     string    `json:"issuer"`
	Serial     string    `json:"serial"`
	KeyKind    string    `json:"key"` // such as ECDSA P-256 or RSA 2048
	NotBefore  time.Time `json:"not_before"`
	NotAfter   time.Time `json:"not_after"`
	SelfSigned bool      `json:"self_signed"`
	Chain      string    `json:"chain"`    // PEM: the certificate, then those that lead to a root
	Warnings   []string  `json:"warnings"` // what a client may object to, a sentence each
	UsedBy     []string  `json:"used_by"`  // labels of the services that name it, as saved or running
	Created    time.Time `json:"created"`
}

// SigningRequest is a key that waits for its certificate. The key is in no part of it.
type SigningRequest struct {
	ID      string    `json:"id"`
	Label   string    `json:"label"`
	Names   []string  `json:"names"`
	Subject string    `json:"subject"`
	KeyKind string    `json:"key"`
	Request string    `json:"request"` // PEM, for the authority
	Created time.Time `json:"created"`
}

// ClientAuthority is what is shown of a bundle of authorities whose certificates are accepted from clients or servers.
type ClientAuthority struct {
	ID       string    `json:"id"`
	Label    string    `json:"label"`
	Subjects []string  `json:"subjects"`
	NotAfter time.Time `json:"not_after"` // when the first of them expires
	Bundle   string    `json:"bundle"`    // PEM: the certificates
	CRL      string    `json:"crl"`       // PEM: lists of revoked certificates, or empty
	Revoked  int       `json:"revoked"`   // certificates on them
	// CRLUntil is when the first list wants to be replaced; zero without one.
	CRLUntil time.Time `json:"crl_until,omitzero"`
	Warnings []string  `json:"warnings"`
	UsedBy   []string  `json:"used_by"`
	Created  time.Time `json:"created"`
}

// CertificateUpload is a certificate with its key as files hold them: PEM in any order, in one or two texts, or a PFX.
type CertificateUpload struct {
	Label       string `json:"label"`
	Certificate string `json:"certificate,omitempty"` // PEM; may hold the key too
	Key         string `json:"private_key,omitempty"` // PEM
	PFX         string `json:"pfx,omitempty"`         // PKCS #12 or DER, in base64
	Password    string `json:"password,omitempty"`    // of the PFX or of an encrypted key
}

// CheckLabel returns what is wrong with a label, at the field "label", or nil.
func CheckLabel(label string) *Error {
	switch {
	case label == "":
		return Refuse("label", "A label is missing.")
	case len(label) > maxLabel:
		return Refuse("label", "The label is longer than %d bytes.", maxLabel)
	case !validLabel.MatchString(label):
		return Refuse("label", "A label has letters, digits, space, dot, _ and -, and begins with a letter or digit.")
	}
	return nil
}

// LogValue keeps keys out of every log.
func (u CertificateUpload) LogValue() slog.Value { return slog.StringValue("certificate " + u.Label) }

// CertificateWish is a certificate to be made: signed by itself, or by whoever answers the request.
type CertificateWish struct {
	Label        string   `json:"label"`
	Names        []string `json:"names"`                  // host names and addresses, the first is the common name
	Organisation string   `json:"organisation,omitempty"` // empty: none
	Unit         string   `json:"unit,omitempty"`
	Locality     string   `json:"locality,omitempty"`
	Region       string   `json:"region,omitempty"`
	Country      string   `json:"country,omitempty"` // two letters
	KeyKind      KeyKind  `json:"key,omitempty"`     // empty: ECDSA P-256
	Days         int      `json:"days,omitempty"`    // of a self-signed one; 0: 397
}

// UnmarshalJSON reads a wish. Days that are given must be some: only who leaves them out gets what is usual.
func (w *CertificateWish) UnmarshalJSON(b []byte) error {
	type plain CertificateWish
	read := struct {
		plain
		Days *int `json:"days"`
	}{}
	if err := strict(b, &read); err != nil {
		return err
	}
	*w = CertificateWish(read.plain)
	if read.Days == nil {
		return nil
	}
	if w.Days = *read.Days; w.Days == 0 {
		return Refuse("days", "A certificate is valid for 1 to 3650 days.")
	}
	return nil
}

// KeyKind is what sort of key is made.
type KeyKind string

// The kinds of keys that are made.
const (
	KeyECDSA256 KeyKind = "ecdsa_p256"
	KeyECDSA384 KeyKind = "ecdsa_p384"
	KeyRSA2048  KeyKind = "rsa_2048"
	KeyRSA4096  KeyKind = "rsa_4096"
)

// Valid tells whether k is one of the kinds.
func (k KeyKind) Valid() bool {
	return k == KeyECDSA256 || k == KeyECDSA384 || k == KeyRSA2048 || k == KeyRSA4096
}

// String returns the name on the pages.
func (k KeyKind) String() string {
	switch k {
	case KeyECDSA256:
		return "ECDSA P-256"
	case KeyECDSA384:
		return "ECDSA P-384"
	case KeyRSA2048:
		return "RSA 2048"
	case KeyRSA4096:
		return "RSA 4096"
	}
	return string(k)
}

// ReplaceCertificate makes every service that names old name fresh in its place, and returns how many there were. Where a service names both, one remains.
func (c *Cluster) ReplaceCertificate(old, fresh string) int {
	n := 0
	for i := range c.VirtualServices {
		o := &c.VirtualServices[i].TLS
		at := slices.Index(o.Certificates, old)
		if at < 0 {
			continue
		}
		n++
		rest := slices.DeleteFunc(slices.Clone(o.Certificates), func(id string) bool { return id == fresh })
		rest[slices.Index(rest, old)] = fresh
		o.Certificates = rest
	}
	return n
}

// AuthorityUpload is a bundle of authorities with the lists of what they revoked.
type AuthorityUpload struct {
	Label  string `json:"label"`
	Bundle string `json:"bundle"`        // PEM
	CRL    string `json:"crl,omitempty"` // PEM
}

// CertificateRecord is what is kept of a certificate.
type CertificateRecord struct {
	ID      string
	Version int64
	Label   string
	Chain   []byte // PEM, the certificate first
	Key     []byte // PKCS #8; never leaves the appliance
	Created time.Time
	Hidden  time.Time // when it was deleted while a revision still named it; zero: it was not
}

// LogValue keeps the key out of every log.
func (r CertificateRecord) LogValue() slog.Value { return slog.StringValue("certificate " + r.ID) }

// SigningRecord is what is kept of a signing request.
type SigningRecord struct {
	ID      string
	Label   string
	Request []byte // PEM
	Key     []byte // PKCS #8
	Created time.Time
}

// LogValue keeps the key out of every log.
func (r SigningRecord) LogValue() slog.Value { return slog.StringValue("signing request " + r.ID) }

// AuthorityRecord is what is kept of a bundle of authorities.
type AuthorityRecord struct {
	ID      string
	Version int64
	Label   string
	Bundle  []byte // PEM
	Revoked []byte // PEM, or empty
	Created time.Time
	Hidden  time.Time // as of a certificate
}
