package loop

import (
	"fmt"
	"io"
	"testing"

	"evenkeel/engine/wire"
)

// busy holds the loop up until release is called.
func busy(t *testing.T, l *Loop) (release func()) {
	t.Helper()
	held, goOn := make(chan bool), make(chan bool)
	l.Post(func() { held <- true; <-goOn })
	<-held
	return func() { close(goOn) }
}

// TestQuietIsFalseAsLongAsThereIsMore: what was sent at once is there as a whole, so no piece of it but the last may look like the end, whatever a driver reads at once.
func TestQuietIsFalseAsLongAsThereIsMore(t *testing.T) {
	const behind = 10
	for _, size := range []int{ringBufferSize, 2 * ringBufferSize, wire.OneRead, mostAhead, wire.KeepLimit} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			l := start(t)
			have, early := 0, 0
			c, conn := meet(t, l, &plain{received: func(c wire.Conn, b []byte) int {
				if have += len(b); have < size+behind && c.Quiet() {
					early = have
				}
				return len(b)
			}})
			quiet := func() (yes bool) { on(t, l, func() { yes = conn.Quiet() }); return yes }
			until(t, "a new connection to be quiet", quiet)
			release := busy(t, l)
			if _, err := c.Write(noise(size + behind)); err != nil {
				t.Fatal(err)
			}
			release()
			until(t, "everything to be there", func() (all bool) { on(t, l, func() { all = have == size+behind }); return all })
			until(t, "quiet again", quiet)
			on(t, l, func() {
				if early > 0 {
					t.Errorf("quiet behind %d bytes of %d", early, size+behind)
				}
			})
		})
	}
}

// TestWhatTheRingHasBroughtIsNotQuiet: of two connections that were sent something in one turn, the second is not quiet while the first is served.
func TestWhatTheRingHasBroughtIsNotQuiet(t *testing.T) {
	if driver != IOURing {
		t.Skip("epoll tells of one connection after the other")
	}
	l := start(t)
	var conns [2]wire.Conn
	var others []bool
	core := &plain{received: func(c wire.Conn, b []byte) int {
		for _, other := range conns {
			if other != nil && other != c {
				others = append(others, other.Quiet())
			}
		}
		return len(b)
	}}
	first, a := meet(t, l, core)
	second, b := meet(t, l, core)
	on(t, l, func() { conns = [2]wire.Conn{a, b} })
	until(t, "both to be quiet", func() (yes bool) { on(t, l, func() { yes = a.Quiet() && b.Quiet() }); return yes })
	release := busy(t, l)
	for _, c := range []interface{ Write([]byte) (int, error) }{first, second} {
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	release()
	until(t, "both to be served", func() (both bool) { on(t, l, func() { both = len(others) == 2 }); return both })
	on(t, l, func() {
		if others[0] || !others[1] {
			t.Errorf("quiet: the second while the first is served %v, the first afterwards %v", others[0], others[1])
		}
	})
}

// TestWhatComesBehindASpliceIsNotQuiet: what has come since the loop last asked the kernel counts too on a connection that was spliced.
func TestWhatComesBehindASpliceIsNotQuiet(t *testing.T) {
	const moved = 100_000
	l := start(t)
	var to wire.Conn
	done := make(chan bool, 1)
	core := &plain{spliced: func(wire.Conn, int64, bool) { done <- true }}
	client, server, from, other := pair(t, l, core)
	on(t, l, func() {
		to = other
		from.SpliceTo(to, moved)
	})
	go func() { _, _ = client.Write(noise(moved)) }()
	if _, err := io.ReadFull(server, make([]byte, moved)); err != nil {
		t.Fatal(err)
	}
	<-done
	until(t, "quiet behind the splice", func() (yes bool) { on(t, l, func() { yes = from.Quiet() }); return yes })
	on(t, l, func() {
		if _, err := client.Write([]byte("evil")); err != nil {
			t.Error(err)
		}
		if from.Quiet() {
			t.Error("quiet, with four bytes in the kernel")
		}
	})
}
