package beat

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"

	"evenkeel/appliance"
)

// Offer is what a node puts in for the next key: its number, and an X25519 public key. The zero value is none.
type Offer struct {
	ID     uint8
	Public [32]byte
}

// Rotation changes the key of a pair in three steps, each taken only when the peer's own datagrams prove that it can follow: both accept the new key (it is
// agreed between them in the datagrams themselves and stored), both send with it, both forget the old one. Whatever is lost, repeated or restarted in between, a
// node that hears its peer never sends with a key that the peer does not hold. It is a value without clock and I/O: what is to be done comes back as a Task, and its outcome is told
// by Drawn, Stored or Failed.
type Rotation struct {
	Held    [2]KeyMark // what is stored, oldest first; the second is zero but during a change
	Sending int        // which of Held the peer is known to hold; SendWith counts
	Offer   Offer      // of this node; zero: no change is wished, or a restart has lost its private half
	Theirs  Offer      // the peer's that Held[1] was agreed with
	Busy    Task       // under way; nothing else is asked meanwhile
	unsure  bool       // restarted in the middle of a change, and the peer was not heard since: it may hold either key alone
	leaving uint64     // the sequence from which on this node says that it does not accept the newest key, before it abandons it; 0: it accepts it
}

// Task is something that takes longer than the loop of heartbeats may wait.
type Task uint8

// The tasks.
const (
	Nothing Task = iota
	Draw         // draw a pair of X25519 keys, then Drawn
	Agree        // make the next key of both offers, store it behind the held one, then Stored
	Forget       // store the newest key alone, then Stored
	Abandon      // store the oldest key alone, then Stored: the peer never got the newest
)

// NewRotation returns the state of rest, or of a change that a restart has interrupted, for the keys that are stored.
func NewRotation(held ...KeyMark) Rotation {
	var r Rotation
	copy(r.Held[:], held)
	r.unsure = r.changing()
	return r
}

// SendWith tells which of Held seals the datagram with this sequence: while it is not known which the peer holds, both in turn.
func (r Rotation) SendWith(sequence uint64) int {
	if r.unsure {
		return int(sequence % 2)
	}
	return r.Sending
}

// Step names where the change stands: "accept", "send" or "forget"; empty when none is under way.
func (r Rotation) Step() string {
	switch {
	case r.Busy == Forget:
		return "forget"
	case r.changing() && r.Sending == 1:
		return "send"
	case r.changing() || r.Offer.ID != 0 || r.Busy == Draw:
		return "accept"
	}
	return ""
}

func (r Rotation) changing() bool { return r.Held[1].ID != 0 }

// Accepted is the mark of the newest stored key that is there to stay.
func (r Rotation) Accepted() KeyMark {
	if r.changing() && r.leaving == 0 {
		return r.Held[1]
	}
	return r.Held[0]
}

// Next is the number of the key that follows the held one.
func (r Rotation) Next() uint8 { return max(r.Held[0].ID+1, 1) }

// Begin starts a change; during one nothing happens.
func (r Rotation) Begin() (Rotation, Task) {
	if r.Step() != "" || r.Busy != Nothing {
		return r, Nothing
	}
	return r.begin(Draw)
}

func (r Rotation) begin(t Task) (Rotation, Task) {
	r.Busy = t
	return r, t
}

// Hear takes what the peer's newest datagram says: the key that sealed it, its offer, and what it has stored. echoed is the newest sequence of this epoch that
// the peer has heard by then, 0 for none, and sent the newest that was sent.
func (r Rotation) Hear(b *Beat, echoed, sent uint64) (Rotation, Task) {
	r.unsure = false
	switch {
	case r.Busy != Nothing:
		return r, Nothing
	case r.changing():
		return r.follow(b, echoed, sent)
	case b.Offer.ID != r.Next():
		return r, Nothing
	case r.Offer.ID == 0:
		return r.begin(Draw)
	}
	r.Theirs = b.Offer
	return r.begin(Agree)
}

// follow goes on with a change whose new key is stored here.
func (r Rotation) follow(b *Beat, echoed, sent uint64) (Rotation, Task) {
	if b.Accepted == r.Held[1] {
		r.leaving, r.Sending = 0, 1
		if b.Key == r.Held[1].ID {
			return r.begin(Forget)
		}
		return r, Nothing
	}
	r.Sending = 0
	switch {
	case r.Offer.ID != 0 && b.Offer.ID == r.Offer.ID && b.Offer != r.Theirs: // the peer has restarted and drawn anew
		r.Theirs = b.Offer
		return r.begin(Agree)
	case r.Offer.ID != 0:
		return r, Nothing
	case r.leaving == 0: // the private half is gone with a restart, and the peer does not hold what was made of it: tell first, so that it cannot begin to use it
		r.leaving = sent + 1
	case echoed >= r.leaving:
		return r.begin(Abandon)
	}
	return r, Nothing
}

// Drawn tells the public half of what Draw has drawn.
func (r Rotation) Drawn(public [32]byte) Rotation {
	r.Offer, r.Busy = Offer{ID: r.Next(), Public: public}, Nothing
	return r
}

// Stored tells which keys are on disk now.
func (r Rotation) Stored(held ...KeyMark) Rotation {
	r.Held, r.Sending, r.leaving = [2]KeyMark{}, 0, 0
	copy(r.Held[:], held)
	if !r.changing() {
		r.Offer, r.Theirs = Offer{}, Offer{}
	}
	r.Busy = Nothing
	return r
}

// Failed tells that the task could not be done; the next datagram asks for it again.
func (r Rotation) Failed() Rotation {
	if r.Busy == Agree {
		r.Theirs = Offer{}
	}
	r.Busy = Nothing
	return r
}

// DrawOffer draws the private half of an offer. It may wait for the kernel's random numbers.
func DrawOffer() (private *ecdh.PrivateKey, public [32]byte, err error) {
	if private, err = ecdh.X25519().GenerateKey(rand.Reader); err != nil {
		return nil, public, &appliance.Error{Kind: appliance.Internal, Op: "draw heartbeat key", Err: err}
	}
	return private, [32]byte(private.PublicKey().Bytes()), nil
}

// NextKey is the key that both nodes make of their offers: it cannot be known by who has heard the datagrams, nor by who has only the old key and has heard them.
// A public key that is none is an invalid error.
func NextKey(private *ecdh.PrivateKey, theirs Offer, old appliance.HeartbeatKey, cluster ID) (appliance.HeartbeatKey, error) {
	far, err := ecdh.X25519().NewPublicKey(theirs.Public[:])
	if err != nil {
		return appliance.HeartbeatKey{}, &appliance.Error{Kind: appliance.Invalid, Op: "agree heartbeat key", Err: err}
	}
	shared, err := private.ECDH(far)
	if err != nil {
		return appliance.HeartbeatKey{}, &appliance.Error{Kind: appliance.Invalid, Op: "agree heartbeat key", Err: err}
	}
	low, high := private.PublicKey().Bytes(), theirs.Public[:]
	if bytes.Compare(low, high) > 0 {
		low, high = high, low
	}
	salt := append(append([]byte(nil), low...), high...)
	about := "evenkeel heartbeat key " + cluster.String() + " " + string(rune(theirs.ID))
	secret, err := hkdf.Key(sha256.New, append(shared, old.Secret...), salt, about, KeySize)
	if err != nil {
		return appliance.HeartbeatKey{}, &appliance.Error{Kind: appliance.Internal, Op: "agree heartbeat key", Err: err}
	}
	return appliance.HeartbeatKey{ID: theirs.ID, Secret: secret}, nil
}
