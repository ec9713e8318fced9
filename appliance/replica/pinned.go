package replica

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"time"

	"golang.org/x/crypto/ssh"

	"evenkeel/appliance"
)

// TLS returns how this node speaks with the other one beside SSH (TCP 7778), as client and as server: each proves that it has the key which was pinned when the pair
// was made. Names and times of certificates do not count, since a wrong clock must not cut the pair. A node in no pair gets on with nobody.
func (m *Members) TLS() (*tls.Config, error) {
	own, err := selfSigned(m.self.key)
	if err != nil {
		return nil, &appliance.Error{Kind: appliance.Internal, Op: "make the certificate of the node", Err: err}
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAnyClientCert, SessionTicketsDisabled: true,
		InsecureSkipVerify: true, //nolint:gosec // the key is compared instead
		VerifyConnection:   m.verifyPeer,
	}, nil
}

// verifyPeer tells whether the other side is the peer.
func (m *Members) verifyPeer(s tls.ConnectionState) error {
	stranger := &appliance.Error{Kind: appliance.Denied, Op: "speak with the peer", Message: "The other side does not have the key of the peer."}
	current, paired := m.Current()
	if !paired || len(s.PeerCertificates) != 1 {
		return stranger
	}
	key, ok := s.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		return stranger
	}
	public, err := ssh.NewPublicKey(key)
	if err != nil || authorized(public) != current.Peer.Key {
		return stranger
	}
	return nil
}

// selfSigned is a certificate that carries a key.
func selfSigned(key ed25519.PrivateKey) (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "evenkeel node"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// SaveKeys replaces the keys of the heartbeat in what is kept of the pair. It is an error of kind not_found without a pair.
func (m *Members) SaveKeys(ctx context.Context, keys []appliance.HeartbeatKey) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	current := m.current.Load()
	if current == nil {
		return &appliance.Error{Kind: appliance.NotFound, Op: "change the heartbeat's key", Message: "This node is in no pair."}
	}
	next := *current
	next.Keys = keys
	if err := m.write(ctx, map[string]any{secretPair: next}, nil); err != nil {
		return err
	}
	m.current.Store(&next)
	return nil
}
