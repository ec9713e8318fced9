// Package monitor checks the health of real servers: it probes each of them as its service's Monitor says, counts good and bad probes in a row, keeps the last
// results, and says in one sentence why a server is up or down.
//
// One scheduler goroutine sleeps until the next probe is due (a heap by time); each probe runs in a goroutine that lives only as long as the probe does, at most one
// per server and MaxProbes at once. A server that does not answer therefore costs a goroutine and a descriptor for its timeout and delays nobody else.
package monitor

import (
	"context"
	"log/slog"
	"net"
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
}

// Monitor knows the health of all real servers. It is safe for concurrent use.
type Monitor struct {
	log     *slog.Logger
	changed func(string, appliance.Health)
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	now     func() time.Time
	scripts *scripts
	wake    chan struct{} // capacity 1: the schedule changed

	mu      sync.Mutex // guards all below
	entries map[string]*entry
	queue   queue        // entries whose probe is not under way, by time
	busy    int          // goroutines that probe or close a connection politely
	news    []transition // not yet told
	telling bool         // somebody is telling news
}

// New returns a Monitor that knows no server; Run makes it probe.
func New(options Options) *Monitor {
	m := &Monitor{
		log: options.Log, changed: options.Changed, dial: options.Dial, now: options.Now,
		scripts: newScripts(options.ScriptsDir), wake: make(chan struct{}, 1), entries: map[string]*entry{},
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if m.dial == nil {
		m.dial = (&net.Dialer{KeepAlive: -1}).DialContext
	}
	if m.now == nil {
		m.now = time.Now
	}
	return m
}

// Apply makes the servers of services the ones that are checked, keyed by their id. A server whose check did not change keeps its health, its schedule and its
// history; one whose address, port or kind of check changed is unknown again and keeps its history; one that is gone is forgotten. Servers that are drained or
// halted are checked like the others, so that the operator sees whether it is safe to bring them back.
func (m *Monitor) Apply(services []appliance.VirtualService, scripts []appliance.Script) {
	m.mu.Lock()
	now := m.now()
	wanted := make(map[string]job, len(m.entries))
	fresh := 0
	for i := range services {
		for r := range services[i].RealServers {
			server := &services[i].RealServers[r]
			wanted[server.ID] = newJob(&services[i], server, scripts)
			if e := m.entries[server.ID]; e == nil || e.job.subject != wanted[server.ID].subject {
				fresh++
			}
		}
	}
	for id, e := range m.entries {
		if _, kept := wanted[id]; !kept {
			m.forget(e)
		}
	}
	for id, j := range wanted {
		m.place(id, j, now, fresh)
	}
	m.mu.Unlock()
	m.scripts.keep(scripts)
	m.nudge()
	m.tell()
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

// Test probes server once as service says and returns the result with a transcript for people, line by line. Neither needs to be saved; no health changes.
func (m *Monitor) Test(ctx context.Context, service appliance.VirtualService, server appliance.RealServer, scripts []appliance.Script) (appliance.Probe, string) {
	a := m.attempt(prepare(newJob(&service, &server, scripts)))
	a.trace = &transcript{now: m.now, start: m.now()}
	p, o := a.probe(ctx)
	a.trace.verdict(o)
	a.end(ctx)
	return p, a.trace.String()
}
