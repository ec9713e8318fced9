package tlsterm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/tlsterm/tlstest"

	"golang.org/x/crypto/ocsp"
)

func TestOldClientsGetTheCertificateThatTheyCanUse(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	modern, old := ca.Issue("a.test"), ca.IssueRSA("a.test")
	config := terminator(t, nil, modern, old).Config
	for _, c := range []struct {
		suite uint16
		want  *tlstest.Issued
	}{{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, modern}, {tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, old}} {
		p := newPair(t, config, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{c.suite}}, nil).open()
		if got := p.client.(*Conn).tls.ConnectionState().PeerCertificates[0]; !got.Equal(c.want.Leaf) {
			t.Errorf("got the certificate with a key of %s", got.PublicKeyAlgorithm)
		}
	}
}

func TestSuitesThatCanBeChosenAreThoseOfTheLanguage(t *testing.T) {
	if n := len(suites(nil)); n != len(appliance.TLSCiphers()) {
		t.Errorf("crypto/tls knows %d of %d suites", n, len(appliance.TLSCiphers()))
	}
	for _, id := range suites(nil) {
		if slices.ContainsFunc(tls.InsecureCipherSuites(), func(s *tls.CipherSuite) bool { return s.ID == id }) {
			t.Errorf("%s is insecure", tls.CipherSuiteName(id))
		}
	}
	if got := suites([]string{"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"}); !slices.Equal(got, []uint16{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}) {
		t.Error(got)
	}
}

func TestWhatCannotBeReadIsRefused(t *testing.T) {
	ca, other := tlstest.NewAuthority(t, "CA"), tlstest.NewAuthority(t, "Other")
	issued := other.Issue("x")
	for name, a := range map[string]appliance.Authority{
		"nothing":               {},
		"no certificate":        {Bundle: []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")},
		"no list":               {Bundle: ca.Bundle().Bundle, CRL: []byte("nonsense")},
		"another authority's":   {Bundle: ca.Bundle().Bundle, CRL: other.Bundle(issued).CRL},
		"a list of a forger's":  {Bundle: ca.Bundle().Bundle, CRL: tlstest.NewAuthority(t, "CA").Bundle(issued).CRL},
		"a broken list's block": {Bundle: ca.Bundle().Bundle, CRL: []byte("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")},
	} {
		if _, err := LoadAuthority(a); appliance.KindOf(err) != appliance.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Load(appliance.KeyPair{Chain: issued.Pair.Chain, Key: other.Issue("y").Pair.Key}); appliance.KindOf(err) != appliance.Invalid {
		t.Error(err)
	}
	a, err := LoadAuthority(ca.Bundle(ca.Issue("z")))
	if err != nil || a.Outdated(time.Now()) || !a.Outdated(time.Now().Add(2*time.Hour)) {
		t.Error(err)
	}
}

func TestTicketKeysTurnAndAreForgotten(t *testing.T) {
	now := time.Now()
	r := NewRing(now)
	first := r.Keys()[0]
	if r.Turn(now.Add(ticketTurn - time.Second)) {
		t.Error("turned too early")
	}
	for i := 1; i < ticketKeys; i++ {
		if !r.Turn(now.Add(time.Duration(i)*ticketTurn)) || !slices.Contains(r.Keys(), first) {
			t.Errorf("after %d turns the first key is gone", i)
		}
	}
	if r.Turn(now.Add(ticketKeys * ticketTurn)); slices.Contains(r.Keys(), first) || len(r.Keys()) != ticketKeys {
		t.Error("the first key is never forgotten")
	}
	peer := NewRing(now.Add(time.Hour))
	if !peer.Merge(r.Keys()) || peer.Merge(r.Keys()) || peer.Keys()[0] != r.Keys()[0] {
		t.Error("a peer does not seal with the newest key of both")
	}
	if a, b := r.keysFor("a"), r.keysFor("b"); a[0] == b[0] || a[0] == r.Keys()[0].Key || len(a) != ticketKeys {
		t.Error("services share keys")
	}
}

func TestAStapleIsFetchedShownAndNeverNeeded(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	var status, asked atomic.Int64
	var issued *tlstest.Issued
	responder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		question, err := ocsp.ParseRequest(body)
		if err != nil || status.Load() < 0 {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		answer, err := ocsp.CreateResponse(ca.Leaf, ca.Leaf, ocsp.Response{
			Status: int(status.Load()), SerialNumber: question.SerialNumber, ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour),
		}, ca.Key())
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(answer)
	}))
	defer responder.Close()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issued = ca.IssueFor(crypto.Signer(key), func(c *x509.Certificate) { c.OCSPServer = []string{responder.URL} }, "a.test")
	for _, c := range []struct {
		status int
		want   bool
	}{{ocsp.Good, true}, {ocsp.Revoked, false}, {-1, false}} {
		status.Store(int64(c.status))
		term := terminator(t, nil, issued)
		certificate := term.table.first
		s := NewStapler(slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		before := asked.Load()
		go func() { s.Run(ctx); close(done) }()
		s.Watch([]*Certificate{certificate})
		s.Watch([]*Certificate{certificate})
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && (asked.Load() == before || c.want && certificate.current.Load().OCSPStaple == nil); {
			runtime.Gosched()
		}
		cancel()
		<-done
		p := newPair(t, term.Config, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test"}, nil).open()
		staple := p.client.(*Conn).tls.ConnectionState().OCSPResponse
		if (len(staple) > 0) != c.want {
			t.Errorf("status %d: %d bytes are stapled", c.status, len(staple))
		}
		if c.want {
			if r, err := ocsp.ParseResponseForCert(staple, issued.Leaf, ca.Leaf); err != nil || r.Status != ocsp.Good {
				t.Error(err)
			}
		}
	}
	if bytes.Contains([]byte(issued.Pair.String()), []byte("PRIVATE")) {
		t.Error("a key is told")
	}
}

func TestTicketKeysAreKeptAndReadBack(t *testing.T) {
	now := time.Now()
	r := NewRing(now)
	r.Turn(now.Add(ticketTurn))
	back, ok := DecodeRing(r.Encode())
	if !ok || len(back.Keys()) != 2 || back.Keys()[0].Key != r.Keys()[0].Key || !back.Keys()[0].Made.Equal(r.Keys()[0].Made) {
		t.Errorf("%v", ok)
	}
	other := NewRing(now)
	if !other.Set(back) || other.Set(back) || len(other.Keys()) != 2 {
		t.Error("the keys of another ring are not taken up")
	}
	for _, bad := range []string{"", "[]", "{}", `[{"made":"2026-03-01T00:00:00Z","key":"AAAA"}]`, `[{"key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}]`, string(r.Encode()) + "x"} {
		if _, ok := DecodeRing([]byte(bad)); ok {
			t.Errorf("%q was read", bad)
		}
	}
	if r := NewRing(now.Add(20 * 365 * 24 * time.Hour)); !r.Turn(now) || r.Keys()[0].Made != now {
		t.Error("a clock that was ahead keeps a key for good")
	}
}
