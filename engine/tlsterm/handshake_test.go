package tlsterm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/tlsterm/tlstest"
	"evenkeel/engine/wire"
	"evenkeel/engine/wire/wiretest"
)

// hello returns the first flight of a client.
func hello(t testing.TB) []byte {
	p := simple(t)
	q := newPair(t, p.serverConfig, p.clientConfig, nil)
	q.clientIn.Connect()
	defer q.client.Abort()
	return slices.Clone(q.clientIn.Sent)
}

func TestAHandshakeThatLastsTooLongIsEnded(t *testing.T) {
	first := hello(t)
	for _, sent := range [][]byte{nil, first[:1], first[:len(first)-1], first} {
		p := simple(t)
		q := newPair(t, p.serverConfig, p.clientConfig, nil)
		q.serverIn.Arrive(sent)
		q.loop.Advance(handshakeTime - 100*time.Millisecond)
		if q.serverIn.Over() {
			t.Fatalf("%d bytes: ended too early", len(sent))
		}
		q.loop.Advance(200 * time.Millisecond)
		if !q.serverIn.Aborted || len(q.failures) != 1 || !errors.Is(q.failures[0], errSlow) || q.lane.HalfOpen() != 0 {
			t.Errorf("%d bytes: %v, %d half open", len(sent), q.failures, q.lane.HalfOpen())
		}
		q.client.Abort()
	}
}

func TestBeforeItsWholeHelloAClientHasNoCoroutine(t *testing.T) {
	first := hello(t)
	p := simple(t)
	q := newPair(t, p.serverConfig, p.clientConfig, nil)
	for i := range len(first) {
		if q.lane.HalfOpen() != 0 {
			t.Fatalf("the handshake began with %d of %d bytes", i, len(first))
		}
		q.serverIn.Arrive(first[i : i+1])
	}
	if q.lane.HalfOpen() != 1 || len(q.serverIn.Sent) == 0 {
		t.Error("the handshake has not begun")
	}
	q.serverIn.Finish()
	if !q.serverIn.Over() || q.lane.HalfOpen() != 0 || !errors.Is(q.failures[0], errLeft) {
		t.Error(q.failures)
	}
	q.client.Abort()
}

func TestWhoNeverSpeaksLeavesQuietly(t *testing.T) {
	p := simple(t)
	q := newPair(t, p.serverConfig, p.clientConfig, nil)
	q.serverIn.Finish()
	if !q.serverIn.Closed || len(q.failures) != 0 {
		t.Error(q.failures)
	}
	q.client.Abort()
}

func TestACrowdWaitsItsTurnAndAFloodCannotHoldIt(t *testing.T) {
	first := hello(t)
	p := simple(t)
	loop := wiretest.NewLoop()
	lane := NewLane(LaneOptions{Loop: loop})
	t.Cleanup(lane.Close)
	var failures []error
	var conns []*wiretest.Conn
	join := func() *wiretest.Conn {
		in := loop.Accept(anywhere, anywhere)
		in.Bind(lane.Server(in, p.serverConfig, func(*Conn) wire.Core { return &side{} }, func(err error) { failures = append(failures, err) }))
		in.Arrive(first)
		conns = append(conns, in)
		return in
	}
	for range maxHalfOpen {
		join()
	}
	late, later := join(), join()
	if lane.HalfOpen() != maxHalfOpen || len(late.Sent) != 0 || len(failures) != 0 {
		t.Fatalf("%d half open, %v", lane.HalfOpen(), failures)
	}
	conns[7].Finish() // one leaves: the first in the queue has its turn
	if len(late.Sent) == 0 || len(later.Sent) != 0 {
		t.Error("the turn was not given to who waited longest")
	}
	loop.Advance(2 * honestTime) // the others are no honest ones
	if len(later.Sent) == 0 || !slices.ContainsFunc(failures, func(err error) bool { return errors.Is(err, errHalfOpen) }) {
		t.Errorf("half-open handshakes keep a client out: %v", failures)
	}
	for _, c := range conns {
		c.Break(nil)
	}
	if lane.HalfOpen() != 0 || lane.waiting.length != 0 {
		t.Errorf("%d half open, %d wait", lane.HalfOpen(), lane.waiting.length)
	}
}

// slowKey signs when it is told to.
type slowKey struct {
	crypto.Signer
	asked chan struct{}
	sign  chan struct{}
}

func (k *slowKey) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	k.asked <- struct{}{}
	<-k.sign
	return k.Signer.Sign(r, digest, opts)
}

func withSlowKey(t *testing.T, version uint16) (*pair, *slowKey) {
	t.Helper()
	ca := tlstest.NewAuthority(t, "CA")
	issued := ca.IssueRSA("a.test")
	signers := NewSigners(1)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { signers.Run(ctx) })
	t.Cleanup(func() { cancel(); all.Wait() })
	terminator := terminator(t, nil, issued)
	key := &slowKey{issued.TLS.PrivateKey.(crypto.Signer), make(chan struct{}, 1), make(chan struct{})}
	c := terminator.table.first
	if !c.slow {
		t.Fatal("an RSA key is signed with on the loop")
	}
	shown := *c.current.Load()
	shown.PrivateKey = key
	c.current.Store(&shown)
	return newPair(t, terminator.Config, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test", MaxVersion: version}, signers), key
}

func TestASlowSignatureDoesNotHoldTheLoopUp(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		p, key := withSlowKey(t, version)
		p.clientIn.Connect()
		p.carry(1 << 20)
		<-key.asked // the worker signs; here the loop is free
		if p.server.hand == nil || p.server.hand.signing == nil || !p.serverIn.Paused {
			t.Fatal("the handshake does not wait for the worker")
		}
		close(key.sign)
		(<-p.posts)()
		p.loop.Settle()
		p.carry(1 << 20)
		if p.outer.connected != 1 {
			t.Fatal(p.failures)
		}
		p.client.Send([]byte("hello"))
		p.carry(1 << 20)
		if string(p.inner.got) != "hello" {
			t.Errorf("%q", p.inner.got)
		}
	}
}

