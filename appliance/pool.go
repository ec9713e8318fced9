package appliance

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Pool is real servers, the scheduler that chooses among them and the monitor that watches them.
type Pool struct {
	Scheduler  Scheduler `json:"scheduler"`
	HashHeader string    `json:"hash_header,omitempty"` // with HeaderHash: whose value chooses; a request without it gets the least connections
	HashLoad   int       `json:"hash_load,omitempty"`   // with a hash: most of what is open on a server, in percent of its share; 0: no bound
	Mode       ModeOfUse `json:"mode"`
	// SlowStart is how long a server that comes up or online needs until it gets its whole share; 0: at once. It does not hold for the first servers of a service.
	SlowStart Duration `json:"slow_start"`
	// MinimumServers is how many healthy servers there must be: with fewer, all that are online are used again, whatever their checks say. 0: off.
	MinimumServers int          `json:"minimum_servers,omitempty"`
	Monitor        Monitor      `json:"check"`
	RealServers    []RealServer `json:"real_servers"` // in the operator's order; failover mode reads it
}

// ModeOfUse says whether all servers work, or one with the others in reserve.
type ModeOfUse string

// The modes of use.
const (
	LoadBalanced ModeOfUse = "load_balanced"
	Failover     ModeOfUse = "failover" // the next server only when the one before it cannot serve
)

// Valid tells whether m is one of the modes.
func (m ModeOfUse) Valid() bool { return m == LoadBalanced || m == Failover }

// State is what the operator wants of a real server; what we see is its Health.
type State string

// The states.
const (
	Online State = "online"
	Drain  State = "drain" // no new clients; those with persistence or open connections finish
	Halt   State = "halt"  // open connections get FIN
)

// Valid tells whether s is one of the states.
func (s State) Valid() bool { return s == Online || s == Drain || s == Halt }

// Host is an IP address or a host name; addresses are kept in their canonical form, names in lower case.
type Host string

// Addr returns the address and true when h is one.
func (h Host) Addr() (netip.Addr, bool) {
	a, err := netip.ParseAddr(string(h))
	return a.Unmap(), err == nil
}

func (h Host) canonical() Host {
	trimmed := Host(strings.TrimSpace(string(h)))
	if a, ok := trimmed.Addr(); ok {
		return Host(a.String())
	}
	return Host(strings.ToLower(string(trimmed)))
}

// MaxWeight is the largest weight of a real server; 0 receives only clients that persistence brings.
const MaxWeight = 1000

// RealServer (RIP) is one server of a pool.
type RealServer struct {
	ID             string `json:"id"`                        // immutable, given at first commit, unique in the appliance
	Label          string `json:"label"`                     // unique in the service
	Address        Host   `json:"address"`                   // of a name: the address that it leads to, looked up again by its time to live
	Port           uint16 `json:"port,omitempty"`            // 0: the port that the client came to
	Weight         int    `json:"weight"`                    // 0 to MaxWeight, 100 by default
	MaxConnections int    `json:"max_connections,omitempty"` // 0: no limit
	MinConnections int    `json:"min_connections,omitempty"` // with a queue: the limit at little load, which grows to MaxConnections; 0: the same at any load
	Backup         bool   `json:"backup,omitempty"`          // serves only when none of the others does
	State          State  `json:"state"`
	Encrypt        bool   `json:"encrypt,omitempty"` // spoken to over TLS, as ServerTLS says
	// DrainUntil is when a drain with a time limit ends in Halt; zero: no limit, and always zero in another state.
	DrainUntil time.Time `json:"drain_until,omitzero"`
}

// NewRealServer returns a server with the default of every field.
func NewRealServer() RealServer { return RealServer{Weight: 100, State: Online} }

// UnmarshalJSON reads a server strictly: unknown fields are refused, absent ones get their default.
func (r *RealServer) UnmarshalJSON(b []byte) error {
	type plain RealServer
	fresh := plain(NewRealServer())
	if err := strict(b, &fresh); err != nil {
		return fmt.Errorf("read real server: %w", err)
	}
	*r = RealServer(fresh)
	return nil
}
