package ui

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evenkeel/appliance"
)

// memorySecrets keeps what is made once.
type memorySecrets map[string][]byte

func (m memorySecrets) Secret(_ context.Context, name string, make func() ([]byte, error)) ([]byte, error) {
	if have, ok := m[name]; ok {
		return have, nil
	}
	made, err := make()
	m[name] = made
	return made, err
}

func TestCertificateIsMadeOnceForEveryName(t *testing.T) {
	kept := memorySecrets{}
	addresses := []netip.Addr{netip.MustParseAddr("192.168.0.9"), netip.MustParseAddr("::ffff:192.168.0.9"), netip.MustParseAddr("fd00::9")}
	first, err := Certificate(t.Context(), kept, "lb1.example.org", addresses, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	again, err := Certificate(t.Context(), kept, "other", nil, time.Now())
	if err != nil || string(first.Certificate[0]) != string(again.Certificate[0]) {
		t.Errorf("another certificate was made: %v", err)
	}
	c, err := x509.ParseCertificate(first.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"localhost", "lb1.example.org", "127.0.0.1", "::1", "192.168.0.9", "fd00::9"} {
		if err := c.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if c.PublicKeyAlgorithm != x509.ECDSA || c.IsCA || len(c.IPAddresses) != 4 {
		t.Errorf("%v, CA %v, %v", c.PublicKeyAlgorithm, c.IsCA, c.IPAddresses)
	}
	if _, err := Certificate(t.Context(), memorySecrets{"webui_certificate": []byte("broken")}, "", nil, time.Now()); appliance.KindOf(err) != appliance.Internal {
		t.Errorf("a broken certificate: %v", err)
	}
}

func TestServeEndsWithinTwoSecondsWhileStreamsAreOpen(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	certificate, err := Certificate(t.Context(), r.store, "lb1", nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.ui.Serve(ctx, l, certificate) }()
	r.base = "https://" + l.Addr().String()
	for _, c := range []string{"h2", "http/1.1"} {
		b := r.browser()
		if c == "http/1.1" {
			b = r.oldBrowser()
		}
		r.signIn(b, "loadbalancer")
		lines, stop := r.stream(b, "/lbadmin/events?on=overview")
		defer stop()
		await(t, lines, "event: clock")
	}
	begun := time.Now()
	cancel()
	if err := <-ended; err != nil || time.Since(begun) > 2*time.Second {
		t.Errorf("ended after %s: %v", time.Since(begun), err)
	}
}

// countingListener counts the connections that are open.
type countingListener struct {
	net.Listener
	accepted, open, most atomic.Int64
}

type countedConn struct {
	net.Conn
	once  sync.Once
	count *atomic.Int64
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.count.Add(-1) })
	return c.Conn.Close()
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.most.Store(max(l.most.Load(), l.open.Add(1)))
	l.accepted.Add(1)
	return &countedConn{Conn: c, count: &l.open}, nil
}

func TestConnectionsAreBounded(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	certificate, err := Certificate(t.Context(), r.store, "lb1", nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &countingListener{Listener: inner}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.ui.Serve(ctx, l, certificate) }()
	const more = 20
	var list []net.Conn
	for range mostConnections + more {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		list = append(list, c)
	}
	reach := func(n int64) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); l.accepted.Load() < n; <-time.After(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d connections were accepted, not %d", l.accepted.Load(), n)
			}
		}
	}
	reach(mostConnections)
	for _, c := range list[:more] {
		c.Close()
	}
	reach(mostConnections + more)
	if l.most.Load() != mostConnections {
		t.Errorf("%d connections were open at once", l.most.Load())
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	c, err := tls.Dial("tcp", r.base[len("https://"):], &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	if err == nil {
		c.Close()
		t.Error("TLS 1.1 is accepted")
	}
}

func TestSamplesTurnCountersIntoRates(t *testing.T) {
	s := newSamples()
	at := time.Unix(1000, 0)
	status := func(seconds int, id string, bytes, total uint64, open int) appliance.Status {
		return appliance.Status{At: at.Add(time.Duration(seconds) * time.Second), Services: []appliance.ServiceStatus{{ID: id, BytesIn: bytes, Total: total, Connections: open}}}
	}
	s.add(status(0, "a", 1000, 10, 3), nil)
	s.add(status(10, "a", 11000, 30, 5), &Machine{CPU: 0.5})
	f := s.figures()
	if last(f.throughput) != 8000 || last(f.opened) != 2 || last(f.connections) != 5 || !f.known {
		t.Errorf("%+v", f)
	}
	s.add(status(20, "a", 500, 2, 1), nil) // the counters began anew
	if f := s.figures(); last(f.throughput) != 400 || last(f.opened) != 0.2 {
		t.Errorf("after a restart %v %v", last(f.throughput), last(f.opened))
	}
	s.add(status(30, "b", 0, 0, 0), nil)
	if len(s.of("a")) != 0 || len(s.of("b")) != 1 {
		t.Error("what is gone is kept")
	}
	for i := range 1000 {
		s.add(status(40+i, "b", 0, 0, 0), nil)
	}
	if f := s.figures(); len(f.connections) != wholeSamples || len(s.of("b")) != sampledOfEach {
		t.Errorf("%d, %d samples", len(f.connections), len(s.of("b")))
	}
}

func TestWhatWasSaidIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSaid(time.Now)
		s.add("anna", message("one"))
		s.add("anna", message("two"))
		s.add("bert", message("three"))
		if got := s.take("anna"); len(got) != 2 || len(s.take("anna")) != 0 || len(s.take("bert")) != 1 {
			t.Errorf("%v", got)
		}
		s.add("anna", message("four"))
		time.Sleep(sayingLife + time.Second)
		if got := s.take("anna"); len(got) != 0 {
			t.Errorf("old: %v", got)
		}
		for range 5000 {
			s.add(time.Now().String(), message("x"))
			time.Sleep(time.Millisecond)
		}
		if len(s.messages) > mostSayings {
			t.Errorf("%d sayings are kept", len(s.messages))
		}
	})
}

// TestNoStreamShowsWhatIsOlderThanItsPage: what was drawn for others in the same tick, or is being drawn while the page is, would put the page back for a second.
func TestNoStreamShowsWhatIsOlderThanItsPage(t *testing.T) {
	l := newLive()
	state := uint64(0)
	look := func() fragments { return fragments{"all": {hash: state}} }
	drawn := func() uint64 { return l.once("page", look)["all"].hash }

	drawn()
	state = 1
	if got := drawn(); got != 0 {
		t.Fatal("what was drawn in this tick is not shared") // or the rest shows nothing
	}
	l.address(url.Values{}, look())
	if got := drawn(); got != 1 {
		t.Errorf("the page shows 1, its stream began with %d", got)
	}

	l.wake()
	l.once("page", func() fragments {
		old := look()
		state = 2
		l.address(url.Values{}, look()) // a page is drawn while another one's stream is
		return old
	})
	if got := drawn(); got != 2 {
		t.Errorf("the page shows 2, its stream began with %d", got)
	}
}
