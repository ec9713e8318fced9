package engine

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"

	"evenkeel/appliance"

	"golang.org/x/sys/unix"
)

// counting answers the first bytes of a connection with how many packets came until then.
func counting(t *testing.T) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := c.Read(make([]byte, 4096)); err != nil {
			return
		}
		n := segments(t, c.(*net.TCPConn)).Segs_in
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nPackets: %d\r\n\r\n", n)
		_, _ = io.Copy(io.Discard, c)
	}
}

func segments(t *testing.T, c *net.TCPConn) *unix.TCPInfo {
	raw, err := c.SyscallConn()
	if err != nil {
		t.Error(err)
		return &unix.TCPInfo{}
	}
	info := &unix.TCPInfo{}
	_ = raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	if err != nil {
		t.Error(err)
	}
	return info
}

// dialSaying makes a connection whose first bytes complete the handshake, so that who accepts it finds them.
func dialSaying(t *testing.T, to, text string) net.Conn {
	t.Helper()
	d := net.Dialer{Timeout: time.Minute, Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0) })
	}}
	c, err := d.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// packets returns what the server of counting says.
func packets(t *testing.T, c net.Conn) int {
	t.Helper()
	var got []byte
	for b := make([]byte, 512); !bytes.HasSuffix(got, []byte("\r\n\r\n")); {
		n, err := c.Read(b)
		if got = append(got, b[:n]...); err != nil {
			t.Fatalf("%q, %v", got, err)
		}
	}
	_, behind, _ := bytes.Cut(got, []byte("Packets: "))
	text, _, _ := bytes.Cut(behind, []byte("\r\n"))
	n, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	return n
}

// TestAServerGetsOnePacketLessFromWhoSpeaksFirst: SYN, acknowledgement, bytes; or the last two in one. A server that may speak first is not made to wait for bytes that the client has not sent.
func TestAServerGetsOnePacketLessFromWhoSpeaksFirst(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, c := range map[string]struct {
		protocol appliance.Protocol
		waits    bool // the client speaks when the server has been dialed
		header   bool
		want     int
	}{
		"HTTP Mode":                                   {protocol: appliance.HTTP, want: 2},
		"TCP Mode, the client has spoken":             {protocol: appliance.TCP, want: 2},
		"TCP Mode, the client speaks later":           {protocol: appliance.TCP, waits: true, want: 3},
		"TCP Mode with a header, a client in waiting": {protocol: appliance.TCP, waits: true, header: true, want: 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, Options{})
			v := vip(t, c.protocol, "svc", serve(t, counting(t)).address)
			if c.header {
				v.ProxyProtocol.Out = appliance.ProxyOutV1
			}
			r.apply(v)
			var client net.Conn
			if c.waits {
				client = dial(t, address(v))
				until(t, "a server to be chosen", func() bool { return r.status(v.ID).Servers[0].Connections == 1 })
				r.apply(v) // behind the turn in which it was dialed
				_, _ = io.WriteString(client, request)
			} else {
				client = dialSaying(t, address(v), request)
			}
			if n := packets(t, client); n != c.want {
				t.Errorf("%d packets until the first bytes", n)
			}
		})
	}
}

func TestAServerGetsOnePacketLessBeforeTLS(t *testing.T) {
	got := make(chan int, 1)
	s := serve(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		got <- int(segments(t, c.(*net.TCPConn)).Segs_in)
	})
	r := start(t, Options{})
	v := tcp(t, "svc", s.address)
	v.ServerTLS.Enabled, v.ServerTLS.Verify = true, false
	r.apply(v)
	dial(t, address(v))
	if n := <-got; n != 2 {
		t.Errorf("%d packets until the first bytes", n)
	}
}
