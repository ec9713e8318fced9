package ui

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/appliance/certificates"
	"evenkeel/appliance/control"
	"evenkeel/store"
	"evenkeel/ui/signin"
	"evenkeel/ui/view"
)

const goodPassword = "violet tractor hums quietly"

// engine runs what it is given, and shows what the test tells it to see.
type engine struct {
	mu      sync.Mutex
	running appliance.Config
	seen    map[string]appliance.ServerStatus // by the id of the real server
	refuse  error                             // of the next apply
	checked []string
	entries []appliance.PersistenceEntry
	open    []appliance.Connection
	tested  []appliance.Config

	questions []appliance.Question // that Explain and TryRules were asked
	rules     []appliance.Rule     // that were tried last
	born      time.Time            // the probes that nobody set are from then: what does not change must not look new
}

func (e *engine) Check(context.Context, appliance.Config) error { return nil }

func (e *engine) Apply(_ context.Context, c appliance.Config) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.refuse; err != nil {
		e.refuse = nil
		return err
	}
	e.running = c.Clone()
	return nil
}

func (e *engine) see(id string, change func(*appliance.ServerStatus)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, ok := e.seen[id]
	if !ok {
		s = good(e.born, "Connected in 1 ms.", 20)
	}
	change(&s)
	e.seen[id] = s
}

func good(now time.Time, sentence string, n int) appliance.ServerStatus {
	s := appliance.ServerStatus{Check: appliance.ServerHealth{Health: appliance.Up, Sentence: sentence, Since: now.Add(-3 * time.Hour), Next: now.Add(2 * time.Second)}}
	for i := range n {
		s.Check.Probes = append(s.Check.Probes, appliance.Probe{At: now.Add(time.Duration(i-n)*4*time.Second + 2*time.Second), Good: true, Took: 8 * time.Millisecond, Sentence: sentence})
	}
	s.Check.Changes = []appliance.HealthChange{{At: now.Add(-3 * time.Hour), Health: appliance.Up, Sentence: sentence}}
	return s
}

func (e *engine) Status() appliance.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := appliance.Status{At: time.Now()}
	for i := range e.running.Cluster.VirtualServices {
		out.Services = append(out.Services, e.service(&e.running.Cluster.VirtualServices[i]))
	}
	return out
}

func (e *engine) service(s *appliance.VirtualService) appliance.ServiceStatus {
	status := appliance.ServiceStatus{ID: s.ID, Label: s.Label, Health: appliance.ServiceUp, Sentence: "Every server answers."}
	serving, down := 0, 0
	for _, r := range s.RealServers {
		seen, ok := e.seen[r.ID]
		if !ok {
			seen = good(e.born, "Connected in 1 ms.", 20)
		}
		seen.ID, seen.Label, seen.State, seen.Weight = r.ID, r.Label, r.State, r.Weight
		status.Connections += seen.Connections
		status.Servers = append(status.Servers, seen)
		switch {
		case seen.Check.Health == appliance.Down:
			down++
		case r.State == appliance.Online:
			serving++
		}
	}
	switch {
	case serving == 0 && down > 0:
		status.Health, status.Sentence = appliance.ServiceDown, "No server answers."
	case serving == 0:
		status.Health = appliance.ServiceDrained
	case down > 0:
		status.Health, status.Sentence = appliance.ServiceDegraded, "One server is down."
	}
	return status
}

func (e *engine) Test(_ context.Context, c appliance.Config, service, server string) (appliance.Probe, []string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tested = append(e.tested, c)
	s := c.Cluster.Service(service)
	if s == nil || s.Server(server) == nil {
		return appliance.Probe{}, nil, &appliance.Error{Kind: appliance.NotFound, Message: "There is no such server."}
	}
	address := string(s.Server(server).Address)
	if strings.HasSuffix(address, ".42") {
		return appliance.Probe{At: time.Now(), Took: 3 * time.Millisecond, Sentence: "The association was rejected: called AE title not recognised."}, []string{"connect to " + address, "A-ASSOCIATE-RQ", "A-ASSOCIATE-RJ 1 1 7"}, nil
	}
	return appliance.Probe{At: time.Now(), Good: true, Took: 8 * time.Millisecond, Sentence: "C-ECHO answered in 8 ms."},
		[]string{"connect to " + address + ": 1 ms", "A-ASSOCIATE-RQ EVENKEEL → ANY-SCP", "A-ASSOCIATE-AC", "C-ECHO-RQ", "C-ECHO-RSP 0000", "A-RELEASE"}, nil
}

func (e *engine) CheckNow(service, server string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.checked = append(e.checked, service+"/"+server)
}

