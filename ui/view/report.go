package view

import (
	"strings"
	"time"

	"evenkeel/ui/form"
)

// ReportBar chooses the rows of a report.
type ReportBar struct {
	Services, Servers []form.Option // no servers: no service is chosen
	Service, Server   string
	Query             string
	Placeholder       string
	Sort, Dir         string // kept when something else is chosen
}

// Chosen tells whether not every row is asked for.
func (b ReportBar) Chosen() bool { return b.Service+b.Server+b.Query != "" }

// Pager says which rows are shown, and where the others are.
type Pager struct {
	First, Last, Total int
	Earlier, Later     string
}

// Persistence is the table of remembered clients.
type Persistence struct {
	Bar   ReportBar
	Heads []Head
	Rows  []PersistenceRow
	Pager Pager
	Act   bool
}

// PersistenceRow is one remembered client.
type PersistenceRow struct {
	Service, ServiceID, Server, ServerPath string
	Key                                    string
	Explain                                string // path; empty: the client is no address
	Age, Remaining                         time.Duration
}

// Short writes an address whole, and of a digest what tells it from others.
func (r PersistenceRow) Short() string {
	kind, digest, found := strings.Cut(r.Key, ":")
	name := map[string]string{"cookie": "session", "tls": "TLS session", "rdp": "RDP user"}[kind]
	if !found || name == "" || len(digest) < 12 {
		return r.Key
	}
	return name + " " + digest[:12] + "…"
}

// Connections are the open connections of clients.
type Connections struct {
	Bar   ReportBar
	Heads []Head
	Rows  []ConnectionRow
	Pager Pager
	Act   bool
	Back  string // where to go when one was closed
}

// ConnectionRow is one of them.
type ConnectionRow struct {
	ID, Client, Service, Server, ServerPath, Protocol, State string
	Explain                                                  string // path
	Age                                                      time.Duration
	In, Out                                                  uint64
}

// Layer7 is what is seen of the services.
type Layer7 struct {
	Query    string
	Services []Layer7Service
}

// Layer7Service is one running service.
type Layer7Service struct {
	Name, Path, At, Sentence string
	State                    State
	Connections              int
	Total, Requests, Refused uint64
	Waiting                  int  // in the queue
	Web                      bool // it counts requests
	In, Out                  uint64
	Servers                  []Layer7Server
}

// Layer7Server is one of its servers.
type Layer7Server struct {
	Name, Path, Sentence string
	State                State
	Since, Checked       time.Time
	Connections          int
	Total, In, Out       uint64
	Weight               int
}
