package tlsterm

import (
	"crypto/tls"
	"crypto/x509"
	"strings"

	"evenkeel/appliance"
)

// TerminatorOptions are what the server's side of one service is made of.
type TerminatorOptions struct {
	Service      string                // id; tickets are good for this service only
	Options      *appliance.TLSOptions // validated
	Certificates []*Certificate        // in the order of Options
	Authority    *Authority            // nil without certificates of clients
	Protocols    []string              // offered by ALPN, best first; nil: none
	Ring         *Ring
}

// Terminator is how one service meets its clients. It is never changed but for its ticket keys; any goroutine may use it.
type Terminator struct {
	// Config is what Lane.Server is given.
	Config  *tls.Config
	ring    *Ring
	purpose string
	table   *table
}

// NewTerminator returns the terminator of a service with at least one certificate.
func NewTerminator(o TerminatorOptions) *Terminator {
	t := &Terminator{ring: o.Ring, table: newTable(o.Certificates)}
	t.purpose = strings.Join([]string{o.Service, string(o.Options.ClientAuth), o.Options.ClientCA}, "\x00")
	t.Config = &tls.Config{
		MinVersion: version(o.Options.MinVersion), CipherSuites: suites(o.Options.Ciphers), NextProtos: o.Protocols,
		DynamicRecordSizingDisabled: true, // records are sent together
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return t.table.choose(hello).forHandshake((*Conn)(hello.Conn.(*transport))), nil
		},
	}
	if o.Authority != nil {
		t.askClients(o.Options.ClientAuth, o.Authority)
	}
	t.Turn()
	return t
}

// askClients asks for certificates. They are looked at again when a session is resumed: the authority may have taken one back since.
func (t *Terminator) askClients(how appliance.ClientAuth, a *Authority) {
	t.Config.ClientCAs = a.pool
	t.Config.ClientAuth = tls.RequireAndVerifyClientCert
	if how == appliance.ClientAuthOptional {
		t.Config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	t.Config.VerifyConnection = func(s tls.ConnectionState) error { return a.check(s.VerifiedChains) }
}

// Turn takes over the keys of the ring, after they changed.
func (t *Terminator) Turn() { t.Config.SetSessionTicketKeys(t.ring.keysFor(t.purpose)) }

func version(v appliance.TLSVersion) uint16 {
	if v == appliance.TLS13 {
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}

// suites returns the numbers of the chosen suites; nil: those with forward secrecy that crypto/tls has.
func suites(names []string) (out []uint16) {
	if len(names) == 0 {
		names = appliance.TLSCiphers()
	}
	for _, s := range tls.CipherSuites() {
		for _, name := range names {
			if s.Name == name {
				out = append(out, s.ID)
			}
		}
	}
	return out
}

// Initiator is how one service meets its servers. It is never changed; any goroutine may use it.
type Initiator struct {
	options   appliance.ServerTLS
	authority *Authority
	protocols []string
}

// NewInitiator returns the initiator of a service; authority nil: those of the operating system. protocols are offered by ALPN, nil: none.
func NewInitiator(o appliance.ServerTLS, authority *Authority, protocols []string) *Initiator {
	return &Initiator{options: o, authority: authority, protocols: protocols}
}

// For returns what Lane.Client is given for one server, whose address, or name, is host. It remembers the server's last session, so it belongs to one loop.
func (i *Initiator) For(host string) *tls.Config {
	name := i.options.SNI
	if name == "" {
		name = host // of an address nothing is sent (RFC 6066, 3)
	}
	c := &tls.Config{
		ServerName: name, MinVersion: tls.VersionTLS12, CipherSuites: suites(nil), NextProtos: i.protocols, InsecureSkipVerify: !i.options.Verify,
		DynamicRecordSizingDisabled: true, ClientSessionCache: &session{},
	}
	if i.authority != nil {
		c.RootCAs = i.authority.pool
		if i.options.Verify {
			c.VerifyConnection = func(s tls.ConnectionState) error { return i.authority.check(s.VerifiedChains) }
		}
	}
	return c
}

// session remembers the last session with one server. It belongs to one loop.
type session struct{ last *tls.ClientSessionState }

// Get implements tls.ClientSessionCache.
func (s *session) Get(string) (*tls.ClientSessionState, bool) { return s.last, s.last != nil }

// Put implements tls.ClientSessionCache.
func (s *session) Put(_ string, last *tls.ClientSessionState) { s.last = last }

// ReadSystemAuthorities reads the authorities that the operating system trusts, once, so that no handshake has to wait for the disk. Where there are none, every
// server that is verified against them is refused.
func ReadSystemAuthorities() { _, _ = new(x509.Certificate).Verify(x509.VerifyOptions{}) }
