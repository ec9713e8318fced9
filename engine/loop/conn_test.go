package loop

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"evenkeel/engine/wire"
)

func noise(n int) []byte {
	b := make([]byte, n)
	x := uint32(88172645)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}

// meet connects a client to a connection of the loop with that core.
func meet(t *testing.T, l *Loop, core *plain) (*net.TCPConn, wire.Conn) {
	t.Helper()
	met := make(chan wire.Conn, 1)
	addr, _ := listen(t, l, &door{core: func(c wire.Conn) wire.Core { met <- c; return core }})
	return dial(t, addr), <-met
}

func TestBytesThatACoreLeavesAreOfferedAgain(t *testing.T) {
	l := start(t)
	var got []byte
	offers := 0
	core := &plain{received: func(c wire.Conn, b []byte) int {
		offers++
		n := min(len(b), 3)
		if len(b) < 3 { // waits for more
			return 0
		}
		got = append(got, b[:n]...)
		c.Resume() // and wants what is left again
		return n
	}}
	ended := make(chan bool, 1)
	core.ended = func(wire.Conn) { ended <- true }
	c, _ := meet(t, l, core)
	want := noise(999)
	for chunk := range slices.Chunk(want, 100) {
		if _, err := c.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.CloseWrite()
	<-ended
	until(t, "everything taken", func() bool { n := 0; on(t, l, func() { n = len(got) }); return n == len(want) })
	if !slices.Equal(got, want) {
		t.Error("the bytes differ")
	}
}

func TestAPausedConnectionIsOfferedNothingUntilResumed(t *testing.T) {
	l := start(t)
	var got atomic.Int64
	core := &plain{received: func(c wire.Conn, b []byte) int {
		got.Add(int64(len(b)))
		return len(b)
	}}
	c, mine := meet(t, l, core)
	on(t, l, mine.Pause)
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		on(t, l, func() {})
	}
	if got.Load() != 0 {
		t.Fatal("offered while paused")
	}
	on(t, l, mine.Resume)
	until(t, "offered", func() bool { return got.Load() == 5 })
}

func TestTheDriverReadsNoMoreThanTheLimitAhead(t *testing.T) {
	l := start(t)
	var most atomic.Int64
	core := &plain{received: func(c wire.Conn, b []byte) int {
		most.Store(max(most.Load(), int64(len(b))))
		return 0
	}}
	c, mine := meet(t, l, core)
	wrote := make(chan error, 1)
	go func() { _, err := c.Write(noise(8 << 20)); wrote <- err }()
	until(t, "the limit", func() bool { return most.Load() == wire.KeepLimit })
	on(t, l, mine.Abort)
	if err := <-wrote; !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("behind an abort: %v", err)
	}
}

func TestCloseFlushesThenSendsFINAndSwallowsWhatComes(t *testing.T) {
	l := start(t)
	c, mine := meet(t, l, &plain{})
	var body []byte
	on(t, l, func() {
		for piece, waits := noise(4<<20), 0; waits == 0; body = append(body, piece...) {
			waits = mine.Send(piece)
		}
		mine.Close()
	})
	go func() { _, _ = c.Write(noise(1 << 20)) }() // would be answered by a reset if nobody read it
	got, err := io.ReadAll(c)
	if err != nil || !slices.Equal(got, body) {
		t.Fatalf("%d of %d bytes, %v", len(got), len(body), err)
	}
	_ = c.CloseWrite()
	until(t, "the descriptor closed", func() bool { n := 1; on(t, l, func() { n = l.Connections() }); return n == 0 })
}

func TestDrainedIsToldOnceTheQueueIsEmpty(t *testing.T) {
	l := start(t)
	drained := make(chan int, 1)
	c, mine := meet(t, l, &plain{drained: func(c wire.Conn) { drained <- c.Queued() }})
	sent := 0
	on(t, l, func() {
		for waits := 0; waits == 0; sent += 4 << 20 { // the kernel takes much of a busy machine's
			waits = mine.Send(noise(4 << 20))
		}
		mine.CloseWrite()
	})
	if got, err := io.ReadAll(c); err != nil || len(got) != sent {
		t.Fatal(len(got), err)
	}
	if n := <-drained; n != 0 {
		t.Errorf("%d bytes still wait", n)
	}
	if _, err := c.Write([]byte("x")); err != nil { // half-closed: the other direction is open
		t.Error(err)
	}
}

