package loop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"evenkeel/appliance"
	"evenkeel/engine/wire"

	"golang.org/x/sys/unix"
)

// driver is the one that the tests run on: all of them run on each that this kernel has.
var driver = Epoll

func TestMain(m *testing.M) {
	code := m.Run()
	if _, errno := openRing(); errno == 0 {
		driver = IOURing
		code = max(code, m.Run())
	} else if fmt.Fprintln(os.Stderr, whyNoRing(errno)); os.Getenv("EVENKEEL_TEST_REQUIRE") == "all" && shouldHaveRing() && errno != unix.EPERM && errno != unix.EACCES {
		code = 1
	}
	os.Exit(code)
}

// shouldHaveRing tells whether this kernel is one of those that the second driver is made for.
func shouldHaveRing() bool {
	var name unix.Utsname
	var major, minor int
	if unix.Uname(&name) != nil {
		return false
	}
	_, _ = fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor)
	return major > 6 || major == 6 && minor >= 17
}

func TestTheDriverIsChosenAndSaid(t *testing.T) {
	var log bytes.Buffer
	l, err := Open(Options{Driver: driver, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.Driver() != driver || driver == IOURing != (l.uring != nil) {
		t.Errorf("asked for %s, got %s", driver, l.Driver())
	}
	if driver == IOURing != strings.Contains(log.String(), "driver=io_uring") {
		t.Errorf("said: %s", log.String())
	}
	auto, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer auto.Close()
	if driver == IOURing && auto.Driver() != IOURing {
		t.Errorf("auto chose %s", auto.Driver())
	}
}

func TestAKernelWithoutARingIsSaidOrServedByEpoll(t *testing.T) {
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	l := &Loop{log: slog.New(slog.DiscardHandler)}
	lowest, err := unix.Dup(0)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(lowest)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(lowest), Max: old.Max}); err != nil { // no descriptor for a ring
		t.Fatal(err)
	}
	refused, fallback := l.choose(IOURing), l.choose(Auto)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if appliance.KindOf(refused) != appliance.Unsupported {
		t.Errorf("io_uring: %v", refused)
	}
	if fallback != nil || l.Driver() != Epoll || l.uring != nil {
		t.Errorf("auto: %v, %s", fallback, l.Driver())
	}
	for _, errno := range []syscall.Errno{unix.EPERM, unix.ENOSYS, unix.EMFILE} {
		if s := whyNoRing(errno); !strings.HasSuffix(s, ".") {
			t.Errorf("%v: %q", errno, s)
		}
	}
}

// link dials a server of the test and returns its end and ours, after one message went each way, so that ours is used for the second time.
func link(t *testing.T, l *Loop, core *plain) (net.Conn, wire.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var mine wire.Conn
	connected := make(chan bool, 1)
	core.connected = func(wire.Conn) { connected <- true }
	on(t, l, func() { mine, err = l.Dial(ln.Addr().(*net.TCPAddr).AddrPort(), core) })
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	<-connected
	for range 2 {
		on(t, l, func() { mine.Send([]byte("x")) })
		read(t, theirs, "x")
	}
	return theirs, mine
}

func read(t *testing.T, c net.Conn, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != want {
		t.Fatalf("%q, %v instead of %q", b, err, want)
	}
}

func TestADialedConnectionThatIsUsedAgainIsServedOn(t *testing.T) {
	l := start(t)
	got := make(chan string, 8)
	theirs, mine := link(t, l, &plain{received: func(_ wire.Conn, b []byte) int { got <- string(b); return len(b) }})
	for _, text := range []string{"one", "two"} {
		if _, err := theirs.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if s := <-got; s != text {
			t.Errorf("%q", s)
		}
		on(t, l, func() { mine.Send([]byte(text)) })
		read(t, theirs, text)
	}
	on(t, l, func() {
		if armed := mine.(*Conn).flags&isArmed != 0; armed != (driver == IOURing) {
			t.Errorf("received for by the ring: %v", armed)
		}
		mine.Close()
	})
	if _, err := theirs.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("no FIN but %v", err)
	}
}

// TestTheRingGoesOnBehindAnswersOfOrdinarySize, however many come: they are no bulk.
func TestTheRingGoesOnBehindAnswersOfOrdinarySize(t *testing.T) {
	l := start(t)
	var have []byte
	c, conn := meet(t, l, &plain{received: func(_ wire.Conn, b []byte) int { have = append(have, b...); return len(b) }})
	answer := noise(20 << 10)
	for i := range 12 {
		if _, err := c.Write(answer); err != nil {
			t.Fatal(err)
		}
		until(t, "the answer to be there", func() (all bool) { on(t, l, func() { all = len(have) >= (i+1)*len(answer) }); return all })
	}
	on(t, l, func() {
		if !bytes.Equal(have, bytes.Repeat(answer, 12)) {
			t.Error("the bytes differ")
		}
		if armed := conn.(*Conn).flags&(isArmed|isSlow) == isArmed; armed != (driver == IOURing) {
			t.Errorf("received for by the ring: %v", armed)
		}
	})
}

