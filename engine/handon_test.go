package engine

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"
)

func everywhere(netip.Addr) bool { return true }

// keptAlive sends a request by c and tells whether the connection is kept.
func keptAlive(t *testing.T, c net.Conn, path string) bool {
	t.Helper()
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return keptBy(t, c)
}

// keptBy reads an answer and tells whether the connection is kept.
func keptBy(t *testing.T, c net.Conn) bool {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "answer" {
		t.Fatalf("%q, %v", b, err)
	}
	return !resp.Close
}

func TestHandOnFinishesRequestsAndEndsSessions(t *testing.T) {
	release, began := make(chan struct{}), make(chan struct{}, 1)
	w := web(t, "WEB", serveHandler(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			began <- struct{}{}
			<-release
		}
		_, _ = io.WriteString(rw, "answer")
	})).address)
	s := tcp(t, "TCP", serve(t, echo("tcp")).address)
	stays := tcp(t, "STAYS", serve(t, echo("stays")).address)
	stays.Address = netip.MustParseAddr("127.0.0.2")
	r := start(t, Options{Loops: 2})
	r.apply(w, s, stays)

	session, local, idle, slow := dial(t, address(s)), dial(t, address(stays)), dial(t, address(w)), dial(t, address(w))
	readName(t, session)
	readName(t, local)
	if !keptAlive(t, idle, "/") {
		t.Fatal("HTTP/1 is not kept alive")
	}
	if _, err := io.WriteString(slow, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-began

	type handed struct {
		restore func()
		err     error
	}
	done := make(chan handed, 1)
	go func() {
		restore, err := r.HandOn(soon(t), func(a netip.Addr) bool { return a == w.Address }, 20*time.Second)
		done <- handed{restore, err}
	}()
	wantEOF(t, idle) // it asked for nothing in its moment
	if keptAlive(t, dial(t, address(w)), "/") {
		t.Error("a new client is not told to come again")
	}
	ping(t, session, "while a request is under way")
	select {
	case <-done:
		t.Fatal("it did not wait for the request")
	default:
	}
	close(release)
	keptBy(t, slow) // to its end; whether it says that it is the last depends on which comes first, the answer or the loop's turn
	wantEOF(t, slow)
	end := <-done
	if end.err != nil {
		t.Fatal(end.err)
	}
	wantEOF(t, session)
	ping(t, local, "another address stays")

	end.restore()
	end.restore()
	if !keptAlive(t, dial(t, address(w)), "/") {
		t.Error("after it connections are not kept alive as before")
	}
	readName(t, dial(t, address(s)))
	r.apply(w, s, stays)
	ping(t, local, "and through the next Apply")
}

func TestHandOnWaitsNoLongerThanItsLimit(t *testing.T) {
	release, began := make(chan struct{}), make(chan struct{}, 1)
	defer close(release)
	w := web(t, "WEB", serveHandler(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		began <- struct{}{}
		<-release
	})).address)
	r := start(t, Options{Loops: 1})
	r.apply(w)
	slow := dial(t, address(w))
	if _, err := io.WriteString(slow, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-began
	restore, err := r.HandOn(soon(t), everywhere, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	restore()
	if n := r.status(w.ID).Connections; n != 1 {
		t.Errorf("%d connections: a request that takes longer is left to its own end", n)
	}
}

func TestAnApplyWhileAddressesAreHandedOnWins(t *testing.T) {
	w := web(t, "WEB", serveHandler(t, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "answer") })).address)
	r := start(t, Options{Loops: 1})
	r.apply(w)
	restore, err := r.HandOn(soon(t), everywhere, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	w.Limits.MaxConnections = 7
	r.apply(w)
	restore()
	if got := r.services[w.ID].running.Load().config.Limits.MaxConnections; got != 7 {
		t.Errorf("what was applied meanwhile is gone: %d", got)
	}
	if !keptAlive(t, dial(t, address(w)), "/") {
		t.Error("connections are not kept alive")
	}
}
