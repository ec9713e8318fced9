package appliance

import (
	"log/slog"
	"slices"
	"strings"
	"time"
)

// TLSVersion is a version of the protocol.
type TLSVersion string

// The versions; older ones are broken and not spoken.
const (
	TLS12 TLSVersion = "1.2"
	TLS13 TLSVersion = "1.3"
)

// Valid tells whether v is one of the versions.
func (v TLSVersion) Valid() bool { return v == TLS12 || v == TLS13 }

// ClientAuth says whether clients show certificates.
type ClientAuth string

// The ways to treat certificates of clients.
const (
	ClientAuthNone     ClientAuth = "none"     // none is asked for
	ClientAuthOptional ClientAuth = "optional" // who shows one must show a good one
	ClientAuthRequired ClientAuth = "required" // without a good one the handshake fails
)

// Valid tells whether a is one of the ways.
func (a ClientAuth) Valid() bool {
	return a == ClientAuthNone || a == ClientAuthOptional || a == ClientAuthRequired
}

// HTTPSRedirect is the status with which a service in clear sends every client to https, or off.
type HTTPSRedirect string

// The redirects.
const (
	RedirectOff               HTTPSRedirect = "off"
	RedirectMovedPermanently  HTTPSRedirect = "301"
	RedirectFound             HTTPSRedirect = "302"
	RedirectSeeOther          HTTPSRedirect = "303"
	RedirectTemporary         HTTPSRedirect = "307"
	RedirectPermanentlyAsSent HTTPSRedirect = "308"
)

// HTTPSRedirects lists the redirects in the order of the pages.
func HTTPSRedirects() []HTTPSRedirect {
	return []HTTPSRedirect{RedirectOff, RedirectMovedPermanently, RedirectFound, RedirectSeeOther, RedirectTemporary, RedirectPermanentlyAsSent}
}

// Valid tells whether r is one of the redirects.
func (r HTTPSRedirect) Valid() bool { return slices.Contains(HTTPSRedirects(), r) }

// UsualHSTS is what is offered when an operator switches HSTS on.
const UsualHSTS = Duration(180 * 24 * time.Hour)

// TLSOptions say how clients are served over TLS. Certificates and authorities are named by id: keys are never part of a configuration, so a rollback brings none back,
// and a certificate is replaced by naming another id.
type TLSOptions struct {
	// Certificates are ids of key pairs, see KeyPair; none: clients come in clear. The first serves clients whose server name none of them holds.
	Certificates []string      `json:"certificates"`
	MinVersion   TLSVersion    `json:"min_version"`
	Ciphers      []string      `json:"ciphers"` // of TLS 1.2, from TLSCiphers; none: all of them. TLS 1.3 has no choice
	ClientAuth   ClientAuth    `json:"client_auth"`
	ClientCA     string        `json:"client_ca"`     // id of the authority that signed the clients' certificates; empty with ClientAuthNone only
	Redirect     HTTPSRedirect `json:"redirect"`      // HTTP Mode without certificates only
	RedirectPort uint16        `json:"redirect_port"` // 0: 443
	HSTS         Duration      `json:"hsts"`          // max-age of Strict-Transport-Security on answers over TLS; 0: off
}

// On tells whether clients come over TLS.
func (o *TLSOptions) On() bool { return len(o.Certificates) > 0 }

// Redirects tells whether every request is answered with a redirect to https.
func (o *TLSOptions) Redirects() bool { return o.Redirect != RedirectOff && o.Redirect != "" }

// ServerTLS says how real servers are spoken to. A server is spoken to over TLS when Enabled is set here or Encrypt at the server.
type ServerTLS struct {
	Enabled bool   `json:"enabled"` // all real servers
	Verify  bool   `json:"verify"`  // a certificate that is expired, for another name or from an unknown authority ends the connection
	SNI     string `json:"sni"`     // name that is asked for and, with Verify, that the certificate must hold; empty: none is sent, the certificate must hold the server's address
	CA      string `json:"ca"`      // id of the authority that signed the servers' certificates; empty: those of the operating system
}

// Encrypts tells whether r is spoken to over TLS.
func (s *VirtualService) Encrypts(r *RealServer) bool { return s.ServerTLS.Enabled || r.Encrypt }

// EncryptsFallback tells whether the fallback server is spoken to over TLS.
func (s *VirtualService) EncryptsFallback() bool {
	return s.Fallback.Kind == FallbackServer && s.Fallback.Encrypt
}

// TLSCiphers lists the suites of TLS 1.2 that can be chosen: those with forward secrecy and authenticated encryption.
func TLSCiphers() []string {
	return []string{
		"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
		"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
	}
}

// KeyPair is a certificate with what leads to its authority, and its private key. Its id is the lowercase hexadecimal SHA-256 fingerprint of the leaf.
type KeyPair struct {
	Chain []byte // PEM, the leaf first
	Key   []byte // PEM, not encrypted: PKCS #8, PKCS #1 or SEC 1
}

// LogValue hides the key.
func (KeyPair) LogValue() slog.Value { return slog.StringValue("key pair") }

// String hides the key.
func (KeyPair) String() string { return "key pair" }

// Authority is a bundle of certificates that sign others, and what they revoked.
type Authority struct {
	Bundle []byte // PEM certificates
	CRL    []byte // PEM or DER revocation lists of these authorities, RFC 5280; nil: nothing is revoked
}

func newTLS() TLSOptions {
	return TLSOptions{Certificates: []string{}, MinVersion: TLS12, Ciphers: []string{}, ClientAuth: ClientAuthNone, Redirect: RedirectOff}
}

func (o TLSOptions) clone() TLSOptions {
	o.Certificates, o.Ciphers = slices.Clone(o.Certificates), slices.Clone(o.Ciphers)
	return o
}

// normalizeTLS writes ids in lower case, and the ciphers in the order of TLSCiphers.
func (s *VirtualService) normalizeTLS() {
	o := &s.TLS
	certificates, ciphers := make([]string, 0, len(o.Certificates)), make([]string, 0, len(o.Ciphers))
	for _, id := range o.Certificates {
		certificates = append(certificates, strings.ToLower(strings.TrimSpace(id)))
	}
	known := TLSCiphers()
	ciphers = append(ciphers, o.Ciphers...)
	slices.SortStableFunc(ciphers, func(a, b string) int { return slices.Index(known, a) - slices.Index(known, b) })
	o.Certificates, o.Ciphers = certificates, ciphers
	o.ClientCA, s.ServerTLS.CA = strings.ToLower(strings.TrimSpace(o.ClientCA)), strings.ToLower(strings.TrimSpace(s.ServerTLS.CA))
	s.ServerTLS.SNI = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(s.ServerTLS.SNI)), ".")
}
