package loop

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
	"evenkeel/engine/wire/wiretest"

	"golang.org/x/sys/unix"
)

// start runs a loop until the test ends.
func start(t *testing.T) *Loop {
	t.Helper()
	l, err := Open(Options{Driver: driver})
	if err != nil {
		t.Fatal(err)
	}
	run(t, l)
	return l
}

func run(t *testing.T, l *Loop) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func on(t *testing.T, l *Loop, f func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := l.Call(ctx, f); err != nil {
		t.Fatal(err)
	}
}

// until waits for a condition that somebody else brings about.
func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !met(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// TestALoopThatSleepsAgainAndAgainIsScheduledAnew: otherwise the runtime would stop it as one that runs without end.
func TestALoopThatSleepsAgainAndAgainIsScheduledAnew(t *testing.T) {
	l := start(t)
	yielded := func() (at wire.Time) { on(t, l, func() { at = l.yielded }); return at }
	first := yielded()
	until(t, "scheduled anew", func() bool { return yielded() > first })
	second := yielded()
	on(t, l, func() {
		if d := second.Sub(first); d < slice {
			t.Errorf("after %v already", d)
		}
	})
}

// free returns an address that nobody listens on.
func free(t *testing.T) netip.AddrPort {
	t.Helper()
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), wiretest.Port(t, 1))
}

// door is an Acceptor for tests.
type door struct {
	core  func(c wire.Conn) wire.Core
	limit int
	open  int
}

func (d *door) Admit() bool {
	if d.limit > 0 && d.open >= d.limit {
		return false
	}
	d.open++
	return true
}
func (d *door) Accepted(c wire.Conn) wire.Core { return d.core(c) }
func (d *door) Gone()                          { d.open-- }

// plain is a Core whose methods are fields; nil ones do nothing (Received takes all).
type plain struct {
	received  func(c wire.Conn, b []byte) int
	ended     func(c wire.Conn)
	drained   func(c wire.Conn)
	connected func(c wire.Conn)
	broken    func(c wire.Conn, err error)
	woken     func(c wire.Conn)
	spliced   func(c wire.Conn, n int64, ended bool)
}

func (p *plain) Received(c wire.Conn, b []byte) int {
	if p.received == nil {
		return len(b)
	}
	return p.received(c, b)
}

func (p *plain) Ended(c wire.Conn)     { call(p.ended, c) }
func (p *plain) Drained(c wire.Conn)   { call(p.drained, c) }
func (p *plain) Connected(c wire.Conn) { call(p.connected, c) }
func (p *plain) Woken(c wire.Conn)     { call(p.woken, c) }
func (p *plain) Evict(*wire.Server)    {}
func (p *plain) Broken(c wire.Conn, err error) {
	if p.broken != nil {
		p.broken(c, err)
	}
}

func (p *plain) Spliced(c wire.Conn, n int64, ended bool) {
	if p.spliced != nil {
		p.spliced(c, n, ended)
	}
}

func call(f func(wire.Conn), c wire.Conn) {
	if f != nil {
		f(c)
	}
}

// listen serves d on a new listener of l.
func listen(t *testing.T, l *Loop, d *door) (netip.AddrPort, *Listener) {
	t.Helper()
	return listenTo(t, l, d, false)
}

func listenTo(t *testing.T, l *Loop, d *door, clientFirst bool) (netip.AddrPort, *Listener) {
	t.Helper()
	addr := free(t)
	fds, err := Bind(addr, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	var n *Listener
	on(t, l, func() { n = l.Listen(fds[0], addr, d, clientFirst) })
	return addr, n
}

func dial(t *testing.T, to netip.AddrPort) *net.TCPConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", to.String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

func TestBindRefusesAPortThatIsTakenWithASentence(t *testing.T) {
	addr := free(t)
	fds, err := Bind(addr, 3, false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { CloseAll(fds) }()
	if len(fds) != 3 {
		t.Fatalf("%d descriptors", len(fds))
	}
	for _, other := range []netip.AddrPort{addr, netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port()), netip.AddrPortFrom(netip.IPv6Unspecified(), addr.Port())} {
		for name, try := range map[string]func() error{
			"Bind":  func() error { more, err := Bind(other, 2, false); CloseAll(more); return err },
			"Probe": func() error { return Probe(other) },
		} {
			err := try()
			var e *appliance.Error
			if !errors.As(err, &e) || e.Kind != appliance.Conflict || e.Subject != other.String() || e.Message == "" || e.Hint == "" {
				t.Errorf("%s of %s: %v", name, other, err)
			}
		}
	}
	CloseAll(fds)
	fds = nil
	if err := Probe(addr); err != nil {
		t.Errorf("free again: %v", err)
	}
}

func TestBindSharesOnlyWhenToldTo(t *testing.T) {
	addr := free(t)
	fds, err := Bind(addr, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	defer CloseAll(fds)
	more, err := Bind(netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port()), 2, true)
	if err != nil {
		t.Fatal(err)
	}
	CloseAll(more)
}

func TestBindSaysWhenTheRightIsMissing(t *testing.T) {
	e := &appliance.Error{}
	if !errors.As(bindError(netip.MustParseAddrPort("127.0.0.1:80"), unix.EACCES), &e) || e.Kind != appliance.Denied || e.Hint == "" {
		t.Fatalf("%+v", e)
	}
}

func TestBindAcceptsAnAddressThatIsNotHereYet(t *testing.T) {
	fds, err := Bind(netip.MustParseAddrPort("192.0.2.77:38211"), 1, false)
	if err != nil {
		t.Fatal(err)
	}
	CloseAll(fds)
}

func TestConcurrentBindsHaveOneWinner(t *testing.T) {
	for range 50 {
		addr := free(t)
		results := make(chan []int, 4)
		for range 4 {
			go func() {
				fds, _ := Bind(addr, 2, false)
				results <- fds
			}()
		}
		winners := 0
		for range 4 {
			if fds := <-results; fds != nil {
				winners++
				defer CloseAll(fds)
			}
		}
		if winners > 1 {
			t.Fatalf("%d processes would share %s", winners, addr)
		}
	}
}

func TestAnIdleLoopSleeps(t *testing.T) {
	l := start(t)
	d := &door{core: func(wire.Conn) wire.Core { return &plain{} }}
	addr, _ := listen(t, l, d)
	c := dial(t, addr)
	until(t, "accepted", func() bool { return l.Stats().Accepted == 1 })
	before := l.Stats()
	for range 5 { // five sleeps of the read below, 100 ms in all
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	if turns := l.Stats().Turns - before.Turns; turns > 20 {
		t.Errorf("%d turns while idle", turns)
	}
}

func TestClosedLoopTakesNoMail(t *testing.T) {
	l, err := Open(Options{Driver: driver})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if l.Post(func() {}) {
		t.Error("posted")
	}
	if err := l.Call(context.Background(), func() {}); appliance.KindOf(err) != appliance.Unavailable {
		t.Error(err)
	}
}
