package beat

import "encoding/binary"

// KindOf returns what a datagram claims to be for, and 0 when it is none of ours.
func KindOf(b []byte) Kind {
	if len(b) < Size || len(b) > Most || binary.BigEndian.Uint32(b) != magic {
		return 0
	}
	return Kind(b[offKind])
}

// ClusterOf returns the pair that a datagram claims to be of; KindOf must not be 0.
func ClusterOf(b []byte) ID { return ID(binary.BigEndian.Uint64(b[offCluster:])) }

// header looks at what is the same in all datagrams.
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
