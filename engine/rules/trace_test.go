package rules

import (
	"slices"
	"testing"

	"evenkeel/appliance"

	"pgregory.net/rapid"
)

func TestATraceShowsWhatEachConditionSaw(t *testing.T) {
	p := compiled(t,
		when(deny(403),
			appliance.Condition{Subject: "path", Operator: appliance.OpBegins, Value: "/admin"},
			appliance.Condition{Subject: "cookie", Name: "beta", Operator: appliance.OpEqual, Value: "2"},
			appliance.Condition{Subject: "header", Name: "X-None", Operator: appliance.OpPresent}),
		when([]appliance.RuleAction{{Kind: appliance.DoServer, Server: "a"}}, appliance.Condition{Subject: "query", Name: "q", Operator: appliance.OpEqual, Value: "a b"}),
		when([]appliance.RuleAction{{Kind: appliance.DoServer, Server: "b"}, {Kind: appliance.DoDeny, Status: 404}, {Kind: appliance.DoDeny, Status: 410}}))
	var e Evaluator
	d, trace := e.Explain(p, get("/x/../%61dmin?q=a+b", "Cookie: x=1; beta=1", "Cookie: beta=3"), 1)
	if d.Status != 404 || d.Route != 1 || len(trace.Trials) != 3 {
		t.Fatalf("%+v %+v", d, trace)
	}
	first, second, third := trace.Trials[0], trace.Trials[1], trace.Trials[2]
	if first.Held || !first.Conditions[0].Holds || first.Conditions[0].Saw[0] != "/admin" || first.Conditions[1].Holds || !slices.Equal(first.Conditions[1].Saw, []string{"1", "3"}) ||
		first.Conditions[2].Holds || first.Conditions[2].Saw != nil || first.Done != nil {
		t.Errorf("%+v", first)
	}
	if !second.Held || !slices.Equal(second.Conditions[0].Saw, []string{"a b"}) || !slices.Equal(second.Done, []bool{true}) {
		t.Errorf("%+v", second)
	}
	if !third.Held || !slices.Equal(third.Done, []bool{false, true}) {
		t.Errorf("%+v", third)
	}
}

// TestATraceChangesNoDecision holds for all rules and requests: what is explained is what is decided, and the limits do not notice.
func TestATraceChangesNoDecision(t *testing.T) {
	subjects := []appliance.Condition{
		{Subject: "path", Operator: appliance.OpBegins, Value: "/a"},
		{Subject: "path", Operator: appliance.OpRegexp, Value: "b$"},
		{Subject: "query", Name: "q", Operator: appliance.OpPresent},
		{Subject: "header", Name: "X-A", Operator: appliance.OpEqual, Value: "1", Not: true},
		{Subject: "cookie", Name: "c", Operator: appliance.OpContains, Value: "z"},
		{Subject: "host", Operator: appliance.OpEnds, Value: "example.org"},
		{Subject: "source", Operator: appliance.OpEqual, Value: "10.0.0.0/8"},
	}
	actions := []appliance.RuleAction{
		{Kind: appliance.DoPool, Pool: "p"},
		{Kind: appliance.DoServer, Server: "s"},
		{Kind: appliance.DoDeny, Status: 403},
		{Kind: appliance.DoRewrite, Value: "/n{path}"},
		{Kind: appliance.DoLimit, Requests: 2, Period: appliance.Duration(3600e9), MaskIPv4: 32, MaskIPv6: 64},
		{Kind: appliance.DoSetRequest, Header: "X-B", Value: "{host}"},
		{Kind: appliance.DoRedirect, Status: 302, Value: "https://{host}{path}"},
	}
	rapid.Check(t, func(t *rapid.T) {
		var list []appliance.Rule
		for range rapid.IntRange(0, 5).Draw(t, "rules") {
			list = append(list, when(rapid.SliceOfN(rapid.SampledFrom(actions), 1, 3).Draw(t, "then"), rapid.SliceOfN(rapid.SampledFrom(subjects), 0, 3).Draw(t, "when")...))
		}
		p, err := Compile(list, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := get(rapid.SampledFrom([]string{"/a", "/ab?q=1", "/x", "//a/../b?p=1&q="}).Draw(t, "target"), rapid.SampledFrom([]string{"X-A: 1", "X-A: 2", "Cookie: c=xyz; d"}).Draw(t, "field"))
		if p == nil {
			return
		}
		var e Evaluator
		const now = int64(1e18)
		for range 4 {
			told, trace := e.Explain(p, r, now)
			kept := *told
			kept.Matched, kept.Target, kept.Location = slices.Clone(told.Matched), slices.Clone(told.Target), slices.Clone(told.Location)
			var held []int
			for _, trial := range trace.Trials {
				if trial.Held {
					held = append(held, trial.Number)
				}
			}
			d := e.Run(p, r, now, false)
			if kept.Status != d.Status || kept.Route != d.Route || kept.Retry != d.Retry || string(kept.Target) != string(d.Target) || string(kept.Location) != string(d.Location) ||
				!slices.Equal(kept.Matched, d.Matched) || !slices.Equal(held, kept.Matched) {
				t.Fatalf("told %+v, done %+v", kept, *d)
			}
		}
	})
}
