// Package monitor checks the health of real servers: it probes each of them as its service's Monitor says, counts good and bad probes in a row, keeps the last
// results, and says in one sentence why a server is up or down.
//
// One scheduler goroutine sleeps until the next probes are due (see queue); each probe runs in a goroutine that lives only as long as the probe does, at most one
// per server and MaxProbes at once. Only what merely sees whether a port opens needs no goroutine (see knocker). A server that does not answer therefore costs a goroutine and a descriptor for its timeout and delays nobody else.
package monitor

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"evenkeel/appliance"
)

// MaxProbes is how many probes run at the same time; what is due beyond it waits for one to end.
const MaxProbes = 8192

// maxScripts is how many scripts run at the same time.
const maxScripts = 64

// Options says how a Monitor is made. Every field may be zero.
type Options struct {
	Log        *slog.Logger                                                         // nil: silent
	ScriptsDir string                                                               // scripts are written here before use (0700); empty: script checks fail with a sentence
	Changed    func(serverID string, h appliance.Health)                            // told of each transition, in order, one at a time, under no lock; must not block. nil: nobody
	Dial       func(ctx context.Context, network, address string) (net.Conn, error) // nil: the real one
	Now        func() time.Time                                                     // nil: time.Now
	// Resolve returns where the host name of a server leads now; it must not block. ErrNotYet says that it is not known yet, another error is why it leads nowhere, as a
	// sentence without its dot. nil: names are looked up by the system at each probe.
	Resolve func(serverID, name string) (netip.Addr, error)
}

// Monitor knows the health of all real servers. It is safe for concurrent use.
type Monitor struct {
	log     *slog.Logger
	changed func(string, appliance.Health)
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	now     func() time.Time
	scripts *scripts
	wake    chan struct{} // capacity 1: the schedule changed
	knocks  *knocker      // of Run; nil when every check has a goroutine
	resolve func(serverID, name string) (netip.Addr, error)
	dialled bool // Options.Dial says how connections are made

	mu       sync.Mutex                           // guards all below
	services map[string]*appliance.VirtualService // as they were applied last
	bodies   []appliance.Script
	entries  map[string]*entry
	queue    queue        // entries whose probe is not under way
	busy     int          // goroutines that probe or close a connection politely
	news     []transition // not yet told
	telling  bool         // somebody is telling news

	recalled map[string]appliance.ServerHealth // of servers that have not come yet
}

// New returns a Monitor that knows no server; Run makes it probe.
func New(options Options) *Monitor {
	m := &Monitor{
		log: options.Log, changed: options.Changed, dial: options.Dial, now: options.Now, resolve: options.Resolve,
		scripts: newScripts(options.ScriptsDir), wake: make(chan struct{}, 1), entries: map[string]*entry{},
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if m.dialled = m.dial != nil; !m.dialled {
		m.dial = (&net.Dialer{KeepAlive: -1}).DialContext
	}
	if m.now == nil {
		m.now = time.Now
	}
	m.queue = queue{epoch: m.now(), beats: map[int64][]*entry{}}
	return m
}

// Apply makes the servers of services the ones that are checked, keyed by their id. A server whose check did not change keeps its health, its schedule and its
// history; one whose address, port or kind of check changed is unknown again and keeps its history; one that is gone is forgotten. Servers that are drained or
// halted are checked like the others, so that the operator sees whether it is safe to bring them back.
// The services must not be changed afterwards: one that is handed over again by the same pointer is known to be as it was, which makes a small change cheap.
func (m *Monitor) Apply(services []*appliance.VirtualService, scripts []appliance.Script) {
	m.mu.Lock()
	now := m.now()
	wanted, kept := m.compare(services, scripts)
	fresh := 0
	for id := range wanted {
		if e, j := m.entries[id], wanted[id]; e == nil || e.job.subject != j.subject {
			fresh++
		}
	}
	for id, s := range m.services {
		if kept[id] == s {
			continue
		}
		for i := range s.RealServers {
			if e := m.entries[s.RealServers[i].ID]; e != nil && !contains(wanted, e.id) {
				m.forget(e)
			}
		}
	}
	m.services = kept
	for id, j := range wanted {
		m.place(id, j, now, fresh)
	}
	m.mu.Unlock()
	m.scripts.keep(scripts)
	m.nudge()
	m.tell()
}

// compare returns the jobs of the services that are not what they were, and all services by id.
func (m *Monitor) compare(services []*appliance.VirtualService, scripts []appliance.Script) (wanted map[string]job, kept map[string]*appliance.VirtualService) {
	same := slices.Equal(m.bodies, scripts)
	m.bodies = slices.Clone(scripts)
	wanted, kept = map[string]job{}, make(map[string]*appliance.VirtualService, len(services))
	for _, s := range services {
		kept[s.ID] = s
		if same && m.services[s.ID] == s {
			continue
		}
		for r := range s.RealServers {
			wanted[s.RealServers[r].ID] = newJob(s, &s.RealServers[r], scripts)
		}
	}
	return wanted, kept
}

func contains(wanted map[string]job, id string) bool {
	_, found := wanted[id]
	return found
}

// Standing returns the health of a server alone; unknown for one that is not checked.
func (m *Monitor) Standing(serverID string) appliance.Health {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.entries[serverID]; e != nil {
		return e.streak.health
	}
	return appliance.Unknown
}

// Recall gives what an earlier process knew of servers by their id, before they come with Apply: one is what it was until it is probed again.
func (m *Monitor) Recall(known map[string]appliance.ServerHealth) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.recalled = known
}

// Health returns a copy of what is known of a server; Health and history are unknown and empty for a server that is not checked.
func (m *Monitor) Health(serverID string) appliance.ServerHealth {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[serverID]
	if e == nil {
		return appliance.ServerHealth{Health: appliance.Unknown}
	}
	return e.report(m.now())
}

// CheckNow makes the next probe of a server due at once, waits for its result, which counts like any other, and returns it. It needs Run. The error is of kind
// NotFound when the server is not checked or no longer, else the context's.
func (m *Monitor) CheckNow(ctx context.Context, serverID string) (appliance.Probe, error) {
	gone := &appliance.Error{Kind: appliance.NotFound, Op: "check server", Subject: serverID, Message: "This real server is not being checked."}
	m.mu.Lock()
	e := m.entries[serverID]
	if e == nil {
		m.mu.Unlock()
		return appliance.Probe{}, gone
	}
	if e.job.unchecked() {
		defer m.mu.Unlock()
		return appliance.Probe{At: m.now(), Good: true, Sentence: unchecked.sentence()}, nil
	}
	answer := make(chan appliance.Probe, 1)
	e.waiters = append(e.waiters, answer)
	m.hasten(e)
	m.mu.Unlock()
	m.nudge()
	select {
	case p, ok := <-answer:
		if !ok {
			return appliance.Probe{}, gone
		}
		return p, nil
	case <-ctx.Done():
		return appliance.Probe{}, context.Cause(ctx)
	}
}

// Test probes server once as service says and returns the result with a transcript for people, line by line. Neither needs to be saved; no health changes. at tells
// where its host name leads, and may wait; nil: the system looks the name up.
func (m *Monitor) Test(ctx context.Context, service appliance.VirtualService, server appliance.RealServer, scripts []appliance.Script, at func(context.Context) (netip.Addr, error)) (appliance.Probe, string) {
	a := m.attempt(prepare(newJob(&service, &server, scripts)))
	a.at = at
	a.trace = &transcript{now: m.now, start: m.now()}
	p, o := a.probe(ctx)
	a.trace.verdict(o)
	a.end(ctx)
	return p, a.trace.String()
}
