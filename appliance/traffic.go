package appliance

// LogMode says what the traffic log of a service holds.
type LogMode string

// The modes of the traffic log.
const (
	LogOff    LogMode = "off"
	LogErrors LogMode = "errors" // what did not end well, or was answered with 5xx
	LogAll    LogMode = "all"
)

// Valid tells whether m is one of the modes.
func (m LogMode) Valid() bool { return m == LogOff || m == LogErrors || m == LogAll }

// String returns the name on the pages.
func (m LogMode) String() string {
	switch m {
	case LogOff:
		return "nothing"
	case LogErrors:
		return "only errors"
	case LogAll:
		return "every request or session"
	}
	return string(m)
}

// Transport is how lines reach a syslog receiver.
type Transport string

// The transports, RFC 5424 over each.
const (
	SyslogTCP Transport = "tcp" // RFC 6587, octet counting
	SyslogUDP Transport = "udp" // RFC 5426
	SyslogTLS Transport = "tls" // RFC 5425
)

// Valid tells whether t is one of the transports; empty is TCP.
func (t Transport) Valid() bool {
	return t == "" || t == SyslogTCP || t == SyslogUDP || t == SyslogTLS
}

// TrafficLog says where a node keeps the lines of its traffic log. Zero values are the defaults.
type TrafficLog struct {
	NoFile    bool      `json:"no_file,omitempty"`      // keep no file on this appliance
	FileSize  int       `json:"file_size_mb,omitempty"` // megabytes at which a file turns over; 0: 16
	FileCount int       `json:"file_count,omitempty"`   // files that are kept; 0: 10
	Remote    string    `json:"remote,omitempty"`       // syslog receiver, host:port; empty: none
	Transport Transport `json:"transport,omitempty"`    // empty: TCP
	CA        string    `json:"ca,omitempty"`           // with TLS: certificates in PEM that the receiver's must come from; empty: the system's
	NoVerify  bool      `json:"no_verify,omitempty"`    // with TLS: any certificate will do
}

const (
	usualLogSize  = 16
	usualLogCount = 10
	mostLogSize   = 1024
	mostLogCount  = 100
)

// Size returns the bytes at which a file turns over.
func (t *TrafficLog) Size() int64 {
	if t.FileSize == 0 {
		return usualLogSize << 20
	}
	return int64(t.FileSize) << 20
}

// Count returns how many files are kept.
func (t *TrafficLog) Count() int {
	if t.FileCount == 0 {
		return usualLogCount
	}
	return t.FileCount
}