func TestAClientMayLeaveWhileItsSignatureIsMade(t *testing.T) {
	p, key := withSlowKey(t, tls.VersionTLS13)
	p.clientIn.Connect()
	p.carry(1 << 20)
	<-key.asked
	p.serverIn.Break(nil)
	close(key.sign)
	(<-p.posts)()
	if p.lane.HalfOpen() != 0 || p.server.hand != nil {
		t.Error("the handshake goes on")
	}
	p.client.Abort()
}

func TestHandshakesThatFailTellBothSidesWhy(t *testing.T) {
	ca, other := tlstest.NewAuthority(t, "CA"), tlstest.NewAuthority(t, "Other")
	p := newPair(t, terminator(t, nil, ca.Issue("a.test")).Config, &tls.Config{RootCAs: other.Pool(), ServerName: "a.test"}, nil)
	p.clientIn.Connect()
	p.carry(1 << 20)
	if p.outer.broken == nil || !strings.Contains(p.outer.broken.Error(), "unknown authority") || len(p.failures) != 2 || !p.serverIn.Closed {
		t.Errorf("%v, %v", p.outer.broken, p.failures)
	}
	p = newPair(t, terminator(t, nil, ca.Issue("a.test")).Config, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test"}, nil)
	p.clientIn.Break(errors.New("refused"))
	if p.outer.broken == nil || p.outer.connected != 0 {
		t.Errorf("%+v", p.outer)
	}
	p.server.Abort()
}

func TestAnInnerCoreMayRefuseOrCloseAtOnce(t *testing.T) {
	p := simple(t)
	for _, accept := range []func(*Conn) wire.Core{
		func(*Conn) wire.Core { return nil },
		func(c *Conn) wire.Core { c.Close(); return &side{} },
	} {
		q := newPair(t, p.serverConfig, p.clientConfig, nil)
		q.server.accept = accept
		q.clientIn.Connect()
		q.carry(1 << 20)
		if !q.serverIn.Closed || q.outer.ended != 1 {
			t.Errorf("%+v", q.outer)
		}
	}
}

func TestEvictionTurnsAwayWhoIsNotInYet(t *testing.T) {
	p := simple(t)
	q := newPair(t, p.serverConfig, p.clientConfig, nil)
	q.serverIn.Arrive(hello(t))
	q.server.Evict(&wire.Server{})
	if q.serverIn.Over() {
		t.Error("ended because of a server that it does not use")
	}
	q.server.Evict(nil)
	if !q.serverIn.Closed || q.lane.HalfOpen() != 0 {
		t.Error("still there")
	}
	q.client.Abort()
}

func TestSecrecyTellsWhatTheHandshakeCameTo(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	authority, err := LoadAuthority(ca.Bundle())
	if err != nil {
		t.Fatal(err)
	}
	config := terminator(t, func(o *TerminatorOptions) {
		o.Protocols, o.Authority = []string{"http/1.1"}, authority
		o.Options.ClientAuth = appliance.ClientAuthRequired
	}, ca.Issue("a.test")).Config
	p := newPair(t, config, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test", NextProtos: []string{"h2", "http/1.1"}, Certificates: []tls.Certificate{ca.Issue("modality 7").TLS}}, nil).open()
	want := wire.Secrecy{ServerName: "a.test", Version: "1.3", Protocol: "http/1.1", Subject: "CN=modality 7"}
	got := *p.server.Secrecy()
	if got.Cipher == "" {
		t.Error("no cipher")
	}
	if got.Cipher = ""; got != want {
		t.Errorf("%+v", got)
	}
}

func FuzzHello(f *testing.F) {
	first := hello(f)
	ca := tlstest.NewAuthority(f, "CA")
	config := terminator(f, nil, ca.Issue("a.test")).Config
	f.Add(first, uint8(3))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint8(1))
	f.Add([]byte("\x16\x03\x01\x00\x01\x01\x16\x03\x01\x00\x03\x00\x00\x01\x16\x03\x01\x00\x01\x00"), uint8(0))
	f.Fuzz(func(t *testing.T, sent []byte, piece uint8) {
		loop := wiretest.NewLoop()
		lane := NewLane(LaneOptions{Loop: loop})
		defer lane.Close()
		in := loop.Accept(anywhere, anywhere)
		inner := &side{}
		in.Bind(lane.Server(in, config, func(*Conn) wire.Core { return inner }, nil))
		for rest := sent; len(rest) > 0 && !in.Over(); {
			n := min(len(rest), int(piece)+1)
			in.Arrive(rest[:n])
			rest = rest[n:]
		}
		if len(inner.got) > 0 && !bytes.Equal(sent, first) {
			t.Fatalf("%q was let in without a key", inner.got)
		}
		in.Finish()
		loop.Advance(2 * handshakeTime)
		if !in.Over() || lane.HalfOpen() != 0 {
			t.Fatal("a handshake hangs")
		}
	})
}

func TestAHelloInPiecesIsAcknowledged(t *testing.T) {
	known := simple(t)
	p := newPair(t, known.serverConfig, known.clientConfig, nil)
	p.clientIn.Connect()
	p.serverIn.Arrive(p.clientIn.Sent[:50])
	if !p.serverIn.Acknowledged {
		t.Error("who sends the rest behind an acknowledgement only has to wait for it")
	}
	p.clientIn.Sent = p.clientIn.Sent[50:]
	p.carry(1 << 20)
	if p.outer.connected != 1 {
		t.Error("not connected")
	}
}