func TestSendsOfOneTurnKeepTheirOrder(t *testing.T) {
	l := start(t)
	for _, sizes := range [][]int{{1, 2, 3}, {10, largestSubmit - 10}, {10, largestSubmit}, {largestSubmit, 1}, {5, 3 * largestSubmit, 7}, {100, 2 << 20, 100, 50}} {
		theirs, mine := link(t, l, &plain{})
		total := 0
		for _, n := range sizes {
			total += n
		}
		want := noise(total)
		on(t, l, func() {
			rest := want
			for _, n := range sizes {
				mine.Send(rest[:n])
				rest = rest[n:]
			}
			mine.Close()
		})
		if got, err := io.ReadAll(theirs); err != nil || !slices.Equal(got, want) {
			t.Errorf("%v: %d bytes of %d, or in another order; %v", sizes, len(got), total, err)
		}
	}
}

func TestAbortLeavesNothingThatIsStillSent(t *testing.T) {
	l := start(t)
	theirs, mine := link(t, l, &plain{})
	other, second := link(t, l, &plain{})
	on(t, l, func() {
		mine.Send([]byte("never"))
		mine.Abort()
		second.Send([]byte("whole")) // in the memory that the first gave back
		if driver == IOURing && !slices.ContainsFunc(l.uring.sqes, func(s sqe) bool { return s.op == opNop && s.flags == sqeSkipSuccess }) {
			t.Error("what was submitted for it was not taken back")
		}
	})
	if _, err := io.ReadAll(theirs); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("no reset but %v", err)
	}
	read(t, other, "whole")
}

func TestManySmallSendsToAPeerThatDoesNotReadArriveWhole(t *testing.T) {
	l := start(t)
	drained := make(chan bool, 1)
	theirs, mine := link(t, l, &plain{drained: func(c wire.Conn) { drained <- c.Queued() == 0 }})
	var want []byte
	queued := 0
	for i := 0; queued == 0; i++ {
		b := noise(largestSubmit - i%7)
		want = append(want, b...)
		on(t, l, func() { queued = mine.Send(b) })
	}
	on(t, l, func() { mine.Send([]byte("end")); mine.CloseWrite() })
	got, err := io.ReadAll(theirs)
	if err != nil || !slices.Equal(got, append(want, "end"...)) {
		t.Fatalf("%d bytes of %d, %v", len(got), len(want)+3, err)
	}
	if !<-drained {
		t.Error("drained with a queue")
	}
}

func TestSendsBehindOneThatIsOverUnseenKeepTheirOrder(t *testing.T) {
	l := start(t)
	theirs, mine := link(t, l, &plain{})
	_ = theirs.(*net.TCPConn).SetReadBuffer(4 << 10)
	var want []byte
	on(t, l, func() {
		sysSetInt(mine.(*Conn).fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<10)
		for i := 0; mine.Queued() == 0; i++ {
			b := noise(1 + 3000*(i%2))
			b[0] = byte(i)
			want = append(want, b...)
			mine.Send(b)
			if l.uring != nil { // as if there had been no place for more submissions
				l.uring.enter(0)
			}
		}
		mine.CloseWrite()
	})
	if got, err := io.ReadAll(theirs); err != nil || !slices.Equal(got, want) {
		t.Errorf("%d bytes of %d, or in another order; %v", len(got), len(want), err)
	}
}

func TestASpliceBeginsBehindWhatWasSentInTheSameTurn(t *testing.T) {
	l := start(t)
	to, mine := link(t, l, &plain{})
	want, first := noise(4*wire.OneRead), true
	core := &plain{received: func(c wire.Conn, b []byte) int {
		if len(b) < wire.OneRead { // everything is there before any of it is taken
			return 0
		}
		if first {
			first = false
			c.SpliceTo(mine, int64(len(want)-len(b)+10))
		}
		return len(b) - 10
	}}
	addr, _ := listen(t, l, &door{core: func(wire.Conn) wire.Core { return core }})
	goOn := hold(t, l)
	from := dial(t, addr)
	if _, err := from.Write(want); err != nil {
		t.Fatal(err)
	}
	goOn()
	read(t, to, string(want[wire.OneRead-10:]))
}

func TestAPausedPeerIsHeldBack(t *testing.T) {
	l := start(t)
	var got atomic.Int64
	theirs, mine := link(t, l, &plain{received: func(_ wire.Conn, b []byte) int { got.Add(int64(len(b))); return len(b) }})
	on(t, l, mine.Pause)
	const size = 64 << 20
	wrote := make(chan error, 1)
	go func() { _, err := theirs.Write(make([]byte, size)); wrote <- err }()
	held := func() (n, kept int) {
		on(t, l, func() {
			c := mine.(*Conn)
			if c.kept != nil {
				kept = len(c.kept.waiting())
			}
			n, _ = unix.IoctlGetInt(int(c.fd), unix.TIOCINQ)
		})
		return n, kept
	}
	until(t, "bytes wait in the kernel", func() bool { n, _ := held(); return n > 0 })
	for range 50 {
		if _, kept := held(); kept > wire.KeepLimit+mostAhead {
			t.Fatalf("%d bytes held back in memory", kept)
		}
	}
	if got.Load() != 0 {
		t.Error("offered while paused")
	}
	on(t, l, mine.Resume)
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	until(t, "everything", func() bool { return got.Load() == size })
}

