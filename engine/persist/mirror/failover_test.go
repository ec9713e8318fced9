package mirror

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"
)

// clients come to the active node, perSecond new ones each second.
type clients struct {
	made []time.Time // when each came
	stop chan struct{}
	done chan struct{}
}

const perSecond = 20_000

// come has new clients come to a node until they are told to stop. A machine that was busy lets as many come later as it has missed.
func (c *clients) come(to *node) {
	c.stop, c.done = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(c.done)
		for begin, first := time.Now(), len(c.made); ; runtime.Gosched() {
			select {
			case <-c.stop:
				return
			default:
			}
			for due := first + int(time.Since(begin)*perSecond/time.Second); len(c.made) < due; {
				n := len(c.made)
				to.put(0, n, n+1)
				c.made = append(c.made, time.Now())
			}
		}
	}()
}

func (c *clients) rest() { close(c.stop); <-c.done }

// wire joins two nodes until one of them is cut off without a word: what is under way is lost.
func wire(t *testing.T, from, to *node) (cutOff func()) {
	t.Helper()
	a, b := pipe(t)
	ended := make(chan error, 2)
	go func() { ended <- Send(context.Background(), a, from.options()) }()
	go func() { ended <- Receive(context.Background(), b, to.options()) }()
	return func() {
		_ = a.(*net.TCPConn).SetLinger(0)
		_ = a.Close()
		for range 2 {
			if err := <-ended; err == nil {
				t.Error("a side takes a connection that was cut off for one that has ended")
			}
		}
		_ = b.Close()
	}
}

// TestTwentyFailoversKeepTheClients lets 20,000 new clients a second come through twenty changes of the owner, dead nodes and planned switches in turn. A dead node comes
// back with nothing. What the peer has acknowledged is there afterwards, however busy the machine; how much of the rest is a figure.
func TestTwentyFailoversKeepTheClients(t *testing.T) {
	const failovers, old = 20, 100 * time.Millisecond
	a, b := newNode(time.Hour, 1<<20, "WEB"), newNode(time.Second, 1<<20, "WEB")
	var c clients
	var due, lost, acknowledged, young, youngLost int
	var longest time.Duration
	gone := map[int]bool{} // went with an earlier owner: the client is new when it comes again
	for i := range failovers {
		kill := i%2 == 0
		cutOff := wire(t, a, b)
		n := a.tables[0].Table.Len()
		await(t, "the passive node has what there was", func() bool { return b.tables[0].Table.Len() >= n })
		c.come(a)
		<-time.After(250 * time.Millisecond)
		if !kill { // the clients wait for their requests to end, and the addresses go when the tables are equal
			c.rest()
			longest = max(longest, settled(t, a, b))
			cutOff()
		}
		fault := time.Now()
		if kill {
			cutOff()
			c.rest()
		}
		proven := time.Unix(0, a.proven.Load())
		for k, at := range c.made {
			if gone[k] {
				continue
			}
			e, ok := b.tables[0].Table.Look(key(k), b.now())
			ok = ok && e.Server == fmt.Sprint("s", k%3)
			if !ok {
				gone[k] = true
			}
			acknowledged += count(!ok && at.Before(proven))
			switch {
			case at.After(fault):
			case kill && fault.Sub(at) <= old:
				young++
				youngLost += count(!ok)
			default:
				due++
				lost += count(!ok)
			}
		}
		if kill {
			a = newNode(time.Duration(i)*time.Minute, 1<<20, "WEB")
		}
		a, b = b, a
	}
	cutOff := wire(t, a, b)
	longest = max(longest, settled(t, a, b))
	cutOff()
	same(t, a, b)
	t.Logf("%d clients, %d failovers: %d of %d entries older than %v lost, %d of %d younger ones; equal at most %v behind the last client", len(c.made), failovers, lost, due, old, youngLost, young, longest)
	if acknowledged > 0 {
		t.Errorf("%d entries are lost that the peer had acknowledged", acknowledged)
	}
}

// settled waits until both sides have proven that they are equal, and says how long that took.
func settled(t *testing.T, a, b *node) time.Duration {
	t.Helper()
	begin, n, ra, rb := time.Now(), a.tables[0].Table.Len(), a.rounds.Load(), b.rounds.Load()
	await(t, "equal", func() bool { return a.rounds.Load() > ra+1 && b.rounds.Load() > rb+1 && a.equal(n) && b.equal(n) })
	return time.Since(begin)
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
