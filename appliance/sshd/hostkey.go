package sshd

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"

	"golang.org/x/crypto/ssh"

	"evenkeel/appliance"
)

// hostKeySecret names the secret that holds the seed of the host key.
const hostKeySecret = "ssh_host_key"

// Secrets keeps what must outlive the process and is in no revision.
type Secrets interface {
	// Secret returns the newest version; when there is none, make makes the first.
	Secret(ctx context.Context, name string, make func() ([]byte, error)) ([]byte, error)
}

// HostKey returns the appliance's host key, which is made at the first call. The error is the store's, or internal for a secret that is none.
func HostKey(ctx context.Context, s Secrets) (ed25519.PrivateKey, error) {
	seed, err := s.Secret(ctx, hostKeySecret, func() ([]byte, error) {
		seed := make([]byte, ed25519.SeedSize)
		_, err := rand.Read(seed)
		return seed, err
	})
	if err != nil {
		return nil, err
	}
	if len(seed) != ed25519.SeedSize {
		return nil, &appliance.Error{Kind: appliance.Internal, Op: "read the SSH host key", Message: "The SSH host key is damaged."}
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// Authorized returns the public half of a host key as in authorized_keys, and Fingerprint's text of it.
func Authorized(key ed25519.PrivateKey) (text, fingerprint string, err error) {
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return "", "", &appliance.Error{Kind: appliance.Internal, Op: "read the host key", Err: err}
	}
	return authorized(signer.PublicKey()), ssh.FingerprintSHA256(signer.PublicKey()), nil
}
