package appliance

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// TestRulesThatCannotWorkAreRefusedAtTheirField: one rule each, and a word of the sentence.
func TestRulesThatCannotWorkAreRefusedAtTheirField(t *testing.T) {
	begins := func(subject Subject, value string) Rule {
		return Rule{When: []Condition{{Subject: subject, Operator: OpBegins, Value: value}}, Then: []RuleAction{{Kind: DoDeny, Status: 403}}}
	}
	does := func(a RuleAction) Rule { return Rule{Then: []RuleAction{a}} }
	for _, c := range []struct {
		rule        Rule
		field, word string
	}{
		{begins(SubjectPath, "/a"), "", ""},
		{begins(SubjectPath, "a"), "when[0].value", "begins with /"},
		{begins(SubjectHost, "http://a"), "when[0].value", "without scheme"},
		{begins(SubjectPath, "/a\r\nb"), "when[0].value", "control byte"},
		{begins(SubjectSource, "10.0.0.0/8"), "when[0].operator", "network"},
		{Rule{When: []Condition{{Subject: SubjectSource, Operator: OpEqual, Value: "10.0.0.256"}}, Then: []RuleAction{{Kind: DoDeny, Status: 403}}}, "when[0].value", "not a network"},
		{Rule{When: []Condition{{Subject: SubjectPath, Operator: OpRegexp, Value: "(a{1,100}){1,100}"}}, Then: []RuleAction{{Kind: DoDeny, Status: 403}}}, "when[0].value", "regular expression"},
		{Rule{}, "then", "needs an action"},
		{does(RuleAction{Kind: DoDeny, Status: 200}), "then[0].status", "400 to 599"},
		{does(RuleAction{Kind: DoRedirect, Status: 302, Value: "//evil.example"}), "then[0].value", "host is missing"},
		{does(RuleAction{Kind: DoSetRequest, Header: "Transfer-Encoding", Value: "chunked"}), "then[0].header", "where a message ends"},
		{does(RuleAction{Kind: DoRemoveRequest, Header: "Host"}), "then[0].header", "exactly one Host"},
		{does(RuleAction{Kind: DoSetResponse, Header: "X-A", Value: "a\nSet-Cookie: b"}), "then[0].value", "one line"},
		{does(RuleAction{Kind: DoPool, Pool: "nobody"}), "then[0].pool", "does not exist"},
		{does(RuleAction{Kind: DoPool}), "then[0].pool", "Choose a virtual service"},
		{does(RuleAction{Kind: DoPool, Pool: "keeps"}), "then[0].pool", "choose none or source IP"},
		{does(RuleAction{Kind: DoServer, Server: "nobody"}), "then[0].server", "real server of this service"},
	} {
		c.rule.ID, c.rule.Label = "rule", "R"
		site, keeps := NewService(HTTP), NewService(HTTP)
		site.ID, site.Label, site.Address, site.Ports, site.Rules = "site", "S", netip.MustParseAddr("10.0.0.1"), Ports{{80, 80}}, []Rule{c.rule}
		keeps.ID, keeps.Label, keeps.Address, keeps.Ports, keeps.Persistence.Kind = "keeps", "K", netip.MustParseAddr("10.0.0.2"), Ports{{80, 80}}, PersistCookie
		config := Config{Cluster: Cluster{VirtualServices: []VirtualService{keeps, site}}}
		config.Cluster.Normalize()
		err := Validate(config, Site{})
		switch list := ErrorsOf(err); {
		case c.field == "" && err != nil, c.field != "" && err == nil:
			t.Errorf("%s → %s: %v", c.rule.Conditions(), c.rule.Actions(nil), err)
		case c.field != "" && (list[0].Field != "virtual_services[S].rules[0]."+c.field || !strings.Contains(list[0].Text(), c.word)):
			t.Errorf("%s: %s, not %q at %s", list[0].Field, list[0].Text(), c.word, c.field)
		}
	}
}

// TestUnknownWordsOfARuleAreAnsweredWithTheKnownOnes: whoever writes rules as JSON learns the words from the answer.
func TestUnknownWordsOfARuleAreAnsweredWithTheKnownOnes(t *testing.T) {
	s := NewService(HTTP)
	s.ID, s.Label, s.Address, s.Ports = "site", "S", netip.MustParseAddr("10.0.0.1"), Ports{{80, 80}}
	s.Rules = []Rule{{ID: "rule", Label: "R", When: []Condition{{Subject: "uri", Operator: "starts", Value: "/a"}}, Then: []RuleAction{{Kind: "pool"}}}}
	list := ErrorsOf(Validate(Config{Cluster: Cluster{VirtualServices: []VirtualService{s}}}, Site{}))
	for field, known := range map[string]string{"when[0].subject": "path, host", "when[0].operator": "equal, begins", "then[0].do": "use_pool, use_server"} {
		if !slices.ContainsFunc(list, func(e *Error) bool {
			return e.Field == "virtual_services[S].rules[0]."+field && strings.Contains(e.Hint, known)
		}) {
			t.Errorf("nobody says that %s knows %s: %v", field, known, list)
		}
	}
}

// TestWhatRulesCanDoInEachMode: in TCP Mode there is a source and a name in TLS, in UDP Mode a source alone.
func TestWhatRulesCanDoInEachMode(t *testing.T) {
	when := func(s Subject, value string) Rule {
		return Rule{When: []Condition{{Subject: s, Operator: OpEqual, Value: value}}, Then: []RuleAction{{Kind: DoDeny, Status: 403}}}
	}
	limit := Rule{Then: []RuleAction{{Kind: DoLimit, Requests: 3, Period: Duration(1e9)}}}
	for _, c := range []struct {
		mode Protocol
		rule Rule
		want string
	}{
		{TCP, when(SubjectSource, "10.0.0.0/8"), ""},
		{TCP, when(SubjectTLS, "a.example.org"), ""},
		{TCP, limit, ""},
		{TCP, when(SubjectPath, "/a"), "TCP Mode knows nothing of the path"},
		{TCP, Rule{Then: []RuleAction{{Kind: DoRedirect, Value: "/"}}}, "In TCP Mode a rule can deny, use a pool, use a server or limit the rate."},
		{UDP, when(SubjectSource, "10.0.0.0/8"), ""},
		{UDP, when(SubjectTLS, "a.example.org"), "UDP Mode knows nothing of the TLS server name"},
		{UDP, limit, "In UDP Mode a rule can deny, use a pool or use a server."},
		{HTTP, when(SubjectTLS, "a.example.org"), ""},
		{HTTP, limit, ""},
	} {
		c.rule.ID, c.rule.Label = "rule", "R"
		s := NewService(c.mode)
		s.ID, s.Label, s.Address, s.Ports, s.Rules = "site", "S", netip.MustParseAddr("10.0.0.1"), Ports{{80, 80}}, []Rule{c.rule}
		config := Config{Cluster: Cluster{VirtualServices: []VirtualService{s}}}
		config.Cluster.Normalize()
		err := Validate(config, Site{})
		if text := ""; err != nil {
			if text = ErrorsOf(err)[0].Text(); c.want == "" || !strings.Contains(text, c.want) {
				t.Errorf("%s, %s: %s", c.mode, c.rule.Conditions(), text)
			}
		} else if c.want != "" {
			t.Errorf("%s, %s → %s was let through", c.mode, c.rule.Conditions(), c.rule.Actions(nil))
		}
	}
}
