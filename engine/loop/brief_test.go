package loop

import (
	"errors"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"

	"evenkeel/engine/wire"
)

// TestAResetBehindAFINIsTold: nobody watches a connection for a moment when its peer has finished.
func TestAResetBehindAFINIsTold(t *testing.T) {
	l := start(t)
	ended, broken := make(chan bool, 1), make(chan error, 1)
	c, _ := meet(t, l, &plain{ended: func(wire.Conn) { ended <- true }, broken: func(_ wire.Conn, err error) { broken <- err }})
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	<-ended
	_ = c.SetLinger(0)
	c.Close()
	if err := <-broken; !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("%v", err)
	}
}

func TestAnAnswerBehindAFINArrivesWhole(t *testing.T) {
	l := start(t)
	piece, sent, drained := noise(4<<20), make(chan int, 1), make(chan bool, 1)
	c, _ := meet(t, l, &plain{
		ended: func(c wire.Conn) {
			pieces := 1
			for c.Send(piece) == 0 { // the kernel takes much of a busy machine's
				pieces++
			}
			sent <- pieces
		},
		drained: func(c wire.Conn) { c.Close(); drained <- true },
	})
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if want := slices.Repeat(piece, <-sent); err != nil || !slices.Equal(got, want) {
		t.Fatalf("%d bytes of %d, or in another order; %v", len(got), len(want), err)
	}
	<-drained
}

func TestACrowdThatComesAtOnceIsAccepted(t *testing.T) {
	const crowd = 3*acceptsPerTurn + 1
	l := start(t)
	var accepted atomic.Int64
	addr, n := listen(t, l, &door{core: func(wire.Conn) wire.Core { accepted.Add(1); return &plain{} }})
	release := busy(t, l)
	var clients []*net.TCPConn
	for range crowd {
		clients = append(clients, dial(t, addr))
	}
	release()
	until(t, "all to be accepted", func() bool { return accepted.Load() == crowd })
	on(t, l, func() {
		if n.batch < 2 || n.batch > acceptsPerTurn {
			t.Errorf("takes %d at once behind a crowd", n.batch)
		}
	})
	for _, c := range clients {
		c.Close()
	}
	dial(t, addr)
	until(t, "one behind them to be accepted", func() bool { return accepted.Load() == crowd+1 })
}

func TestAClosedListenerIsLetGo(t *testing.T) {
	l := start(t)
	addr, n := listen(t, l, &door{core: func(wire.Conn) wire.Core { return &plain{} }})
	on(t, l, func() {}) // it is watched now
	on(t, l, n.Close)
	if c, err := net.Dial("tcp", addr.String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%v, %v", c, err)
	}
}

func TestAConnectThatIsGivenUpLeavesNothing(t *testing.T) {
	l := start(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	before := descriptors(t)
	told := func(wire.Conn) { t.Error("told of what was given up") }
	on(t, l, func() {
		for range 10 {
			c, err := l.Dial(ln.Addr().(*net.TCPAddr).AddrPort(), &plain{connected: told, broken: func(c wire.Conn, _ error) { told(c) }})
			if err != nil {
				t.Error(err)
				return
			}
			c.Abort()
		}
	})
	until(t, "the descriptors to be closed", func() bool { n := 0; on(t, l, func() { n = descriptors(t) }); return n == before })
}
