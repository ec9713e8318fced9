package appliance

import (
	"encoding/json"
	"slices"
	"time"
)

// MonitorKind says how a real server is checked.
type MonitorKind string

// The kinds of check.
const (
	MonitorConnect    MonitorKind = "connect" // a TCP connection opens
	MonitorHTTP       MonitorKind = "http"
	MonitorHTTPS      MonitorKind = "https"
	MonitorDICOM      MonitorKind = "dicom_echo" // DICOM PS3.4 annex A, verification
	MonitorHL7        MonitorKind = "hl7"        // HL7 v2 over MLLP
	MonitorLDAP       MonitorKind = "ldap"       // an anonymous bind; its refusal counts as a sign of life
	MonitorSMTP       MonitorKind = "smtp"
	MonitorDNS        MonitorKind = "dns"   // a question over UDP
	MonitorMySQL      MonitorKind = "mysql" // MariaDB too
	MonitorPostgreSQL MonitorKind = "postgresql"
	MonitorRedis      MonitorKind = "redis"
	MonitorGRPC       MonitorKind = "grpc" // the health service of gRPC
	MonitorScript     MonitorKind = "script"
	MonitorNone       MonitorKind = "none" // always up
)

// MonitorKinds returns all kinds in the order of the pages.
func MonitorKinds() []MonitorKind {
	return []MonitorKind{
		MonitorConnect, MonitorHTTP, MonitorHTTPS, MonitorDICOM, MonitorHL7,
		MonitorLDAP, MonitorSMTP, MonitorDNS, MonitorMySQL, MonitorPostgreSQL, MonitorRedis, MonitorGRPC,
		MonitorScript, MonitorNone,
	}
}

// Valid tells whether k is one of the kinds.
func (k MonitorKind) Valid() bool { return slices.Contains(MonitorKinds(), k) }

// String returns the name on the pages.
func (k MonitorKind) String() string {
	switch k {
	case MonitorConnect:
		return "connect to port"
	case MonitorHTTP:
		return "HTTP"
	case MonitorHTTPS:
		return "HTTPS"
	case MonitorDICOM:
		return "DICOM C-ECHO"
	case MonitorHL7:
		return "HL7 over MLLP"
	case MonitorLDAP:
		return "LDAP bind"
	case MonitorSMTP:
		return "SMTP"
	case MonitorDNS:
		return "DNS"
	case MonitorMySQL:
		return "MySQL"
	case MonitorPostgreSQL:
		return "PostgreSQL"
	case MonitorRedis:
		return "Redis"
	case MonitorGRPC:
		return "gRPC"
	case MonitorScript:
		return "external script"
	case MonitorNone:
		return "none (always up)"
	}
	return string(k)
}

// Monitor says how, how often and how strictly the servers of a pool are checked.
type Monitor struct {
	Kind     MonitorKind `json:"kind"`
	Port     uint16      `json:"port,omitempty"` // 0: the server's
	Interval Duration    `json:"interval"`
	Timeout  Duration    `json:"timeout"` // of one probe
	Rise     int         `json:"rise"`    // good probes in a row until up
	Fall     int         `json:"fall"`    // bad probes in a row until down
	// CloseOnDown ends the open connections to a server that goes down; otherwise they stay.
	CloseOnDown bool          `json:"close_on_down,omitempty"`
	Observe     Observe       `json:"observe"`
	Agent       Agent         `json:"agent"`
	HTTP        HTTPProbe     `json:"http,omitzero"`
	DICOM       DICOMProbe    `json:"dicom,omitzero"`
	HL7         HL7Probe      `json:"hl7,omitzero"`
	SMTP        SMTPProbe     `json:"smtp,omitzero"`
	DNS         DNSProbe      `json:"dns,omitzero"`
	MySQL       DatabaseProbe `json:"mysql,omitzero"`
	PostgreSQL  DatabaseProbe `json:"postgresql,omitzero"`
	GRPC        GRPCProbe     `json:"grpc,omitzero"`
	Script      string        `json:"script,omitempty"` // id of a Script
}

// HTTPProbe holds for MonitorHTTP and MonitorHTTPS.
type HTTPProbe struct {
	Method        string `json:"method,omitempty"`         // GET (also when empty) or HEAD
	Path          string `json:"path,omitempty"`           // empty: /
	Host          string `json:"host,omitempty"`           // Host header; empty: the server's address
	Codes         string `json:"codes,omitempty"`          // accepted codes, "200-399" when empty; a list or ranges
	Content       string `json:"content,omitempty"`        // must be found in the first 64 KiB of the body; empty: not looked at
	ContentRegexp bool   `json:"content_regexp,omitempty"` // Content is an RE2 expression
	Verify        bool   `json:"verify,omitempty"`         // HTTPS: the certificate must be valid
}

// DICOMProbe holds for MonitorDICOM; AE titles as PS3.5 says (1 to 16 characters).
type DICOMProbe struct {
	Calling string `json:"calling_ae,omitempty"` // empty: EVENKEEL
	Called  string `json:"called_ae,omitempty"`  // empty: ANY-SCP is called, and a rejection counts as a sign of life
	TLS     bool   `json:"tls,omitempty"`        // the association runs over TLS
	Verify  bool   `json:"verify,omitempty"`     // with TLS: the certificate must be valid
}

// HL7Probe holds for MonitorHL7. Without a message only the framing is tried: the port opens and nothing clinical is sent.
type HL7Probe struct {
	Message string `json:"message,omitempty"` // segments, one a line; MSH first
	Expect  string `json:"expect,omitempty"`  // accepted MSA-1 code, AA when empty
}

// NewMonitor returns a monitor of that kind with the default of every field.
func NewMonitor(k MonitorKind) Monitor {
	return Monitor{Kind: k, Interval: Duration(4 * time.Second), Timeout: Duration(3 * time.Second), Rise: 2, Fall: 3, Observe: newObserve(), Agent: newAgent()}
}

// UnmarshalJSON reads the object, or a bare kind such as "connect"; fields that are absent get their default.
func (m *Monitor) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &m.Kind)
	}
	type plain Monitor
	return strict(b, (*plain)(m))
}
