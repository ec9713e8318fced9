package appliance

import "net/netip"

// The ports of the appliance itself.
const (
	PortWebUI       = 9443 // HTTPS
	PortWebUIPlain  = 9080 // off; redirects only
	PortFallback    = 9081 // the fallback page
	PortHeartbeat   = 6694 // UDP
	PortPersistence = 7778
	PortSSH         = 22
	PortSNMP        = 161 // UDP, off
)

// Listener is a TCP address that the appliance itself uses; services must not take it and servers must not point at it.
type Listener struct {
	Address netip.AddrPort
	Name    string // as in "the WebUI"
}

// Site is what Validate must know of the place where the configuration will run.
type Site struct {
	Listeners []Listener   // the appliance's own
	Addresses []netip.Addr // of the machine's interfaces; a wildcard listens on each of them
}

// Collides tells whether two listening addresses cannot exist beside each other: equal, or one is the wildcard of the other's family
// (an IPv6 wildcard also takes IPv4).
func Collides(a, b netip.Addr) bool {
	a, b = a.Unmap(), b.Unmap()
	switch {
	case a == b, a.IsUnspecified() && b.IsUnspecified():
		return true
	case a.IsUnspecified():
		return a.Is6() || b.Is4()
	case b.IsUnspecified():
		return b.Is6() || a.Is4()
	}
	return false
}
