package control

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/store"
)

// fakeEngine runs what it is given unless refuse says no.
type fakeEngine struct {
	mu      sync.Mutex
	running appliance.Config
	applied int
	calls   *[]string // shared with the host: the order matters

	check  func(appliance.Config) error
	refuse func(appliance.Config) error
}

func (e *fakeEngine) Check(_ context.Context, c appliance.Config) error {
	if e.check == nil {
		return nil
	}
	return e.check(c)
}

func (e *fakeEngine) Apply(ctx context.Context, c appliance.Config) error {
	if e.refuse != nil {
		if err := e.refuse(c); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return &appliance.Error{Kind: appliance.Unavailable, Message: "The apply was broken off.", Err: ctx.Err()}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running = c
	e.applied++
	*e.calls = append(*e.calls, "engine")
	return nil
}

// Status sees every running server up.
func (e *fakeEngine) Status() appliance.Status {
	out := appliance.Status{At: time.Unix(7, 0)}
	for _, s := range e.running.Cluster.VirtualServices {
		seen := appliance.ServiceStatus{ID: s.ID, Label: s.Label}
		for _, r := range s.RealServers {
			seen.Servers = append(seen.Servers, appliance.ServerStatus{ID: r.ID, Label: r.Label, State: r.State, Weight: r.Weight, Check: appliance.ServerHealth{Health: appliance.Up}})
		}
		out.Services = append(out.Services, seen)
	}
	return out
}

// fakeHost owns addresses of 10.0.0.0/8.
type fakeHost struct {
	owned []netip.Addr
	calls *[]string
	taken netip.Addr // another machine answers for it

	diverting bool
	denied    error // what CheckDivert and Divert answer
}

func (h *fakeHost) Check(_ context.Context, list []netip.Addr) error {
	for _, a := range list {
		if !netip.MustParsePrefix("10.0.0.0/8").Contains(a) {
			return &appliance.Error{Kind: appliance.Invalid, Message: fmt.Sprintf("%s is in no network of this appliance.", a)}
		}
	}
	return nil
}

func (h *fakeHost) Claim(_ context.Context, list []netip.Addr) error {
	for _, a := range list {
		if a == h.taken {
			return &appliance.Error{Kind: appliance.Conflict, Subject: a.String(), Message: fmt.Sprintf("Another machine answers for %s.", a)}
		}
		if !slices.Contains(h.owned, a) {
			h.owned = append(h.owned, a)
			*h.calls = append(*h.calls, "claim "+a.String())
		}
	}
	return nil
}

func (h *fakeHost) Release(_ context.Context, keep []netip.Addr) error {
	h.owned = slices.DeleteFunc(h.owned, func(a netip.Addr) bool {
		gone := !slices.Contains(keep, a)
		if gone {
			*h.calls = append(*h.calls, "release "+a.String())
		}
		return gone
	})
	return nil
}

func (h *fakeHost) CheckDivert(context.Context) error { return h.denied }

func (h *fakeHost) Divert(_ context.Context, on bool) error {
	if on && h.denied != nil {
		return h.denied
	}
	if on != h.diverting {
		*h.calls = append(*h.calls, fmt.Sprintf("divert %v", on))
	}
	h.diverting = on
	return nil
}

// bench is a Control over a real database, with a fake engine and host.
type bench struct {
	*Control
	t      *testing.T
	dir    string
	store  *failingStore
	engine *fakeEngine
	host   *fakeHost
	calls  []string
	now    time.Time
	ids    int
}

// failingStore is the real store until fail says otherwise.
type failingStore struct {
	*store.Store
	fail func(what string) error
}

func (s *failingStore) Append(ctx context.Context, r []appliance.NewRevision, a ...appliance.AuditEntry) ([]appliance.Revision, error) {
	if s.fail != nil {
		if err := s.fail("append"); err != nil {
			return nil, err
		}
	}
	return s.Store.Append(ctx, r, a...)
}

func (s *failingStore) Mark(ctx context.Context, l appliance.Line, n int64, o appliance.Outcome, reason string, at time.Time) error {
	if s.fail != nil {
		if err := s.fail("mark"); err != nil {
			return err
		}
	}
	return s.Store.Mark(ctx, l, n, o, reason, at)
}

func diskFull(string) error {
	return &appliance.Error{Kind: appliance.Unavailable, Message: "The disk of the data folder is full; nothing was changed.", Hint: "Free some space."}
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	b.engine, b.host = &fakeEngine{calls: &b.calls}, &fakeHost{calls: &b.calls}
	b.open()
	b.must(b.Boot(t.Context()))
	return b
}

func (b *bench) open() {
	b.t.Helper()
	s, err := store.Open(b.t.Context(), store.Options{Dir: b.dir, SnapshotEvery: time.Hour})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { s.Close() })
	b.store = &failingStore{Store: s}
	b.Control = New(Options{
		Store: b.store, Engine: b.engine, Host: b.host, Site: appliance.Site{Listeners: []appliance.Listener{{Address: netip.MustParseAddrPort("0.0.0.0:9443"), Name: "the WebUI"}}},
		Now:   func() time.Time { b.now = b.now.Add(time.Second); return b.now },
		NewID: func() string { b.ids++; return fmt.Sprintf("id%d", b.ids) },
	})
}

