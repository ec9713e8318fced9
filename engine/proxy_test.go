package engine

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/proxyproto"
)

var (
	somebody = netip.MustParseAddrPort("192.0.2.7:40000")
	vipSeen  = netip.MustParseAddrPort("192.0.2.188:11112")
)

func headers() map[string][]byte {
	h := proxyproto.Header{Source: somebody, Destination: vipSeen, Options: proxyproto.Options{Authority: "pacs.example", Checksum: true}}
	return map[string][]byte{"v1": h.AppendLine(nil), "v2": h.AppendBinary(nil)}
}

// heard is what a server got that expects a header before everything else.
type heard struct {
	header proxyproto.Header
	rest   *bufio.Reader
}

func hear(c net.Conn) (heard, error) {
	r := bufio.NewReaderSize(c, 8192)
	for n := 1; ; n++ {
		b, err := r.Peek(n)
		if err != nil {
			return heard{}, err
		}
		h, size, err := proxyproto.Parse(b)
		if err != nil {
			return heard{}, err
		}
		if size > 0 {
			_, err = r.Discard(size)
			return heard{h, r}, err
		}
	}
}

// listener returns a server that tells of whom its connections are, and echoes.
func listener(t *testing.T) (*sample, chan proxyproto.Header) {
	got := make(chan proxyproto.Header, 100)
	return serve(t, func(c net.Conn) {
		h, err := hear(c)
		if err != nil {
			return
		}
		got <- h.header
		_, _ = io.Copy(c, h.rest)
	}), got
}

func next(t *testing.T, got chan proxyproto.Header) proxyproto.Header {
	t.Helper()
	select {
	case h := <-got:
		return h
	case <-time.After(time.Minute):
		t.Fatal("no server was told anything")
	}
	return proxyproto.Header{}
}

func trusting(v appliance.VirtualService, networks ...string) appliance.VirtualService {
	v.ProxyProtocol.In = true
	for _, n := range networks {
		v.ProxyProtocol.Trusted = append(v.ProxyProtocol.Trusted, netip.MustParsePrefix(n))
	}
	return v
}

func TestProxyHeaderNamesTheClientAndIsPassedOn(t *testing.T) {
	server, got := listener(t)
	for _, out := range []appliance.ProxyOut{appliance.ProxyOutV1, appliance.ProxyOutV2} {
		v := trusting(tcp(t, "S", server.address), "127.0.0.0/8")
		v.ProxyProtocol.Out = out
		r := start(t, Options{})
		r.apply(v)
		for name, header := range headers() {
			for _, step := range []int{1, len(header) + 9} { // byte by byte, and with payload in one piece
				c := dial(t, address(v))
				text := string(header) + "PROXY TCP" // a second one is payload
				for len(text) > 0 {
					n := min(step, len(text))
					if _, err := io.WriteString(c, text[:n]); err != nil {
						t.Fatal(err)
					}
					text = text[n:]
				}
				back := make([]byte, 9)
				if _, err := io.ReadFull(c, back); err != nil || string(back) != "PROXY TCP" {
					t.Fatalf("%s in, %s out: %q %v", name, out, back, err)
				}
				h := next(t, got)
				if h.Source != somebody || h.Destination != vipSeen {
					t.Errorf("%s in, %s out: %+v", name, out, h)
				}
				if h.Version == 2 && (len(h.Options.UniqueID) != 16 || !h.Options.Checksum) {
					t.Errorf("options of version 2: %+v", h.Options)
				}
				ping(t, c, "more")
				c.Close()
			}
		}
		r.stop()
	}
}

func TestProxyHeaderOfTheProxyItselfLeavesItsOwnAddress(t *testing.T) {
	server, got := listener(t)
	v := trusting(tcp(t, "S", server.address), "127.0.0.1/32")
	v.ProxyProtocol.Out = appliance.ProxyOutV2
	start(t, Options{}).apply(v)
	for _, header := range []string{"PROXY UNKNOWN\r\n", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"} {
		c := dial(t, address(v))
		ping(t, &prefixed{Conn: c, first: header}, "ping")
		if h := next(t, got); h.Source.String() != c.LocalAddr().String() || h.Destination.String() != address(v) {
			t.Errorf("%q: %+v", header, h)
		}
	}
}

// prefixed writes something before the first write.
type prefixed struct {
	net.Conn
	first string
}

func (p *prefixed) Write(b []byte) (int, error) {
	if p.first != "" {
		if _, err := io.WriteString(p.Conn, p.first); err != nil {
			return 0, err
		}
		p.first = ""
	}
	return p.Conn.Write(b)
}

