package loop

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestHoldOffIsForNewClientsOnly: who has been answered comes in with the first byte, who has not stays outside until LetIn.
func TestHoldOffIsForNewClientsOnly(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			fds, err := Bind(netip.AddrPortFrom(netip.MustParseAddr(host), 0), 1, false)
			if err != nil {
				t.Skip(err)
			}
			t.Cleanup(func() { CloseAll(fds) })
			fd := fds[0]
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			must(unix.SetNonblock(fd, false))
			must(unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 60))
			at := sysLocal(int32(fd)).String()
			knock := func(wait time.Duration) (net.Conn, error) { return net.DialTimeout("tcp", at, wait) }

			answered, err := knock(time.Minute)
			must(err)
			defer answered.Close()
			must(HoldOff(fd))
			must(HoldOff(fd))
			var silence net.Error
			if _, err := knock(50 * time.Millisecond); !errors.As(err, &silence) || !silence.Timeout() {
				t.Errorf("a new client is not left without an answer: %v", err)
			}
			_, err = answered.Write([]byte("first"))
			must(err)
			in, _, err := unix.Accept(fd)
			must(err)
			defer unix.Close(in)
			var b [8]byte
			if n, err := unix.Read(in, b[:]); err != nil || string(b[:n]) != "first" {
				t.Errorf("read %q, %v", b[:n], err)
			}
			must(unix.Shutdown(in, unix.SHUT_WR))
			if _, err := answered.Read(b[:]); err != io.EOF {
				t.Errorf("the connection does not go on: %v", err)
			}
			LetIn(fd)
			LetIn(fd)
			c, err := knock(time.Minute)
			must(err)
			_ = c.Close()
		})
	}
}
