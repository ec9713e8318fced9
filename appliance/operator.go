package appliance

import (
	"net/netip"
	"time"
)

// Role is what an operator may do.
type Role string

// The roles.
const (
	Administrator Role = "administrator" // everything
	OperatorRole  Role = "operator"      // drain, halt, online, weight; sees everything
	Viewer        Role = "viewer"        // sees everything
)

// Valid tells whether r is one of the roles.
func (r Role) Valid() bool { return r == Administrator || r == OperatorRole || r == Viewer }

// Operator is a human (or a token that a human made) who signs in.
type Operator struct {
	Name    string    `json:"name"`
	Role    Role      `json:"role"`
	Created time.Time `json:"created"`
}

// Origin says who did something, from where and by which door; it is written beside every revision and audit entry.
type Origin struct {
	Operator string     `json:"operator"` // name, "console" or "system"
	From     netip.Addr `json:"from,omitzero"`
	Via      string     `json:"via"` // "webui", "api", "cli", "setup", "boot", "system"
	Why      string     `json:"why,omitempty"`
}
