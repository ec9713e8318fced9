package loop

import (
	"io"
	"net"
	"net/netip"
	"testing"

	"evenkeel/engine/wire"

	"golang.org/x/sys/unix"
)

// dialed returns both ends of a connection that the loop dials.
func dialed(t *testing.T, l *Loop, begins bool, core wire.Core) (mine wire.Conn, theirs net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	on(t, l, func() { mine, err = l.DialFrom(netip.Addr{}, ln.Addr().(*net.TCPAddr).AddrPort(), begins, core) })
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	return mine, theirs
}

// TestWhoBeginsSavesAPacket: SYN, acknowledgement, bytes; or the last two in one.
func TestWhoBeginsSavesAPacket(t *testing.T) {
	for begins, want := range map[bool]uint32{false: 3, true: 2} {
		l := start(t)
		mine, theirs := dialed(t, l, begins, &plain{connected: func(c wire.Conn) { c.Send([]byte("x")) }})
		if _, err := io.ReadFull(theirs, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		on(t, l, func() {
			if n := segments(t, mine); n != want {
				t.Errorf("begins %v: %d segments, want %d", begins, n, want)
			}
		})
	}
}

// segments returns how many a connection has sent, the acknowledgements among them.
func segments(t *testing.T, c wire.Conn) uint32 {
	t.Helper()
	info, err := unix.GetsockoptTCPInfo(int(c.(*Conn).fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		t.Error(err)
		return 0
	}
	return info.Segs_out
}

// TestTheAnswerAcknowledgesTheRequest: where the client speaks first, its request is answered; where nobody knows, it is acknowledged before.
func TestTheAnswerAcknowledgesTheRequest(t *testing.T) {
	for clientFirst, want := range map[bool]uint32{false: 2, true: 1} {
		l := start(t)
		got := make(chan wire.Conn, 1)
		core := &plain{received: func(c wire.Conn, b []byte) int { c.Send(b); got <- c; return len(b) }}
		addr, _ := listenTo(t, l, &door{core: func(wire.Conn) wire.Core { return core }}, clientFirst)
		client := dial(t, addr)
		if _, err := io.WriteString(client, "x"); err != nil {
			t.Fatal(err)
		}
		mine := <-got
		if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		on(t, l, func() {
			if n := segments(t, mine); n != want {
				t.Errorf("the client first %v: %d segments, want %d", clientFirst, n, want)
			}
		})
	}
}

// TestAcknowledgeDoesNotWaitForAnAnswer: a client that holds the rest of its request until then need not wait, and is told once.
func TestAcknowledgeDoesNotWaitForAnAnswer(t *testing.T) {
	l := start(t)
	type count struct{ before, behind, again uint32 }
	got := make(chan count, 1)
	core := &plain{received: func(c wire.Conn, b []byte) int {
		var n count
		n.before = segments(t, c)
		c.Acknowledge()
		n.behind = segments(t, c)
		c.Acknowledge()
		n.again = segments(t, c)
		got <- n
		return len(b)
	}}
	addr, _ := listenTo(t, l, &door{core: func(wire.Conn) wire.Core { return core }}, true)
	if _, err := io.WriteString(dial(t, addr), "x"); err != nil {
		t.Fatal(err)
	}
	if n := <-got; n != (count{0, 1, 1}) {
		t.Errorf("%+v segments", n)
	}
}

// TestAServerThatIsToldLateIsServed: who said to begin and does not delays the server, no more.
func TestAServerThatIsToldLateIsServed(t *testing.T) {
	l := start(t)
	got := make(chan string, 1)
	core := &plain{received: func(_ wire.Conn, b []byte) int { got <- string(b); return len(b) }}
	_, theirs := dialed(t, l, true, core)
	if _, err := io.WriteString(theirs, "hello"); err != nil {
		t.Fatal(err)
	}
	if s := <-got; s != "hello" {
		t.Error(s)
	}
}

func TestHasSentTellsOfBytesThatNobodyTook(t *testing.T) {
	l := start(t)
	take := 0
	offered := make(chan bool, 8)
	core := &plain{received: func(_ wire.Conn, b []byte) int { offered <- true; return min(take, len(b)) }}
	client, mine := meet(t, l, core)
	sent := func() (yes bool) { on(t, l, func() { yes = mine.(*Conn).HasSent() }); return yes }
	if sent() {
		t.Error("nothing was sent")
	}
	if _, err := client.Write([]byte("ab")); err != nil {
		t.Fatal(err)
	}
	<-offered
	if !sent() {
		t.Error("two bytes were left")
	}
	on(t, l, func() { take = 2; mine.Pause(); mine.Resume() })
	<-offered
	if sent() {
		t.Error("everything was taken")
	}
	on(t, l, func() {
		if _, err := client.Write([]byte("cd")); err != nil {
			t.Error(err)
		}
		if !mine.(*Conn).HasSent() {
			t.Error("two bytes are in the kernel, or with the ring")
		}
	})
}
