package engine

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"evenkeel/appliance"
	"evenkeel/engine/tlsterm/tlstest"
)

// board is who is told of alerts.
type board struct {
	mu      sync.Mutex
	current []appliance.Alert
	raised  int
}

func (b *board) raise(a appliance.Alert) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current = append(b.current, a)
	b.raised++
}

func (b *board) clear(code string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current = slices.DeleteFunc(b.current, func(a appliance.Alert) bool { return a.Code == code })
}

func (b *board) has(code string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.current, func(a appliance.Alert) bool {
		return a.Code == code && a.Severity == appliance.Critical && strings.HasPrefix(a.Sentence, "New clients wait") && a.Hint != ""
	})
}

// held is what the connections of all loops hold.
func (r *rig) held() (n uint64) {
	for _, l := range r.lanes {
		n += l.loop.Stats().Held
	}
	return n
}

// TestAtTheMemoryLimitClientsWaitAndAreServedLater: it is said once, in the log and to the operators, and is over by itself.
func TestAtTheMemoryLimitClientsWaitAndAreServedLater(t *testing.T) {
	server := serve(t, echo("s"))
	var log logLines
	alerts := &board{}
	r := start(t, Options{Loops: 2, Memory: 1 << 20, Log: slog.New(slog.NewTextHandler(&log, nil)), Alert: alerts.raise, Clear: alerts.clear})
	v := tcp(t, "S", server.address)
	r.apply(v)
	var served []*net.TCPConn
	for r.held() < 1<<20 {
		c := dial(t, address(v))
		if readName(t, c) != "s" {
			t.Fatal("somebody else answers")
		}
		served = append(served, c)
	}
	until(t, "the alert", func() bool { return alerts.has(codeMemory) })
	if err := r.onAll(func(*lane) {}); err != nil { // the loops know it, too
		t.Fatal(err)
	}
	before := server.open()
	var waiting []*net.TCPConn
	for range 8 { // the kernel takes them
		waiting = append(waiting, dial(t, address(v)))
	}
	ping(t, served[0], "who is here is served")
	r.apply(v, tcp(t, "T", server.address)) // an Apply does not open the listeners, its own neither
	if open := server.open(); open != before {
		t.Errorf("%d sessions, there were %d", open, before)
	}
	for _, c := range served[1:] {
		c.Close()
	}
	for _, c := range waiting {
		if readName(t, c) != "s" {
			t.Error("somebody else answers")
		}
	}
	until(t, "the end of the alert", func() bool { return !alerts.has(codeMemory) })
	until(t, "the end of it in the log", func() bool { return log.count("accepting again") > 0 })
	if n, m := log.count("accepting paused"), log.count("accepting again"); n != 1 || m != 1 || alerts.raised != 1 {
		t.Errorf("paused was said %d times, again %d times, to operators %d times", n, m, alerts.raised)
	}
	for _, c := range append(waiting, served[0]) {
		c.Close()
	}
	until(t, "nothing is held", func() bool { return r.held() == 0 })
}

// TestWhatConnectionsHoldIsCounted: TLS, streams of HTTP/2 and bodies that wait for a slow server.
func TestWhatConnectionsHoldIsCounted(t *testing.T) {
	stuck := make(chan struct{})
	release := sync.OnceFunc(func() { close(stuck) })
	defer release()
	server := serve(t, func(c net.Conn) {
		_ = c.(*net.TCPConn).SetReadBuffer(4096) // so that little waits in the kernel
		<-stuck
	})
	r := start(t, Options{Loops: 1})
	ca := tlstest.NewAuthority(t, "CA")
	issued := ca.Issue("a.test")
	r2 := start(t, Options{Loops: 1, Certificates: keep(issued)})
	plain, secure := tcp(t, "S", server.address), tcp(t, "T", server.address)
	secure.TLS.Certificates = []string{issued.ID}
	r.apply(plain)
	r2.apply(secure)
	c := dial(t, address(plain))
	until(t, "both ends", func() bool { return r.held() == 2*4<<10 })
	inTLS, err := dialTLS(t, ca, secure, nil)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "and the state of TLS", func() bool { return r2.held() == 2*4<<10+14<<10 })
	sent := make(chan struct{})
	go func() { // until the buffers of the kernel are full, and then ours
		_, _ = inTLS.Write(make([]byte, 32<<20))
		close(sent)
	}()
	until(t, "and what waits for the server", func() bool { return r2.held() > 2*4<<10+14<<10 })
	release()
	_ = inTLS.NetConn().Close()
	c.Close()
	<-sent
	until(t, "nothing is held", func() bool { return r.held() == 0 && r2.held() == 0 })
}

// TestStreamsOfHTTP2AreCounted: each of them costs, and what nobody reads of their answers, too.
func TestStreamsOfHTTP2AreCounted(t *testing.T) {
	v, _ := clear2(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 16<<20)) }))
	r := start(t, Options{Loops: 1})
	r.apply(v)
	c, _ := client2(t)
	var open []io.Closer
	for range 20 {
		a, err := c.Get("http://" + address(v) + "/")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, a.Body)
	}
	until(t, "twenty streams with 64 KiB each at least", func() bool { return r.held() > 20*(64<<10) })
	for _, b := range open {
		b.Close()
	}
	c.CloseIdleConnections()
	until(t, "only idle connections to the server are left", func() bool { return r.held() <= 20*4<<10 })
}
