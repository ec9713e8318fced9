//lint:file-ignore SA1019 the peers of these tests are the frames of golang.org/x/net/http2, not the convenience of net/http

package engine

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/tlsterm/tlstest"

	"golang.org/x/net/http2"
)

// serveHTTP2 runs a server that speaks HTTP/2 with prior knowledge.
func serveHTTP2(t *testing.T, h http.Handler, o *http2.Server) (netip.AddrPort, *sample) {
	t.Helper()
	s := serve(t, func(c net.Conn) { o.ServeConn(c, &http2.ServeConnOpts{Handler: h}) })
	return s.address, s
}

// both2 returns a service that speaks HTTP/2 on both sides.
func both2(t *testing.T, servers ...netip.AddrPort) appliance.VirtualService {
	v := web(t, "svc", servers...)
	v.HTTP.HTTP2In, v.HTTP.HTTP2Out = appliance.HTTP2Always, true
	return v
}

// TestGRPCPasses plays the calls of gRPC as they are on the wire: length-prefixed messages both ways at the same time, the status in trailers, or in the head alone.
func TestGRPCPasses(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/echo.Echo/Stream", func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 || r.Header.Get("Te") != "trailers" || r.Header.Get("Content-Type") != "application/grpc+proto" {
			http.Error(w, fmt.Sprint(r.Proto, r.Header), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/grpc+proto")
		w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
		_ = http.NewResponseController(w).Flush()
		buf := make([]byte, 4096)
		for {
			n, err := r.Body.Read(buf)
			_, _ = w.Write(buf[:n])
			_ = http.NewResponseController(w).Flush()
			if err != nil {
				break
			}
		}
		w.Header().Set("Grpc-Status", "0")
		w.Header().Set("Grpc-Message", "fine")
	})
	mux.HandleFunc("/echo.Echo/Refuse", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc+proto")
		w.Header().Set("Grpc-Status", "7")
		w.WriteHeader(http.StatusOK)
	})
	at, _ := serveHTTP2(t, mux, &http2.Server{})
	v := both2(t, at)
	start(t, Options{}).apply(v)
	c, _ := client2(t)
	call := func(method string) (*io.PipeWriter, *http.Response) {
		t.Helper()
		pr, pw := io.Pipe()
		req, err := http.NewRequestWithContext(soon(t), "POST", "http://"+address(v)+"/echo.Echo/"+method, pr)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/grpc+proto")
		req.Header.Set("Te", "trailers")
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return pw, resp
	}
	up, resp := call("Stream") // answered before the first message
	for i := range 50 {
		message := append([]byte{0, 0, 0, 0, 7}, fmt.Sprintf("call %02d", i)...)
		if _, err := up.Write(message); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(message))
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != string(message) {
			t.Fatalf("%q %v", got, err)
		}
	}
	up.Close()
	if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil || resp.Trailer.Get("Grpc-Status") != "0" || resp.Trailer.Get("Grpc-Message") != "fine" {
		t.Errorf("%q %v %v", rest, err, resp.Trailer)
	}
	up, resp = call("Refuse")
	defer up.Close()
	if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil || resp.Header.Get("Grpc-Status") != "7" {
		t.Errorf("a status in the head: %q %v %v", rest, err, resp.Header)
	}
}

func TestServersInHTTP2GetEveryKindOfMessage(t *testing.T) {
	at, s := serveHTTP2(t, samples(), &http2.Server{MaxConcurrentStreams: 20})
	v := both2(t, at)
	r := start(t, Options{Loops: 1})
	r.apply(v)
	c, _ := client2(t)
	base := "http://" + address(v)
	for range 3 {
		var all sync.WaitGroup
		for i := range 60 { // more than the server takes on one connection
			all.Go(func() {
				path, want := "/large", 3000000
				if i%2 == 0 {
					path, want = "/chunks", 100000
				}
				resp, err := c.Get(base + path)
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				if n, err := io.Copy(io.Discard, resp.Body); int(n) != want || err != nil || i%2 == 0 && resp.Trailer.Get("Grpc-Status") != "0" {
					t.Errorf("%s: %d bytes, %v, %v", path, n, err, resp.Trailer)
				}
			})
		}
		all.Wait()
	}
	for path, status := range map[string]int{"/empty": 204, "/same": 304, "/hints": 200} {
		resp, err := c.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	resp, err := c.Head(base + "/large")
	if err != nil || resp.ContentLength != 3000000 {
		t.Errorf("HEAD: %v %v", resp, err)
	}
	plain := client(t)
	resp, err = plain.Post(base+"/sum", "text/plain", strings.NewReader("abc"))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if !strings.HasSuffix(string(b), " 3 ") {
		t.Errorf("from a client in HTTP/1: %q", b)
	}
	s.mu.Lock()
	n := len(s.conns)
	s.mu.Unlock()
	if n > 20 {
		t.Errorf("%d connections to the server", n)
	}
	until(t, "every request released", func() bool { return r.status(v.ID).Servers[0].Connections == 0 })
}

func TestServersInHTTP2OverTLS(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	issued := ca.Issue("a.test")
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })
	secure := func(protocols ...string) netip.AddrPort {
		return serve(t, func(c net.Conn) {
			inside := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{issued.TLS}, NextProtos: protocols})
			if inside.Handshake() == nil {
				new(http2.Server).ServeConn(inside, &http2.ServeConnOpts{Handler: h})
			}
		}).address
	}
	k := keep()
	k.set(authorityID, ca.Bundle())
	v := both2(t, secure(), secure("h2", "http/1.1"))
	v.Scheduler = appliance.RoundRobin
	v.ServerTLS.Enabled, v.ServerTLS.CA, v.ServerTLS.SNI = true, authorityID, "a.test"
	start(t, Options{Loops: 1, Certificates: k}).apply(v)
	c := client(t)
	for range 4 { // who does not agree on HTTP/2 is passed over
		if got := get(t, c, address(v)); got != "HTTP/2.0" {
			t.Errorf("%q", got)
		}
	}
}

func TestServerThatSpeaksNoHTTP2IsToBlame(t *testing.T) {
	at := serve(t, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }).address
	v := both2(t, at)
	start(t, Options{Loops: 1}).apply(v)
	if code, _ := fetch(t, client(t), address(v)); code != http.StatusBadGateway {
		t.Errorf("%d", code)
	}
}

func TestDrainedServerInHTTP2FinishesAndGetsNoMore(t *testing.T) {
	hold, begun := make(chan struct{}), make(chan struct{})
	slow, s := serveHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-hold
		_, _ = io.WriteString(w, "slow")
	}), &http2.Server{})
	v := both2(t, slow)
	r := start(t, Options{Loops: 1})
	r.apply(v)
	got := make(chan string)
	go func() { _, b := fetch(t, client(t), address(v)); got <- b }()
	<-begun
	w := v.Clone()
	w.RealServers[0].State = appliance.Drain
	r.apply(w)
	close(hold)
	select {
	case b := <-got:
		if b != "slow" {
			t.Errorf("%q", b)
		}
	case <-time.After(time.Minute):
		t.Fatal("the request does not end")
	}
	until(t, "connection closed behind the last request", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.conns) == 0
	})
}
