package appliance

import "log/slog"

// Secret is a text that the configuration holds as it is, and that stands in no log, sentence, plan or transcript.
type Secret string

// hidden is what is shown of a Secret.
const hidden = "(hidden)"

// String returns what may be shown; it is empty when there is no secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString returns what String does.
func (s Secret) GoString() string { return s.String() }

// LogValue keeps the text out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// LDAPProbe holds for MonitorLDAP.
type LDAPProbe struct {
	BindDN   string `json:"bind_dn,omitempty"`  // empty: an anonymous bind, and its refusal counts as a sign of life
	Password Secret `json:"password,omitempty"` // of BindDN
}

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

// RedisProbe holds for MonitorRedis.
type RedisProbe struct {
	Password Secret `json:"password,omitempty"` // AUTH before PING; empty: none
}

// GRPCProbe holds for MonitorGRPC.
type GRPCProbe struct {
	Service string `json:"service,omitempty"` // whose health is asked for; empty: the server's as a whole
}
