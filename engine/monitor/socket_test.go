package monitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"evenkeel/appliance"
	"evenkeel/engine/wire/wiretest"
)

// peer serves connections with serve until the test ends and returns the address.

func peer(t *testing.T, listener net.Listener, serve func(net.Conn)) netip.AddrPort {
	t.Helper()
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer func() { _ = c.Close() }()
				_ = c.SetDeadline(time.Now().Add(time.Minute))
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		conns.Wait()
	})
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func untilEOF(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// try tests one server at to with that check.

func try(t *testing.T, to netip.AddrPort, check appliance.Monitor) (appliance.Probe, string) {
	t.Helper()
	s := appliance.NewService(appliance.TCP)
	s.Address, s.Monitor = netip.MustParseAddr("192.168.0.188"), check
	s.Ports = appliance.Ports{{First: to.Port(), Last: to.Port()}}
	r := appliance.NewRealServer()
	r.Address = appliance.Host(to.Addr().String())
	m := New(Options{ScriptsDir: t.TempDir()})
	return m.Test(t.Context(), s, r, nil, nil)
}

// expect compares a verdict and its sentence; # in want stands for a number, * for anything.

func expect(t *testing.T, p appliance.Probe, good bool, want string) {
	t.Helper()
	pattern := "^" + strings.NewReplacer("#", `\d+`, `\*`, ".*").Replace(regexp.QuoteMeta(want)) + "$"
	if p.Good != good || !regexp.MustCompile(pattern).MatchString(p.Sentence) {
		t.Errorf("good %v: %s\nwant %v: %s", p.Good, p.Sentence, good, want)
	}
}

func check(k appliance.MonitorKind) appliance.Monitor {
	m := appliance.NewMonitor(k)
	m.Timeout = within("")
	return m
}

// within is the timeout that a sentence speaks of; a check that is to end in another way has time enough for any machine.
func within(sentence string) appliance.Duration {
	_, text, found := strings.Cut(sentence, " within ")
	if text, _, _ = strings.Cut(text, "."); !found {
		text = "30s"
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(err)
	}
	return appliance.Duration(d)
}

func TestConnect(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		to := peer(t, listen(t, address), untilEOF)
		p, transcript := try(t, to, check(appliance.MonitorConnect))
		expect(t, p, true, fmt.Sprintf("Port %d opened in # ms.", to.Port()))
		for _, want := range []string{"connect to " + to.String(), "connected from ", "verdict: good. Port "} {
			if !strings.Contains(transcript, want) {
				t.Errorf("the transcript lacks %q:\n%s", want, transcript)
			}
		}
	}
}

func TestConnectRefused(t *testing.T) {
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), wiretest.Port(t, 1))
	p, _ := try(t, to, check(appliance.MonitorConnect))
	expect(t, p, false, fmt.Sprintf("Connection refused on port %d. The machine answers, the service does not.", to.Port()))
}

func TestConnectionErrorsInWords(t *testing.T) {
	a := &attempt{prepared: prepared{job: job{subject: subject{host: "192.168.0.51", port: 104}, timeout: 3 * time.Second}}}
	for _, c := range []struct {
		err  error
		want string
	}{
		{syscall.EHOSTUNREACH, "No route to 192.168.0.51. The machine may be off, or a router on the way does not know it."},
		{syscall.ENETUNREACH, "No route to 192.168.0.51. The machine may be off, or a router on the way does not know it."},
		{context.DeadlineExceeded, "No answer from 192.168.0.51 within 3s. The machine may be off or a firewall drops the packets."},
		{syscall.ETIMEDOUT, "No answer from 192.168.0.51 within 3s. The machine may be off or a firewall drops the packets."},
		{syscall.EPERM, "A firewall on this appliance forbids connections to 192.168.0.51:104."},
		{syscall.EMFILE, "The check could not be made, because this appliance ran out of something: too many open files."},
	} {
		if got := a.unopened(&net.OpError{Op: "dial", Err: c.err}).sentence(); got != c.want {
			t.Errorf("%v: %s", c.err, got)
		}
	}
}

// TestServerSeesFinNotReset holds for a server that greets, so that bytes lie unread when the probe is over.

func TestServerSeesFinNotReset(t *testing.T) {
	seen := make(chan error, 1)
	to := peer(t, listen(t, "127.0.0.1:0"), func(c net.Conn) {
		_, _ = io.WriteString(c, "220 mail.example ready\r\n")
		_, err := c.Read(make([]byte, 1))
		if !errors.Is(err, io.EOF) {
			seen <- err
			return
		}
		seen <- reset(c, lingerTime/2)
	})
	p, _ := try(t, to, check(appliance.MonitorConnect))
	expect(t, p, true, fmt.Sprintf("Port %d opened in # ms.", to.Port()))
	if err := <-seen; err != nil {
		t.Errorf("the server saw %v", err)
	}
}

// reset returns an error when c is reset within d.

func reset(c net.Conn, d time.Duration) error {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	events := int16(0)
	_ = raw.Control(func(fd uintptr) {
		list := []unix.PollFd{{Fd: int32(fd)}}
		_, err = unix.Poll(list, int(d.Milliseconds()))
		events = list[0].Revents
	})
	if events&(unix.POLLERR|unix.POLLHUP) != 0 {
		return errors.New("a reset")
	}
	return err
}

// answers is a server that says text to whatever comes, and finishes.

func answers(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, text)
		_ = c.(interface{ CloseWrite() error }).CloseWrite()
		untilEOF(c)
	}
}

func TestSilentServersEndWithTheTimeout(t *testing.T) {
	to := peer(t, listen(t, "127.0.0.1:0"), untilEOF)
	for kind, awaited := range map[appliance.MonitorKind]string{
		appliance.MonitorHTTP: "an HTTP answer", appliance.MonitorHTTPS: "the TLS handshake", appliance.MonitorHL7: "an acknowledgement",
	} {
		m := check(kind)
		m.Timeout = appliance.Duration(time.Second)
		m.HL7.Message = hello
		p, _ := try(t, to, m)
		expect(t, p, false, fmt.Sprintf("Port %d opened, but %s did not come within 1s.", to.Port(), awaited))
	}
}

// acknowledges is an HL7 server that answers the first message with what ack makes of it.

// answersUnasked is a server that speaks first.

func answersUnasked(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, text)
		untilEOF(c)
	}
}

func TestServiceFirstPortAndCheckPort(t *testing.T) {
	to := peer(t, listen(t, "127.0.0.1:0"), untilEOF)
	m := New(Options{})
	s := appliance.NewService(appliance.TCP)
	s.Ports = appliance.Ports{{First: 1, Last: 2}}
	r := appliance.NewRealServer()
	r.Address = "127.0.0.1"
	for _, c := range []struct{ check, server uint16 }{{to.Port(), 3}, {0, to.Port()}} {
		s.Monitor.Port, r.Port = c.check, c.server
		p, _ := m.Test(t.Context(), s, r, nil, nil)
		expect(t, p, true, "Port "+strconv.Itoa(int(to.Port()))+" opened in # ms.")
	}
	s.Monitor.Port, r.Port = 0, 0
	p, _ := m.Test(t.Context(), s, r, nil, nil)
	expect(t, p, false, "Connection refused on port 1. The machine answers, the service does not.")
}
