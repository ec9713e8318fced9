package wire

import (
	"net/netip"
	"time"

	"evenkeel/appliance"
)

// Service is what a core may ask of the virtual service it serves. There is one value per service and loop, so that nothing is shared; it outlives revisions.
type Service interface {
	Loop() Loop
	// Config returns the running snapshot; it is never changed, only replaced by another.
	Config() *appliance.VirtualService
	// Pick chooses a server and counts one connection (TCP) or request (HTTP) as open on it; Release must follow exactly once for each true.
	// False: no server can serve and there is no fallback.
	Pick(q *Query) (Choice, bool)
	// Dial opens the connection to the choice on behalf of client, as the service is configured (source address, PROXY protocol, TLS towards the server);
	// Connected or Broken follows for core, or an error at once. What it returns need not be a connection of the loop itself.
	Dial(c Choice, client Conn, core Core) (Conn, error)
	// Failed says that connecting to the choice was refused or timed out, before Release; the next Pick of the same query lists it in Tried.
	Failed(c Choice, err error)
	// Answered tells how a server of HTTP Mode answered a request: the status and how long its head took. Status 0: there was no answer, or half of one.
	// In TCP Mode it tells how long connecting took, with StatusConnected.
	Answered(c Choice, status int, took time.Duration)
	// Release ends what Pick began.
	Release(c Choice)
	// Counters are the service's on this loop.
	Counters() *Counters
}

// Query says who asks for a server.
type Query struct {
	Client netip.AddrPort // the client's address as it counts for persistence and hashing
	Port   uint16         // the port that the client came to
	Cookie []byte         // value of the persistence cookie; nil when there is none or the service uses none
	Key    uint64         // HashKey of what the scheduler asks of the request (its path, a header); 0: there is none
	// Spent says that connecting on behalf of this client took its time: no further server is tried, only the fallback.
	Spent bool
	Tried []*Server // servers that already failed for this client
	// Session is what the client showed beside its address, by which the service recognises it: the value of the servers' own cookie, for instance. Nil: nothing.
	Session  []byte
	Route    netip.AddrPort // the server to which the client was sent by somebody else, such as an RDP session broker; the zero value: none
	BySource bool           // what the client showed does not tell it from others; its address counts instead
	Secure   bool           // the client came by TLS
	Rule     int            // where the rules send this request: 1 for the first of the program's routes; 0: nowhere in particular
	TLSName  string         // in TCP Mode: the server name that the client asks for by TLS, in lower case; empty: none, or nobody looked
	// Ruled says that Rule is what the rules of TCP Mode said of this session when Pick was asked first: they look at each once. Refusal is why they turn it away.
	Ruled   bool
	Refusal string
	// Dry says that somebody only wants to know: nothing is counted, remembered or moved on, and nothing is to be released.
	Dry bool
	// Waiter is who asks, if it would wait for a place. Pick returns false and sets Waits when it shall: Ticket is its place in the queue then, which comes with its next
	// question, and if that gave it a server with all further ones for the same request or session. Crowded says that as many wait already as may.
	Waiter  Waiter
	Ticket  Ticket
	Waits   bool
	Crowded bool
}

// Learner is a Service that wants to know how its choices turned out. A core tells it only if the service's persistence is of a kind that learns.
type Learner interface {
	// Learn says that the server of the choice answered; q.Session is by what the client will be recognised from now on, or nil when the answer began no session.
	Learn(c Choice, q *Query)
}

// Patience is how many connect timeouts may pass for one client before no further server is tried: many silent servers must not hold it for minutes. Servers that
// refuse cost no time, so any number of them is tried.
const Patience = 2

// IsSpent tells whether who began to connect at that time, zero for not yet, has used up its patience.
func IsSpent(began, now Time, timeout time.Duration) bool {
	return began != 0 && now.Sub(began) >= Patience*timeout
}

// HashKey hashes what a scheduler chooses by. It is never 0.
func HashKey(b []byte) uint64 {
	h := uint64(0xcbf29ce484222325) // FNV-1a
	for _, c := range b {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	if h == 0 {
		return 1
	}
	return h
}

// Choice is a server for one connection or request.
type Choice struct {
	Server    *Server        // never nil; the fallback is a Server too
	Address   netip.AddrPort // where to connect
	SetCookie []byte         // complete value for a Set-Cookie header to give to the client, or nil
	Fallback  bool
	Reason    Reason
	Sharing   Sharing
	Opened    Time // the service's own: when Pick made it
}

// Sharing says whom a connection to a server may serve when its first request is answered.
type Sharing uint8

// The ways of sharing.
const (
	SharedByAll     Sharing = iota
	SharedByAddress         // the server sees the client's address: it serves clients with that one
	SharedByNobody          // the server was told whose it is
)

// StatusConnected is what Answered tells of a connection of TCP Mode.
const StatusConnected = -1

// Reason says why a server was chosen.
type Reason uint8

// The reasons.
const (
	ByScheduler Reason = iota
	ByPersistence
	ByFallback
	ByRule
)

// Server is one real server of one service on one loop.
type Server struct {
	ID       string
	Label    string
	Counters Counters
	Owner    any // the service's own
}

// Counters are written by one loop only and read by others through atomic loads of whole words (sync/atomic on the writer's side too).
type Counters struct {
	Open     int64  // connections (TCP) or clients (HTTP) open now
	Total    uint64 // connections accepted or opened
	Requests uint64
	Refused  uint64 // turned away: no server, limit, or broken protocol
	BytesIn  uint64 // from clients
	BytesOut uint64 // to clients
}