// chosen tells whether a query chooses an entry, as the engine does.
func chosen(q appliance.PersistenceQuery, e appliance.PersistenceEntry) bool {
	return (q.Service == "" || e.ServiceID == q.Service) && (q.Server == "" || e.ServerID == q.Server) && (q.Key == "" || e.Key == q.Key) &&
		(!q.Client.IsValid() || q.Client.Overlaps(e.Client)) && strings.Contains(e.Key, q.Text)
}

func (e *engine) Persistence(q appliance.PersistenceQuery) appliance.PersistenceList {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(e.entries), func(p appliance.PersistenceEntry) bool { return !chosen(q, p) })
	out := appliance.PersistenceList{Total: len(list), Entries: list[min(q.Offset, len(list)):]}
	if q.Limit > 0 {
		out.Entries = out.Entries[:min(q.Limit, len(out.Entries))]
	}
	return out
}

func (e *engine) ClearPersistence(q appliance.PersistenceQuery) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := len(e.entries)
	e.entries = slices.DeleteFunc(e.entries, func(p appliance.PersistenceEntry) bool { return chosen(q, p) })
	return before - len(e.entries)
}

// Connections stands for the engine's: what the test has in open.
func (e *engine) Connections(_ context.Context, q appliance.ConnectionQuery) (appliance.ConnectionList, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(e.open), func(c appliance.Connection) bool {
		return q.Service != "" && c.ServiceID != q.Service || q.Server != "" && c.ServerID != q.Server || q.Client.IsValid() && !q.Client.Contains(c.Client.Addr()) ||
			!strings.Contains(c.Client.String()+" "+c.State, q.Text)
	})
	out := appliance.ConnectionList{Total: len(list), Connections: list[min(q.Offset, len(list)):]}
	if q.Limit > 0 {
		out.Connections = out.Connections[:min(q.Limit, len(out.Connections))]
	}
	return out, nil
}

func (e *engine) CloseConnection(_ context.Context, id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := len(e.open)
	e.open = slices.DeleteFunc(e.open, func(c appliance.Connection) bool { return c.ID == id })
	if len(e.open) == before {
		return &appliance.Error{Kind: appliance.NotFound, Message: "There is no such connection."}
	}
	return nil
}

// rig is a whole WebUI over the real control and the real store, on loopback.
type rig struct {
	t       *testing.T
	ui      *UI
	control *control.Control
	engine  *engine
	store   *store.Store
	door    *signin.Door
	code    string // setup code
	base    string // https://127.0.0.1:port
	client  *http.Client
}

type rigOptions struct {
	setUp      bool
	metrics    http.Handler
	traffic    TrafficLog
	statistics Statistics
	history    History
	api        http.Handler
	suggest    func(context.Context, string) string
	pair       Pair
}

