package appliance

import (
	"crypto/x509"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// trafficLog checks where the lines of the traffic log go.
func (v *validation) trafficLog() {
	t := &v.config.Local.TrafficLog
	if t.FileSize < 0 || t.FileSize > mostLogSize {
		v.refuse("traffic_log.file_size_mb", "A file turns over at 1 to %d MB; 0 stands for %d.", mostLogSize, usualLogSize)
	}
	if t.FileCount < 0 || t.FileCount > mostLogCount {
		v.refuse("traffic_log.file_count", "1 to %d files are kept; 0 stands for %d.", mostLogCount, usualLogCount)
	}
	if !t.Transport.Valid() {
		v.refuse("traffic_log.transport", "%.40q is not one of tcp, udp and tls.", string(t.Transport))
	}
	if t.CA != "" && (len(t.CA) > 256<<10 || !x509.NewCertPool().AppendCertsFromPEM([]byte(t.CA))) {
		v.refuse("traffic_log.ca", "There is no certificate in it; it begins with -----BEGIN CERTIFICATE-----.")
	}
	v.receiver(t.Remote)
}

// metricsNetworks checks who may read the figures without a token.
func (v *validation) metricsNetworks() {
	if len(v.config.Local.MetricsNetworks) > 100 {
		v.refuse("metrics_networks", "These are more than 100 networks.")
		return
	}
	for _, text := range v.config.Local.MetricsNetworks {
		if _, ok := ParseNetwork(text); !ok {
			v.refuse("metrics_networks", "%.60q is neither an address nor a network such as 10.0.0.0/8.", text)
		}
	}
}

// ParseNetwork reads an address, as the network that holds it alone, or a network. A mapped one, such as ::ffff:10.0.0.0/104, is the IPv4 network that it stands for.
func ParseNetwork(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), true
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, false // more than all of IPv4
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

// receiver checks the address of a syslog receiver.
func (v *validation) receiver(remote string) {
	if remote == "" {
		return
	}
	host, port, err := net.SplitHostPort(remote)
	number, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || number == 0 || len(host) > 253 {
		v.refuse("traffic_log.remote", "%.60q is not a host with a port.", remote).Hint = "Write it like 192.168.0.9:514 or logs.example.org:6514."
		return
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		if !validHostname.MatchString(host) || numeric(host) {
			v.refuse("traffic_log.remote", "%.60q is neither an address nor a host name.", host)
		}
		return
	}
	a = a.Unmap()
	if a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() {
		v.refuse("traffic_log.remote", "%s cannot be a receiver's address.", host)
	} else if port, name, own := v.own(a, Ports{{uint16(number), uint16(number)}}); own {
		v.refuse("traffic_log.remote", "%s port %d is %s of this appliance itself.", a, port, name)
	}
}

// numeric tells whether a name looks like an address that is none, such as 10.0.0.256.
func numeric(host string) bool { return strings.Trim(host, "0123456789.") == "" }
