package engine

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/tlsterm"
	"evenkeel/engine/tlsterm/tlstest"
)

// keeper is who keeps certificates in tests.
type keeper struct {
	mu          sync.Mutex
	pairs       map[string]appliance.KeyPair
	authorities map[string]appliance.Authority
}

func (k *keeper) KeyPair(id string) (appliance.KeyPair, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p, found := k.pairs[id]; found {
		return p, nil
	}
	return appliance.KeyPair{}, &appliance.Error{Kind: appliance.NotFound, Message: "There is no certificate " + id + "."}
}

func (k *keeper) Authority(id string) (appliance.Authority, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if a, found := k.authorities[id]; found {
		return a, nil
	}
	return appliance.Authority{}, &appliance.Error{Kind: appliance.NotFound, Message: "There is no authority " + id + "."}
}

func (k *keeper) set(id string, a appliance.Authority) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.authorities[id] = a
}

// keep returns a keeper of these.
func keep(list ...*tlstest.Issued) *keeper {
	k := &keeper{pairs: map[string]appliance.KeyPair{}, authorities: map[string]appliance.Authority{}}
	for _, i := range list {
		k.pairs[i.ID] = i.Pair
	}
	return k
}

const authorityID = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// dialTLS opens a connection in TLS to a service; config may be nil.
func dialTLS(t *testing.T, ca *tlstest.Authority, v appliance.VirtualService, edit func(*tls.Config)) (*tls.Conn, error) {
	t.Helper()
	c := &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test"}
	if edit != nil {
		edit(c)
	}
	conn := tls.Client(dial(t, address(v)), c)
	if err := conn.Handshake(); err != nil {
		return nil, err
	}
	return conn, nil
}

func TestServicesWhoseCertificatesCannotBeHadAreRefused(t *testing.T) {
	v := appliance.NewService(appliance.HTTP)
	v.ID, v.Label, v.TLS.Certificates = "web", "WEB", []string{authorityID}
	v.TLS.ClientAuth, v.TLS.ClientCA, v.ServerTLS.CA, v.ServerTLS.Enabled = appliance.ClientAuthRequired, authorityID, authorityID, true
	v.RealServers = append(v.RealServers, appliance.NewRealServer())
	errs := appliance.ErrorsOf(New(Options{}).Check(t.Context(), config(v)))
	if len(errs) != 1 || errs[0].Kind != appliance.Unsupported || errs[0].Field != "virtual_services[WEB].tls.certificates" {
		t.Error(errs)
	}
	e := New(Options{Certificates: keep()})
	errs = appliance.ErrorsOf(e.Check(t.Context(), config(v)))
	if len(errs) != 3 || errs[0].Kind != appliance.Invalid || errs[1].Field != "virtual_services[WEB].tls.client_ca" || errs[2].Field != "virtual_services[WEB].server_tls.ca" {
		t.Error(errs)
	}
	ca := tlstest.NewAuthority(t, "CA")
	a, b := ca.Issue("a.test"), ca.Issue("b.test")
	a.Pair.Key = b.Pair.Key
	v.TLS = appliance.NewService(appliance.HTTP).TLS
	v.TLS.Certificates, v.ServerTLS.Enabled = []string{a.ID}, false
	errs = appliance.ErrorsOf(New(Options{Certificates: keep(a)}).Check(t.Context(), config(v)))
	if len(errs) != 1 || errs[0].Kind != appliance.Invalid {
		t.Error(errs)
	}
}

func TestTLSIsTerminatedInTCPMode(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	issued, rsa := ca.Issue("a.test"), ca.IssueRSA("a.test")
	for _, c := range []*tlstest.Issued{issued, rsa} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			e := start(t, Options{Certificates: keep(c)})
			v := tcp(t, "DICOM", serve(t, echo("one")).address)
			v.TLS.Certificates = []string{c.ID}
			e.apply(v)
			conn, err := dialTLS(t, ca, v, func(c *tls.Config) { c.MinVersion, c.MaxVersion = version, version })
			if err != nil {
				t.Fatal(err)
			}
			if name := readName(t, conn); name != "one" {
				t.Errorf("served by %q", name)
			}
			ping(t, conn, "C-ECHO")
			sent := noise(8 << 20)
			go func() {
				_, _ = conn.Write(sent)
				_ = conn.CloseWrite()
			}()
			got, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "echo over TLS", got, sent)
			e.stop()
		}
	}
}

