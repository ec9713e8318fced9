package engine

import (
	"crypto/tls"
	"io"
	"strings"
	"testing"

	"evenkeel/appliance"
	"evenkeel/engine/tlsterm/tlstest"
)

// TestASecondProxyHeaderIsPayload: in HTTP Mode it is no request, so nothing of it is forwarded; the one before it counted.
func TestASecondProxyHeaderIsPayload(t *testing.T) {
	server := serve(t, echo("one"))
	v := trusting(vip(t, appliance.HTTP, "W", server.address), "127.0.0.1/32")
	start(t, Options{}).apply(v)
	for name, header := range headers() {
		c := dial(t, address(v))
		_, _ = c.Write(append(append([]byte{}, header...), header...))
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		answer, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
			t.Errorf("%s: %.60q, %v", name, answer, err)
		}
	}
	if n := server.open(); n != 0 {
		t.Errorf("%d connections reached the server", n)
	}
}

// TestAProxyHeaderStandsBeforeTLS: with TLS it is in clear, and one within is payload.
func TestAProxyHeaderStandsBeforeTLS(t *testing.T) {
	server, got := listener(t)
	ca := tlstest.NewAuthority(t, "CA")
	issued := ca.Issue("a.test")
	v := trusting(tcp(t, "S", server.address), "127.0.0.1/32")
	v.TLS.Certificates, v.ProxyProtocol.Out = []string{issued.ID}, appliance.ProxyOutV2
	start(t, Options{Certificates: keep(issued)}).apply(v)
	for name, header := range headers() {
		c := tls.Client(&prefixed{Conn: dial(t, address(v)), first: string(header)}, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test", MinVersion: tls.VersionTLS12})
		ping(t, c, "PROXY TCP4 10.9.9.9 10.9.9.9 1 2\r\n")
		if h := next(t, got); h.Source != somebody || !h.Options.TLS.On {
			t.Errorf("%s: %+v", name, h)
		}
		c.Close()
	}
	bare := tls.Client(dial(t, address(v)), &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test", MinVersion: tls.VersionTLS12})
	if err := bare.Handshake(); err == nil {
		t.Error("a hello counts as a header")
	}
}
