package monitor

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"evenkeel/appliance"
)

// TestAKnockIsNoConnectionForTheServer: the check of a port is seen by the kernel alone, on IPv4 and IPv6; one that nobody listens on is refused.
func TestAKnockIsNoConnectionForTheServer(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		to := l.Addr().(*net.TCPAddr)
		s := service(1)
		s.Monitor.Interval = appliance.Duration(20 * time.Millisecond)
		s.RealServers[0].Address, s.RealServers[0].Port = appliance.Host(to.IP.String()), uint16(to.Port)
		m := New(Options{})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx) }()
		m.Apply(these(s), nil)
		for range 20 {
			if p, err := m.CheckNow(t.Context(), s.RealServers[0].ID); err != nil || !p.Good {
				t.Fatal(p, err)
			}
		}
		if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		seen := 0 // a knock that is held up for 40 ms, which the kernel does not wait for, becomes a connection
		for {
			c, err := l.Accept()
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
			seen++
		}
		if seen >= 20 {
			t.Errorf("%s: the server saw %d connections", at, seen)
		}
		l.Close()
		for tries := 0; ; tries++ { // one that was under way may still find the port open
			p, err := m.CheckNow(t.Context(), s.RealServers[0].ID)
			if err != nil || tries > 2 {
				t.Fatal(p, err)
			}
			if !p.Good && p.Sentence != "" {
				break
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if len(m.knocks.pending) != 0 {
			t.Errorf("%d knocks are still under way", len(m.knocks.pending))
		}
	}
}
