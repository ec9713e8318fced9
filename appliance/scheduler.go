package appliance

import "slices"

// Scheduler is the balance mode.
type Scheduler string

// The schedulers.
const (
	LeastConnections Scheduler = "least_connections" // fewest connections for its weight
	RoundRobin       Scheduler = "round_robin"       // in turn, smoothly by weight
	RandomOfTwo      Scheduler = "random_two"        // the less loaded of two drawn by weight
	SourceHash       Scheduler = "source_hash"       // by the client's address, consistent
	URIHash          Scheduler = "uri_hash"          // by the path of the request without its query, consistent; HTTP Mode
	HeaderHash       Scheduler = "header_hash"       // by the header that Pool.HashHeader names, consistent; HTTP Mode
	FastestResponse  Scheduler = "fastest_response"  // shortest expected wait: moving average of the response time by what is open, for its weight
	FirstAvailable   Scheduler = "first_available"   // the first in the operator's order that has a place
)

// Schedulers returns all of them in the order of the pages.
func Schedulers() []Scheduler {
	return []Scheduler{LeastConnections, RoundRobin, RandomOfTwo, SourceHash, URIHash, HeaderHash, FastestResponse, FirstAvailable}
}

// Valid tells whether s is one of the schedulers.
func (s Scheduler) Valid() bool { return slices.Contains(Schedulers(), s) }

// ReadsRequest tells whether s chooses by what a request says, which is known in HTTP Mode only.
func (s Scheduler) ReadsRequest() bool { return s == URIHash || s == HeaderHash }

// Hashes tells whether s is consistent hashing.
func (s Scheduler) Hashes() bool { return s == SourceHash || s.ReadsRequest() }

// String returns the name on the pages.
func (s Scheduler) String() string {
	switch s {
	case LeastConnections:
		return "weighted least connections"
	case RoundRobin:
		return "weighted round robin"
	case RandomOfTwo:
		return "random of two"
	case SourceHash:
		return "source hash"
	case URIHash:
		return "URI hash"
	case HeaderHash:
		return "header hash"
	case FastestResponse:
		return "fastest response"
	case FirstAvailable:
		return "first available"
	}
	return string(s)
}
