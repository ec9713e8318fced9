package api

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"evenkeel/appliance"
	"evenkeel/ui/problem"
)

const peerKey = "SHA256:kGRsoTZ9VlIZSRUFDGMEnRmTfpxaKLHgMY5a2VVVhXk"

// pairing stands for the pair: it remembers what it was asked, and pairs with whom knows the key and the password.
type pairing struct {
	status appliance.PairStatus
	asked  []string
	refuse error
}

func (f *pairing) ask(o appliance.Origin, what string) error {
	f.asked = append(f.asked, o.Operator+": "+what)
	return f.refuse
}

func (f *pairing) Status() appliance.PairStatus { return f.status }

func (f *pairing) Timeline() []appliance.PairEvent {
	return []appliance.PairEvent{{Node: "lb2", Code: "took_over", Sentence: "lb1 was silent for 151 ms."}, {Node: "lb1", Code: "paired", Sentence: "lb1 and lb2 are a pair."}}
}

func (f *pairing) OwnKey() string { return "SHA256:own" }

func (f *pairing) PeerKey(_ context.Context, at netip.AddrPort) (string, error) {
	f.asked = append(f.asked, "key of "+at.String())
	return peerKey, f.refuse
}

func (f *pairing) Differences(context.Context) (appliance.Plan, error) {
	return appliance.Plan{Changes: []appliance.Change{{Object: "virtual_service", Label: "HL7", Action: appliance.Added}}}, f.refuse
}

func (f *pairing) Pair(_ context.Context, o appliance.Origin, w appliance.PairWish, report func(appliance.PairStep)) error {
	report(appliance.PairStep{Code: "connect", Sentence: "Connecting"})
	report(appliance.PairStep{Code: "connect", Sentence: "Connecting", Done: true})
	report(appliance.PairStep{Code: "sign_in", Sentence: "Signing in"})
	if w.HostKey != peerKey || w.Password != "four kind windmills" {
		return &appliance.Error{Kind: appliance.Denied, Field: "password", Message: "The other appliance refused the password."}
	}
	report(appliance.PairStep{Code: "sign_in", Sentence: "Signing in", Done: true})
	f.status.Paired = true
	return f.ask(o, "pair "+w.Address.String())
}

func (f *pairing) Break(_ context.Context, o appliance.Origin, report func(appliance.PairStep)) (appliance.PairBroken, error) {
	report(appliance.PairStep{Code: "tell", Sentence: "Telling lb2", Done: true})
	return appliance.PairBroken{Keeps: "lb1", Untold: "lb2 does not answer."}, f.ask(o, "break")
}

func (f *pairing) MakePrimary(_ context.Context, o appliance.Origin) error {
	return f.ask(o, "primary")
}

func (f *pairing) Activate(_ context.Context, o appliance.Origin, peer bool) error {
	return f.ask(o, fmt.Sprint("activate peer=", peer))
}

func (f *pairing) Dismiss(_ context.Context, o appliance.Origin) error { return f.ask(o, "dismiss") }

func (f *pairing) ActivateAlone(_ context.Context, o appliance.Origin) error {
	return f.ask(o, "activate alone")
}

func (f *pairing) RestartHeartbeat(_ context.Context, o appliance.Origin) error {
	return f.ask(o, "restart")
}

func (f *pairing) RotateKey(_ context.Context, o appliance.Origin) error { return f.ask(o, "rotate") }

func (f *pairing) Drill(_ context.Context, o appliance.Origin) (appliance.PairDrill, error) {
	return appliance.PairDrill{Sentence: "There in 4 ms, back in 5 ms."}, f.ask(o, "drill")
}

// paired is a place that can be in a pair.
func paired(t *testing.T) (*place, *pairing) {
	p, f := newPlace(t), &pairing{}
	p.api.Pair = f
	return p, f
}

