package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"evenkeel/appliance"
)

// Argon2id parameters (RFC 9106; above OWASP's minimum). They stand in every hash, so that they can be raised later.
const (
	hashMemory   = 32 << 10 // KiB
	hashPasses   = 2
	hashThreads  = 1
	hashSize     = 32
	saltSize     = 16
	hashesAtOnce = 2 // 64 MiB at most, however many sign in
)

// MaxPassword is the longest password in bytes.
const MaxPassword = 4 << 10

var b64 = base64.RawStdEncoding

// Hash returns the argon2id hash of a password in the PHC string form. It waits for its turn, as long as ctx allows (kind unavailable).
func (d *Door) Hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	sum, err := d.derive(ctx, password, salt, hashMemory, hashPasses, hashThreads)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashPasses, hashThreads, b64.EncodeToString(salt), b64.EncodeToString(sum)), nil
}

func (d *Door) derive(ctx context.Context, password string, salt []byte, memory, passes uint32, threads uint8) ([]byte, error) {
	select {
	case d.hashing <- struct{}{}:
	case <-ctx.Done():
		return nil, &appliance.Error{Kind: appliance.Unavailable, Op: "check password", Message: "Too many people sign in at this moment.", Hint: "Try again in a few seconds.", Err: ctx.Err()}
	}
	defer func() { <-d.hashing }()
	return argon2.IDKey([]byte(password), salt, passes, memory, threads, hashSize), nil
}

// verify compares in constant time. A hash that cannot be read costs the same time and never matches, so that an unknown account does not show.
func (d *Door) verify(ctx context.Context, hash, password string) (bool, error) {
	memory, passes, threads, salt, want, ok := readHash(hash)
	if !ok {
		memory, passes, threads, salt, want = hashMemory, hashPasses, hashThreads, make([]byte, saltSize), make([]byte, hashSize)
	}
	got, err := d.derive(ctx, password, salt, memory, passes, threads)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(got, want) == 1 && ok, nil
}

func readHash(hash string) (memory, passes uint32, threads uint8, salt, sum []byte, ok bool) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return 0, 0, 0, nil, nil, false
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &threads); n != 3 || err != nil {
		return 0, 0, 0, nil, nil, false
	}
	if memory < 8 || memory > 256<<10 || passes < 1 || passes > 10 || threads < 1 || threads > 8 {
		return 0, 0, 0, nil, nil, false
	}
	salt, err := b64.DecodeString(parts[4])
	if err != nil || len(salt) < 8 {
		return 0, 0, 0, nil, nil, false
	}
	sum, err = b64.DecodeString(parts[5])
	if err != nil || len(sum) != hashSize {
		return 0, 0, 0, nil, nil, false
	}
	return memory, passes, threads, salt, sum, true
}
