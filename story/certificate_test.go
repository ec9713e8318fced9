package story

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire/wiretest"
)

// signer is an authority of a test.
type signer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newSigner(t *testing.T) signer {
	t.Helper()
	key, raw := sign(t, "Test authority", nil, true)
	c, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return signer{c, key}
}

// sign makes a certificate; by nil signs it with its own key.
func sign(t *testing.T, name string, by *signer, authority bool) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(200 * 24 * time.Hour),
		BasicConstraintsValid: true, IsCA: authority, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if authority {
		template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	} else {
		template.DNSNames, template.ExtKeyUsage = []string{"pacs.test"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	parent, with := template, key
	if by != nil {
		parent, with = by.certificate, by.key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, with)
	if err != nil {
		t.Fatal(err)
	}
	return key, raw
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// issue returns a certificate of the authority with its key.
func (s *signer) issue(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	private, raw := sign(t, name, s, false)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf("CERTIFICATE", raw), pemOf("PRIVATE KEY", der)
}

func (s *signer) pem() string { return pemOf("CERTIFICATE", s.certificate.Raw) }

func written(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// upload keeps a certificate over REST and returns its id.
func (c *client) upload(t *testing.T, label, certificate, key string) string {
	t.Helper()
	var made appliance.Certificate
	c.must(t, 201, "POST", "certificates", written(t, appliance.CertificateUpload{Label: label, Certificate: certificate, Key: key})).into(t, &made)
	return made.ID
}

// secure adds an HTTPS service in front of the demo's web servers and returns its id and address.
func (c *client) secure(t *testing.T, d demoLine, tlsOptions map[string]any) (id, address string) {
	t.Helper()
	var servers []map[string]any
	for _, s := range d.Services {
		if s.Label != "WEB" {
			continue
		}
		for i, r := range s.RealServers {
			host, port, _ := strings.Cut(r, ":")
			servers = append(servers, map[string]any{"label": fmt.Sprintf("Web%d", i), "address": host, "port": json.Number(port)})
		}
	}
	port := wiretest.Port(t, 1)
	var made appliance.VirtualService
	c.must(t, 201, "POST", "virtual-services?apply=true", written(t, map[string]any{
		"label": "HTTPS", "address": "127.0.0.1", "ports": fmt.Sprint(port), "protocol": "http", "tls": tlsOptions, "real_servers": servers,
	})).into(t, &made)
	return made.ID, fmt.Sprintf("127.0.0.1:%d", port)
}

// browser is an HTTPS client that trusts the authority, and which of its connections were ended.
func (s *signer) browser(own ...tls.Certificate) (*http.Client, *wiretest.Ended) {
	pool := x509.NewCertPool()
	pool.AddCert(s.certificate)
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: "pacs.test", Certificates: own, NextProtos: []string{"http/1.1"}}}
	ended := &wiretest.Ended{Dial: dialer.DialContext}
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 4, DialTLSContext: ended.DialContext}}, ended
}

