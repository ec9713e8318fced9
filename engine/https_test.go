package engine

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/tlsterm/tlstest"
)

// https returns a client that trusts ca and connects to one address whatever the name.
func https(t *testing.T, ca *tlstest.Authority, to string) *http.Client {
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test"}, MaxIdleConnsPerHost: 16,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, to)
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func TestHTTPSWithCookiesHSTSAndRedirect(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	a := ca.Issue("a.test")
	e := start(t, Options{Certificates: keep(a)})
	server := serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-Proto"))
	})).address
	v, clear := web(t, "WEB", server), web(t, "CLEAR")
	v.TLS.Certificates, v.TLS.HSTS, v.Persistence.Kind = []string{a.ID}, appliance.UsualHSTS, appliance.PersistCookie
	clear.TLS.Redirect, clear.TLS.RedirectPort = appliance.RedirectPermanentlyAsSent, v.Ports[0].First
	e.apply(v, clear)
	c := https(t, ca, address(v))
	for range 3 {
		resp, err := c.Get("https://a.test/x")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != "https" || resp.Header.Get("Strict-Transport-Security") != "max-age=15552000" || !strings.Contains(resp.Header.Get("Set-Cookie"), "; Secure") {
			t.Errorf("%q %v", body, resp.Header)
		}
	}
	resp, err := https(t, ca, address(clear)).Get("http://a.test/y?z")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if want := "https://a.test:" + strconv.Itoa(int(v.Ports[0].First)) + "/y?z"; resp.StatusCode != 308 || resp.Header.Get("Location") != want {
		t.Errorf("%d %s", resp.StatusCode, resp.Header.Get("Location"))
	}
}

func TestPlainHTTPOnAPortOfTLSIsToldSo(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	a := ca.Issue("a.test")
	log := &notes{}
	e := start(t, Options{Certificates: keep(a), LogsDir: t.TempDir(), Log: slog.New(slog.NewTextHandler(log, nil))})
	server := serveHandler(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request in clear came through") })).address
	v := web(t, "WEB", server)
	v.TLS.Certificates, v.Log = []string{a.ID}, appliance.LogErrors
	dicom := tcp(t, "DICOM", server)
	dicom.TLS.Certificates = []string{a.ID}
	e.apply(v, dicom)
	if code, body := fetch(t, http.DefaultClient, address(dicom)); code != 400 || body != "This port speaks TLS, and no HTTP.\n" {
		t.Errorf("in TCP Mode: %d %q", code, body)
	}
	for _, request := range []string{"GET", "POST", "OPTIONS"} {
		r, err := http.NewRequestWithContext(t.Context(), request, "http://"+address(v)+"/x", strings.NewReader(strings.Repeat("x", 1<<16)))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 400 || !strings.Contains(string(body), "This port speaks HTTPS") || resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" || !resp.Close {
			t.Errorf("%s: %d %q %v", request, resp.StatusCode, body, resp.Header)
		}
	}
	until(t, "the log says why", func() bool { return log.has("plain HTTP on a port that speaks TLS") })
	until(t, "three lines of the traffic log", func() bool {
		lines := 0
		for _, line := range logged(e, "WEB") {
			if strings.Contains(line, "status=400") && strings.Contains(line, `end=refused why="plain HTTP on a port that speaks TLS"`) {
				lines++
			}
		}
		return lines == 3
	})
	conn, err := net.Dial("tcp", address(v))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "EHLO mail.example.org\r\n")
	if got, _ := io.ReadAll(conn); len(got) > 0 {
		t.Errorf("who speaks neither TLS nor HTTP got %q", got)
	}
}

