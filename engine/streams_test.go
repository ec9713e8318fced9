//lint:file-ignore SA1019 the peers of these tests are the frames of golang.org/x/net/http2, not the convenience of net/http

package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/tlsterm/tlstest"

	"golang.org/x/net/http2"
)

// clear2 returns a service that takes HTTP/2 in clear.
func clear2(t *testing.T, h http.Handler) (appliance.VirtualService, *webServer) {
	t.Helper()
	w := serveHandler(t, h)
	v := web(t, "svc", w.address)
	v.HTTP.HTTP2In = appliance.HTTP2Always
	return v, w
}

// client2 returns a client that speaks HTTP/2 in clear over one connection, and how often it dialed.
func client2(t *testing.T) (*http.Client, *atomic.Int64) {
	dials := new(atomic.Int64)
	tr := &http2.Transport{AllowHTTP: true, DialTLSContext: func(ctx context.Context, network, to string, _ *tls.Config) (net.Conn, error) {
		dials.Add(1)
		return (&net.Dialer{}).DialContext(ctx, network, to)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: time.Minute}, dials
}

// samples answers in all the ways that are framed differently.
func samples() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/sum", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		_, _ = io.Copy(h, r.Body)
		fmt.Fprintf(w, "%x %d %s", h.Sum(nil), r.ContentLength, r.Trailer.Get("X-Late"))
	})
	mux.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "3000000")
		_, _ = w.Write(bytes.Repeat([]byte("abc"), 1000000))
	})
	mux.HandleFunc("/chunks", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Grpc-Status")
		for range 100 {
			_, _ = io.WriteString(w, strings.Repeat("x", 1000))
			_ = http.NewResponseController(w).Flush()
		}
		w.Header().Set("Grpc-Status", "0")
	})
	mux.HandleFunc("/empty", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/same", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotModified) })
	mux.HandleFunc("/cookies", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s|%s|%s", r.Header.Get("Cookie"), r.Host, r.Header.Get("X-Forwarded-For"))
	})
	mux.HandleFunc("/hints", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "late")
	})
	return mux
}

func TestHTTP2CarriesEveryKindOfMessage(t *testing.T) {
	v, w := clear2(t, samples())
	r := start(t, Options{})
	r.apply(v)
	c, dials := client2(t)
	base := "http://" + address(v)
	do := func(req *http.Request) (*http.Response, string) {
		t.Helper()
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(b)
	}
	request := func(method, path string, body io.Reader) *http.Request {
		req, err := http.NewRequestWithContext(soon(t), method, base+path, body)
		if err != nil {
			t.Fatal(err)
		}
		return req
	}
	body := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(body)
	sum := fmt.Sprintf("%x", sha256.Sum256(body))
	if _, got := do(request("POST", "/sum", bytes.NewReader(body))); got != sum+" 3145728 " {
		t.Errorf("a body with length: %q", got)
	}
	unknown := request("POST", "/sum", io.MultiReader(bytes.NewReader(body)))
	unknown.Trailer = http.Header{"X-Late": {"yes"}}
	if _, got := do(unknown); got != sum+" -1 yes" {
		t.Errorf("a body without length: %q", got)
	}
	if _, got := do(request("GET", "/large", nil)); len(got) != 3000000 || strings.Trim(got, "abc") != "" {
		t.Errorf("a large answer: %d bytes", len(got))
	}
	resp, got := do(request("GET", "/chunks", nil))
	if len(got) != 100000 || resp.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("an answer without length: %d bytes, trailers %v", len(got), resp.Trailer)
	}
	for path, status := range map[string]int{"/empty": 204, "/same": 304} {
		if resp, got := do(request("GET", path, nil)); resp.StatusCode != status || got != "" {
			t.Errorf("%s: %d %q", path, resp.StatusCode, got)
		}
	}
	if resp, got := do(request("HEAD", "/large", nil)); got != "" || resp.ContentLength != 3000000 {
		t.Errorf("HEAD: %q, length %d", got, resp.ContentLength)
	}
	crumbs := request("GET", "/cookies", nil)
	crumbs.Header["Cookie"] = []string{"a=1; b=2", "c=3"}
	if _, got := do(crumbs); got != "a=1; b=2; c=3|"+address(v)+"|127.0.0.1" {
		t.Errorf("cookies, Host, X-Forwarded-For: %q", got)
	}
	if resp, got := do(request("GET", "/hints", nil)); got != "late" || resp.StatusCode != 200 {
		t.Errorf("behind an interim answer: %d %q", resp.StatusCode, got)
	}
	if dials.Load() != 1 {
		t.Errorf("the client dialed %d times", dials.Load())
	}
	if n := w.conns.Load(); n > 3 {
		t.Errorf("%d connections to the server", n)
	}
	until(t, "every request released", func() bool { return r.status(v.ID).Servers[0].Connections == 0 })
}

