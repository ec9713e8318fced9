package appliance

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxProbeText bounds the texts of checks that go over the wire.
const maxProbeText = 255

var validMailName = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Za-z.:]+\])$`) // RFC 5321, 4.1.2

// protocolProbe checks the options of the kinds that speak one application's protocol.
func (v *validation) protocolProbe(m *Monitor) {
	switch m.Kind {
	case MonitorSMTP:
		if name := m.SMTP.Name; name != "" && (len(name) > maxProbeText || !validMailName.MatchString(name)) {
			v.refuse("check.smtp.name", "This is not a host name that EHLO can say.")
		}
	case MonitorDNS:
		v.dnsProbe(&m.DNS)
	case MonitorMySQL:
		v.plain("check.mysql.user", m.MySQL.User)
	case MonitorPostgreSQL:
		v.plain("check.postgresql.user", m.PostgreSQL.User)
	case MonitorGRPC:
		v.plain("check.grpc.service", m.GRPC.Service)
	}
}

func (v *validation) dnsProbe(p *DNSProbe) {
	name := strings.TrimSuffix(p.Name, ".")
	if p.Name == "" {
		v.refuse("check.dns.name", "Write the name to ask for, such as pacs.example.org.")
	} else if len(name) > 253 || !visible(name) || name != "" && slices.ContainsFunc(strings.Split(name, "."), func(part string) bool { return part == "" || len(part) > 63 }) {
		v.refuse("check.dns.name", "This is not a name that DNS can hold.")
	}
	switch p.Type {
	case "", "A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT":
	default:
		v.oneOf("check.dns.type", false, p.Type)
	}
	if p.Expect == "" {
		return
	}
	a, err := netip.ParseAddr(p.Expect)
	switch {
	case err != nil || a.Zone() != "":
		v.refuse("check.dns.expect", "%.60q is not an IP address.", p.Expect)
	case a.Unmap().Is4() && p.Type != "" && p.Type != "A", a.Unmap().Is6() && p.Type != "AAAA":
		v.refuse("check.dns.expect", "An IPv4 address is the answer to type A, an IPv6 address to type AAAA.")
	}
}

// plain refuses a text that no account or name of a check can be; it does not repeat the text.
func (v *validation) plain(field, text string) {
	switch {
	case len(text) > maxProbeText:
		v.refuse(field, "This is longer than %d bytes.", maxProbeText)
	case !utf8.ValidString(text):
		v.refuse(field, "This is not valid text.")
	default:
		for _, r := range text {
			if unicode.IsControl(r) {
				v.refuse(field, "This holds a line break or another control character.")
				return
			}
		}
	}
}
