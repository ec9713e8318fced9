package beat

// Offer is what a node puts in for the next key: its number, and an X25519 public key. The zero value is none.
type Offer struct {
	ID     uint8
	Public [32]byte
}