func TestPairingConfirmsTheHostKeyBeforeAnythingIsSent(t *testing.T) {
	p, f := paired(t)
	a := p.must(428, "POST", "/pair", `{"address":"192.168.0.12:22","password":"four kind windmills"}`)
	pr := read[problem.Problem](t, a)
	if pr.HostKey != peerKey || len(pr.Errors) != 1 || pr.Errors[0].Field != "host_key" || !strings.Contains(pr.Errors[0].Message, peerKey) {
		t.Errorf("%s", a.body)
	}
	if got := strings.Join(f.asked, ";"); got != "key of 192.168.0.12:22" {
		t.Errorf("asked %q before the key was confirmed", got)
	}
	a = p.must(403, "POST", "/pair", `{"address":"192.168.0.12:22","host_key":"`+peerKey+`","password":"wrong"}`)
	pr = read[problem.Problem](t, a)
	if len(pr.Steps) != 2 || !pr.Steps[0].Done || pr.Steps[1].Done || pr.Errors[0].Field != "password" || strings.Contains(string(a.body), "wrong") {
		t.Errorf("%s", a.body)
	}
	a = p.must(200, "POST", "/pair", `{"address":"192.168.0.12:22","host_key":"`+peerKey+`","password":"four kind windmills"}`)
	if got := read[Paired](t, a); len(got.Steps) != 2 || !got.Steps[1].Done || !got.Status.Paired || strings.Contains(string(a.body), "windmills") {
		t.Errorf("%s", a.body)
	}
	for body, field := range map[string]string{`{}`: "address", `{"address":"192.168.0.12"}`: "address", `{"address":"192.168.0.12:22","own":"me"}`: "own"} {
		if got := refused(t, p.must(422, "POST", "/pair", body)); len(got) != 1 || got[0] != field {
			t.Errorf("%s: refused at %v", body, got)
		}
	}
}

func TestWhatAPairCanDoIsAskedOfIt(t *testing.T) {
	p, f := paired(t)
	f.status = appliance.PairStatus{Paired: true, Self: appliance.NodeStatus{Name: "lb1", Revision: 142}, Peer: appliance.NodeStatus{Name: "lb2", Revision: 140}}
	if got := read[ClusteredPair](t, p.must(200, "GET", "/pair", "")); got.HostKey != "SHA256:own" || got.Self.Name != "lb1" || got.Limits == nil || got.Rejected == nil {
		t.Errorf("%+v", got)
	}
	p.must(200, "POST", "/pair/active", `{"node":"peer"}`)
	p.must(200, "POST", "/pair/active?why=patch+day", `{"node":"self"}`)
	p.must(200, "POST", "/pair/active", `{"node":"self","peer_is_off":true}`)
	p.must(422, "POST", "/pair/active", `{"node":"peer","peer_is_off":true}`)
	p.must(422, "POST", "/pair/active", `{"node":"lb2"}`)
	p.must(200, "POST", "/pair/primary", "")
	p.must(200, "POST", "/pair/dismiss", "")
	p.must(200, "POST", "/pair/restart-heartbeat", "")
	p.must(200, "POST", "/pair/rotate-key", "")
	if got := read[appliance.PairDrill](t, p.must(200, "POST", "/pair/drill", "")); got.Sentence == "" {
		t.Errorf("%+v", got)
	}
	if got := read[Parted](t, p.must(200, "DELETE", "/pair", "")); got.Keeps != "lb1" || got.Untold == "" || len(got.Steps) != 1 || !strings.Contains(got.Sentence, "lb2 does not answer") {
		t.Errorf("%+v", got)
	}
	want := "administrator: activate peer=true;administrator: activate peer=false;administrator: activate alone;administrator: primary;administrator: dismiss;administrator: restart;administrator: rotate;administrator: drill;administrator: break"
	if got := strings.Join(f.asked, ";"); got != want {
		t.Errorf("asked %s", got)
	}
	if got := read[[]appliance.PairEvent](t, p.must(200, "GET", "/pair/timeline", "")); len(got) != 2 || got[0].Code != "took_over" {
		t.Errorf("%+v", got)
	}
	if got := read[Planned](t, p.must(200, "GET", "/pair/differences", "")); got.From != 142 || got.To != 140 || len(got.Changes) != 1 {
		t.Errorf("%+v", got)
	}
	f.refuse = &appliance.Error{Kind: appliance.Conflict, Message: "The peer is not well."}
	for method, path := range map[string]string{"POST": "/pair/drill", "DELETE": "/pair", "GET": "/pair/differences"} {
		p.must(409, method, path, "")
	}
}

