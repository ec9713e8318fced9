package beat

import (
	"encoding/binary"
	"time"
)

// Seal writes b into buf, which has room for Size bytes, seals it with the ring's key for sending and returns the Size bytes written.
func Seal(buf []byte, b *Beat, ring *Ring) []byte {
	buf = buf[:Size]
	put := binary.BigEndian
	put.PutUint32(buf[offMagic:], magic)
	buf[offVersion], buf[offKind], buf[offKey], buf[offPath] = version, byte(b.Kind), ring.Sending(), b.Path
	put.PutUint64(buf[offCluster:], uint64(b.Cluster))
	put.PutUint64(buf[offNode:], uint64(b.Node))
	put.PutUint64(buf[offBoot:], b.Boot)
	put.PutUint64(buf[offNonce:], b.Nonce)
	put.PutUint64(buf[offSequence:], b.Sequence)
	put.PutUint16(buf[offSays:], b.Says)
	buf[offState], buf[offAccepted] = activityCode(b.State), b.Accepted.ID
	put.PutUint16(buf[offPriority:], uint16(b.Priority))
	buf[offOffered], buf[offFlags] = b.Offer.ID, b.flags()
	put.PutUint32(buf[offChoice:], b.Choice)
	put.PutUint32(buf[offLife:], microseconds(b.Life))
	put.PutUint32(buf[offLease:], microseconds(b.Lease))
	put.PutUint32(buf[offEchoAge:], microseconds(b.Echo.Age))
	put.PutUint64(buf[offEchoBoot:], b.Echo.Boot)
	put.PutUint64(buf[offEcho:], b.Echo.Sequence)
	put.PutUint64(buf[offRevision:], uint64(b.Revision))
	copy(buf[offHash:], b.Hash[:])
	copy(buf[offDigest:], b.Digest[:])
	copy(buf[offOffer:], b.Offer.Public[:])
	copy(buf[offCheck:], b.Accepted.Check[:])
	copy(buf[offRelease:], b.Release[:])
	b.Decision.write(buf)
	copy(buf[offCode:], ring.seal(buf[offKey], buf[:offCode]))
	return buf
}

// read fills b from an authentic datagram and tells whether all its fields are possible.
func (b *Beat) read(buf []byte) bool {
	get := binary.BigEndian
	state, flags, priority := buf[offState], buf[offFlags], get.Uint16(buf[offPriority:])
	if int(state) >= len(activities) || priority > 255 {
		return false
	}
	*b = Beat{
		Kind: Kind(buf[offKind]), Key: buf[offKey], Path: buf[offPath],
		Cluster: ID(get.Uint64(buf[offCluster:])), Node: ID(get.Uint64(buf[offNode:])),
		Boot: get.Uint64(buf[offBoot:]), Nonce: get.Uint64(buf[offNonce:]), Sequence: get.Uint64(buf[offSequence:]),
		State: activities[state], Says: get.Uint16(buf[offSays:]), Priority: uint8(priority), Choice: get.Uint32(buf[offChoice:]),
		Witness: flags&flagWitness != 0, Claim: flags&flagClaim != 0, Granted: flags&flagGranted != 0,
		Life:  time.Duration(get.Uint32(buf[offLife:])) * time.Microsecond,
		Lease: time.Duration(get.Uint32(buf[offLease:])) * time.Microsecond,
		Echo: Echo{
			Boot: get.Uint64(buf[offEchoBoot:]), Sequence: get.Uint64(buf[offEcho:]),
			Age: time.Duration(get.Uint32(buf[offEchoAge:])) * time.Microsecond,
		},
		Revision: int64(get.Uint64(buf[offRevision:])),
		Hash:     [16]byte(buf[offHash:]),
		Digest:   [16]byte(buf[offDigest:]),
		Release:  Text(buf[offRelease:]),
		Accepted: KeyMark{ID: buf[offAccepted], Check: [8]byte(buf[offCheck:])},
		Offer:    Offer{ID: buf[offOffered], Public: [32]byte(buf[offOffer:])},
	}
	b.Decision.read(buf)
	return b.Boot != 0 && b.Revision >= 0 && b.Decision.Code.valid() && b.Release.valid()
}

func (d *Decision) write(buf []byte) {
	put := binary.BigEndian
	put.PutUint32(buf[offDecision:], d.Number)
	put.PutUint32(buf[offAge:], microseconds(d.Age))
	put.PutUint32(buf[offLasted:], microseconds(d.Lasted))
	put.PutUint32(buf[offTaken:], microseconds(d.Taken))
	put.PutUint32(buf[offCount:], uint32(d.Count)<<16)
	put.PutUint64(buf[offHardware:], d.Hardware)
	copy(buf[offLast:], d.Code[:])
}

func (d *Decision) read(buf []byte) {
	get := binary.BigEndian
	*d = Decision{
		Number: get.Uint32(buf[offDecision:]), Code: Text(buf[offLast:]),
		Age:    time.Duration(get.Uint32(buf[offAge:])) * time.Microsecond,
		Lasted: time.Duration(get.Uint32(buf[offLasted:])) * time.Microsecond,
		Taken:  time.Duration(get.Uint32(buf[offTaken:])) * time.Microsecond,
		Count:  get.Uint16(buf[offCount:]), Hardware: get.Uint64(buf[offHardware:]),
	}
}