func TestDialTellsConnectedOrBroken(t *testing.T) {
	l := start(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	told := make(chan error, 1)
	core := &plain{connected: func(wire.Conn) { told <- nil }, broken: func(_ wire.Conn, err error) { told <- err }}
	for to, want := range map[netip.AddrPort]error{ln.Addr().(*net.TCPAddr).AddrPort(): nil, free(t): syscall.ECONNREFUSED} {
		on(t, l, func() {
			c, err := l.Dial(to, core)
			if err != nil {
				t.Error(err)
				return
			}
			if c.Send([]byte("early")) != 5 || c.Peer() != to {
				t.Error("bytes for a connection that is being made do not wait")
			}
		})
		if err := <-told; !errors.Is(err, want) {
			t.Errorf("%s: %v", to, err)
		}
	}
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := make([]byte, 5)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "early" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestAResetIsToldBehindTheBytesBeforeIt(t *testing.T) {
	l := start(t)
	var got atomic.Int64
	broken := make(chan error, 1)
	c, _ := meet(t, l, &plain{
		received: func(_ wire.Conn, b []byte) int { got.Add(int64(len(b))); return len(b) },
		broken:   func(_ wire.Conn, err error) { broken <- err },
	})
	_ = c.SetLinger(0)
	c.Close()
	if err := <-broken; !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
}

func TestWakeAtFiresOnceAndCanBeTurnedOff(t *testing.T) {
	l := start(t)
	woken := make(chan wire.Time, 4)
	_, mine := meet(t, l, &plain{woken: func(wire.Conn) { woken <- l.Now() }})
	var at wire.Time
	on(t, l, func() { at = l.Now().Add(30 * time.Millisecond); mine.WakeAt(at) })
	if got := <-woken; got < at {
		t.Errorf("%v early", at.Sub(got))
	}
	on(t, l, func() { mine.WakeAt(l.Now().Add(20 * time.Millisecond)); mine.WakeAt(0) })
	on(t, l, func() { at = l.Now().Add(60 * time.Millisecond); mine.WakeAt(at) })
	if got := <-woken; got < at {
		t.Errorf("the timer that was off fired %v early", at.Sub(got))
	}
}

// pair joins a client, through the loop, to a server, and returns the loop's two ends.
func pair(t *testing.T, l *Loop, core *plain) (client, server *net.TCPConn, a, b wire.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, a = meet(t, l, core)
	on(t, l, func() { b, err = l.Dial(ln.Addr().(*net.TCPAddr).AddrPort(), core) })
	if err != nil {
		t.Fatal(err)
	}
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	_ = s.SetDeadline(time.Now().Add(time.Minute))
	return client, s.(*net.TCPConn), a, b
}

func TestSpliceMovesExactlyWhatWasAskedAndBeginsWithWhatWasKept(t *testing.T) {
	const first, moved = 10, 3<<20 + 17
	l := start(t)
	var b wire.Conn
	var head, rest []byte
	done := make(chan int64, 1)
	spliced := false
	core := &plain{}
	core.received = func(c wire.Conn, in []byte) int {
		if spliced {
			rest = append(rest, in...)
			return len(in)
		}
		if len(in) < first {
			return 0
		}
		head = append(head, in[:first]...)
		spliced = true
		c.SpliceTo(b, moved)
		return first
	}
	core.spliced = func(c wire.Conn, n int64, ended bool) {
		if ended {
			t.Error("ended")
		}
		done <- n
	}
	core.ended = func(c wire.Conn) { b.CloseWrite() }
	client, server, _, other := pair(t, l, core)
	on(t, l, func() { b = other })
	body := noise(first + moved + 500)
	go func() { _, _ = client.Write(body); _ = client.CloseWrite() }()
	got, err := io.ReadAll(server)
	if err != nil || !slices.Equal(got, body[first:first+moved]) {
		t.Fatalf("%d bytes instead of %d, %v", len(got), moved, err)
	}
	if n := <-done; n != moved {
		t.Errorf("Spliced told %d", n)
	}
	on(t, l, func() {
		if !slices.Equal(head, body[:first]) || !slices.Equal(rest, body[first+moved:]) {
			t.Errorf("%d bytes before, %d behind the splice", len(head), len(rest))
		}
	})
}

func TestAnOpenEndedSpliceWaitsForASlowReceiverWithoutHoldingMuch(t *testing.T) {
	l := start(t)
	ended := make(chan int64, 1)
	core := &plain{spliced: func(_ wire.Conn, n int64, end bool) {
		if end {
			ended <- n
		}
	}}
	client, server, a, b := pair(t, l, core)
	on(t, l, func() { a.SpliceTo(b, -1) })
	body := noise(32 << 20)
	go func() { _, _ = client.Write(body); _ = client.CloseWrite() }()
	until(t, "the way to be full", func() bool {
		var before, after int64
		on(t, l, func() { before = a.Moved() })
		for range 20 {
			on(t, l, func() { after = a.Moved() })
		}
		return before > 0 && before == after
	})
	var got []byte
	reader := make(chan error, 1)
	go func() {
		var err error
		for buf := make([]byte, 64<<10); err == nil && len(got) < len(body); {
			var n int
			n, err = server.Read(buf)
			got = append(got, buf[:n]...)
		}
		reader <- err
	}()
	if err := <-reader; err != nil || !slices.Equal(got, body) {
		t.Fatalf("%d of %d bytes, %v", len(got), len(body), err)
	}
	if n := <-ended; n != int64(len(body)) {
		t.Errorf("Spliced told %d", n)
	}
	on(t, l, func() {
		if len(l.pipes) == 0 || len(l.pipes) > 2 {
			t.Errorf("%d pipes lie ready", len(l.pipes))
		}
	})
}

func TestAnIdleSpliceHoldsNoPipe(t *testing.T) {
	l := start(t)
	client, server, a, b := pair(t, l, &plain{})
	on(t, l, func() { a.SpliceTo(b, -1); b.SpliceTo(a, -1) })
	for range 3 {
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(server, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	on(t, l, func() {
		if a.(*Conn).splice.inPipe != 0 || len(l.pipes) != 1 {
			t.Errorf("%d bytes in the pipe, %d pipes", a.(*Conn).splice.inPipe, len(l.pipes))
		}
	})
}

func TestWithoutPipesASpliceCopies(t *testing.T) {
	l := start(t)
	ended := make(chan bool, 1)
	client, server, a, b := pair(t, l, &plain{spliced: func(_ wire.Conn, _ int64, end bool) { ended <- end }})
	on(t, l, func() { l.noPipes = true; a.SpliceTo(b, -1) })
	body := noise(5 << 20)
	go func() { _, _ = client.Write(body); _ = client.CloseWrite() }()
	got := make([]byte, len(body))
	if _, err := io.ReadFull(server, got); err != nil || !slices.Equal(got, body) {
		t.Fatal(err)
	}
	if !<-ended {
		t.Error("not ended")
	}
}

func TestABrokenReceiverEndsTheSpliceAndTheSourceLivesOn(t *testing.T) {
	l := start(t)
	broken := make(chan wire.Conn, 2)
	var got atomic.Int64
	core := &plain{
		broken:   func(c wire.Conn, _ error) { broken <- c },
		received: func(_ wire.Conn, in []byte) int { got.Add(int64(len(in))); return len(in) },
	}
	client, server, a, b := pair(t, l, core)
	on(t, l, func() { a.SpliceTo(b, -1) })
	_ = server.SetLinger(0)
	server.Close()
	if c := <-broken; c != b {
		t.Fatal("another connection broke")
	}
	if _, err := client.Write([]byte("now to the core")); err != nil {
		t.Fatal(err)
	}
	until(t, "offered to the core", func() bool { return got.Load() == 15 })
}

func TestAHandleOutlivesItsConnectionHarmlessly(t *testing.T) {
	l := start(t)
	_, mine := meet(t, l, &plain{})
	second, other := meet(t, l, &plain{})
	on(t, l, func() {
		mine.Abort()
		mine.Abort()
		mine.Close()
		mine.Send([]byte("x"))
		mine.CloseWrite()
		mine.Pause()
		mine.Resume()
		mine.WakeAt(l.Now())
		mine.SpliceTo(other, -1)
		mine.Bind(nil)
		other.Send([]byte("alive"))
	})
	b := make([]byte, 5)
	if _, err := io.ReadFull(second, b); err != nil || string(b) != "alive" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestAListenerThatClosesEndsItsQueuePolitely(t *testing.T) {
	l := start(t)
	d := &door{core: func(wire.Conn) wire.Core { return &plain{} }, limit: 1}
	addr, n := listen(t, l, d)
	first := dial(t, addr)
	until(t, "the first accepted", func() bool { return l.Stats().Accepted == 1 })
	queued := []*net.TCPConn{dial(t, addr), dial(t, addr), dial(t, addr)}
	on(t, l, n.Close)
	for _, c := range queued {
		if _, err := c.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
			t.Errorf("%q, %v", b, err)
		}
	}
	on(t, l, func() {
		if d.open != 1 {
			t.Errorf("%d admitted", d.open)
		}
	})
	first.Close()
}

func TestAFullAcceptorPausesItsListenerUntilResumed(t *testing.T) {
	l := start(t)
	d := &door{core: func(wire.Conn) wire.Core { return &plain{ended: wire.Conn.Close} }, limit: 1}
	addr, n := listen(t, l, d)
	a := dial(t, addr)
	dial(t, addr)
	until(t, "the second refused", func() bool { full := false; on(t, l, func() { full = n.full }); return full })
	a.Close()
	until(t, "the first gone", func() bool { open := 1; on(t, l, func() { open = d.open }); return open == 0 })
	before := l.Stats()
	if before.Accepted != 1 {
		t.Fatal("accepted beyond the limit")
	}
	on(t, l, n.Resume)
	until(t, "the second accepted", func() bool { return l.Stats().Accepted == 2 })
}

func TestADefectInACoreEndsItsOwnConnectionsOnly(t *testing.T) {
	l := start(t)
	var all atomic.Int64
	good := &plain{received: func(_ wire.Conn, b []byte) int { all.Add(int64(len(b))); return len(b) }}
	others := make([]*net.TCPConn, 20)
	for i := range others {
		others[i], _ = meet(t, l, good)
	}
	bad := &plain{received: func(wire.Conn, []byte) int { panic("a defect") }}
	client, server, _, _ := pair(t, l, bad)
	for i, c := range others {
		if i == 10 {
			if _, err := client.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Write([]byte("y")); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []net.Conn{client, server} {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the broken session: %v", err)
		}
	}
	until(t, "the others served", func() bool { return all.Load() == 20 })
	again, _ := meet(t, l, good)
	if _, err := again.Write([]byte("z")); err != nil {
		t.Fatal(err)
	}
	until(t, "a new one served", func() bool { return all.Load() == 21 })
}
