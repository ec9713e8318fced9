package appliance

import (
	"net/netip"
	"time"
)

// ProxyOut says whether servers are told in the PROXY protocol whose connection they get.
type ProxyOut string

// The ways to tell it.
const (
	ProxyOutOff ProxyOut = "off"
	ProxyOutV1  ProxyOut = "v1" // one line of text: addresses and ports
	ProxyOutV2  ProxyOut = "v2" // binary, with a unique id and what is known of the client's TLS
)

// Valid tells whether o is one of the ways.
func (o ProxyOut) Valid() bool { return o == ProxyOutOff || o == ProxyOutV1 || o == ProxyOutV2 }

// ProxyProtocol is how a service hears from proxies before it, and tells servers behind it, whose connection it is.
type ProxyProtocol struct {
	In      bool     `json:"in"`      // every connection begins with a header, of either version
	Trusted Networks `json:"trusted"` // who may send one; connections from elsewhere are closed
	Within  Duration `json:"within"`  // the header must be complete by then
	Out     ProxyOut `json:"out"`
}

// mostTrusted bounds the list of trusted proxies.
const mostTrusted = 256

func newProxyProtocol() ProxyProtocol {
	return ProxyProtocol{Trusted: Networks{}, Within: Duration(3 * time.Second), Out: ProxyOutOff}
}

func (p *ProxyProtocol) normalize() {
	if p.Trusted == nil {
		p.Trusted = Networks{}
	}
	for i, n := range p.Trusted {
		p.Trusted[i] = n.Masked()
	}
}

// Trusts tells whether a header from a counts.
func (p *ProxyProtocol) Trusts(a netip.Addr) bool {
	a = a.Unmap()
	for i := range p.Trusted {
		if p.Trusted[i].Contains(a) {
			return true
		}
	}
	return false
}

// Private tells whether a connection to a server belongs to one client alone, because it says whose it is.
func (s *VirtualService) Private() bool { return s.ProxyProtocol.Out != ProxyOutOff }

// proxyProtocol checks what neighbours are told and believed.
func (v *validation) proxyProtocol(s *VirtualService) {
	p := &s.ProxyProtocol
	v.oneOf("proxy_protocol.out", p.Out.Valid(), string(p.Out))
	v.lasts("proxy_protocol.within", p.Within, 10*time.Millisecond, time.Minute)
	if p.Out != ProxyOutOff && s.SpeaksHTTP2() {
		v.refuse("proxy_protocol.out", "HTTP/2 to the real servers shares connections between clients; a header could not say whose they are.")
	}
	switch {
	case p.In && len(p.Trusted) == 0:
		v.refuse("proxy_protocol.trusted", "Name the proxies in front, such as 192.168.0.10 or 10.1.0.0/16; connections from elsewhere are closed.")
	case len(p.Trusted) > mostTrusted:
		v.refuse("proxy_protocol.trusted", "At most %d proxies or networks.", mostTrusted)
	}
	for _, n := range p.Trusted {
		switch {
		case !n.IsValid():
			v.refuse("proxy_protocol.trusted", "%s is not a network.", n)
		case n.Bits() == 0:
			v.refuse("proxy_protocol.trusted", "%s would believe everybody; whoever writes a header could be any client.", n)
		}
	}
}
