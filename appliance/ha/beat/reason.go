package beat

import "sync/atomic"

// Reason says why a datagram was refused; OK that it was not.
type Reason uint8

// The reasons, in the order in which they are looked for.
const (
	OK        Reason = iota
	Length           // too short or too long
	Magic            // not a heartbeat of this product
	Version          // of a version that this one does not speak
	Purpose          // a kind that is not awaited here
	Cluster          // of another pair
	Reflected        // our own, thrown back
	Source           // from an address that is not the sender's
	Stranger         // from a node that is not the peer
	KeyID            // sealed with a key that is not held
	Replayed         // came before, or is too old
	Forged           // its code of authenticity is wrong
	Clone            // authentic, and from a second machine with the identity of this node or of the peer
	Malformed        // authentic, and says what cannot be
	reasons
)

var reasonNames = [reasons]string{
	"ok", "length", "magic", "version", "purpose", "cluster", "reflected", "source", "stranger", "key", "replayed", "forged", "clone", "malformed",
}

// String names the reason as the status does.
func (r Reason) String() string {
	if r < reasons {
		return reasonNames[r]
	}
	return "unknown"
}

// Counters count datagrams by reason. They may be read while they are written.
type Counters [reasons]atomic.Uint64

// Rejected returns what was refused, by reason; nil when nothing was.
func (c *Counters) Rejected() map[string]uint64 {
	var out map[string]uint64
	for r := Length; r < reasons; r++ {
		if n := c[r].Load(); n > 0 {
			if out == nil {
				out = map[string]uint64{}
			}
			out[r.String()] = n
		}
	}
	return out
}

// Count counts one datagram, and returns its reason.
func (c *Counters) Count(r Reason) Reason {
	c[r].Add(1)
	return r
}
