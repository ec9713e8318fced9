package loop

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"evenkeel/engine/wire"

	"golang.org/x/sys/unix"
)

// hold keeps the loop from doing anything until the returned function is called.
func hold(t *testing.T, l *Loop) (goOn func()) {
	entered, gate := make(chan bool), make(chan bool)
	l.Post(func() { close(entered); <-gate })
	<-entered
	goOn = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(goOn)
	return goOn
}

func TestAConnectionThatIsOverAtOnceDoesNotTakeTheNextOneWithIt(t *testing.T) {
	l := start(t)
	first := true
	addr, _ := listen(t, l, &door{core: func(c wire.Conn) wire.Core {
		if first {
			first = false
			c.Abort() // its descriptor goes to the next client, before either is registered
		}
		return &plain{received: func(c wire.Conn, b []byte) int { c.Send(b); return len(b) }}
	}})
	goOn := hold(t, l)
	dial(t, addr)
	second := dial(t, addr)
	goOn()
	if _, err := second.Write([]byte("alive")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(second, b); err != nil || string(b) != "alive" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestAListenerThatWasFullAndIsClosedLeavesItsDescriptorAlone(t *testing.T) {
	l := start(t)
	addr, n := listen(t, l, &door{core: func(wire.Conn) wire.Core { return &plain{} }, limit: 1})
	dial(t, addr)
	dial(t, addr)
	until(t, "the acceptor to be full", func() bool { full := false; on(t, l, func() { full = n.full }); return full })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	got := make(chan string, 1)
	core := &plain{received: func(_ wire.Conn, b []byte) int { got <- string(b); return len(b) }}
	dialed := 0
	on(t, l, func() {
		n.Close()
		for last := int32(-1); last != n.fd && err == nil && dialed < 64; dialed++ { // until one has the descriptor
			var c wire.Conn
			if c, err = l.Dial(ln.Addr().(*net.TCPAddr).AddrPort(), core); err == nil {
				last = c.(*Conn).fd
			}
		}
	})
	var last net.Conn
	for range dialed {
		if last, err = ln.Accept(); err != nil {
			t.Fatal(err)
		}
		defer last.Close()
	}
	until(t, "connected", func() bool {
		connecting := false
		on(t, l, func() { connecting = l.slots[n.fd].conn.flags&isConnecting != 0 })
		return !connecting
	})
	on(t, l, n.Resume)
	if _, err := last.Write([]byte("heard")); err != nil {
		t.Fatal(err)
	}
	until(t, "the bytes of the connection to be told", func() bool { return len(got) == 1 })
}

func TestAResetThatASendNoticesIsToldBehindTheBytesBeforeIt(t *testing.T) {
	l := start(t)
	answer := noise(50 << 10)
	var got []byte
	broken := make(chan error, 1)
	_, server, a, c := pair(t, l, &plain{
		received: func(_ wire.Conn, b []byte) int { got = append(got, b...); return len(b) },
		broken:   func(_ wire.Conn, err error) { broken <- err },
		ended:    func(wire.Conn) { t.Error("a reset was told as a FIN") },
	})
	on(t, l, a.Pause)
	on(t, l, func() { c.Send([]byte("a request")) })
	if _, err := server.Read(make([]byte, 1)); err != nil { // what it leaves unread makes the close a reset
		t.Fatal(err)
	}
	on(t, l, func() {
		if _, err := server.Write(answer); err != nil {
			t.Error(err)
		}
		server.Close()
		for i := 0; c.(*Conn).flags&hasFailed == 0 && i < 1e6; i++ {
			c.Send([]byte("more"))
		}
	})
	if err := <-broken; got == nil || !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Error(err)
	}
	on(t, l, func() {
		if !slices.Equal(got, answer) {
			t.Errorf("%d bytes were told before it, not %d", len(got), len(answer))
		}
	})
}

func TestADefectOutsideACoreEndsNoConnection(t *testing.T) {
	l := start(t)
	c, mine := meet(t, l, &plain{received: func(c wire.Conn, b []byte) int { c.Send(b); return len(b) }})
	echo := func(text string) {
		t.Helper()
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, len(text))
		if _, err := io.ReadFull(c, b); err != nil || string(b) != text {
			t.Fatalf("%q, %v", b, err)
		}
	}
	echo("before")
	goOn := hold(t, l)
	failed, later := make(chan error, 1), make(chan bool, 1)
	l.Post(func() { panic("a defect in a call") })
	go func() {
		failed <- l.Call(context.Background(), func() { panic("a defect in a call that is waited for") })
	}()
	until(t, "the call to wait", func() bool { l.mail.mu.Lock(); defer l.mail.mu.Unlock(); return len(l.mail.list) == 2 })
	l.Post(func() { later <- true })
	goOn()
	if err := <-failed; err == nil {
		t.Error("a call that broke off is told to have run")
	}
	<-later
	echo("behind")
	on(t, l, mine.Abort)
}

