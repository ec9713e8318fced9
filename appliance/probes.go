package appliance

// SMTPProbe holds for MonitorSMTP.
type SMTPProbe struct {
	Name string `json:"name,omitempty"` // what EHLO says; empty: evenkeel
}

// DNSProbe holds for MonitorDNS.
type DNSProbe struct {
	Name   string `json:"name,omitempty"`   // what is asked for; must be given
	Type   string `json:"type,omitempty"`   // A (also when empty), AAAA, CNAME, MX, NS, PTR, SOA, SRV or TXT
	Expect string `json:"expect,omitempty"` // an address that must be in the answer to A or AAAA; empty: any answer without an error is good
}

// DatabaseProbe holds for MonitorMySQL and MonitorPostgreSQL, each for itself. No password is ever sent.
type DatabaseProbe struct {
	User string `json:"user,omitempty"` // empty: evenkeel, which need not exist
}

// GRPCProbe holds for MonitorGRPC.
type GRPCProbe struct {
	Service string `json:"service,omitempty"` // whose health is asked for; empty: the server's as a whole
}
