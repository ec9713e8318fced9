package monitor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strconv"
	"strings"
)

// secure starts TLS on the connection, with name for SNI and the certificate. Without verify it only matters that the server speaks it, in any version.
func (a *attempt) secure(ctx context.Context, name string, verify bool) (outcome, bool) {
	config := &tls.Config{ServerName: name, Time: a.now}
	if !verify {
		config.InsecureSkipVerify = true
		config.MinVersion = tls.VersionTLS10
		for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
			config.CipherSuites = append(config.CipherSuites, suite.ID)
		}
	}
	a.trace.say("start TLS, server name %s", inert(name))
	session := tls.Client(a.conn, config)
	if err := session.HandshakeContext(ctx); err != nil {
		a.trace.say("no TLS: %s", inert(err.Error()))
		return a.insecure(err, name), false
	}
	state := session.ConnectionState()
	a.trace.say("%s, certificate of %s", tls.VersionName(state.Version), inert(state.PeerCertificates[0].Subject.String()))
	a.peer = session
	if a.trace != nil {
		a.peer = overheard{session, a.trace}
	}
	a.farewell = func() { _ = session.CloseWrite() }
	return outcome{}, true
}

// insecure says why TLS did not come about.
func (a *attempt) insecure(err error, wanted string) outcome {
	var (
		invalid   x509.CertificateInvalidError
		name      x509.HostnameError
		authority x509.UnknownAuthorityError
		record    tls.RecordHeaderError
		alert     tls.AlertError
	)
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		if a.now().Before(invalid.Cert.NotBefore) {
			return bad("The certificate is not valid before %s", invalid.Cert.NotBefore.UTC().Format("2006-01-02 15:04 MST"))
		}
		return bad("The certificate expired on %s", invalid.Cert.NotAfter.UTC().Format("2006-01-02"))
	case errors.As(err, &name):
		return bad("The certificate is for %s, not for %s", quoted(strings.Join(names(name.Certificate), ", ")), inert(wanted))
	case errors.As(err, &authority):
		return bad("The certificate was issued by %s, which this appliance does not know", quoted(authority.Cert.Issuer.String()))
	case errors.As(err, &invalid):
		return bad("The certificate is not acceptable: %s", inert(invalid.Error()))
	case errors.As(err, &record):
		return bad("Port %d opened, but the server does not speak TLS there", a.port)
	case errors.As(err, &alert):
		return bad("The server ended the TLS handshake: %s", inert(alert.Error()))
	}
	return a.unanswered(err, "the TLS handshake")
}

// names returns what a certificate is for, a few of them.
func names(c *x509.Certificate) []string {
	out := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	if len(out) == 0 {
		out = append(out, c.Subject.CommonName)
	}
	if n := len(out); n > 3 {
		out = append(out[:3], strconv.Itoa(n-3)+" more")
	}
	return out
}
