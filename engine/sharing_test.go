package engine

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"

	"evenkeel/appliance"
)

// TestAPoolBehindARuleSharesNoConnectionBetweenClients: what the pool's servers are told of a client, by the header of the PROXY protocol or by its own address, is true
// for every request, though it is another service that the clients came to.
func TestAPoolBehindARuleSharesNoConnectionBetweenClients(t *testing.T) {
	told := serve(t, func(c net.Conn) { // each connection begins with a header
		h, err := hear(c)
		if err != nil {
			return
		}
		sayFrom(c, h.rest, h.header.Source.Addr().String())
	})
	shown := serve(t, func(c net.Conn) {
		sayFrom(c, bufio.NewReader(c), c.RemoteAddr().(*net.TCPAddr).IP.String())
	})
	front, header, own := web(t, "front", serveHTTP(t, "front")), web(t, "header", told.address), web(t, "own", shown.address)
	header.ProxyProtocol.Out = appliance.ProxyOutV2
	own.SourceAddress.Transparent = true
	front.HTTP.Reuse, header.HTTP.Reuse, own.HTTP.Reuse = appliance.ReuseAlways, appliance.ReuseAlways, appliance.ReuseAlways
	front.Rules = []appliance.Rule{
		onPath("header", "/header", appliance.RuleAction{Kind: appliance.DoPool, Pool: header.ID}),
		onPath("own", "/own", appliance.RuleAction{Kind: appliance.DoPool, Pool: own.ID}),
	}
	start(t, Options{Loops: 1}).apply(front, header, own)
	paths := []string{"/header", "/own"}
	if os.Geteuid() != 0 {
		if os.Getenv("EVENKEEL_TEST_REQUIRE") == "all" {
			t.Fatal("a transparent source needs root")
		}
		paths = paths[:1]
	}
	clients := map[string]*bufio.ReadWriter{}
	for _, from := range []string{"127.0.0.5", "127.0.0.6"} {
		c := dialFrom(t, from, address(front))
		clients[from] = bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriterSize(c, 16))
	}
	for range 3 {
		for from, c := range clients {
			for _, path := range paths {
				fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
				_ = c.Flush()
				a, err := http.ReadResponse(c.Reader, nil)
				if err != nil {
					t.Fatal(err)
				}
				if body, err := io.ReadAll(a.Body); err != nil || string(body) != from {
					t.Errorf("%s of %s came from %q, %v", path, from, body, err)
				}
			}
		}
	}
}

// sayFrom answers the requests of a connection with whom it is from.
func sayFrom(c net.Conn, in *bufio.Reader, from string) {
	for {
		if _, err := http.ReadRequest(in); err != nil {
			return
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(from), from)
	}
}