// restart closes everything and opens the folder again, with an engine that runs nothing. The caller boots.
func (b *bench) restart() {
	b.t.Helper()
	b.must(b.store.Close())
	b.calls = nil
	b.engine = &fakeEngine{calls: &b.calls}
	b.open()
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func anna() appliance.Origin {
	return appliance.Origin{Operator: "anna", From: netip.MustParseAddr("192.0.2.7"), Via: "webui"}
}

func ben() appliance.Origin { return appliance.Origin{Operator: "ben", Via: "api"} }

func (b *bench) commit(edit Edit) Committed {
	b.t.Helper()
	done, err := b.Commit(b.t.Context(), anna(), nil, edit)
	b.must(err)
	return done
}

func (b *bench) apply() appliance.Revision {
	b.t.Helper()
	r, err := b.Apply(b.t.Context(), anna())
	b.must(err)
	return r
}

// imaging adds HL7 with two servers (ids id1; id2, id3) and WEB with one (id4; id5).
func imaging(c *appliance.Config) error {
	hl7 := service("HL7", appliance.TCP, "10.0.0.10", 6667)
	hl7.RealServers = []appliance.RealServer{realServer("Corepoint1", "10.0.1.1"), realServer("Corepoint2", "10.0.1.2")}
	web := service("WEB", appliance.HTTP, "10.0.0.11", 80)
	web.RealServers = []appliance.RealServer{realServer("IIS1", "10.0.2.1")}
	c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, hl7, web)
	return nil
}

func service(label string, p appliance.Protocol, address string, port uint16) appliance.VirtualService {
	s := appliance.NewService(p)
	s.Label, s.Address, s.Ports = label, netip.MustParseAddr(address), appliance.Ports{{First: port, Last: port}}
	return s
}

func realServer(label, address string) appliance.RealServer {
	r := appliance.NewRealServer()
	r.Label, r.Address = label, appliance.Host(address)
	return r
}

func named(c *appliance.Config, label string) *appliance.VirtualService {
	for i := range c.Cluster.VirtualServices {
		if c.Cluster.VirtualServices[i].Label == label {
			return &c.Cluster.VirtualServices[i]
		}
	}
	return nil
}

// change edits the service of that label.
func change(label string, f func(*appliance.VirtualService)) Edit {
	return func(c *appliance.Config) error {
		s := named(c, label)
		if s == nil {
			return &appliance.Error{Kind: appliance.NotFound, Message: "There is no service " + label + "."}
		}
		f(s)
		return nil
	}
}

func (b *bench) alertCodes() []string {
	out := []string{}
	for _, a := range b.Alerts() {
		out = append(out, a.Code)
	}
	return out
}

func (b *bench) wantAlerts(codes ...string) {
	b.t.Helper()
	if got := b.alertCodes(); !slices.Equal(got, codes) {
		b.t.Errorf("alerts %v, want %v", got, codes)
	}
}

// wantOutcomes compares the newest revisions of the cluster line, newest first.
func (b *bench) wantOutcomes(want ...appliance.Outcome) {
	b.t.Helper()
	list, err := b.Revisions(b.t.Context(), 0, len(want))
	b.must(err)
	got := make([]appliance.Outcome, len(list))
	for i, r := range list {
		got[i] = r.Outcome
	}
	if !slices.Equal(got, want) {
		b.t.Errorf("outcomes, newest first: %v, want %v", got, want)
	}
}

func wantKind(t *testing.T, err error, kind appliance.Kind) {
	t.Helper()
	if appliance.KindOf(err) != kind {
		t.Fatalf("kind %q, want %q: %v", appliance.KindOf(err), kind, err)
	}
}