func TestHTTP2ServesManyRequestsAtOnceWithEveryByte(t *testing.T) {
	v, _ := clear2(t, samples())
	r := start(t, Options{})
	r.apply(v)
	c, _ := client2(t)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			for range 3 {
				resp, err := c.Get("http://" + address(v) + "/large")
				if err != nil {
					t.Error(err)
					return
				}
				n, err := io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if n != 3000000 || err != nil {
					t.Errorf("%d bytes, %v", n, err)
				}
			}
		})
	}
	all.Wait()
}

func TestApplyFinishesHundredOpenStreams(t *testing.T) {
	const streams = 100
	hold, begun := make(chan struct{}), make(chan struct{}, streams)
	v, _ := clear2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first ")
		_ = http.NewResponseController(w).Flush()
		begun <- struct{}{}
		<-hold
		_, _ = io.WriteString(w, "last")
	}))
	r := start(t, Options{Loops: 1})
	r.apply(v)
	c, _ := client2(t)
	var all sync.WaitGroup
	for range streams {
		all.Go(func() {
			resp, err := c.Get("http://" + address(v) + "/")
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if b, err := io.ReadAll(resp.Body); string(b) != "first last" || err != nil {
				t.Errorf("%q %v", b, err)
			}
		})
	}
	for range streams {
		<-begun
	}
	w := v.Clone()
	w.Limits.MaxConnections, w.Scheduler = 7, appliance.RoundRobin
	w.RealServers[0].State = appliance.Drain
	r.apply(w)
	r.apply() // the service itself goes: what is open ends in its own time
	close(hold)
	all.Wait()
}

func TestHTTP2InClearIsOffUnlessAllowed(t *testing.T) {
	v := web(t, "svc", serveHTTP(t, "a"))
	r := start(t, Options{Loops: 1})
	r.apply(v)
	if _, err := func() (*http.Response, error) { c, _ := client2(t); return c.Get("http://" + address(v) + "/") }(); err == nil {
		t.Error("HTTP/2 is spoken though it is off")
	}
	v.HTTP.HTTP2In = appliance.HTTP2Always
	r.apply(v)
	if got := get(t, client(t), address(v)); got != "a" {
		t.Errorf("HTTP/1 beside it: %q", got)
	}
}

func TestHTTP2IsAgreedOnInTLS(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	issued := ca.Issue("a.test")
	h := serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.Proto, r.Header.Get("X-Forwarded-Proto"), body)
	}))
	r := start(t, Options{Certificates: keep(issued)})
	v := web(t, "svc", h.address)
	v.TLS.Certificates = []string{issued.ID}
	r.apply(v)
	ask := func() string {
		c := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test"}}}
		defer c.CloseIdleConnections()
		body := strings.Repeat("0123456789", 100_000)
		resp, err := c.Post("https://"+address(v)+"/", "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || !strings.HasSuffix(string(b), body) {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
		return resp.Proto + " " + strings.TrimSuffix(string(b), body)
	}
	if got := ask(); got != "HTTP/2.0 HTTP/1.1 https " {
		t.Errorf("%q", got)
	}
	v.HTTP.HTTP2In = appliance.HTTP2Off
	r.apply(v)
	if got := ask(); got != "HTTP/1.1 HTTP/1.1 https " {
		t.Errorf("switched off: %q", got)
	}
}

// command runs a program that the test needs, and returns what it says.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("EVENKEEL_TEST_REQUIRE") == "all" {
			t.Fatal(name + " is required and not installed")
		}
		t.Skip(name + " is not installed")
	}
	out, err := exec.CommandContext(soon(t), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestCurlSpeaksHTTP2(t *testing.T) {
	v, _ := clear2(t, samples())
	start(t, Options{Loops: 1}).apply(v)
	out := command(t, "curl", "-s", "--max-time", "10", "--http2-prior-knowledge", "-w", " %{http_version} %{http_code}", "http://"+address(v)+"/hints")
	if out != "late 2 200" {
		t.Errorf("%q", out)
	}
}

func TestH2loadFailsNoRequest(t *testing.T) {
	v, _ := clear2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello") }))
	start(t, Options{Loops: 1}).apply(v)
	out := command(t, "h2load", "-n", "5000", "-c", "10", "-m", "50", "http://"+address(v)+"/")
	if !strings.Contains(out, "5000 succeeded, 0 failed, 0 errored, 0 timeout") {
		t.Error(out)
	}
}

// TestH2spec runs the conformance tests for HTTP/2 and HPACK, strictly.
func TestH2spec(t *testing.T) {
	if testing.Short() {
		t.Skip("builds h2spec")
	}
	v, _ := clear2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "hello")
	}))
	start(t, Options{Loops: 1}).apply(v)
	_, port, err := net.SplitHostPort(address(v))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "tool", "-modfile=../.ci/tools.mod", "h2spec", "-h", "127.0.0.1", "-p", port, "--strict", "-o", "10").CombinedOutput()
	if err != nil && !bytes.Contains(out, []byte("tests,")) && os.Getenv("EVENKEEL_TEST_REQUIRE") != "all" {
		t.Skipf("h2spec cannot be built: %v %s", err, out)
	}
	if !bytes.Contains(out, []byte("146 tests, 146 passed, 0 skipped, 0 failed")) {
		t.Errorf("%v\n%s", err, out)
	}
}
