//lint:file-ignore SA1019 the peers of these tests are the frames of golang.org/x/net/http2, not the convenience of net/http

package engine

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/tlsterm/tlstest"

	"golang.org/x/net/http2"
	"golang.org/x/sys/unix"
)

// heirOf returns a running engine that took the listeners of r over, as another process does.
func heirOf(t *testing.T, r *rig, loops int, list ...appliance.VirtualService) *rig {
	t.Helper()
	return heirWith(t, r, Options{Loops: loops}, list...)
}

func heirWith(t *testing.T, r *rig, o Options, list ...appliance.VirtualService) *rig {
	t.Helper()
	var fds []int
	for _, fd := range r.Listeners() {
		own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, own)
	}
	next := start(t, o)
	next.Inherit(fds)
	next.Recall(r.Health())
	next.apply(list...)
	next.Forget()
	if err := r.Leave(soon(t)); err != nil {
		t.Fatal(err)
	}
	return next
}

func TestHeirServesWhatTheProcessBeforeHeldAndThatOneKeepsItsClients(t *testing.T) {
	u := vip(t, appliance.UDP, "U", answering(t, "127.0.0.1:0", "one").address)
	s := tcp(t, "T", serve(t, echo("tcp")).address)
	r := start(t, Options{Loops: 3})
	r.apply(u, s)
	old := dial(t, address(s))
	readName(t, old)
	for _, loops := range []int{1, 4} {
		next := heirOf(t, r, loops, u, s)
		ping(t, old, "the old one's")
		if got := inquire(t, asking(t, address(u)), "x"); got != "one x" {
			t.Errorf("by UDP: %q", got)
		}
		if got := readName(t, dial(t, address(s))); got != "tcp" {
			t.Errorf("by TCP: %q", got)
		}
		for _, v := range next.Status().Services {
			if v.Total != 1 {
				t.Errorf("the heir with %d loops has served %d clients of %s", loops, v.Total, v.Label)
			}
		}
		if err := r.Apply(soon(t), config(u)); appliance.KindOf(err) != appliance.Unavailable {
			t.Errorf("who has left still applies: %v", err)
		}
		r = next
	}
}

func TestWebClientsOfAProcessThatLeftMoveOverBehindTheirAnswers(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	issued := ca.Issue("a.test")
	release, began := make(chan struct{}), make(chan struct{}, 1)
	clear, w := clear2(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			began <- struct{}{}
			<-release
		}
		_, _ = io.WriteString(rw, "answer")
	}))
	secure := web(t, "TLS", w.address)
	secure.TLS.Certificates = []string{issued.ID}
	options := Options{Loops: 2, Certificates: keep(issued)}
	r := start(t, options)
	r.apply(clear, secure)

	busy, dials := client2(t)
	idle := &http.Client{Transport: &http2.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test"}}, Timeout: time.Minute}
	defer idle.CloseIdleConnections()
	old := dial(t, address(clear))
	ask := func() *http.Response {
		t.Helper()
		if _, err := io.WriteString(old, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(old), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp
	}
	fetch := func(c *http.Client, at string) {
		t.Helper()
		resp, err := c.Get(at)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "answer" {
			t.Fatalf("%q, %v", b, err)
		}
	}
	fetch(idle, "https://"+address(secure))
	if ask().Close {
		t.Fatal("HTTP/1 is not kept alive")
	}
	slow := make(chan error, 1)
	go func() {
		resp, err := busy.Get("http://" + address(clear) + "/slow")
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		slow <- err
	}()
	<-began
	next := heirWith(t, r, options, clear, secure)
	until(t, "the idle client of HTTP/2 is gone", func() bool { return r.status(secure.ID).Connections == 0 })
	until(t, "the busy client of HTTP/2 has read that it is to come again", func() bool { fetch(busy, "http://"+address(clear)); return dials.Load() == 2 })
	fetch(idle, "https://"+address(secure))
	if n := next.status(clear.ID).Requests + next.status(secure.ID).Requests; n != 2 {
		t.Errorf("the heir has served %d of 2 requests", n)
	}
	close(release)
	if err := <-slow; err != nil {
		t.Errorf("the stream that was open: %v", err)
	}
	if !ask().Close {
		t.Error("an idle client of HTTP/1 was not told to come again")
	}
	until(t, "everybody has left", func() bool { return r.status(clear.ID).Connections == 0 })
}

func TestDatagramSocketOfAProcessThatLeftIsClosedBehindItsLastClient(t *testing.T) {
	u := vip(t, appliance.UDP, "U", answering(t, "127.0.0.1:0", "one").address)
	u.Limits.ClientTimeout = appliance.Duration(2 * time.Second)
	r := start(t, Options{})
	r.apply(u)
	inquire(t, asking(t, address(u)), "x")
	heirOf(t, r, 2, u).stop()
	until(t, "the port is free", func() bool {
		c, err := net.ListenPacket("udp", address(u))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func TestInheritedListenersThatNobodyWantsAreClosed(t *testing.T) {
	s := tcp(t, "T", serve(t, echo("tcp")).address)
	other := tcp(t, "O", serve(t, echo("other")).address)
	r := start(t, Options{})
	r.apply(s)
	next := heirOf(t, r, 2, other)
	if err := next.Check(soon(t), config(s)); err != nil {
		t.Errorf("the port is still held: %v", err)
	}
}
