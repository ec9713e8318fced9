package appliance

import (
	"net/netip"
	"regexp"
	"slices"
	"time"
)

// maxCertificates is how many certificates one service may name.
const maxCertificates = 500

var validFingerprint = regexp.MustCompile(`^[0-9a-f]{64}$`)

// tls checks the fields of TLS one by one; whether a certificate exists is for whoever keeps them.
func (v *validation) tls(s *VirtualService) {
	o := &s.TLS
	v.certificates(o.Certificates)
	v.oneOf("tls.min_version", o.MinVersion.Valid(), string(o.MinVersion))
	for i, name := range o.Ciphers {
		if !slices.Contains(TLSCiphers(), name) {
			v.refuse("tls.ciphers", "%.60q is not a cipher suite that can be chosen.", name)
		} else if slices.Contains(o.Ciphers[:i], name) {
			v.refuse("tls.ciphers", "%s stands twice.", name)
		}
	}
	v.oneOf("tls.client_auth", o.ClientAuth.Valid(), string(o.ClientAuth))
	if o.ClientAuth != ClientAuthNone && o.ClientCA == "" {
		v.refuse("tls.client_ca", "Choose the authority that signed the clients' certificates.")
	}
	if o.ClientAuth != ClientAuthNone && !o.On() {
		v.refuse("tls.client_auth", "Clients show a certificate over TLS only; choose a certificate for this service first.")
	}
	v.authority("tls.client_ca", o.ClientCA)
	v.httpsOptions(s)
	v.authority("server_tls.ca", s.ServerTLS.CA)
	if name := s.ServerTLS.SNI; name != "" && !isHostName(name) {
		v.refuse("server_tls.sni", "%.60q is not a host name.", name)
	}
}

func (v *validation) certificates(ids []string) {
	if len(ids) > maxCertificates {
		v.refuse("tls.certificates", "There are %d certificates; one service holds %d.", len(ids), maxCertificates)
		return
	}
	for i, id := range ids {
		if !validFingerprint.MatchString(id) {
			v.refuse("tls.certificates", "%.70q is not a certificate's fingerprint (SHA-256, 64 hexadecimal digits).", id)
		} else if slices.Contains(ids[:i], id) {
			v.refuse("tls.certificates", "The certificate %.16s… stands twice.", id)
		}
	}
}

func (v *validation) authority(field, id string) {
	if id != "" && !validFingerprint.MatchString(id) {
		v.refuse(field, "%.70q is not an authority's fingerprint (SHA-256, 64 hexadecimal digits).", id)
	}
}

// httpsOptions checks what concerns HTTP Mode.
func (v *validation) httpsOptions(s *VirtualService) {
	o := &s.TLS
	v.oneOf("tls.redirect", o.Redirect.Valid(), string(o.Redirect))
	if o.Redirect.Valid() && o.Redirects() {
		switch {
		case s.Protocol != HTTP:
			v.refuse("tls.redirect", "A redirect to HTTPS needs HTTP Mode.")
		case o.On():
			v.refuse("tls.redirect", "This service has certificates: its clients come over HTTPS already. The redirect belongs to a service on port 80.")
		case s.redirectsToItself():
			v.refuse("tls.redirect_port", "The redirect would lead back to this service itself.")
		}
	}
	if o.HSTS.D() < 0 || o.HSTS.D() > 10*maxDuration || o.HSTS.D()%time.Second != 0 {
		v.refuse("tls.hsts", "This time must be 0 (off) to 10 years in whole seconds.")
	} else if o.HSTS > 0 && s.Protocol == HTTP && !o.On() {
		v.refuse("tls.hsts", "HSTS counts on answers over TLS only; choose a certificate for this service, or set it at the service that has one.")
	}
}

// redirectsToItself tells whether the port that clients are sent to is the service's own.
func (s *VirtualService) redirectsToItself() bool { return s.Ports.Contains(s.TLS.HTTPSPort()) }

// HTTPSPort returns the port that clients are sent to.
func (o *TLSOptions) HTTPSPort() uint16 {
	if o.RedirectPort == 0 {
		return 443
	}
	return o.RedirectPort
}

// isHostName tells whether name can stand in a certificate's request: a DNS name and no address.
func isHostName(name string) bool {
	_, err := netip.ParseAddr(name)
	return err != nil && len(name) <= 253 && validHostname.MatchString(name)
}