func TestACertificateIsReplacedUnderTrafficAndNothingIsDropped(t *testing.T) {
	need(t, "curl")
	_, d := demo(t)
	c := d.client()
	c.allUp(t)
	authority := newSigner(t)
	ids := [2]string{}
	for i, name := range []string{"first", "second"} {
		certificate, key := authority.issue(t, name)
		ids[i] = c.upload(t, name, certificate, key)
	}
	refusal := c.must(t, 422, "POST", "virtual-services", written(t, map[string]any{
		"label": "X", "address": "127.0.0.1", "ports": "1", "protocol": "http", "tls": map[string]any{"certificates": []string{strings.Repeat("0", 64)}},
	}))
	if !strings.Contains(string(refusal.body), `"tls.certificates"`) {
		t.Errorf("an unknown certificate is not refused at its field: %s", refusal.body)
	}
	_, address := c.secure(t, d, map[string]any{"certificates": ids[:1]})

	root := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(root, []byte(authority.pem()), 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(address, ":")
	url := "https://pacs.test:" + port + "/"
	if code, out, errs := command(t, "", "curl", "-sS", "--fail", "--cacert", root, "--resolve", "pacs.test:"+port+":127.0.0.1", "-o", "/dev/null", "-w", "%{http_code} %{ssl_verify_result}", url); code != 0 || out != "200 0" {
		t.Fatalf("curl: %d %s %s", code, out, errs)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var work sync.WaitGroup
	var posts, fresh atomic.Int64
	var kept [4]*wiretest.Ended
	for i := range kept {
		browser, ended := authority.browser()
		kept[i] = ended
		work.Go(func() { postUntilWith(t, ctx, browser, "https://"+address+"/echo", i, &posts) })
		work.Go(func() { connectUntil(t, ctx, &authority, address, &fresh) })
	}
	for i := range 40 {
		old, next := ids[i%2], ids[1-i%2]
		c.must(t, 200, "PUT", "certificates/"+old+"/replacement?apply=true", written(t, map[string]any{"certificate": next}), "If-Match", "*")
		if got := presented(t, &authority, address); got != []string{"second", "first"}[i%2] {
			t.Fatalf("after replacement %d the service presents %q", i, got)
		}
	}
	cancel()
	work.Wait()
	for i, ended := range kept {
		if n := ended.Load(); n > 0 {
			t.Errorf("%d connections of client %d, which keeps its own, were ended", n, i)
		}
	}
	if posts.Load() < 40 || fresh.Load() < 20 {
		t.Errorf("%d posts, %d fresh connections", posts.Load(), fresh.Load())
	}
	c.must(t, 409, "DELETE", "certificates/"+ids[0], "", "If-Match", "*")
	c.must(t, 204, "DELETE", "certificates/"+ids[1], "", "If-Match", "*")
	export := c.must(t, 200, "GET", "configuration", "")
	if strings.Contains(string(export.body), "PRIVATE") || !strings.Contains(string(export.body), ids[0]) {
		t.Error("the exported configuration holds a key, or does not name the certificate")
	}
}

// presented returns the common name of the certificate that a new connection sees.
func presented(t *testing.T, by *signer, address string) string {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(by.certificate)
	c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pool, ServerName: "pacs.test"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// connectUntil makes a connection for each request until ctx ends.
func connectUntil(t *testing.T, ctx context.Context, by *signer, address string, done *atomic.Int64) {
	for ctx.Err() == nil {
		browser, _ := by.browser()
		resp, err := browser.Get("https://" + address + "/")
		if err != nil {
			t.Errorf("a new connection: %v", err)
			return
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		browser.CloseIdleConnections()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("a new connection: %d %v", resp.StatusCode, err)
			return
		}
		done.Add(1)
	}
}

func TestARevokedClientIsTurnedAwayWithoutAnApply(t *testing.T) {
	_, d := demo(t)
	c := d.client()
	c.allUp(t)
	authority := newSigner(t)
	certificate, key := authority.issue(t, "server")
	id := c.upload(t, "server", certificate, key)
	var kept appliance.ClientAuthority
	c.must(t, 201, "POST", "authorities", written(t, appliance.AuthorityUpload{Label: "cards", Bundle: authority.pem()})).into(t, &kept)
	_, address := c.secure(t, d, map[string]any{"certificates": []string{id}, "client_auth": "required", "client_ca": kept.ID})
	cards := [2]tls.Certificate{}
	for i, name := range []string{"anna", "ben"} {
		certificate, key := authority.issue(t, name)
		var err error
		if cards[i], err = tls.X509KeyPair([]byte(certificate), []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	comesIn := func(own ...tls.Certificate) bool {
		browser, _ := authority.browser(own...)
		resp, err := browser.Get("https://" + address + "/")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	if comesIn() || !comesIn(cards[0]) || !comesIn(cards[1]) {
		t.Fatal("who has no card comes in, or who has one does not")
	}
	ben, err := x509.ParseCertificate(cards[1].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(24 * time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: ben.SerialNumber, RevocationTime: time.Now()}},
	}, authority.certificate, authority.key)
	if err != nil {
		t.Fatal(err)
	}
	before := c.must(t, 200, "GET", "pending", "").body
	c.must(t, 200, "PUT", "authorities/"+kept.ID, written(t, appliance.AuthorityUpload{Label: "cards", Bundle: authority.pem(), CRL: pemOf("X509 CRL", list)}), "If-Match", "*")
	if !comesIn(cards[0]) || comesIn(cards[1]) {
		t.Error("the list of revoked certificates does not count yet, or counts against the wrong one")
	}
	if after := c.must(t, 200, "GET", "pending", "").body; string(after) != string(before) {
		t.Errorf("something is pending: %s", after)
	}
	c.must(t, 409, "DELETE", "authorities/"+kept.ID, "", "If-Match", "*")
}
