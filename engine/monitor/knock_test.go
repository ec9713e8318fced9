package monitor

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"evenkeel/appliance"

	"golang.org/x/sys/unix"
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
		if seen >= 10 {
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
		if k := m.knocks; len(k.pending)+len(k.idle[0])+len(k.idle[1]) != 0 {
			t.Errorf("%d knocks are still under way, %v are idle", len(k.pending), k.idle)
		}
	}
}

// TestAKnockAllocatesNothing, neither in the scheduler nor in what is known of the server: only another sentence would.
func TestAKnockAllocatesNothing(t *testing.T) {
	const servers = 3 * handful
	m, s := knocking(t, listen(t, "127.0.0.1:0"), servers)
	now := m.now()
	m.now = func() time.Time { return now } // every knock takes as long as any other, so that the sentence is the same
	var none sync.WaitGroup
	round := func() {
		now = now.Add(time.Second)
		for i := range s.RealServers {
			m.Hasten(s.RealServers[i].ID)
		}
		m.launch(t.Context(), &none)
	}
	for range appliance.KeptProbes { // until the lists are as long as they get
		round()
	}
	each := testing.AllocsPerRun(100, round)
	h := m.Health(s.RealServers[servers-1].ID)
	if h.Health != appliance.Up || len(h.Probes) != appliance.KeptProbes || h.Probes[0].At.After(h.Probes[appliance.KeptProbes-1].At) {
		t.Fatalf("%+v", h)
	}
	if each > servers/4 { // a socket is replaced now and then
		t.Errorf("%v allocations for %d checks", each, servers)
	}
	if n := len(m.knocks.idle[0]); n == 0 || n > handful {
		t.Errorf("%d sockets made the knocks of %d servers", n, servers)
	}
}

// knocking returns a monitor whose scheduler the test is, and a service of so many servers behind one listener.
func knocking(t *testing.T, l net.Listener, servers int) (*Monitor, appliance.VirtualService) {
	t.Helper()
	t.Cleanup(func() { _ = l.Close() })
	to := l.Addr().(*net.TCPAddr)
	s := service(servers)
	for i := range s.RealServers {
		s.RealServers[i].Address, s.RealServers[i].Port = appliance.Host(to.IP.String()), uint16(to.Port)
	}
	m := New(Options{})
	if m.knocks = openKnocker(m); m.knocks == nil {
		t.Fatal("no knocker")
	}
	t.Cleanup(m.knocks.close)
	m.Apply(these(s), nil)
	return m, s
}

// TestAKnockThatIsNotAnsweredAtOnceIsAwaited until it is, as long as its timeout: here the queue of the listener is full until the kernel sends the segment again.
func TestAKnockThatIsNotAnsweredAtOnceIsAwaited(t *testing.T) {
	for _, c := range []struct {
		timeout time.Duration
		good    bool
	}{{5 * time.Second, true}, {200 * time.Millisecond, false}} {
		l := listen(t, "127.0.0.1:0")
		raw, err := l.(*net.TCPListener).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Control(func(fd uintptr) { err = unix.Listen(int(fd), 0) }); err != nil {
			t.Fatal(err)
		}
		first, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = first.Close() }()
		m, s := knocking(t, l, 1)
		s.Monitor.Timeout = appliance.Duration(c.timeout)
		m.Apply(these(s), nil)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { m.knocks.run(ctx) })
		m.Hasten(s.RealServers[0].ID)
		if m.launch(ctx, &all); awaited(m) != 1 {
			t.Fatalf("%d knocks are under way", awaited(m))
		}
		if c.good {
			accepted, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = accepted.Close() }()
		}
		for begun := time.Now(); awaited(m) != 0; <-time.After(min(m.launch(ctx, &all), patience)) {
			if time.Since(begun) > time.Minute {
				t.Fatal("the knock does not end")
			}
		}
		cancel()
		all.Wait()
		p := m.Health(s.RealServers[0].ID).Probes[0]
		if p.Good != c.good || p.Took < min(c.timeout, 500*time.Millisecond) || p.Took > 4*time.Second {
			t.Errorf("timeout %s: %+v", c.timeout, p)
		}
		if want := "No answer from 127.0.0.1 within 200ms. The machine may be off or a firewall drops the packets."; !c.good && p.Sentence != want {
			t.Errorf("%s", p.Sentence)
		}
	}
}

// awaited is how many knocks are under way.
func awaited(m *Monitor) int {
	m.knocks.mu.Lock()
	defer m.knocks.mu.Unlock()
	return len(m.knocks.pending)
}

// TestAnEventOfAnEarlierKnockIsNotOneOfThis: a descriptor may be another's by the time its event is read.
func TestAnEventOfAnEarlierKnockIsNotOneOfThis(t *testing.T) {
	m, s := knocking(t, listen(t, "127.0.0.1:0"), 1)
	k, e := m.knocks, m.entries[s.RealServers[0].ID]
	m.queue.remove(e)
	n := knock{entry: e, to: e.literal}
	k.begin(&n)
	k.mu.Lock()
	awaits := k.await(&n)
	k.mu.Unlock()
	if !awaits {
		t.Fatal(n.err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLOUT, Fd: n.socket.fd, Pad: n.serial - 1}
	k.answered(t.Context(), []unix.EpollEvent{event})
	if awaited(m) != 1 || len(e.probes.all()) != 0 {
		t.Error("an event of an earlier knock ended it")
	}
	event.Pad = n.serial
	k.answered(t.Context(), []unix.EpollEvent{event})
	if awaited(m) != 0 || len(e.probes.all()) != 1 {
		t.Error("its own event did not end it")
	}
}
