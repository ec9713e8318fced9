package tlsterm

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
)

// table finds the certificate of a server name: the exact name, then the wildcard that covers it, then the first of all.
type table struct {
	first    *Certificate
	exact    map[string][]*Certificate
	wildcard map[string][]*Certificate // by what stands behind the star, dot included
}

func newTable(list []*Certificate) *table {
	t := &table{first: list[0], exact: map[string][]*Certificate{}, wildcard: map[string][]*Certificate{}}
	for _, c := range list {
		names := c.leaf.DNSNames
		if len(names) == 0 && c.leaf.Subject.CommonName != "" {
			names = []string{c.leaf.Subject.CommonName} // old certificates of devices have no other name
		}
		for _, name := range names {
			name = strings.ToLower(strings.TrimSuffix(name, "."))
			if rest, wild := strings.CutPrefix(name, "*"); wild && strings.HasPrefix(rest, ".") {
				t.wildcard[rest] = append(t.wildcard[rest], c)
				continue
			}
			t.exact[name] = append(t.exact[name], c)
		}
	}
	return t
}

// choose returns the certificate for a hello. Of several for the same name the first that the client can use is taken, such as an RSA one for an old client.
func (t *table) choose(hello *tls.ClientHelloInfo) *Certificate {
	name := hello.ServerName
	if strings.ContainsFunc(name, func(r rune) bool { return 'A' <= r && r <= 'Z' }) {
		name = strings.ToLower(name)
	}
	list := t.exact[name]
	if dot := strings.IndexByte(name, '.'); list == nil && dot > 0 {
		list = t.wildcard[name[dot:]]
	}
	if len(list) == 0 {
		return t.first
	}
	if len(list) > 1 {
		for _, c := range list {
			if hello.SupportsCertificate(c.current.Load()) == nil {
				return c
			}
		}
	}
	return list[0]
}

// Shown returns the certificate that a client of today is shown when it asks for that name; an empty one stands for no name.
func (t *Terminator) Shown(name string) *x509.Certificate {
	return t.table.choose(&tls.ClientHelloInfo{
		ServerName: name, SupportedVersions: []uint16{tls.VersionTLS13}, CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256}, SupportedCurves: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.PSSWithSHA256, tls.PSSWithSHA384, tls.PSSWithSHA512, tls.Ed25519},
	}).leaf
}