func TestAnAnswerInFrontOfAResetIsNotLostWhilePaused(t *testing.T) {
	l := start(t)
	var got atomic.Int64
	broken := make(chan error, 1)
	theirs, mine := link(t, l, &plain{
		received: func(_ wire.Conn, b []byte) int { got.Add(int64(len(b))); return len(b) },
		broken:   func(_ wire.Conn, err error) { broken <- err },
	})
	on(t, l, func() { mine.Send([]byte("unread")); mine.Pause() })
	read(t, theirs, "unread")
	goOn := hold(t, l) // so that both come at once
	if _, err := theirs.Write(make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
	_ = theirs.(*net.TCPConn).SetLinger(0)
	_ = theirs.Close()
	goOn()
	for range 50 {
		on(t, l, func() {})
	}
	if got.Load() != 0 || len(broken) != 0 {
		t.Error("told while paused")
	}
	on(t, l, mine.Resume)
	if err := <-broken; !errors.Is(err, syscall.ECONNRESET) || got.Load() != 5000 {
		t.Errorf("%v behind %d bytes", err, got.Load())
	}
}

func TestMoreAtOnceThanThereAreBuffersArrivesWhole(t *testing.T) {
	l := start(t)
	addr, _ := listen(t, l, &door{core: func(wire.Conn) wire.Core {
		return &plain{received: func(c wire.Conn, b []byte) int { c.Send(b); return len(b) }}
	}})
	long := noise(128 << 10)
	var list []*net.TCPConn
	for range 200 { // every other one fills its socket
		c := dial(t, addr)
		_, _ = io.WriteString(c, "hello")
		read(t, c, "hello")
		list = append(list, c)
	}
	goOn := hold(t, l)
	wrote := make(chan error, len(list))
	for i, c := range list {
		text := long
		if i%2 == 0 {
			text = []byte("hello")
		}
		go func() { _, err := c.Write(text); wrote <- err }()
	}
	for range len(list) / 2 { // those of few bytes, at least
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
	}
	goOn()
	for i, c := range list {
		if i%2 == 0 {
			read(t, c, "hello")
		} else {
			read(t, c, string(long))
		}
	}
}

func TestManySmallMessagesAreReceivedOn(t *testing.T) {
	l := start(t)
	c, _ := meet(t, l, &plain{received: func(c wire.Conn, b []byte) int { c.Send(b); return len(b) }})
	text := string(noise(1000))
	for range 2 * mostAhead / len(text) {
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		read(t, c, text)
	}
}

func TestWhatANewConnectionIsSentAtOnceArrivesWhole(t *testing.T) {
	l := start(t)
	body := noise(8 << 20)
	queued := make(chan int, 1)
	addr, _ := listen(t, l, &door{core: func(c wire.Conn) wire.Core { queued <- c.Send(body); return &plain{} }})
	c := dial(t, addr)
	if <-queued == 0 {
		t.Fatal("nothing had to wait")
	}
	until(t, "it to be registered", func() bool { n := 1; on(t, l, func() { n = len(l.fresh) }); return n == 0 })
	read(t, c, string(body))
}

func TestTheEndOfALoopLeavesNoDescriptor(t *testing.T) {
	var before int
	t.Run("connections", func(all *testing.T) {
		before = descriptors(t)
		t.Run("a loop that ends first", func(t *testing.T) {
			l := start(t)
			for range 20 {
				theirs, mine := link(all, l, &plain{})
				on(t, l, func() { mine.Send([]byte("x")) })
				read(t, theirs, "x")
			}
		})
	})
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d behind it: %v", before, after, driver)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestADescriptorIsNotUsedAgainBeforeTheRingLetsGo(t *testing.T) {
	l := start(t)
	echo := func(wire.Conn) wire.Core {
		return &plain{received: func(c wire.Conn, b []byte) int { c.Send(b); return len(b) }}
	}
	addr, _ := listen(t, l, &door{core: echo})
	first := dial(t, addr)
	for range 2 { // it is registered meanwhile
		if _, err := first.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		read(t, first, "hello")
		on(t, l, func() {})
	}
	var next []*net.TCPConn
	on(t, l, func() {
		l.Accepted(l.listeners[0].origin.acceptor, func(c wire.Conn, _ wire.Core) { c.Abort() })
	})
	for range 4 {
		next = append(next, dial(t, addr))
	}
	for i, c := range next {
		text := netip.AddrPortFrom(addr.Addr(), uint16(i)).String()
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		read(t, c, text)
	}
	if _, err := first.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("an aborted connection: %v", err)
	}
}
