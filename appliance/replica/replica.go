// Package replica makes two appliances a pair and keeps their settings the same, over SSH: pairing by the password of the peer, once; afterwards each node signs in at the
// other with its own key. The Active node sends what both have in common as one signed bundle; the other takes it as it would take what a stranger typed.
// It owns the secrets of the membership, and the folder that a peer sees, which is in memory only. It decides nothing about who is active.
package replica

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"

	"evenkeel/appliance"
)

// Who signs in at the SSH endpoint, and what is behind it.
const (
	PairingUser       = "loadbalancer"     // by password, only to make a pair
	PairingSubsystem  = "evenkeel-pairing" // messages of this package
	SettingsUser      = "pair"             // by the pinned key of the peer
	SettingsSubsystem = "sftp"             // one folder
)

// Format is the version of everything that nodes say to each other here. Nodes of different formats do not work together.
const Format = 1

// The names of the secrets.
const (
	secretNodeID  = "node_id"
	secretNodeKey = "node_key"
	secretPair    = "pair"
	secretPending = "pair_pending" // a pair that is being made
	secretFormer  = "pair_former"  // a pair that was broken
)

// Secrets keeps what must outlive the process and is in no revision.
type Secrets interface {
	// Secret returns the newest version; when there is none, make makes the first, or with a nil make the error is of kind not_found.
	Secret(ctx context.Context, name string, make func() ([]byte, error)) ([]byte, error)
	// ExchangeSecrets forgets some and sets others in one transaction, with a record of it.
	ExchangeSecrets(ctx context.Context, set map[string][]byte, forget []string, audit ...appliance.AuditEntry) error
}

// identity is what a node is, whether in a pair or not.
type identity struct {
	id  string
	key ed25519.PrivateKey
}

func (i identity) public() string {
	signer, err := ssh.NewSignerFromKey(i.key)
	if err != nil {
		panic("replica: an ed25519 key is refused: " + err.Error())
	}
	return authorized(signer.PublicKey())
}

func readIdentity(ctx context.Context, s Secrets) (identity, error) {
	random := func(n int) func() ([]byte, error) {
		return func() ([]byte, error) {
			b := make([]byte, n)
			_, err := rand.Read(b)
			return b, err
		}
	}
	id, err := s.Secret(ctx, secretNodeID, random(8))
	if err != nil {
		return identity{}, err
	}
	seed, err := s.Secret(ctx, secretNodeKey, random(ed25519.SeedSize))
	if err != nil {
		return identity{}, err
	}
	if len(id) != 8 || len(seed) != ed25519.SeedSize {
		return identity{}, &appliance.Error{Kind: appliance.Internal, Op: "read the identity of the node", Message: "The identity of this node is damaged."}
	}
	return identity{fmt.Sprintf("%x", id), ed25519.NewKeyFromSeed(seed)}, nil
}

func authorized(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// parseKey reads an ed25519 key as in authorized_keys, in exactly the form in which it is written here.
func parseKey(text string) (ssh.PublicKey, error) {
	key, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil || len(rest) > 0 || key.Type() != ssh.KeyAlgoED25519 || authorized(key) != text {
		return nil, &appliance.Error{Kind: appliance.Invalid, Message: "This is not an ed25519 key.", Err: err}
	}
	return key, nil
}

// Fingerprint returns what is shown of a key as in authorized_keys; "" for what is no key.
func Fingerprint(text string) string {
	key, err := parseKey(text)
	if err != nil {
		return ""
	}
	return ssh.FingerprintSHA256(key)
}

const mostMessage = 64 << 10

// say writes one message of the pairing: its length in four bytes, then JSON.
func say(w io.Writer, message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if len(b) > mostMessage {
		return fmt.Errorf("a message of %d bytes", len(b))
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	return err
}

// hear reads one message. Fields that this version does not know are ignored: the format says what must be known.
func hear(r io.Reader, message any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > mostMessage {
		return fmt.Errorf("a message of %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(message); err != nil {
		return fmt.Errorf("read a message: %w", err)
	}
	if d.More() {
		return fmt.Errorf("a message and something behind it")
	}
	return nil
}

// refusal is how a node says no.
type refusal struct {
	Kind    appliance.Kind `json:"kind"`
	Field   string         `json:"field,omitempty"`
	Message string         `json:"message"`
	Hint    string         `json:"hint,omitempty"`
}

const mostSentence = 500 // runes of a sentence that another node says

func refusalOf(err error) *refusal {
	e := appliance.ErrorsOf(err)[0]
	return &refusal{e.Kind, e.Field, e.Text(), e.Hint}
}

// err is what the other node said, made fit for a page.
func (r *refusal) err(op string) error {
	kind := r.Kind
	switch kind {
	case appliance.Invalid, appliance.NotFound, appliance.Conflict, appliance.Stale, appliance.Denied, appliance.Unsupported, appliance.Unavailable:
	default:
		kind = appliance.Unavailable
	}
	return &appliance.Error{Kind: kind, Op: op, Field: clean(r.Field), Message: "The other node says: " + clean(r.Message), Hint: clean(r.Hint)}
}
