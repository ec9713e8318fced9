package replica

import (
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"golang.org/x/crypto/ssh"

	"evenkeel/appliance"
)

// A bundle is a magic, the format, a signature, and the content that it vouches for byte by byte: one JSON document. It is for one node of one pair, and for one time.
const (
	bundleMagic  = "EVKLBNDL"
	bundleHead   = len(bundleMagic) + 4 + ed25519.SignatureSize
	bundleDomain = "evenkeel settings bundle\x00" // what is signed begins with it, so that the key's other signatures are none of these
)

// bundle is the content.
type bundle struct {
	Version  string           `json:"version"` // of the sender's program
	Cluster  string           `json:"cluster"`
	Name     string           `json:"name,omitempty"` // what the sender is called
	From     string           `json:"from"`           // ids of nodes
	To       string           `json:"to"`
	Sequence uint64           `json:"sequence"`
	Shared   appliance.Shared `json:"shared"`
}

func (b bundle) sign(key ed25519.PrivateKey) ([]byte, error) {
	content, err := json.Marshal(b)
	if err != nil {
		return nil, &appliance.Error{Kind: appliance.Internal, Op: "make a bundle", Err: err}
	}
	out := binary.BigEndian.AppendUint32([]byte(bundleMagic), Format)
	out = append(out, ed25519.Sign(key, signed(content))...)
	if out = append(out, content...); len(out) > mostBytes {
		return nil, &appliance.Error{
			Kind: appliance.Unsupported, Op: "make a bundle", Message: fmt.Sprintf("The settings have %d MiB, more than the other node takes (%d).", len(out)>>20, mostBytes>>20),
		}
	}
	return out, nil
}

func signed(content []byte) []byte { return append([]byte(bundleDomain), content...) }

// open reads a bundle of that member's peer. Nothing of the content is read before its signature is good.
func openBundle(raw []byte, m appliance.Membership, version string) (bundle, error) {
	const op = "read a bundle"
	bad := func(kind appliance.Kind, format string, args ...any) (bundle, error) {
		return bundle{}, &appliance.Error{Kind: kind, Op: op, Message: fmt.Sprintf(format, args...)}
	}
	if len(raw) < bundleHead || string(raw[:len(bundleMagic)]) != bundleMagic {
		return bad(appliance.Invalid, "This is no bundle of settings.")
	}
	if format := binary.BigEndian.Uint32(raw[len(bundleMagic):]); format != Format {
		return bad(appliance.Unsupported, "The settings come in format %d; version %s reads format %d. Bring both nodes to the same version.", format, version, Format)
	}
	key, err := parseKey(m.Peer.Key)
	if err != nil {
		return bundle{}, err
	}
	signature, content := raw[bundleHead-ed25519.SignatureSize:bundleHead], raw[bundleHead:]
	if !verifies(key, content, signature) {
		return bad(appliance.Denied, "The signature of the settings is not %s's.", m.Peer.Name)
	}
	var b bundle
	if err := json.Unmarshal(content, &b); err != nil {
		return bundle{}, &appliance.Error{Kind: appliance.Invalid, Op: op, Message: "The settings cannot be read.", Err: err}
	}
	if b.Cluster != m.Cluster || b.From != m.Peer.ID || b.To != m.Self.ID {
		return bad(appliance.Denied, "The settings are meant for another node or another pair.")
	}
	return b, nil
}

func verifies(key ssh.PublicKey, content, signature []byte) bool {
	return key.Verify(signed(content), &ssh.Signature{Format: ssh.KeyAlgoED25519, Blob: signature}) == nil
}
