package beat

import (
	"encoding/binary"
	"net/netip"
)

// Identity is who reads.
type Identity struct {
	Cluster, Self, Peer ID
	Boot, Nonce         uint64 // of this node's own epoch
}

// Reader decides which datagrams are the peer's. It looks at what is cheap first and at the code of authenticity last; nothing is changed
// by a datagram that is not authentic, but its counter. It belongs to one goroutine; Counters may be read by all.
type Reader struct {
	Counters Counters
	me       Identity
	ring     *Ring
	peer     Window
}

// NewReader returns a Reader for me; ring stays shared with its owner.
func NewReader(me Identity, ring *Ring) *Reader { return &Reader{me: me, ring: ring} }

// Renumber tells that this node has begun another epoch.
func (r *Reader) Renumber(boot, nonce uint64) { r.me.Boot, r.me.Nonce = boot, nonce }

// Read checks a heartbeat that came from an address on a path whose far end is peer, and fills into when it is OK. into is undefined after any other reason, but
// for Clone, where it holds what the second machine said.
func (r *Reader) Read(b []byte, from, peer netip.AddrPort, into *Beat) Reason {
	return r.Counters.Count(r.check(b, from, peer, into))
}

func (r *Reader) check(b []byte, from, peer netip.AddrPort, into *Beat) Reason {
	if reason := header(b, Heartbeat); reason != OK {
		return reason
	}
	get := binary.BigEndian
	node, boot, nonce := ID(get.Uint64(b[offNode:])), get.Uint64(b[offBoot:]), get.Uint64(b[offNonce:])
	sequence, path := get.Uint64(b[offSequence:]), b[offPath]
	own := node == r.me.Self
	switch {
	case ID(get.Uint64(b[offCluster:])) != r.me.Cluster:
		return Cluster
	case own && (nonce == r.me.Nonce || boot < r.me.Boot):
		return Reflected
	case !own && from != peer:
		return Source
	case !own && node != r.me.Peer || path >= Paths:
		return Stranger
	case !r.ring.holds(b[offKey]):
		return KeyID
	case !own && !r.peer.twin(boot, nonce) && !r.peer.fresh(boot, sequence, path):
		return Replayed
	case !r.ring.authentic(b):
		return Forged
	case !into.read(b):
		return Malformed
	case own || r.peer.twin(boot, nonce):
		return Clone
	}
	r.peer.take(boot, nonce, sequence, path)
	return OK
}
