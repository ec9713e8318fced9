package engine

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/tlsterm/tlstest"
)

// run runs a program that speaks TLS by other code than ours, and returns what it said.
func run(t *testing.T, input []byte, name string, args ...string) ([]byte, error) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("EVENKEEL_TEST_REQUIRE") == "all" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Stdin = bytes.NewReader(input)
	return c.CombinedOutput()
}

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// answerOnce says its name and one line again.
func answerOnce(c net.Conn) {
	_, _ = io.WriteString(c, "pacs\n")
	line, _ := bufio.NewReader(c).ReadString('\n')
	_, _ = io.WriteString(c, line)
}

func TestOtherProgramsSpeakTLSWithUs(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	a, modality, stolen := ca.Issue("a.test"), ca.Issue("modality"), ca.Issue("stolen")
	k := keep(a)
	k.set(authorityID, ca.Bundle(stolen))
	e := start(t, Options{Certificates: k})
	page, dicom := web(t, "WEB", serveHTTP(t, strings.Repeat("page", 100_000))), tcp(t, "DICOM", serve(t, answerOnce).address)
	page.TLS.Certificates, dicom.TLS.Certificates = []string{a.ID}, []string{a.ID}
	dicom.TLS.ClientAuth, dicom.TLS.ClientCA = appliance.ClientAuthRequired, authorityID
	e.apply(page, dicom)
	root := write(t, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Leaf.Raw}))
	for _, version := range []string{"--tlsv1.3", "--tls-max=1.2"} {
		version, most, _ := strings.Cut(version, "=")
		args := []string{"-sS", "--cacert", root, "--connect-to", "a.test:443:" + address(page), version}
		if most != "" {
			args = append(args, most)
		}
		out, err := run(t, nil, "curl", append(args, "https://a.test/", "https://a.test/")...)
		if err != nil || len(out) != 2*400_000 {
			t.Errorf("curl %s: %v, %d bytes: %.200s", version, err, len(out), out)
		}
	}
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		for _, c := range []struct {
			show *tlstest.Issued
			in   bool
		}{{modality, true}, {stolen, false}, {nil, false}} {
			args := []string{"s_client", "-connect", address(dicom), "-servername", "a.test", "-CAfile", root, "-verify_return_error", "-quiet", version}
			if c.show != nil {
				args = append(args, "-cert", write(t, "cert.pem", c.show.Pair.Chain), "-key", write(t, "key.pem", c.show.Pair.Key))
			}
			out, _ := run(t, []byte("association\n"), "openssl", args...)
			if in := strings.Contains(string(out), "pacs\nassociation\n"); in != c.in {
				t.Errorf("openssl %s %v: %.300s", version, c.in, out)
			}
		}
	}
	if _, err := run(t, []byte{}, "openssl", "s_client", "-connect", address(page), "-tls1_1"); err == nil {
		t.Error("TLS 1.1 was spoken")
	}
}

// TestACrowdOfClientsAtOnceIsServedWhole is what happens when a network comes back: everybody reconnects in the same moment.
func TestACrowdOfClientsAtOnceIsServedWhole(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	a := ca.Issue("a.test")
	e := start(t, Options{Certificates: keep(a), Loops: 1})
	v := web(t, "WEB", serveHTTP(t, "ok"))
	v.TLS.Certificates = []string{a.ID}
	e.apply(v)
	to, crowd := address(v), 1500/slower // a handshake has ten seconds
	var all sync.WaitGroup
	var served atomic.Int64
	gate := make(chan struct{})
	for range crowd {
		raw := dial(t, to)
		all.Go(func() {
			<-gate
			defer raw.Close()
			c := tls.Client(raw, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test"})
			if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"); err != nil {
				t.Error(err)
				return
			}
			if got, err := io.ReadAll(c); err != nil || !bytes.HasSuffix(got, []byte("ok")) {
				t.Errorf("%q, %v", got, err)
				return
			}
			served.Add(1)
		})
	}
	close(gate)
	all.Wait()
	if served.Load() != int64(crowd) {
		t.Errorf("%d of %d were served", served.Load(), crowd)
	}
}
