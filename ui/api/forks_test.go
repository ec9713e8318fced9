package api

import (
	"strings"
	"testing"

	"evenkeel/appliance"
)

func TestWhatWasSetAsideIsListedComparedKeptAndDiscarded(t *testing.T) {
	p := newPlace(t)
	ctx, o := t.Context(), appliance.Origin{Operator: "system", Via: "pair"}
	if list := read[[]appliance.Fork](t, p.must(200, "GET", "/forks", "")); len(list) > 0 {
		t.Errorf("%+v", list)
	}
	atOnce := func(c *appliance.Config) error {
		c.Cluster.Settings.ApplyAtOnce = !c.Cluster.Settings.ApplyAtOnce
		return nil
	}
	if _, err := p.control.Commit(ctx, o, nil, atOnce); err != nil {
		t.Fatal(err)
	}
	whole, err := p.control.Shared(ctx, appliance.SharedState{})
	if err != nil {
		t.Fatal(err)
	}
	whole.From, whole.Common, whole.Revisions = "lb1", whole.Saved, nil
	give := func(sequence uint64) {
		t.Helper()
		p.control.SetWriter(func() (bool, string, string) { return false, "lb1", "" })
		if _, err := p.control.Receive(ctx, o, "pair/lb1", sequence, whole); err != nil {
			t.Fatal(err)
		}
	}
	give(1) // the first settings of a pair are no fork
	p.control.SetWriter(func() (bool, string, string) { return true, "", "" })
	if _, err := p.control.Commit(ctx, o, nil, atOnce); err != nil {
		t.Fatal(err)
	}
	give(2)
	list := read[[]appliance.Fork](t, p.must(200, "GET", "/forks", ""))
	if len(list) != 1 || list[0].Seen || list[0].Kept != "lb1" || len(list[0].Revisions) != 1 {
		t.Fatalf("%+v", list)
	}
	one := "/forks/" + list[0].ID
	if got := read[SetAside](t, p.must(200, "GET", one, "")); got.ID != list[0].ID || len(got.Changes) != 1 || got.Changes[0].Object != "settings" {
		t.Errorf("%+v", got)
	}
	for _, method := range []string{"GET", "DELETE"} {
		p.must(404, method, "/forks/17", "")
	}
	if a := p.ask(appliance.OperatorRole, "POST", one+"/keep", ""); a.code != 403 {
		t.Errorf("%d", a.code)
	}
	if got := read[appliance.Fork](t, p.must(200, "POST", one+"/keep?why=looked", "")); !got.Seen {
		t.Errorf("%+v", got)
	}
	if a := p.must(200, "GET", "/audit", ""); !strings.Contains(string(a.body), "fork_keep") || !strings.Contains(string(a.body), "looked") {
		t.Errorf("%.300s", a.body)
	}
	p.must(204, "DELETE", one, "")
	p.must(404, "GET", one, "")
}
