// Package beat is the datagram by which the nodes of a pair watch each other on UDP 6694: its bytes, who may have sent it, and the keys that prove it. It is pure:
// no socket, no clock, no goroutine. It never allocates once its parts are made, and it belongs to one goroutine, but for the counters.
//
// A datagram has 260 bytes, big endian; a later version may add fields before the code at its end, up to 512 bytes, which this one ignores:
//
//	  0 magic "EVKH"      4 version    5 kind          6 key id        7 path
//	  8 cluster          16 node      24 boot epoch   32 nonce        40 sequence
//	 48 says             50 state     51 accepted key 52 priority     54 offered key  55 flags
//	 56 choice           60 life      64 lease left   68 echo's age   72 echo's boot  80 echo's sequence
//	 88 revision         96 hash     112 digest      128 offer (32)
//	160 key's check     168 release (24)             192 decision: number, age, lasted, taken, count, two zeros, hardware, code (24)
//	244 code of authenticity: HMAC-SHA-256 of everything before it, its first 128 bits
package beat

const (
	// Size is how many bytes a datagram of this version has.
	Size = offCode + sealSize
	// Most is how many bytes a datagram of a later version may have.
	Most = 512
	// Paths is how many ways there may be between two nodes.
	Paths = 8

	magic    = 0x45564b48 // "EVKH"
	version  = 1
	sealSize = 16
)

// Where the fields stand.
const (
	offMagic    = 0
	offVersion  = 4
	offKind     = 5
	offKey      = 6
	offPath     = 7
	offCluster  = 8
	offNode     = 16
	offBoot     = 24
	offNonce    = 32
	offSequence = 40
	offSays     = 48
	offState    = 50
	offAccepted = 51
	offPriority = 52
	offOffered  = 54
	offFlags    = 55
	offChoice   = 56
	offLife     = 60
	offLease    = 64
	offEchoAge  = 68
	offEchoBoot = 72
	offEcho     = 80
	offRevision = 88
	offHash     = 96
	offDigest   = 112
	offOffer    = 128
	offCheck    = 160
	offRelease  = 168
	offDecision = 192
	offAge      = 196
	offLasted   = 200
	offTaken    = 204
	offCount    = 208
	offHardware = 212
	offLast     = 220
	offCode     = 244
)
