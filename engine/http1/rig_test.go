package http1

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
	"evenkeel/engine/wire/wiretest"
)

// rig is a core between a client and servers that the test plays.
type rig struct {
	t       testing.TB
	loop    *wiretest.Loop
	service *service
	pool    *IdlePool
	client  *wiretest.Conn
	core    wire.Core
	reasons []string
	records wiretest.Recorder
}

// service is a wire.Service that gives the first server that was not tried.
type service struct {
	loop     wire.Loop
	config   *appliance.VirtualService
	servers  []*wire.Server
	counters wire.Counters
	choice   wire.Choice // what Pick adds
	cookies  []string    // that Pick was asked with
	failed   []string
	keys     []uint64
	answers  []int // statuses that Answered told
	open     int
	picks    int
	again    bool // Pick gives what was tried, too
}

func (s *service) Loop() wire.Loop                   { return s.loop }
func (s *service) Config() *appliance.VirtualService { return s.config }
func (s *service) Counters() *wire.Counters          { return &s.counters }
func (s *service) Failed(c wire.Choice, _ error)     { s.failed = append(s.failed, c.Server.ID) }
func (s *service) Dial(c wire.Choice, _ wire.Conn, core wire.Core) (wire.Conn, error) {
	return s.loop.Dial(c.Address, core)
}
func (s *service) Release(wire.Choice) { s.open-- }

func (s *service) Answered(c wire.Choice, status int, _ time.Duration) {
	s.answers = append(s.answers, status)
}

func (s *service) Pick(q *wire.Query) (wire.Choice, bool) {
	s.picks++
	s.keys = append(s.keys, q.Key)
	if q.Cookie != nil {
		s.cookies = append(s.cookies, string(q.Cookie))
	}
	for i, server := range s.servers {
		if q.Spent {
			break
		}
		if s.again || !slices.Contains(q.Tried, server) {
			s.open++
			c := s.choice
			c.Server, c.Address = server, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + i)}), 8080)
			return c, true
		}
	}
	return wire.Choice{}, false
}

var clientAddr, vipAddr = netip.MustParseAddrPort("203.0.113.7:51000"), netip.MustParseAddrPort("192.0.2.10:80")

// newRig returns a rig with two servers; edit may change the configuration.
func newRig(t testing.TB, edit ...func(*appliance.VirtualService)) *rig {
	config := appliance.NewService(appliance.HTTP)
	config.HTTP.ForwardedFor = appliance.ForwardedOff
	for _, e := range edit {
		e(&config)
	}
	r := &rig{t: t, loop: wiretest.NewLoop()}
	r.service = &service{loop: r.loop, config: &config, servers: []*wire.Server{{ID: "a"}, {ID: "b"}}}
	r.pool = NewIdlePool(r.loop, 100)
	r.accept()
	return r
}

// accept begins a new client connection.
func (r *rig) accept() { r.acceptFrom(clientAddr) }

func (r *rig) acceptFrom(peer netip.AddrPort) {
	r.client = r.loop.Accept(peer, vipAddr)
	r.core = New(Options{Service: r.service, Client: r.client, Idle: r.pool, Recorder: &r.records, Refused: func(why string) { r.reasons = append(r.reasons, why) }})
	r.client.Bind(r.core)
}

// server returns the n-th connection that was dialed, and connects it when it is not yet.
func (r *rig) server(n int) *wiretest.Conn {
	r.t.Helper()
	if len(r.loop.Dialed) <= n {
		r.t.Fatalf("connection %d to a server was not dialed; the client got %q, refused %q", n, r.client.Sent, r.reasons)
	}
	return r.loop.Dialed[n]
}

// connected returns the n-th connection to a server, connected.
func (r *rig) connected(n int) *wiretest.Conn {
	r.t.Helper()
	c := r.server(n)
	c.Connect()
	return c
}

// feed gives text to a connection, whole or byte by byte.
func feed(c *wiretest.Conn, text string, bytewise bool) {
	if !bytewise {
		c.Arrive([]byte(text))
		return
	}
	for i := range len(text) {
		if c.Over() {
			return
		}
		c.Arrive([]byte{text[i]})
	}
}

// take returns what a connection sent since the last call.
func take(c *wiretest.Conn) string {
	out := string(c.Sent)
	c.Sent = nil
	return out
}

func (r *rig) equal(what, got, want string) {
	r.t.Helper()
	if got != want {
		r.t.Fatalf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func (r *rig) true(what string, ok bool) {
	r.t.Helper()
	if !ok {
		r.t.Fatalf("not true: %s (client got %.300q, refused %q)", what, r.client.Sent, r.reasons)
	}
}

// balanced demands that every Pick was released.
func (r *rig) balanced() {
	r.t.Helper()
	if r.service.open != 0 {
		r.t.Fatalf("%d choices were not released", r.service.open)
	}
}

// refusedWith demands an answer with a status, closed, one reason, and nothing with a server.
func (r *rig) refusedWith(status string) {
	r.t.Helper()
	if !strings.HasPrefix(string(r.client.Sent), "HTTP/1.1 "+status+" ") || !strings.Contains(string(r.client.Sent), "Connection: close\r\n") {
		r.t.Fatalf("the client got %q, not %s; reasons %q", r.client.Sent, status, r.reasons)
	}
	r.true("closed", r.client.Closed)
	r.true("one reason", len(r.reasons) == 1)
	r.true("counted", r.service.counters.Refused == 1)
	r.balanced()
}

const (
	get = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
	ok2 = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
)
