package appliance

import (
	"regexp"
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
	case MonitorRedis:
		v.plain("check.redis.password", string(m.Redis.Password))
	}
}

// plain refuses a text that no account, name or password of a check can be; it does not repeat the text.
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
