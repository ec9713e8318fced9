package engine

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/tlsterm/tlstest"
)

// onName is a rule for clients that ask for one of these names by TLS.
func onName(label, names string, then ...appliance.RuleAction) appliance.Rule {
	return appliance.Rule{ID: "rule-" + label, Label: label, When: []appliance.Condition{{Subject: appliance.SubjectTLS, Operator: appliance.OpEqual, Value: names}}, Then: then}
}

// TestTCPModeRoutesByTheNameInTLS that is not terminated here, and by that of a handshake which is.
func TestTCPModeRoutesByTheNameInTLS(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	issued := ca.Issue("a.test", "b.test", "c.test", "d.test", "other.test")
	behind := func(name string, terminated bool) *sample {
		return serve(t, func(c net.Conn) {
			if !terminated {
				c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{issued.TLS}})
			}
			_, _ = io.WriteString(c, name+"\n")
			_, _ = io.Copy(c, c)
			c.Close()
		})
	}
	for _, terminated := range []bool{false, true} {
		t.Run(fmt.Sprint("terminated ", terminated), func(t *testing.T) {
			e := start(t, Options{Certificates: keep(issued), LogsDir: t.TempDir()})
			v := tcp(t, "front", behind("own", terminated).address, behind("special", terminated).address)
			v.RealServers[1].Weight = 0
			images := tcp(t, "images", behind("images", terminated).address)
			if terminated {
				v.TLS.Certificates = []string{issued.ID}
			}
			v.Log = appliance.LogAll
			v.Rules = []appliance.Rule{
				onName("pool", "A.test", appliance.RuleAction{Kind: appliance.DoPool, Pool: images.ID}),
				onName("server", "b.test, x.test", appliance.RuleAction{Kind: appliance.DoServer, Server: v.RealServers[1].ID}),
				onName("deny", "c.test", appliance.RuleAction{Kind: appliance.DoDeny, Status: 403}),
				onName("limit", "d.test", appliance.RuleAction{Kind: appliance.DoLimit, Requests: 2, Period: appliance.Duration(time.Hour), MaskIPv4: 32, MaskIPv6: 64}),
			}
			e.apply(v, images)
			ask := func(name string) string {
				c, err := dialTLS(t, ca, v, func(c *tls.Config) { c.ServerName = name })
				if err != nil {
					return "refused"
				}
				line := make([]byte, 16)
				n, err := c.Read(line)
				if err != nil {
					return "refused"
				}
				return strings.TrimSpace(string(line[:n]))
			}
			for _, want := range []struct{ name, server string }{
				{"a.test", "images"}, {"b.test", "special"}, {"other.test", "own"}, {"c.test", "refused"}, {"d.test", "own"}, {"d.test", "own"}, {"d.test", "refused"}, {"a.test", "images"},
			} {
				if got := ask(want.name); got != want.server {
					t.Errorf("%s: %q, want %q", want.name, got, want.server)
				}
			}
			until(t, "the log says why", func() bool {
				lines := strings.Join(logged(e, "front"), "\n")
				return strings.Contains(lines, `end=refused why="a rule refused the session"`) && strings.Contains(lines, `end=refused why="the client's source connects more often than a rule allows"`)
			})
		})
	}
}

// TestALimitOfATCPRuleCountsSessionsNotServers: a server that refuses does not make one session count twice; without a rule on names the server may speak first.
func TestALimitOfATCPRuleCountsSessionsNotServers(t *testing.T) {
	gone := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), freePort(t))
	v := tcp(t, "svc", gone, gone, serve(t, echo("one")).address)
	v.Scheduler = appliance.FirstAvailable
	v.Rules = []appliance.Rule{{ID: "rule-1", Label: "limit", When: []appliance.Condition{{Subject: appliance.SubjectSource, Operator: appliance.OpEqual, Value: "127.0.0.2"}}, Then: []appliance.RuleAction{
		{Kind: appliance.DoLimit, Requests: 5, Period: appliance.Duration(time.Hour), MaskIPv4: 32, MaskIPv6: 64},
	}}}
	e := start(t, Options{})
	e.apply(v)
	for i := range 5 {
		if began := time.Now(); readName(t, dialFrom(t, "127.0.0.2", address(v))) != "one" || time.Since(began) > 15*time.Second {
			t.Fatalf("session %d after %s", i, time.Since(began))
		}
	}
	wantEOF(t, dialFrom(t, "127.0.0.2", address(v)))
	readName(t, dialFrom(t, "127.0.0.3", address(v)))
	v.Limits.ClientTimeout = appliance.Duration(time.Hour)
	e.apply(v) // keeps what was counted
	wantEOF(t, dialFrom(t, "127.0.0.2", address(v)))
}
