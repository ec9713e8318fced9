package tlsterm

import (
	"crypto/tls"
	"testing"

	"evenkeel/engine/tlsterm/tlstest"
)

// TestShownIsWhatAHandshakeShows: for exact names, wildcards, names in other letters, names that nobody has, none at all, and two kinds of key for one name.
func TestShownIsWhatAHandshakeShows(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	served := terminator(t, nil, ca.Issue("first.test"), ca.Issue("*.wild.test"), ca.Issue("a.wild.test"), ca.IssueRSA("both.test"), ca.Issue("both.test"))
	for _, name := range []string{"first.test", "a.wild.test", "b.wild.test", "A.WILD.test", "c.b.wild.test", "both.test", "nobody.test", ""} {
		var leaf string
		config := &tls.Config{ServerName: name, InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
			leaf = string(s.PeerCertificates[0].Raw)
			return nil
		}}
		newPair(t, served.Config, config, nil).open()
		if told := served.Shown(name); string(told.Raw) != leaf {
			t.Errorf("%q: told %v", name, told.DNSNames)
		}
	}
}
