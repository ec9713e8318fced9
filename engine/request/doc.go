// Package request is what HTTP/1 and HTTP/2 share: the alphabet of names and values, hosts and request targets, lengths, the classes of header fields,
// the answers that the appliance gives by itself, and the forwarding headers. It follows RFC 9110, strictly where the RFC leaves a choice.
// It is pure: no I/O, no state, no allocation on the path of a good request.
package request

// Verdict is what a check says: the zero value lets pass, anything else is a refusal.
type Verdict struct {
	Status int    // HTTP status to answer with; 0: nothing is wrong
	Reason string // for the log, one short clause without what the client sent
	Retry  int    // with a Status: in how many seconds asking again makes sense; 0: nothing is said
}

// OK tells whether nothing is wrong.
func (v Verdict) OK() bool { return v.Status == 0 }

// Bad returns a refusal with 400.
func Bad(reason string) Verdict { return Verdict{Status: 400, Reason: reason} }