func TestProxyHeaderThatDoesNotCountEndsTheConnection(t *testing.T) {
	server := serve(t, echo("one"))
	v := trusting(tcp(t, "S", server.address), "127.0.0.1/32")
	v.ProxyProtocol.Within = appliance.Duration(100 * time.Millisecond)
	r := start(t, Options{LogsDir: t.TempDir()})
	r.apply(v)
	good := string(headers()["v1"])
	for name, c := range map[string]struct{ from, text string }{
		"not trusted":      {"127.0.0.9", good},
		"none in time":     {"127.0.0.1", ""},
		"half in time":     {"127.0.0.1", good[:20]},
		"another protocol": {"127.0.0.1", "GET / HTTP/1.1\r\n\r\n"},
		"IPv6 in TCP4":     {"127.0.0.1", "PROXY TCP4 fd00::1 fd00::2 1 2\r\n"},
		"overlong":         {"127.0.0.1", "PROXY UNKNOWN " + strings.Repeat("x", 200) + "\r\n"},
		"long version 2":   {"127.0.0.1", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff"},
	} {
		conn := dialFrom(t, c.from, address(v))
		_, _ = io.WriteString(conn, c.text)
		if b, err := io.ReadAll(conn); len(b) > 0 || err != nil {
			t.Errorf("%s: got %q, %v", name, b, err)
		}
	}
	if n := server.open(); n != 0 {
		t.Errorf("%d connections reached the server", n)
	}
	if s := r.Status().Services[0]; s.Refused != 7 {
		t.Errorf("%d are counted as refused", s.Refused)
	}
	until(t, "each has its line in the traffic log", func() bool {
		lines := strings.Join(logged(r, "S"), "\n")
		return strings.Count(lines, " end=refused why=") == 7 && strings.Contains(lines, "client=127.0.0.9:") && strings.Contains(lines, "127.0.0.9, which is no trusted proxy")
	})
	if c := dial(t, address(v)); true {
		_, _ = io.WriteString(c, good)
		if got := readName(t, c); got != "one" {
			t.Errorf("behind all that: %q", got)
		}
	}
}

func TestProxyHeaderCountsInHTTPModeAndServersAreNotShared(t *testing.T) {
	got := make(chan string, 10)
	server := serve(t, func(c net.Conn) {
		h, err := hear(c)
		if err != nil {
			return
		}
		r, err := http.ReadRequest(h.rest)
		if err != nil {
			return
		}
		got <- fmt.Sprint(h.header.Source, " ", r.Header.Get("X-Forwarded-For"))
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		_, _ = io.Copy(io.Discard, c)
	})
	v := trusting(vip(t, appliance.HTTP, "W", server.address), "127.0.0.1/32")
	v.ProxyProtocol.Out = appliance.ProxyOutV1
	start(t, Options{}).apply(v)
	c := dial(t, address(v))
	_, _ = c.Write(headers()["v2"])
	answers := bufio.NewReader(c)
	for range 3 { // on one connection of the client; the server answers one request a connection
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		a, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, a.Body)
		if seen := <-got; seen != "192.0.2.7:40000 192.0.2.7" {
			t.Errorf("the server saw %s", seen)
		}
	}
}

func TestSourceAddressIsWhatServersSee(t *testing.T) {
	server := serve(t, func(c net.Conn) { _, _ = io.WriteString(c, c.RemoteAddr().(*net.TCPAddr).IP.String()+"\n") })
	v := tcp(t, "S", server.address)
	r := start(t, Options{})
	for _, want := range []string{"127.0.0.77", "127.0.0.78", "127.0.0.1"} {
		v.SourceAddress.Addr = netip.MustParseAddr(want)
		if want == "127.0.0.1" {
			v.SourceAddress.Addr = netip.Addr{}
		}
		r.apply(v)
		if got := readName(t, dial(t, address(v))); got != want {
			t.Errorf("the server sees %s, want %s", got, want)
		}
	}
}

func TestSourceAddressWorksInIPv6(t *testing.T) {
	server := serveOn(t, "[::1]:0", func(c net.Conn) { _, _ = io.WriteString(c, c.RemoteAddr().(*net.TCPAddr).IP.String()+"\n") })
	v := tcp(t, "S", server.address)
	v.Address, v.SourceAddress.Addr = netip.IPv6Loopback(), netip.IPv6Loopback()
	start(t, Options{}).apply(v)
	if got := readName(t, dial(t, address(v))); got != "::1" {
		t.Errorf("the server sees %s", got)
	}
}

// TestTransparentSourceTakesAnotherPortWhenTheClientsIsTaken: a client on this machine holds its port itself.
func TestTransparentSourceTakesAnotherPortWhenTheClientsIsTaken(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("EVENKEEL_TEST_REQUIRE") == "all" {
			t.Fatal("a transparent source needs root")
		}
		t.Skip("a transparent source needs root")
	}
	server := serve(t, func(c net.Conn) { _, _ = io.WriteString(c, c.RemoteAddr().String()+"\n") })
	v := tcp(t, "S", server.address)
	v.SourceAddress.Transparent = true
	start(t, Options{}).apply(v)
	c := dialFrom(t, "127.0.0.77", address(v))
	own := netip.MustParseAddrPort(c.LocalAddr().String())
	got, err := netip.ParseAddrPort(readName(t, c))
	if err != nil || got.Addr() != own.Addr() || got.Port() == own.Port() || got.Port() == 0 {
		t.Errorf("the server sees %s (%v), the client is %s", got, err, own)
	}
}
