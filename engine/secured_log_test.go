package engine

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"evenkeel/appliance"
	"evenkeel/engine/tlsterm/tlstest"
)

// notes is a log that can be read while it is written.
type notes struct {
	mu   sync.Mutex
	text strings.Builder
}

func (n *notes) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(b)
}

func (n *notes) has(text string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Contains(n.text.String(), text)
}

func TestTheLogSaysWhyTLSFailedOnWhichSide(t *testing.T) {
	ca, other := tlstest.NewAuthority(t, "CA"), tlstest.NewAuthority(t, "Other")
	a := ca.Issue("a.test")
	k := keep(a)
	k.set(authorityID, other.Bundle())
	at := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue("127.0.0.1").TLS}}, http.NotFoundHandler(), new(atomic.Int64))
	log := &notes{}
	e := start(t, Options{Certificates: k, Loops: 1, Log: slog.New(slog.NewTextHandler(log, nil))})
	v := web(t, "WEB", at)
	v.TLS.Certificates, v.ServerTLS.Enabled, v.ServerTLS.CA = []string{a.ID}, true, authorityID
	e.apply(v)
	if _, err := dialTLS(t, other, v, nil); err == nil {
		t.Fatal("the client trusts a stranger")
	}
	until(t, "the client's complaint is logged", func() bool { return log.has("client turned away by TLS") && log.has("remote error") })
	resp, err := https(t, ca, address(v)).Get("https://a.test/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	until(t, "the server's certificate is complained of", func() bool {
		return log.has("TLS with a real server failed") && log.has("real_server=s0") && log.has("signed by unknown authority")
	})
}

// TestTheLogSaysThatCurlDoesNotTrustTheCertificate: what OpenSSL says of it cannot be read in TLS 1.3.
func TestTheLogSaysThatCurlDoesNotTrustTheCertificate(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	a := ca.Issue("a.test")
	e := start(t, Options{Certificates: keep(a), Loops: 1, LogsDir: t.TempDir()})
	v := web(t, "WEB", serveHTTP(t, "one"))
	v.TLS.Certificates = []string{a.ID}
	e.apply(v)
	for _, version := range []string{"1.3", "1.2"} {
		before := len(logged(e, "WEB"))
		if _, err := run(t, nil, "curl", "-sS", "--tls-max", version, "https://"+address(v)+"/"); err == nil {
			t.Fatal("curl trusts a stranger")
		}
		until(t, "the line of curl", func() bool { return len(logged(e, "WEB")) > before })
		if line := logged(e, "WEB")[before]; !strings.Contains(line, " end=client_closed why=") || strings.Contains(line, "bad record") {
			t.Errorf("%s: %s", version, line)
		}
	}
}

// TestTheTrafficLogHoldsWhoFailedInTLS: a modality that cannot connect is found in the log of its service, with its address and the reason, whoever gave up.
func TestTheTrafficLogHoldsWhoFailedInTLS(t *testing.T) {
	ca, other := tlstest.NewAuthority(t, "CA"), tlstest.NewAuthority(t, "Other")
	a := ca.Issue("a.test")
	k := keep(a)
	k.set(authorityID, ca.Bundle())
	e := start(t, Options{Certificates: k, Loops: 1, LogsDir: t.TempDir()})
	v := tcp(t, "DICOM", serve(t, echo("one")).address)
	v.TLS.Certificates, v.TLS.ClientAuth, v.TLS.ClientCA = []string{a.ID}, appliance.ClientAuthRequired, authorityID
	e.apply(v)
	if _, err := dialTLS(t, other, v, nil); err == nil {
		t.Fatal("the client trusts a stranger")
	}
	if c, err := dialTLS(t, ca, v, nil); err == nil { // without a certificate; TLS 1.3 tells it behind the handshake
		_, _ = io.ReadAll(c)
		c.Close()
	}
	for _, said := range []string{"", "\x16\x03\x01\x01\x00"} { // a check of somebody's leaves no line
		quiet := dial(t, address(v))
		_, _ = io.WriteString(quiet, said)
		quiet.Close()
	}
	old := dial(t, address(v))
	if err := tls.Client(old, &tls.Config{ServerName: "a.test", RootCAs: ca.Pool(), MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}).Handshake(); err == nil {
		t.Fatal("TLS 1.1 is spoken")
	}
	until(t, "three lines", func() bool { return len(logged(e, "DICOM")) >= 3 })
	want := []string{
		`end=client_closed why="TLS: remote error: tls: `, `end=refused why="TLS: client didn't provide a certificate"`, `end=refused why="TLS: client offered only unsupported versions`,
	}
	for i, line := range logged(e, "DICOM") {
		if i >= len(want) || !strings.Contains(line, want[i]) || !strings.Contains(line, " service=DICOM client=127.0.0.1:") {
			t.Errorf("line %d is %s", i, line)
		}
	}
}
