package appliance

import (
	"net/netip"
	"time"
)

// Health is what we saw of a real server.
type Health string

// The healths.
const (
	Up      Health = "up"
	Down    Health = "down"
	Unknown Health = "unknown" // not yet checked
)

// Probe is one try of a monitor: a verdict, a time, a duration and one sentence that a person understands.
type Probe struct {
	At       time.Time     `json:"at"`
	Good     bool          `json:"good"`
	Took     time.Duration `json:"took_ns"`
	Sentence string        `json:"sentence"` // "C-ECHO answered in 8 ms." or "Connection refused on port 6667. The machine answers, the service does not."
}

// HealthChange is one entry of a server's history.
type HealthChange struct {
	At       time.Time `json:"at"`
	Health   Health    `json:"health"`
	Sentence string    `json:"sentence"`
}

// KeptProbes is how many probes and health changes are kept of each server.
const KeptProbes = 20

// ServerHealth is all that the monitor knows of one real server.
type ServerHealth struct {
	Health   Health         `json:"health"`
	Since    time.Time      `json:"since,omitzero"` // of the last change
	Sentence string         `json:"sentence"`       // why it is up or down, now
	Next     time.Time      `json:"next,omitzero"`  // when it is probed again
	Probes   []Probe        `json:"probes"`         // newest last, at most KeptProbes
	Changes  []HealthChange `json:"changes"`        // newest last, at most KeptProbes
}

// ServerStatus is what is observed of one real server of one service.
type ServerStatus struct {
	ID                 string       `json:"id"`
	Label              string       `json:"label"`
	State              State        `json:"state"` // as running, which may differ from what is saved
	Weight             int          `json:"weight"`
	Connections        int          `json:"connections"`         // open now
	Total              uint64       `json:"total"`               // since start
	BytesIn            uint64       `json:"bytes_in"`            // from clients
	BytesOut           uint64       `json:"bytes_out"`           // to clients
	Oldest             time.Time    `json:"oldest,omitzero"`     // start of the oldest open connection; zero when there is none
	PersistenceEntries int          `json:"persistence_entries"` // clients that would come back to it
	Check              ServerHealth `json:"check"`
	Agent              *AgentStatus `json:"agent,omitempty"`   // nil: its agent is not asked
	Resolved           netip.Addr   `json:"resolved,omitzero"` // where a host name leads now; zero: the address is none, or leads nowhere
}

// ServiceHealth is the state of a whole service, in the order of urgency.
type ServiceHealth string

// The states of a service.
const (
	ServiceUp       ServiceHealth = "up"       // every server that should serve does
	ServiceDegraded ServiceHealth = "degraded" // some servers are down
	ServiceDrained  ServiceHealth = "drained"  // no server is online because the operator drained or halted them
	ServiceFallback ServiceHealth = "fallback" // the fallback is serving
	ServiceDown     ServiceHealth = "down"     // nothing serves
	ServiceUnknown  ServiceHealth = "unknown"  // not yet known
)

// ServiceStatus is what is observed of one running virtual service.
type ServiceStatus struct {
	ID          string         `json:"id"`
	Label       string         `json:"label"`
	Health      ServiceHealth  `json:"health"`
	Sentence    string         `json:"sentence"`    // why, in one sentence
	Connections int            `json:"connections"` // of clients, open now
	Waiting     int            `json:"waiting"`     // clients in the queue for a place on a real server
	Total       uint64         `json:"total"`       // connections since start
	Requests    uint64         `json:"requests"`    // HTTP Mode, since start
	Refused     uint64         `json:"refused"`     // connections or requests turned away since start
	BytesIn     uint64         `json:"bytes_in"`
	BytesOut    uint64         `json:"bytes_out"`
	Servers     []ServerStatus `json:"real_servers"`
}

// Status is a copy of what the engine observes.
type Status struct {
	At       time.Time       `json:"at"`
	Driver   string          `json:"driver"` // by what the loops of the engine move bytes: epoll or io_uring; empty: they do not run yet
	Services []ServiceStatus `json:"virtual_services"`
}

// Service returns the status of the service with that id.
func (s *Status) Service(id string) (ServiceStatus, bool) {
	for i := range s.Services {
		if s.Services[i].ID == id {
			return s.Services[i], true
		}
	}
	return ServiceStatus{}, false
}

// Server returns the status of the real server with that id.
func (s *ServiceStatus) Server(id string) (ServerStatus, bool) {
	for i := range s.Servers {
		if s.Servers[i].ID == id {
			return s.Servers[i], true
		}
	}
	return ServerStatus{}, false
}

// Severity of an alert.
type Severity string

// The severities, as the pages colour them.
const (
	Information Severity = "information"
	Warning     Severity = "warning"
	Critical    Severity = "error"
)

// Alert is a standing message to operators; it disappears when its cause does.
type Alert struct {
	Code     string    `json:"code"` // from the catalogue: "boot_fallback", "store_restored", …
	Severity Severity  `json:"severity"`
	Since    time.Time `json:"since"`
	Sentence string    `json:"sentence"`
	Hint     string    `json:"hint,omitempty"`
}
