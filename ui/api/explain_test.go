package api

import (
	"context"
	"strings"
	"testing"

	"evenkeel/appliance"
)

// Explain stands for the engine's.
func (e *engine) Explain(_ context.Context, q appliance.Question) (appliance.Explanation, error) {
	if all := q.Validate(); len(all) > 0 {
		return appliance.Explanation{}, all
	}
	return appliance.Explanation{Service: q.Service, By: appliance.ByServer, Sentence: q.Client.String() + " asks for " + q.URL + " with " + strings.Join(q.Headers, "|"), Steps: []appliance.Step{}}, nil
}

// TryRules stands for the engine's.
func (e *engine) TryRules(s appliance.VirtualService, name func(id string) string, q appliance.Question) (appliance.Explanation, error) {
	x := appliance.Explanation{Service: s.Label, By: appliance.ByAppliance, Sentence: q.URL + " at " + name(s.ID), Steps: []appliance.Step{}}
	for i, r := range s.Rules {
		x.Rules = append(x.Rules, appliance.RuleTrial{Number: i + 1, Label: r.Label, Sentence: r.Actions(name)})
	}
	return x, nil
}

func TestExplainIsAskedByAddressOrBody(t *testing.T) {
	p := newPlace(t)
	for _, a := range []answer{
		p.must(200, "GET", "/explain?virtual_service=HL7&client=10.0.0.7&url=/a&headers=X-One:+1%0AX-Two:+2", ""),
		p.must(200, "POST", "/explain", `{"virtual_service":"HL7","client":"10.0.0.7","url":"/a","headers":["X-One: 1","X-Two: 2"]}`),
	} {
		if x := read[appliance.Explanation](t, a); x.Sentence != "10.0.0.7 asks for /a with X-One: 1|X-Two: 2" || x.Service != "HL7" {
			t.Errorf("%+v", x)
		}
	}
	p.must(422, "GET", "/explain?client=me&virtual_service=HL7", "")
	p.must(422, "POST", "/explain", `{"client":"10.0.0.7"}`)
	p.must(400, "GET", "/explain?who=me", "")
	if a := p.ask(appliance.Viewer, "GET", "/explain?virtual_service=HL7&client=10.0.0.7", ""); a.code != 200 {
		t.Errorf("a viewer: %d", a.code)
	}
}

func TestRulesAreTriedWithoutBeingSaved(t *testing.T) {
	p := newPlace(t)
	s := p.service(`{"label":"WEB","address":"192.168.0.189","ports":"80","protocol":"http","real_servers":[{"label":"A","address":"192.168.0.40"}],"rules":[{"label":"old","when":[],"then":[{"do":"deny"}]}]}`)
	path := "/virtual-services/" + s.ID + "/rules/try"
	if x := read[appliance.Explanation](t, p.must(200, "POST", path, `{"request":{"client":"10.0.0.7","url":"/a"}}`)); len(x.Rules) != 1 || x.Rules[0].Sentence != "deny (403)" || x.Sentence != "/a at WEB" {
		t.Errorf("the saved rules: %+v", x)
	}
	x := read[appliance.Explanation](t, p.must(200, "POST", path, `{"rules":[{"label":"new","when":[],"then":[{"do":"use_server","server":"A"}]}],"request":{"client":"10.0.0.7","url":"/a"}}`))
	if len(x.Rules) != 1 || x.Rules[0].Sentence != "use the server A" {
		t.Errorf("other rules: %+v", x)
	}
	if a := p.must(422, "POST", path, `{"rules":[{"label":"bad","when":[],"then":[{"do":"deny","status":200}]}],"request":{"client":"10.0.0.7"}}`); !strings.Contains(string(a.body), `"rules[`) {
		t.Errorf("%s", a.body)
	}
	p.must(404, "POST", "/virtual-services/none/rules/try", `{"request":{"client":"10.0.0.7"}}`)
	saved := p.control.Saved().Config.Cluster
	if got := saved.Service(s.ID); len(got.Rules) != 1 || got.Rules[0].Label != "old" || p.control.Saved().Revision.Number != 1 {
		t.Errorf("something was saved: %+v", got.Rules)
	}
}
