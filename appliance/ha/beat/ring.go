package beat

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"hash"

	"evenkeel/appliance"
)

// KeySize is how many bytes a key's secret has.
const KeySize = 32

// KeyMark names a key that a node has stored, without telling it.
type KeyMark struct {
	ID    uint8
	Check [8]byte // of its secret
}

// Mark returns the mark of a key; the zero key has the zero mark.
func Mark(k appliance.HeartbeatKey) KeyMark {
	if k.ID == 0 {
		return KeyMark{}
	}
	mac := hmac.New(sha256.New, k.Secret)
	mac.Write([]byte("evenkeel heartbeat key"))
	return KeyMark{ID: k.ID, Check: [8]byte(mac.Sum(nil)[:8])}
}

// Ring holds the keys of a pair, ready to use: at most two, newest last. It belongs to one goroutine.
type Ring struct {
	keys  []appliance.HeartbeatKey
	macs  [2]hash.Hash
	send  int // which one seals
	ready [sha256.Size]byte
}

// NewRing returns a Ring that accepts all keys and seals with the first of them. One or two keys with different ids other than 0 are needed.
func NewRing(keys []appliance.HeartbeatKey) (*Ring, error) {
	r := &Ring{}
	return r, r.Replace(keys, 0)
}

// Replace makes the ring hold these keys, and seal with the one that stands at send. When they are refused, the ring stays as it was.
func (r *Ring) Replace(keys []appliance.HeartbeatKey, send int) error {
	if len(keys) < 1 || len(keys) > 2 || send < 0 || send >= len(keys) || len(keys) == 2 && keys[0].ID == keys[1].ID {
		return refuseKeys("A pair has one heartbeat key, or two while they change.")
	}
	for _, k := range keys {
		if k.ID == 0 || len(k.Secret) != KeySize {
			return refuseKeys("A heartbeat key has a number from 1 to 255 and 32 bytes.")
		}
	}
	r.keys, r.send, r.macs = append([]appliance.HeartbeatKey(nil), keys...), send, [2]hash.Hash{}
	for i, k := range keys {
		r.macs[i] = hmac.New(sha256.New, k.Secret)
	}
	return nil
}

func refuseKeys(sentence string) error {
	return &appliance.Error{Kind: appliance.Invalid, Op: "read heartbeat keys", Message: sentence, Hint: "Break the pair and make it again: that draws new keys."}
}

// Use chooses which of the held keys seals from now on; what is not held is not chosen.
func (r *Ring) Use(key int) {
	if key >= 0 && key < len(r.keys) {
		r.send = key
	}
}

// Sending returns the number of the key that seals.
func (r *Ring) Sending() uint8 { return r.keys[r.send].ID }

func (r *Ring) holds(id uint8) bool { return r.index(id) >= 0 }

func (r *Ring) index(id uint8) int {
	for i := range r.keys {
		if r.keys[i].ID == id {
			return i
		}
	}
	return -1
}

// seal returns the code of b by the key id, which the ring holds; it is valid until the next call.
func (r *Ring) seal(id uint8, b []byte) []byte {
	mac := r.macs[r.index(id)]
	mac.Reset()
	mac.Write(b)
	return mac.Sum(r.ready[:0])[:sealSize]
}

// authentic tells, in a time that does not depend on where they differ, whether the last bytes of b are its code.
func (r *Ring) authentic(b []byte) bool {
	end := len(b) - sealSize
	return subtle.ConstantTimeCompare(r.seal(b[offKey], b[:end]), b[end:]) == 1
}