func TestTheCertificateFollowsTheNameThatIsAskedFor(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	first, exact, wild := ca.Issue("first.test"), ca.Issue("a.clinic.test"), ca.Issue("*.clinic.test")
	e := start(t, Options{Certificates: keep(first, exact, wild)})
	v := tcp(t, "S", serve(t, echo("one")).address)
	v.TLS.Certificates = []string{first.ID, wild.ID, exact.ID}
	e.apply(v)
	for name, want := range map[string]*tlstest.Issued{
		"a.clinic.test": exact, "A.Clinic.TEST": exact, "b.clinic.test": wild, "x.b.clinic.test": first, "clinic.test": first, "": first, "unknown.test": first,
	} {
		conn, err := dialTLS(t, ca, v, func(c *tls.Config) { c.ServerName, c.InsecureSkipVerify = name, true })
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.ConnectionState().PeerCertificates[0]; !got.Equal(want.Leaf) {
			t.Errorf("%q got the certificate of %s", name, got.DNSNames)
		}
	}
}

func TestTheFloorAndTheCiphersHold(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	a := ca.Issue("a.test")
	e := start(t, Options{Certificates: keep(a)})
	v := tcp(t, "S", serve(t, echo("one")).address)
	v.TLS.Certificates, v.TLS.MinVersion = []string{a.ID}, appliance.TLS13
	e.apply(v)
	if _, err := dialTLS(t, ca, v, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }); err == nil {
		t.Error("TLS 1.2 got in below the floor")
	}
	v.TLS.MinVersion, v.TLS.Ciphers = appliance.TLS12, []string{"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"}
	e.apply(v)
	conn, err := dialTLS(t, ca, v, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
	if err != nil || conn.ConnectionState().CipherSuite != tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 {
		t.Error(err)
	}
	old := func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }
	if _, err := dialTLS(t, ca, v, old); err == nil {
		t.Error("TLS 1.1 got in")
	}
}

func TestClientCertificates(t *testing.T) {
	ca, other := tlstest.NewAuthority(t, "CA"), tlstest.NewAuthority(t, "Other")
	a, good, bad, foreign := ca.Issue("a.test"), ca.Issue("modality"), ca.Issue("stolen"), other.Issue("stranger")
	k := keep(a)
	k.set(authorityID, ca.Bundle())
	e := start(t, Options{Certificates: k})
	v := tcp(t, "S", serve(t, echo("one")).address)
	v.TLS.Certificates, v.TLS.ClientAuth, v.TLS.ClientCA = []string{a.ID}, appliance.ClientAuthRequired, authorityID
	sessions := tls.NewLRUClientSessionCache(4)
	try := func(show *tlstest.Issued) error {
		conn, err := dialTLS(t, ca, v, func(c *tls.Config) {
			if show != nil {
				c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &show.TLS, nil } // wanted or not
			}
			if show == bad {
				c.ClientSessionCache = sessions
			}
		})
		if err == nil { // TLS 1.3 tells a client behind its handshake that its certificate is not wanted
			_, err = io.ReadFull(conn, make([]byte, 4))
			conn.Close()
		}
		return err
	}
	e.apply(v)
	for name, c := range map[string]struct {
		show *tlstest.Issued
		in   bool
	}{"none": {nil, false}, "good": {good, true}, "not yet revoked": {bad, true}, "of another authority": {foreign, false}} {
		if err := try(c.show); (err == nil) != c.in {
			t.Errorf("%s: %v", name, err)
		}
	}
	v.TLS.ClientAuth = appliance.ClientAuthOptional
	e.apply(v)
	if try(nil) != nil || try(good) != nil || try(foreign) == nil {
		t.Error("optional certificates are not optional, or any will do")
	}
	if err := try(bad); err != nil { // fills the sessions of this service
		t.Fatal(err)
	}
	k.set(authorityID, ca.Bundle(bad))
	e.apply(v) // a new list of the same authority is used from the next Apply on
	if err := try(bad); err == nil {
		t.Error("a revoked certificate got in, perhaps by a session of before")
	}
	if try(good) != nil || try(nil) != nil {
		t.Error("the list refuses others than it names")
	}
}

