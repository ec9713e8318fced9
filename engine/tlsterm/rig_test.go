package tlsterm

import (
	"crypto/tls"
	"net/netip"
	"slices"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/tlsterm/tlstest"
	"evenkeel/engine/wire"
	"evenkeel/engine/wire/wiretest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// side is a core that notes what it is told.
type side struct {
	got       []byte
	limit     int // take no more than this at once; 0: all
	hungry    func([]byte) int
	ended     int
	connected int
	drained   int
	woken     int
	broken    error
	evicted   int
}

func (s *side) Received(_ wire.Conn, b []byte) int {
	n := len(b)
	if s.hungry != nil {
		n = s.hungry(b)
	} else if s.limit > 0 {
		n = min(n, s.limit)
	}
	s.got = append(s.got, b[:n]...)
	return n
}
func (s *side) Ended(wire.Conn)                { s.ended++ }
func (s *side) Drained(wire.Conn)              { s.drained++ }
func (s *side) Connected(wire.Conn)            { s.connected++ }
func (s *side) Broken(_ wire.Conn, err error)  { s.broken = err }
func (s *side) Woken(wire.Conn)                { s.woken++ }
func (s *side) Spliced(wire.Conn, int64, bool) {}
func (s *side) Evict(*wire.Server)             { s.evicted++ }

// pair is a client and a server of ours, joined by hand over a driver without sockets.
type pair struct {
	t                          testing.TB
	loop                       *wiretest.Loop
	lane                       *Lane
	posts                      chan func()
	clientIn                   *wiretest.Conn // the client's connection
	serverIn                   *wiretest.Conn // the server's connection
	client                     wire.Conn
	server                     *Conn
	inner                      *side // of the server's side
	outer                      *side // of the client's side
	failures                   []error
	serverConfig, clientConfig *tls.Config
}

var anywhere = netip.MustParseAddrPort("192.0.2.1:443")

func newPair(t testing.TB, serverConfig, clientConfig *tls.Config, signers *Signers) *pair {
	p := &pair{t: t, loop: wiretest.NewLoop(), posts: make(chan func(), 16), inner: &side{}, outer: &side{}, serverConfig: serverConfig, clientConfig: clientConfig}
	p.lane = NewLane(LaneOptions{Loop: p.loop, Post: func(f func()) bool { p.posts <- f; return true }, Signers: signers})
	t.Cleanup(p.lane.Close)
	p.serverIn = p.loop.Accept(anywhere, anywhere)
	note := func(err error) { p.failures = append(p.failures, err) }
	p.server = p.lane.Server(p.serverIn, serverConfig, func(*Conn) wire.Core { return p.inner }, note)
	p.serverIn.Bind(p.server)
	var err error
	p.client, err = p.lane.Client(clientConfig, p.outer, note, func(core wire.Core) (wire.Conn, error) { return p.loop.Dial(anywhere, core) })
	if err != nil {
		t.Fatal(err)
	}
	p.clientIn = p.loop.Dialed[0]
	t.Cleanup(func() {
		if held := p.loop.End(); held != 0 {
			t.Errorf("%d bytes are held for nobody", held)
		}
	})
	return p
}

// carry moves what was sent on each side to the other, at most n bytes at a time, until nothing is left; FINs follow.
func (p *pair) carry(n int) {
	for {
		moved := move(p.clientIn, p.serverIn, n)
		if !move(p.serverIn, p.clientIn, n) && !moved {
			return
		}
	}
}

func move(from, to *wiretest.Conn, n int) bool {
	if len(from.Sent) == 0 {
		return false
	}
	b := from.Sent[:min(n, len(from.Sent))]
	from.Sent = slices.Clone(from.Sent[len(b):])
	if !to.Over() {
		to.Arrive(b)
	}
	return true
}

// open completes the handshake.
func (p *pair) open() *pair {
	p.t.Helper()
	p.clientIn.Connect()
	p.carry(1 << 20)
	if p.outer.connected != 1 || p.lane.HalfOpen() != 0 {
		p.t.Fatalf("connected %d times, %d half open, failures %v", p.outer.connected, p.lane.HalfOpen(), p.failures)
	}
	return p
}

// terminator returns the server's configuration with these certificates.
func terminator(t testing.TB, edit func(*TerminatorOptions), list ...*tlstest.Issued) *Terminator {
	t.Helper()
	s := appliance.NewService(appliance.TCP)
	o := TerminatorOptions{Service: "s", Options: &s.TLS, Ring: NewRing(time.Now())}
	for _, issued := range list {
		c, err := Load(issued.Pair)
		if err != nil {
			t.Fatal(err)
		}
		o.Certificates = append(o.Certificates, c)
	}
	if edit != nil {
		edit(&o)
	}
	return NewTerminator(o)
}

// simple returns an open pair with one certificate.
func simple(t testing.TB) *pair {
	t.Helper()
	ca := tlstest.NewAuthority(t, "CA")
	return newPair(t, terminator(t, nil, ca.Issue("a.test")).Config, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test"}, nil).open()
}
