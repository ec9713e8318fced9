package ui

import (
	"html"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"evenkeel/appliance"
)

// web adds a service in HTTP Mode with rules, and another one whose pool they use.
func (r *rig) web() {
	r.t.Helper()
	o := appliance.Origin{Operator: "loadbalancer", Via: "webui", From: netip.MustParseAddr("192.168.0.17")}
	_, err := r.control.Commit(r.t.Context(), o, nil, func(c *appliance.Config) error {
		site, images := appliance.NewService(appliance.HTTP), appliance.NewService(appliance.HTTP)
		site.Label, site.Address, site.Ports = "WEB", netip.MustParseAddr("192.168.0.190"), appliance.Ports{{First: 80, Last: 80}}
		images.Label, images.Address, images.Ports = "IMAGES", netip.MustParseAddr("192.168.0.191"), appliance.Ports{{First: 80, Last: 80}}
		for i, s := range []*appliance.VirtualService{&site, &images} {
			server := appliance.NewRealServer()
			server.Label, server.Address = "WEB1", appliance.Host([]string{"192.168.0.60", "192.168.0.62"}[i])
			s.RealServers = append(s.RealServers, server)
		}
		site.Rules = []appliance.Rule{
			{Label: "images", When: []appliance.Condition{{Subject: "path", Operator: "begins", Value: "/img/"}, {Subject: "header", Name: "Accept", Not: true, Operator: "contains", Value: "text/html"}}, Then: []appliance.RuleAction{{Kind: appliance.DoPool, Pool: "IMAGES"}, {Kind: appliance.DoSetResponse, Header: "Cache-Control", Value: "max-age=3600"}}},
			{Label: "to https", Disabled: true, When: []appliance.Condition{{Subject: "host", Operator: "equal", Value: "www.example.org, example.org"}}, Then: []appliance.RuleAction{{Kind: appliance.DoRedirect, Status: 301, Value: "https://{host}{path}{query}"}}},
			{Label: "slow down", Then: []appliance.RuleAction{{Kind: appliance.DoLimit, Requests: 100, Period: appliance.Duration(10e9)}, {Kind: appliance.DoReplaceResponse, Header: "Location", Find: "^http://inner/", Value: "https://www.example.org/"}}},
		}
		c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, site, images)
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// sent is what a browser sends of the form that a page holds, with a button.
func sent(body, button string) url.Values {
	out := formOf(body)
	out.Set("do", button)
	return out
}

func TestTheRulesEditorKeepsAndChangesRulesWithoutScript(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.web()
	path := layer7 + "/" + r.id("WEB")
	rules := func() []appliance.Rule {
		c := r.control.Saved().Config.Cluster
		return c.Service(r.id("WEB")).Rules
	}
	before := rules()
	_, _, body := r.get(r.client, path)
	if status, _, _ := r.postForm(r.client, path, sent(body, "save")); status != http.StatusSeeOther || r.control.Saved().Revision.Number != 1 {
		t.Fatalf("a form sent as it came: %d, revision %d", status, r.control.Saved().Revision.Number)
	}
	press := func(button string, edit ...string) {
		t.Helper()
		in := sent(body, button)
		for i := 0; i+1 < len(edit); i += 2 {
			if edit[i+1] == "" {
				in.Del(edit[i])
				continue
			}
			in.Set(edit[i], edit[i+1])
		}
		var status int
		if status, _, body = r.postForm(r.client, path, in); status != http.StatusOK {
			t.Fatalf("%s: %d", button, status)
		}
		if !regexp.MustCompile(`<details[^>]* open[^>]*id="section-rules"`).MatchString(body) {
			t.Fatalf("%s: the rules are folded", button)
		}
	}
	press("rule-up-2")
	press("rule-remove-2", "rules[1].off", "true")
	press("rule-add")
	press("then-add-2", "rules[2].label", "guard", "rules[2].when[0].value", "/admin", "rules[2].then[0].do", "deny")
	press("when-add-2", "rules[2].then[1].do", "remove_response_header", "rules[2].then[1].header", "Server")
	press("when-remove-2-0", "rules[2].when[1].subject", "source", "rules[2].when[1].operator", "not equal", "rules[2].when[1].value", "10.0.0.0/8")
	in := sent(body, "save")
	in.Set("rules[2].then[0].status", "200")
	in.Set("rules[0].then[0].value", "ftp://x")
	status, _, refused := r.postForm(r.client, path, in)
	text := html.UnescapeString(refused)
	if status != http.StatusUnprocessableEntity || !strings.Contains(text, "A refusal has a status from 400 to 599") || !strings.Contains(text, `value="10.0.0.0/8"`) {
		t.Fatalf("a status that is none: %d", status)
	}
	in.Set("rules[2].then[0].status", "404")
	if status, _, _ := r.postForm(r.client, path, in); status != http.StatusSeeOther {
		t.Fatalf("saving: %d", status)
	}
	after := rules()
	want := []string{
		"images: path begins with /img/ and header Accept not: contains text/html → use the pool of IMAGES, set response header Cache-Control: max-age=3600",
		"slow down: always → limit the rate to 100 in 10s from one source, replace in response header Location: ^http://inner/ → https://www.example.org/",
		"guard: source network not: in 10.0.0.0/8 → deny (404), remove response header Server",
	}
	c := r.control.Saved().Config.Cluster
	for i := range want {
		if i >= len(after) || after[i].Label+": "+after[i].Conditions()+" → "+after[i].Actions(c.NameOf) != want[i] {
			t.Errorf("rule %d: %+v", i, after)
		}
	}
	if after[0].ID != before[0].ID || after[1].ID != before[2].ID || !after[1].Disabled || after[1].Then[0].MaskIPv6 != 64 {
		t.Errorf("%+v", after)
	}
	if plan := r.control.Pending(); !strings.Contains(plan.Summary(), "4 more changes") && !strings.Contains(plan.Summary(), "WEB") {
		t.Error(plan.Summary())
	}
}

func TestWhatARuleCannotDoIsSaidAtItsField(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.web()
	_, _, body := r.get(r.client, layer7+"/"+r.id("WEB"))
	in := sent(body, "save")
	for name, value := range map[string]string{
		"rules[0].label": "to https", "rules[0].when[0].value": "img", "rules[0].when[1].name": "a b", "rules[0].then[0].pool": "", "rules[0].then[1].header": "Content_Length",
		"rules[1].then[0].value": "javascript:alert(1)", "rules[1].when[0].operator": "regexp", "rules[1].when[0].value": "((a{1,100}){1,100}){1,100}", "rules[2].then[0].period": "soon", "rules[2].then[1].find": "(",
	} {
		in.Set(name, value)
	}
	status, _, page := r.postForm(r.client, layer7+"/"+r.id("WEB"), in)
	text := html.UnescapeString(page)
	for _, want := range []string{
		"There is already a rule named to https", "A path begins with /.", "Write the name of the header", "Choose a virtual service whose real servers are to serve.", "Content_Length says where a message ends",
		"Write where to: https://www.example.org{path}{query}", "This is not a regular expression that can be used", `"soon" is not a time`, "missing closing )",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if status != http.StatusUnprocessableEntity {
		t.Errorf("status %d", status)
	}
}
