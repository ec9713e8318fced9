package relay

import (
	"net/netip"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
	"evenkeel/engine/wire/wiretest"
)

// asked is a service that keeps every question.
type asked struct {
	*desk
	names []string
	ruled []bool
	rule  int
}

func (a *asked) Pick(q *wire.Query) (wire.Choice, bool) {
	a.names, a.ruled = append(a.names, q.TLSName), append(a.ruled, q.Ruled)
	if !q.Ruled {
		q.Ruled, q.Rule = true, 7
	}
	a.rule = q.Rule
	return a.desk.Pick(q)
}

func naming(o Options) (*asked, *wiretest.Conn) {
	a := &asked{desk: &desk{loop: wiretest.NewLoop(), config: appliance.NewService(appliance.TCP)}}
	a.servers = []*wire.Server{{ID: "a", Label: "a"}, {ID: "b", Label: "b"}}
	client := a.loop.Accept(netip.MustParseAddrPort("192.0.2.9:1000"), netip.MustParseAddrPort("192.0.2.1:443"))
	o.Service, o.Client = a, client
	client.Bind(New(o))
	return a, client
}

// named returns a ClientHello that asks for a name.
func named(name string) string {
	body := append(append([]byte{3, 3}, make([]byte, 32)...), 0, 0, 2, 0xc0, 0x2f, 1, 0)
	entry := append([]byte{0, 0, byte(len(name))}, name...)
	list := append([]byte{0, byte(len(entry))}, entry...)
	extension := append([]byte{0, 0, 0, byte(len(list))}, list...)
	body = append(append(body, 0, byte(len(extension))), extension...)
	return string(append([]byte{22, 3, 1, 0, byte(len(body) + 4), 1, 0, 0, byte(len(body))}, body...))
}

func TestTheServerNameIsReadForTheRulesAndPassedOnWhole(t *testing.T) {
	hello := named("Pacs.Example.org")
	for name, c := range map[string]struct {
		bytes, want string
		late        bool // nothing more comes
	}{
		"hello":          {hello, "pacs.example.org", false},
		"no TLS":         {"GET / HTTP/1.1\r\n", "", false},
		"silent":         {"", "", true},
		"half a hello":   {hello[:20], "", true},
		"more behind it": {hello + "abc", "pacs.example.org", false},
	} {
		t.Run(name, func(t *testing.T) {
			a, client := naming(Options{ReadName: true})
			if len(a.names) != 0 {
				t.Fatal("a server was chosen before the client said anything")
			}
			for i := range c.bytes {
				client.Arrive([]byte{c.bytes[i]})
			}
			if c.late {
				if len(a.names) != 0 {
					t.Fatal("the rest was not waited for")
				}
				a.loop.Advance(peekPatience + 20*time.Millisecond)
			}
			if len(a.names) != 1 || a.names[0] != c.want {
				t.Fatalf("asked with %q", a.names)
			}
			a.loop.Dialed[0].Connect()
			if got := string(a.loop.Dialed[0].Sent); got != c.bytes {
				t.Errorf("the server got %q", got)
			}
		})
	}
}

// TestRulesLookAtASessionOnce: when the first server refuses, the second is asked for with what the rules had decided.
func TestRulesLookAtASessionOnce(t *testing.T) {
	a, client := naming(Options{TLSName: "of.termination"})
	if len(a.names) != 1 || a.names[0] != "of.termination" {
		t.Fatalf("a name that is known is not waited for: %q", a.names)
	}
	a.loop.Dialed[0].Break(nil)
	if len(a.ruled) != 2 || a.ruled[0] || !a.ruled[1] || a.rule != 7 || a.names[1] != "of.termination" {
		t.Errorf("%v, rule %d, %q", a.ruled, a.rule, a.names)
	}
	a.loop.Dialed[1].Connect()
	client.Arrive([]byte("x"))
	if string(a.loop.Dialed[1].Sent) != "x" {
		t.Error("the session does not go on")
	}
}

func TestWithoutARuleNobodyWaitsForTheClient(t *testing.T) {
	a, _ := naming(Options{})
	if len(a.names) != 1 || len(a.loop.Dialed) != 1 {
		t.Error("the server was not dialed at once")
	}
}
