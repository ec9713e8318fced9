package appliance

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Hash returns the first 128 bits of the SHA-256 of v's JSON, in hex: the ETag of an object and the identity of a configuration.
// Equal values give equal hashes because lists are sorted and fields stand in one order.
func Hash(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("appliance: value without JSON: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}
