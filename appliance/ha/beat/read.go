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

// Reader decides which datagrams are the peer's, or an awaited witness's. It looks at what is cheap first and at the code of authenticity last; nothing is changed
// by a datagram that is not authentic, but its counter. It belongs to one goroutine; Counters may be read by all.
type Reader struct {
	Counters Counters
	me       Identity
	ring     *Ring
	peer     Window
	answered uint64 // the newest question that a witness has answered
	asked    uint64 // the newest question
}

// NewReader returns a Reader for me; ring stays shared with its owner.
func NewReader(me Identity, ring *Ring) *Reader { return &Reader{me: me, ring: ring} }

// Renumber tells that this node has begun another epoch.
func (r *Reader) Renumber(boot uint64) { r.me.Boot, r.asked, r.answered = boot, 0, 0 }

// Ask says that a question with this sequence was sent to the witnesses.
func (r *Reader) Ask(sequence uint64) { r.asked = sequence }

// Read checks a heartbeat that came from an address on a path whose far end is peer, and fills into when it is OK. into is undefined after any other reason, but
// for Clone, where it holds what the second machine said.
func (r *Reader) Read(b []byte, from, peer netip.AddrPort, into *Beat) Reason {
	return r.Counters.count(r.check(b, from, peer, into))
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

// ReadAnswer checks a witness's answer that came from an address; whether that is a witness's is witness.
func (r *Reader) ReadAnswer(b []byte, witness bool, into *Beat) Reason {
	return r.Counters.count(r.checkAnswer(b, witness, into))
}

func (r *Reader) checkAnswer(b []byte, witness bool, into *Beat) Reason {
	if reason := header(b, Answer); reason != OK {
		return reason
	}
	get := binary.BigEndian
	echo := get.Uint64(b[offEcho:])
	switch {
	case ID(get.Uint64(b[offCluster:])) != r.me.Cluster:
		return Cluster
	case !witness:
		return Source
	case ID(get.Uint64(b[offNode:])) != r.me.Self: // an answer names the node that asked
		return Stranger
	case !r.ring.holds(b[offKey]):
		return KeyID
	case get.Uint64(b[offEchoBoot:]) != r.me.Boot || echo <= r.answered || echo > r.asked:
		return Replayed
	case !r.ring.authentic(b):
		return Forged
	case !into.read(b):
		return Malformed
	}
	r.answered = echo
	return OK
}

// KindOf returns what a datagram claims to be for, and 0 when it is none of ours.
func KindOf(b []byte) Kind {
	if len(b) < Size || len(b) > Most || binary.BigEndian.Uint32(b) != magic {
		return 0
	}
	return Kind(b[offKind])
}

func header(b []byte, kind Kind) Reason {
	switch {
	case len(b) < Size || len(b) > Most:
		return Length
	case binary.BigEndian.Uint32(b) != magic:
		return Magic
	case b[offVersion] != version:
		return Version
	case Kind(b[offKind]) != kind:
		return Purpose
	}
	return OK
}