func newRig(t *testing.T, o rigOptions) *rig {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	st, err := store.Open(ctx, store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{seen: map[string]appliance.ServerStatus{}, born: time.Now()}
	ids := 0
	c := control.New(control.Options{Store: st, Engine: e, NewID: func() string { ids++; return fmt.Sprintf("id%03d", ids) }})
	if err := c.Boot(ctx); err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	door := signin.New(signin.Options{Store: st, Announce: &printed})
	if err := door.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	vault, err := certificates.Open(ctx, certificates.Options{Store: st, Renew: c.Renew, Configurations: func() (appliance.Config, appliance.Config) { return c.Saved().Config, c.Running().Config }})
	if err != nil {
		t.Fatal(err)
	}
	u, err := New(Options{
		Certificates: vault, Control: c, Engine: e, Store: st, Door: door, API: o.api, Hostname: "lb1", Version: "0.1.0", Suggest: o.suggest, Metrics: o.metrics, Traffic: o.traffic, Statistics: o.statistics, History: o.history, Pair: o.pair,
		Addresses: func() []netip.Addr {
			return []netip.Addr{netip.MustParseAddr("192.168.0.11"), netip.MustParseAddr("10.0.0.11"), netip.MustParseAddr("192.168.0.188")}
		},
		Machine: func(context.Context) (Machine, error) {
			return Machine{CPU: 0.07, MemoryUsed: 430 << 20, MemoryTotal: 4 << 30, DiskUsed: 3 << 30, DiskTotal: 20 << 30}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := Certificate(ctx, st, "lb1", nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var parts sync.WaitGroup
	parts.Go(func() {
		if err := u.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	parts.Go(func() {
		if err := u.Serve(ctx, l, certificate); err != nil {
			t.Error(err)
		}
	})
	r := &rig{t: t, ui: u, control: c, engine: e, store: st, door: door, base: "https://" + l.Addr().String()}
	t.Cleanup(func() {
		cancel()
		parts.Wait()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, after, found := strings.Cut(printed.String(), "Setup code: "); found {
		r.code = strings.TrimSpace(after[:strings.IndexByte(after, '\n')])
	}
	r.client = r.browser()
	if o.setUp {
		if err := door.FirstPassword(ctx, appliance.Origin{Operator: "test", Via: "setup"}, goodPassword); err != nil {
			t.Fatal(err)
		}
		r.signIn(r.client, signin.FirstOperator)
	}
	return r
}

// browser keeps cookies and does not follow redirects.
func (r *rig) browser() *http.Client {
	jar, _ := cookiejar.New(nil)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// oldBrowser speaks HTTP/1.1 only.
func (r *rig) oldBrowser() *http.Client {
	c := r.browser()
	c.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	c.Transport.(*http.Transport).TLSClientConfig.NextProtos = []string{"http/1.1"}
	return c
}

func message(text string) view.Message { return view.Message{Text: text} }

func (r *rig) signIn(c *http.Client, name string) {
	r.t.Helper()
	if status, _, body := r.post(c, "/lbadmin/sign-in", "name", name, "password", goodPassword); status != http.StatusSeeOther {
		r.t.Fatalf("sign-in of %s: %d %s", name, status, body)
	}
}

func (r *rig) operator(name string, role appliance.Role) *http.Client {
	r.t.Helper()
	if err := r.door.NewOperator(r.t.Context(), appliance.Origin{Operator: "test", Via: "setup"}, name, role, goodPassword); err != nil {
		r.t.Fatal(err)
	}
	c := r.browser()
	r.signIn(c, name)
	return c
}

func (r *rig) do(c *http.Client, req *http.Request) (int, http.Header, string) {
	r.t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

func (r *rig) get(c *http.Client, path string) (int, http.Header, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.base+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.do(c, req)
}

// post sends a form of names and values as a browser of our own pages does.
func (r *rig) post(c *http.Client, path string, pairs ...string) (int, http.Header, string) {
	r.t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return r.postForm(c, path, values)
}

func (r *rig) postForm(c *http.Client, path string, values url.Values) (int, http.Header, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.base+path, strings.NewReader(values.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", r.base)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return r.do(c, req)
}

func sample(label, address string, port uint16, kind appliance.MonitorKind, servers ...string) appliance.VirtualService {
	s := appliance.NewService(appliance.TCP)
	s.Label, s.Address, s.Ports = label, netip.MustParseAddr(address), appliance.Ports{{First: port, Last: port}}
	s.Monitor = appliance.NewMonitor(kind)
	s.Persistence.Kind = appliance.PersistSourceIP
	for i := 0; i+1 < len(servers); i += 2 {
		server := appliance.NewRealServer()
		server.Label, server.Address = servers[i], appliance.Host(servers[i+1])
		s.RealServers = append(s.RealServers, server)
	}
	return s
}

// fill makes the three services of an imaging system: ids id001 (VNA_DICOM; id002, id003), id004 (HL7; id005, id006), id007 (DMWL; id008, id009).
func (r *rig) fill() {
	r.t.Helper()
	o := appliance.Origin{Operator: "loadbalancer", Via: "webui", From: netip.MustParseAddr("192.168.0.17")}
	_, err := r.control.Commit(r.t.Context(), o, nil, func(c *appliance.Config) error {
		c.Cluster.VirtualServices = []appliance.VirtualService{
			sample("VNA_DICOM", "192.168.0.188", 11112, appliance.MonitorDICOM, "VNA1", "192.168.0.40", "VNA2", "192.168.0.42"),
			sample("HL7", "192.168.0.189", 6667, appliance.MonitorHL7, "Corepoint1", "192.168.0.50", "Corepoint2", "192.168.0.51"),
			sample("DMWL", "192.168.0.184", 5104, appliance.MonitorDICOM, "VNA1", "192.168.0.40", "VNA2", "192.168.0.42"),
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.control.Apply(r.t.Context(), o); err != nil {
		r.t.Fatal(err)
	}
}

// id returns the id of a service, or of one of its servers.
func (r *rig) id(service string, server ...string) string {
	r.t.Helper()
	for _, s := range r.control.Saved().Config.Cluster.VirtualServices {
		if s.Label != service {
			continue
		}
		if len(server) == 0 {
			return s.ID
		}
		for _, x := range s.RealServers {
			if x.Label == server[0] {
				return x.ID
			}
		}
	}
	r.t.Fatalf("no service %s %v", service, server)
	return ""
}
