package appliance

import (
	"net/netip"
	"time"
)

// SessionRecord is what is kept of one signed-in browser. The token itself is never kept.
type SessionRecord struct {
	TokenHash [32]byte // SHA-256 of the token
	Operator  string   // name
	From      netip.Addr
	UserAgent string    // as sent, at most 255 bytes
	Created   time.Time // of the sign-in
	Seen      time.Time // of the last request that counts as activity
	Expires   time.Time // the absolute end
}

// TokenRecord is what is kept of one API token. The token itself is never kept.
type TokenRecord struct {
	ID       string // public name of the token in lists
	Label    string
	Operator string   // who made it; the token is dead when that operator is
	Role     Role     // at most the operator's own
	Hash     [32]byte // SHA-256 of the token
	Created  time.Time
	Expires  time.Time // zero: never
}