func TestACoreWithADefectIsToldThatItsClientBroke(t *testing.T) {
	l := start(t)
	broken := make(chan wire.Conn, 4)
	client, server, a, b := pair(t, l, &plain{
		received: func(wire.Conn, []byte) int { panic("a defect") },
		broken:   func(c wire.Conn, _ error) { broken <- c; panic("another defect") },
	})
	if _, err := server.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if c := <-broken; c != a {
		t.Error("the client was not the first that is told")
	}
	if c := <-broken; c != b {
		t.Error("the server was not told behind it")
	}
	for _, c := range []net.Conn{client, server} {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Error(err)
		}
	}
}

// later lets that much time pass for the loop, and everything happen that is due then.
func later(t *testing.T, l *Loop, d time.Duration) {
	t.Helper()
	on(t, l, func() { l.epoch = l.epoch.Add(-d) })
	for range 3 {
		on(t, l, func() {})
	}
}

func TestAPoliteCloseWaitsForAPeerThatReadsSlowly(t *testing.T) {
	l := start(t)
	c, mine := meet(t, l, &plain{})
	_ = c.SetReadBuffer(16 << 10)
	on(t, l, func() { mine.Send(noise(16 << 20)); mine.Close() })
	outstanding := func() (n int) { on(t, l, func() { n = mine.(*Conn).outstanding() }); return n }
	var got int64
	for range 4 { // much longer than the patience, and less is read than would let the kernel take more
		later(t, l, flushPatience/2)
		for before := outstanding(); outstanding() == before; got++ {
			if _, err := io.CopyN(io.Discard, c, 1024); err != nil {
				t.Fatalf("behind %d KiB: %v", got, err)
			}
		}
		later(t, l, flushPatience/2)
	}
	on(t, l, func() {
		if l.Connections() != 1 {
			t.Error("the peer was cut while it read")
		}
	})
	until(t, "a peer that reads no more to be cut", func() bool {
		later(t, l, flushPatience)
		open := 1
		on(t, l, func() { open = l.Connections() })
		return open == 0
	})
}

func TestAResetClientIsNoticedWhileNothingIsReadOfIt(t *testing.T) {
	for name, stop := range map[string]func(a, b wire.Conn){
		"paused":           func(a, _ wire.Conn) { a.Pause() },
		"the pipe is full": func(a, b wire.Conn) { a.SpliceTo(b, -1) },
	} {
		l := start(t)
		broken := make(chan wire.Conn, 1)
		client, _, a, b := pair(t, l, &plain{broken: func(c wire.Conn, _ error) { broken <- c }})
		on(t, l, func() { stop(a, b) })
		_ = client.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := client.Write(make([]byte, 64<<20)); err == nil {
			t.Fatal("everything was taken")
		}
		_ = client.SetLinger(0)
		client.Close()
		select {
		case c := <-broken:
			if c != a {
				t.Errorf("%s: the server is said to be broken", name)
			}
		case <-time.After(time.Minute):
			t.Errorf("%s: the reset was not told", name)
		}
	}
}

func TestDescriptorsThatRunOutAreSaidOnceAndTheirReturnWhenAClientCame(t *testing.T) {
	var log bytes.Buffer // written on the loop
	l, err := Open(Options{Driver: driver, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	run(t, l)
	said := func() (paused, again int) {
		on(t, l, func() {
			paused, again = bytes.Count(log.Bytes(), []byte("paused")), bytes.Count(log.Bytes(), []byte("again"))
		})
		return paused, again
	}
	addr, _ := listen(t, l, &door{core: func(wire.Conn) wire.Core { return &plain{} }})
	goOn := hold(t, l)
	dial(t, addr)
	giveBack := takeDescriptors(t)
	goOn()
	for range 10 {
		later(t, l, starveTime)
	}
	if paused, again := said(); paused != 1 || again != 0 {
		t.Errorf("paused was said %d times, again %d times", paused, again)
	}
	giveBack()
	until(t, "the client to be accepted", func() bool { later(t, l, starveTime); return l.Stats().Accepted == 1 })
	if paused, again := said(); paused != 1 || again != 1 || l.Stats().Starved != 1 {
		t.Errorf("paused was said %d times, again %d times, of %d", paused, again, l.Stats().Starved)
	}
}

// takeDescriptors lowers the process's limit so that no descriptor is left.
func takeDescriptors(t *testing.T) (giveBack func()) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	lowest, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(lowest)
	set := func(n uint64) {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: limit.Max}); err != nil {
			t.Error(err)
		}
	}
	set(uint64(lowest))
	giveBack = sync.OnceFunc(func() { set(limit.Cur) })
	t.Cleanup(giveBack)
	return giveBack
}
