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

// SMTPProbe holds for MonitorSMTP.
type SMTPProbe struct {
	Name string `json:"name,omitempty"` // what EHLO says; empty: evenkeel
}

// RedisProbe holds for MonitorRedis.
type RedisProbe struct {
	Password Secret `json:"password,omitempty"` // AUTH before PING; empty: none
}