func TestWithoutWhatAPairNeedsThePairSaysSo(t *testing.T) {
	p := newPlace(t)
	if got := read[ClusteredPair](t, p.must(200, "GET", "/pair", "")); got.Paired || got.Self.State != appliance.Alone || got.Sentence != appliance.NoPairHere {
		t.Errorf("%+v", got)
	}
	if got := read[[]appliance.PairEvent](t, p.must(200, "GET", "/pair/timeline", "")); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	for _, r := range p.api.pairRoutes() {
		if r.Method != "GET" || r.Path == "/pair/differences" {
			if a := p.must(422, r.Method, r.Path, ""); !strings.Contains(string(a.body), "No pair can be made here") {
				t.Errorf("%s %s: %s", r.Method, r.Path, a.body)
			}
		}
	}
}

func TestHeartbeatIsReplacedWholeAndLeftOutFieldsAreDefaults(t *testing.T) {
	p := newPlace(t)
	a := p.must(200, "GET", "/heartbeat", "")
	if got := read[appliance.Heartbeat](t, a); got.Dead.String() != "150ms" || got.Witness != appliance.WitnessGateway {
		t.Errorf("%+v", got)
	}
	p.must(428, "PUT", "/heartbeat", `{}`)
	b := p.must(200, "PUT", "/heartbeat", `{"dead_time":"300ms","automatic_failback":true}`, "If-Match", a.etag())
	if got := read[appliance.Heartbeat](t, b); got.Dead.String() != "300ms" || got.Interval.String() != "10ms" || !got.Failback {
		t.Errorf("%+v", got)
	}
	p.must(412, "PUT", "/heartbeat", `{}`, "If-Match", a.etag())
	if got := refused(t, p.must(422, "PUT", "/heartbeat", `{"dead_time":"100ms","witness":"node"}`, "If-Match", b.etag())); strings.Join(got, " ") != "dead_time witness_addresses" {
		t.Errorf("refused at %v", got)
	}
	if plan := read[Planned](t, p.must(200, "PUT", "/heartbeat?dry_run=true", `{}`, "If-Match", b.etag())); plan.Unchanged || plan.Changes[0].Object != "heartbeat" {
		t.Errorf("%+v", plan)
	}
	p.must(200, "PUT", "/heartbeat", `{}`, "If-Match", b.etag())
	if now := p.must(200, "GET", "/heartbeat", ""); now.etag() != a.etag() {
		t.Errorf("%s", now.body)
	}
}

func TestPairIsForAdministrators(t *testing.T) {
	p, f := paired(t)
	for _, r := range append(p.api.pairRoutes(), p.api.heartbeatRoutes()...) {
		for _, role := range []appliance.Role{appliance.Viewer, appliance.OperatorRole} {
			if a := p.ask(role, r.Method, r.Path, ""); (a.code == 403) != (r.Method != "GET") {
				t.Errorf("%s %s as %s: %d", r.Method, r.Path, role, a.code)
			}
		}
	}
	if len(f.asked) > 0 {
		t.Errorf("asked %v", f.asked)
	}
}

func TestPassiveNodeForgetsNothingOfThePersistenceTable(t *testing.T) {
	p, _ := paired(t)
	p.control.SetWriter(func() (bool, string, string) { return false, "lb1", "https://192.168.0.11:9443/lbadmin/" })
	p.engine.entries = []appliance.PersistenceEntry{{Key: "192.168.0.9"}}
	if a := p.must(409, "DELETE", "/persistence?all=true", ""); !strings.Contains(string(a.body), "changed on lb1") || len(p.engine.entries) != 1 {
		t.Errorf("%s, %d entries", a.body, len(p.engine.entries))
	}
}