// tlsServer is an HTTP server in TLS for tests.
func tlsServer(t *testing.T, c *tls.Config, h http.Handler, accepted *atomic.Int64) netip.AddrPort {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			accepted.Add(1)
		}
	}}
	done := make(chan struct{})
	go func() { _ = srv.Serve(ln); close(done) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

func TestServersAreSpokenToOverTLSAndVerified(t *testing.T) {
	ca, other := tlstest.NewAuthority(t, "CA"), tlstest.NewAuthority(t, "Other")
	a, server := ca.Issue("a.test"), ca.Issue("127.0.0.1", "pacs.test")
	k := keep(a)
	k.set(authorityID, ca.Bundle())
	var accepted, resumed atomic.Int64
	var asked atomic.Value
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.TLS.ServerName)
		if r.TLS.DidResume {
			resumed.Add(1)
		}
		_, _ = io.Copy(w, r.Body)
	})
	at := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{server.TLS}}, h, &accepted)
	e := start(t, Options{Certificates: k, Loops: 1})
	v := web(t, "WEB", at)
	v.TLS.Certificates, v.ServerTLS.CA = []string{a.ID}, authorityID
	v.RealServers[0].Encrypt = true
	e.apply(v)
	c := https(t, ca, address(v))
	post := func(body []byte) (int, []byte) {
		resp, err := c.Post("https://a.test/", "text/plain", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, got
	}
	for range 10 {
		if code, got := post([]byte("hello")); code != 200 || string(got) != "hello" {
			t.Fatal(code, string(got))
		}
	}
	if accepted.Load() != 1 || asked.Load() != "" {
		t.Errorf("%d connections for ten requests, asked for %q", accepted.Load(), asked.Load())
	}
	big := noise(5 << 20)
	_, got := post(big)
	same(t, "a body through TLS on both sides", got, big)

	v.ServerTLS.SNI = "pacs.test" // other rules: the idle connection goes, and the next one asks for the name
	e.apply(v)
	if code, _ := post([]byte("x")); code != 200 || asked.Load() != "pacs.test" {
		t.Errorf("%d, asked for %q", code, asked.Load())
	}
	v.HTTP.KeepAlive = appliance.KeepAliveClient
	e.apply(v)
	post([]byte("x"))
	if post([]byte("x")); resumed.Load() == 0 {
		t.Error("no session with the server was resumed")
	}
	for name, edit := range map[string]func(){
		"another name":      func() { v.ServerTLS.SNI = "other.test" },
		"another authority": func() { k.set(authorityID, other.Bundle()); v.ServerTLS.SNI = "pacs.test" },
		"a revoked one":     func() { k.set(authorityID, ca.Bundle(server)) },
		"the system's":      func() { v.ServerTLS.CA = "" },
	} {
		edit()
		e.apply(v)
		if code, _ := post([]byte("x")); code != 503 {
			t.Errorf("%s: %d", name, code)
		}
		k.set(authorityID, ca.Bundle())
		v.ServerTLS.CA, v.ServerTLS.SNI = authorityID, "pacs.test"
	}
	v.ServerTLS.CA, v.ServerTLS.Verify = "", false
	e.apply(v)
	if code, _ := post([]byte("x")); code != 200 {
		t.Errorf("unverified: %d", code)
	}
}

func TestCertificatesAreReplacedUnderTrafficAndNothingDrops(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	one, two := ca.Issue("a.test"), ca.Issue("a.test")
	e := start(t, Options{Certificates: keep(one, two)})
	v := web(t, "WEB", serveHTTP(t, "ok"))
	v.TLS.Certificates = []string{one.ID}
	e.apply(v)
	to := address(v)
	var all sync.WaitGroup
	var stop atomic.Bool
	var done, shownTwo atomic.Int64
	for worker := range 4 {
		all.Go(func() {
			c := https(t, ca, to)
			for i := 0; !stop.Load(); i++ {
				if worker%2 == 0 {
					c.CloseIdleConnections() // a handshake for each
				}
				resp, err := c.Get("https://a.test/")
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || string(body) != "ok" {
					t.Errorf("%q %v", body, err)
					return
				}
				if resp.TLS.PeerCertificates[0].Equal(two.Leaf) {
					shownTwo.Add(1)
				}
				done.Add(1)
			}
		})
	}
	for i := range 60 {
		v.TLS.Certificates = []string{[]*tlstest.Issued{two, one}[i%2].ID}
		e.apply(v)
		at := done.Load()
		until(t, "traffic flows", func() bool { return done.Load() > at+3 || t.Failed() })
	}
	stop.Store(true)
	all.Wait()
	if shownTwo.Load() == 0 {
		t.Error("the other certificate was never shown")
	}
}

func TestAFallbackServerIsSpokenToOverTLSWhenToldSo(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	k := keep()
	k.set(authorityID, ca.Bundle())
	var accepted atomic.Int64
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "sorry, encrypted: "+strconv.FormatBool(r.TLS != nil))
	})
	at := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue("127.0.0.1").TLS}}, h, &accepted)
	plain := serveHandler(t, h).address
	e := start(t, Options{Certificates: k, Loops: 1})
	v := web(t, "WEB")
	v.ServerTLS.CA = authorityID
	v.Fallback = appliance.Fallback{Kind: appliance.FallbackServer, Address: at, Encrypt: true}
	e.apply(v)
	c := client(t)
	for range 2 {
		if got := get(t, c, address(v)); got != "sorry, encrypted: true" {
			t.Error(got)
		}
	}
	if accepted.Load() != 1 {
		t.Errorf("%d connections for two requests", accepted.Load())
	}
	v.Fallback.Address, v.Fallback.Encrypt = plain, false
	e.apply(v)
	if got := get(t, c, address(v)); got != "sorry, encrypted: false" {
		t.Error(got)
	}
}
