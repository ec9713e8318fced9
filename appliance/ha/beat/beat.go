package beat

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"evenkeel/appliance"
)

// ID names a cluster or a node: the 16 hexadecimal digits of its name as a number.
type ID uint64

// ParseID reads 16 hexadecimal digits; anything else is an invalid error.
func ParseID(s string) (ID, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 8 {
		return 0, &appliance.Error{Kind: appliance.Invalid, Op: "read identity", Subject: s, Message: "An identity is 16 hexadecimal digits."}
	}
	return ID(binary.BigEndian.Uint64(b)), nil
}

// String returns the 16 digits.
func (i ID) String() string {
	return hex.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(i)))
}

// Kind says what a datagram is for.
type Kind uint8

// The kinds.
const (
	Heartbeat Kind = 1 // from node to node
	Question  Kind = 2 // from a node to a witness
	Answer    Kind = 3 // from a witness; its echo is the question's sequence
)

// Text is a short text without terminator: printable ASCII, then zeros.
type Text [24]byte

// NewText keeps what fits of s; whatever is not printable ASCII becomes a question mark.
func NewText(s string) Text {
	var t Text
	for i := range min(len(s), len(t)) {
		if t[i] = s[i]; !printable(s[i]) {
			t[i] = '?'
		}
	}
	return t
}

func printable(c byte) bool { return c > ' ' && c < 0x7f }

// String returns the text.
func (t Text) String() string { return strings.TrimRight(string(t[:]), "\x00") }

// valid tells whether t could have been made by NewText.
func (t *Text) valid() bool {
	ended := false
	for _, c := range t {
		if ended = ended || c == 0; ended != (c == 0) || !ended && !printable(c) {
			return false
		}
	}
	return true
}

// Beat is what a node says of itself. The zero value of each field means that there is nothing to say.
type Beat struct {
	Kind     Kind
	Key      uint8 // the key that the datagram was sealed with; set by Open, ignored by Seal
	Path     uint8 // number of the sender's path, below Paths
	Cluster  ID
	Node     ID     // the sender
	Boot     uint64 // the sender's epoch: raised on its disk before its first datagram, never zero
	Nonce    uint64 // drawn at the sender's start: tells two machines with one identity apart
	Sequence uint64 // counts ticks of one epoch, the same on every path
	State    appliance.Activity
	Says     uint16 // statements for the role machine, its bits; they mean nothing here
	Priority uint8
	Choice   uint32 // how often the operator has chosen, as far as the sender knows
	Witness  bool   // the sender's witness answers it
	Granted  bool   // of an answer: nobody else has the witness's word
	Claim    bool   // of a question: the sender owns the addresses, or is about to take them
	Release  Text   // the sender's version of the product

	Life     time.Duration // for how long the sender lets a lease live; whole microseconds
	Lease    time.Duration // how long the kernel still lets the sender own the addresses; whole microseconds
	Echo     Echo          // the newest datagram that the sender has heard of the receiver
	Revision int64         // of the cluster line, running
	Hash     [16]byte      // of the configuration
	Digest   [16]byte      // of the persistence table

	Decision Decision // of the sender, for the receiver's timeline

	Accepted KeyMark // the newest key that the sender has stored
	Offer    Offer   // what the sender puts in for the next key
}

// Decision is one line of the sender's timeline.
type Decision struct {
	Number   uint32 // it grows with each decision of an epoch; 0 is none
	Code     Text
	Age      time.Duration // since it was made; whole microseconds, as the others
	Lasted   time.Duration
	Taken    time.Duration
	Count    uint16
	Hardware uint64
}

// Echo proves that the sender hears the receiver.
type Echo struct {
	Boot, Sequence uint64
	Age            time.Duration // since it came; whole microseconds, at most 71 minutes
}

const (
	flagWitness = 1 << iota
	flagGranted
	flagClaim
)

// activities are the states as they travel; 0 is none.
var activities = [...]appliance.Activity{
	"", appliance.Alone, appliance.Starting, appliance.Passive, appliance.Taking, appliance.Active, appliance.HandingOn, appliance.Cut,
}

func activityCode(a appliance.Activity) byte {
	for i, one := range activities {
		if a == one {
			return byte(i)
		}
	}
	return 0
}

func (b *Beat) flags() (f byte) {
	if b.Witness {
		f |= flagWitness
	}
	if b.Granted {
		f |= flagGranted
	}
	if b.Claim {
		f |= flagClaim
	}
	return f
}

// microseconds is how a duration travels: what does not fit becomes the nearest that does.
func microseconds(d time.Duration) uint32 {
	return uint32(min(max(d/time.Microsecond, 0), 1<<32-1))
}
