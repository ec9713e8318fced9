package appliance

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// Name returns the host name and true when h is one, and no address.
func (h Host) Name() (string, bool) {
	if _, ok := h.Addr(); ok || h == "" {
		return "", false
	}
	return string(h), true
}

// serverName is a name as name servers know it, with a dot at its end or not. Underscores stand in many an internal zone.
var serverName = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$`)

// endsInNumber is the last part of what was meant as an IPv4 address.
var endsInNumber = regexp.MustCompile(`(^|\.)([0-9]+|0x[0-9a-f]*)\.?$`)

// serverName checks the host name of a real server; where it leads is seen when it is looked up, not here.
func (v *validation) serverName(h Host) {
	if why, hint := h.Refused(); why != "" {
		v.refuse("address", "%s", why).Hint = hint
	} else if bare := strings.TrimSuffix(strings.ToLower(string(h)), "."); (bare == "localhost" || strings.HasSuffix(bare, ".localhost")) && !v.config.Cluster.Settings.AllowLoopback {
		v.refuse("address", "%s is this appliance itself; loopback servers are off (Layer 7 – Advanced, allow loopback).", bare)
	}
}

// Refused says why h is neither an address nor a host name, and how it is written, or nothing.
func (h Host) Refused() (why, hint string) {
	name := strings.ToLower(string(h))
	if _, ok := h.Addr(); ok {
		return "", ""
	}
	switch {
	case name == "":
		return "An IP address or a host name is missing.", "Write it like 192.168.0.40, fd00::40 or pacs1.example.org."
	case endsInNumber.MatchString(name):
		return fmt.Sprintf("%.60q is not an IP address.", name), "Write it like 192.168.0.40 or fd00::40; the last part of a host name is not a number."
	case len(strings.TrimSuffix(name, ".")) > 253 || !serverName.MatchString(name):
		return fmt.Sprintf("%.60q is neither an IP address nor a host name.", name), "Write it like 192.168.0.40, fd00::40 or pacs1.example.org; international names as xn--…"
	}
	return "", ""
}

// RefusedServer says why traffic or checks must not go to a, or "". It holds for addresses that were typed and for those that a name leads to.
func RefusedServer(a netip.Addr, allowLoopback bool) string {
	switch {
	case a.Zone() != "":
		return fmt.Sprintf("An address with a zone cannot be used; leave out %%%s.", a.Zone())
	case a.IsUnspecified():
		return fmt.Sprintf("%s is no server's address.", a)
	case a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Sprintf("%s is a multicast or broadcast address.", a)
	case a.IsLinkLocalUnicast():
		return fmt.Sprintf("%s is a link-local address; services there are the machine's own.", a)
	case a.IsLoopback() && !allowLoopback:
		return fmt.Sprintf("%s is this appliance itself; loopback servers are off (Layer 7 – Advanced, allow loopback).", a)
	}
	return ""
}