func TestSessionsAreResumedOnEveryLoopAndNotByAnotherService(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	a := ca.Issue("a.test")
	e := start(t, Options{Certificates: keep(a), Loops: 2})
	v, w := tcp(t, "S", serve(t, echo("one")).address), tcp(t, "W", serve(t, echo("two")).address)
	v.TLS.Certificates, w.TLS.Certificates = []string{a.ID}, []string{a.ID}
	e.apply(v, w)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		sessions := tls.NewLRUClientSessionCache(4)
		resumed := func(v appliance.VirtualService) bool {
			conn, err := dialTLS(t, ca, v, func(c *tls.Config) { c.ClientSessionCache, c.MinVersion, c.MaxVersion = sessions, version, version })
			if err != nil {
				t.Fatal(err)
			}
			readName(t, conn)
			conn.Close()
			return conn.ConnectionState().DidResume
		}
		if resumed(v) {
			t.Error("the first session is resumed")
		}
		for range 8 {
			if !resumed(v) {
				t.Error("a session is not resumed")
			}
		}
		for i := range 2 { // the second ring of keys still opens the tickets of the first
			e.ring.Merge([]tlsterm.TicketKey{{Made: time.Now(), Key: [32]byte{byte(version), byte(i)}}})
			e.turnTickets()
			if !resumed(v) {
				t.Error("a session is not resumed behind a turn of the keys")
			}
		}
		if resumed(w) {
			t.Error("a session is good for another service")
		}
	}
}

func TestReEncryptedSessionsInTCPMode(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	a, server := ca.Issue("a.test"), ca.Issue("127.0.0.1")
	k := keep(a)
	k.set(authorityID, ca.Bundle())
	plain := serve(t, func(c net.Conn) {
		s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{server.TLS}})
		_, _ = io.WriteString(s, "secret\n")
		_, _ = io.Copy(s, s)
		_ = s.CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	})
	e := start(t, Options{Certificates: k})
	v := tcp(t, "S", plain.address)
	v.TLS.Certificates, v.ServerTLS.CA, v.ServerTLS.Enabled = []string{a.ID}, authorityID, true
	e.apply(v)
	conn, err := dialTLS(t, ca, v, nil)
	if err != nil {
		t.Fatal(err)
	}
	if name := readName(t, conn); name != "secret" {
		t.Fatal(name)
	}
	sent := noise(6 << 20)
	go func() {
		_, _ = conn.Write(sent)
		_ = conn.CloseWrite()
	}()
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "echo through two sides of TLS", got, sent)
}

func TestASlowReaderOverTLSLosesNothing(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	a := ca.Issue("a.test")
	sent := noise(16 << 20)
	server := serve(t, func(c net.Conn) { _, _ = c.Write(sent) })
	e := start(t, Options{Certificates: keep(a)})
	v := tcp(t, "S", server.address)
	v.TLS.Certificates = []string{a.ID}
	e.apply(v)
	conn, err := dialTLS(t, ca, v, nil)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the way is full", func() bool { return e.status(v.ID).BytesOut > 100_000 })
	got, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	same(t, "what a slow reader got", got, sent)
}

func TestHalfOpenHandshakesAndNonsenseAreEnded(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	a := ca.Issue("a.test")
	e := start(t, Options{Certificates: keep(a)})
	v := tcp(t, "S", serve(t, echo("one")).address)
	v.TLS.Certificates = []string{a.ID}
	e.apply(v)
	for _, text := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", "\x80\x2e\x01\x03\x01", strings.Repeat("\x16\x03\x01\x00\x01\x01", 20_000)} {
		c := dial(t, address(v))
		_, _ = io.WriteString(c, text)
		_ = c.CloseWrite()
		if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Error(err)
		}
	}
	conn, err := dialTLS(t, ca, v, nil)
	if err != nil {
		t.Fatal(err)
	}
	readName(t, conn)
	conn.Close()
	until(t, "everybody is gone", func() bool { return e.status(v.ID).Connections == 0 })
}
