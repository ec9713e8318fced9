package engine

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

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
