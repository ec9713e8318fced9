package ui

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/netutil"

	"evenkeel/appliance"
)

// How long a request may take; event streams set their own deadlines.
const (
	headWithin  = 10 * time.Second
	readWithin  = time.Minute
	writeWithin = 3 * time.Minute // an Apply may wait for the host
	idleWithin  = 2 * time.Minute
	endWithin   = 1500 * time.Millisecond
	maxHead     = 32 << 10

	mostConnections = 512
	mostRequests    = 32 // on one connection at the same time; a browser's tabs share one
)

// Serve answers HTTPS on l, which it closes, until ctx ends; then open requests get a moment to finish, and event streams end. It returns nil after a wanted end.
func (u *UI) Serve(ctx context.Context, l net.Listener, certificate tls.Certificate) error {
	server := &http.Server{
		Handler: u.handler, ReadHeaderTimeout: headWithin, ReadTimeout: readWithin, WriteTimeout: writeWithin, IdleTimeout: idleWithin, MaxHeaderBytes: maxHead,
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: mostRequests},
		ErrorLog: slog.NewLogLogger(u.Log.Handler(), slog.LevelDebug),
	}
	secure := tls.NewListener(netutil.LimitListener(l, mostConnections), &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(secure) }()
	select {
	case err := <-ended:
		return &appliance.Error{Kind: appliance.Unavailable, Op: "serve the WebUI", Err: err}
	case <-ctx.Done():
	}
	u.live.end()
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	if err := server.Shutdown(within); err != nil {
		if err := server.Close(); err != nil {
			u.Log.Debug("connections of the webui not closed", "error", err)
		}
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Secrets keeps what is made once.
type Secrets interface {
	Secret(ctx context.Context, name string, make func() ([]byte, error)) ([]byte, error)
}

const certificateLife = 10 * 365 * 24 * time.Hour

// Certificate returns the certificate of the WebUI, which is made at the first start: self-signed, ECDSA, for localhost, the hostname and the addresses.
func Certificate(ctx context.Context, s Secrets, hostname string, addresses []netip.Addr, now time.Time) (tls.Certificate, error) {
	text, err := s.Secret(ctx, "webui_certificate", func() ([]byte, error) { return selfSigned(hostname, addresses, now) })
	if err != nil {
		return tls.Certificate{}, err
	}
	certificate, err := tls.X509KeyPair(text, text)
	if err != nil {
		return certificate, &appliance.Error{Kind: appliance.Internal, Op: "read the certificate of the WebUI", Err: err}
	}
	return certificate, nil
}

func selfSigned(hostname string, addresses []netip.Addr, now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("choose serial number: %w", err)
	}
	template := x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: hostname, Organization: []string{Product}}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if hostname != "" && hostname != "localhost" {
		template.DNSNames = append(template.DNSNames, hostname)
	}
	for _, a := range addresses {
		if ip := net.IP(a.Unmap().AsSlice()); a.IsValid() && !slices.ContainsFunc(template.IPAddresses, ip.Equal) {
			template.IPAddresses = append(template.IPAddresses, ip)
		}
	}
	raw, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("write key: %w", err)
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
	return append(out, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), nil
}
