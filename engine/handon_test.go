package engine

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/appliance"
)

func everywhere(netip.Addr) bool { return true }

// handedOnWeb is a service with a server that answers what keptBy expects.
func handedOnWeb(t *testing.T) appliance.VirtualService {
	t.Helper()
	return web(t, "WEB", serveHandler(t, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "answer") })).address)
}

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
		parting *Parting
		err     error
	}
	done := make(chan handed, 1)
	go func() {
		parting, err := r.HandOn(soon(t), func(a netip.Addr) bool { return a == w.Address }, 20*time.Second)
		done <- handed{parting, err}
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
	ping(t, session, "until the last")
	if !end.parting.Shut(soon(t), time.Minute) {
		t.Error("nothing is under way, it says something is")
	}
	wantEOF(t, session)
	ping(t, local, "another address stays")

	end.parting.Restore()
	end.parting.Restore()
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
	parting, err := r.HandOn(soon(t), everywhere, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	parting.Restore()
	if n := r.status(w.ID).Connections; n != 1 {
		t.Errorf("%d connections: a request that takes longer is left to its own end", n)
	}
}

func TestAnApplyWhileAddressesAreHandedOnWins(t *testing.T) {
	w := handedOnWeb(t)
	r := start(t, Options{Loops: 1})
	r.apply(w)
	parting, err := r.HandOn(soon(t), everywhere, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	w.Limits.MaxConnections = 7
	r.apply(w)
	parting.Restore()
	if got := r.services[w.ID].running.Load().config.Limits.MaxConnections; got != 7 {
		t.Errorf("what was applied meanwhile is gone: %d", got)
	}
	if !keptAlive(t, dial(t, address(w)), "/") {
		t.Error("connections are not kept alive")
	}
}

// TestNobodyIsCutOffWhenTheDoorsAreShut: clients come all the time. Whoever was answered by this machine has the answer to the request before Shut returns, and nobody is let in any more.
func TestNobodyIsCutOffWhenTheDoorsAreShut(t *testing.T) {
	w := handedOnWeb(t)
	r := start(t, Options{Loops: 2})
	r.apply(w)
	stop, rounds := make(chan struct{}), 20
	defer close(stop)
	var answers, lost, outside, within atomic.Int64
	var closed atomic.Bool // nobody who begins to ask now is to be let in
	for range 4 {
		go func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				late := closed.Load()
				c, err := net.DialTimeout("tcp", address(w), 20*time.Millisecond)
				if err != nil {
					outside.Add(1)
					continue
				}
				if late && closed.Load() {
					within.Add(1)
				}
				_ = c.SetDeadline(time.Now().Add(10 * time.Second)) // no lost packet is worth so much: loopback loses none
				_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
				b, failed := io.ReadAll(c)
				if err = errors.Join(err, failed); err != nil || !bytes.HasSuffix(b, []byte("answer")) {
					lost.Add(1)
				}
				answers.Add(1)
				_ = c.Close()
			}
		}()
	}
	for range rounds {
		parting, err := r.HandOn(soon(t), everywhere, 20*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if !parting.Shut(soon(t), 20*time.Second) {
			t.Fatal("it does not become quiet")
		}
		closed.Store(true)
		knocked := outside.Load()
		until(t, "clients stand outside, or inside", func() bool { return outside.Load() > knocked+4 || within.Load() > 0 })
		closed.Store(false)
		if n := within.Load(); n > 0 {
			t.Fatalf("%d clients were let in behind the last", n)
		}
		parting.Restore()
		seen := answers.Load()
		until(t, "clients are served again", func() bool { return answers.Load() > seen+20 })
	}
	if lost.Load() > 0 {
		t.Errorf("%d of %d clients had no answer", lost.Load(), answers.Load())
	}
}

// TestHandOnSparesWhoHasJustCome: between its connection and its request a client has a moment, or it would be cut off in place of being served.
func TestHandOnSparesWhoHasJustCome(t *testing.T) {
	w := handedOnWeb(t)
	r := start(t, Options{Loops: 2})
	r.apply(w)
	arrives := func(open int64) net.Conn {
		c := dial(t, address(w))
		until(t, "it is accepted", func() bool { return r.view.Load().services[0].open.Load() == open })
		return c
	}
	before := dial(t, address(w))
	if !keptAlive(t, before, "/") {
		t.Fatal("it is not kept")
	}
	list := r.part(everywhere)
	asks, silent := arrives(2), arrives(3)
	r.each(list, (*shard).evictOlder)
	wantEOF(t, before)
	if keptAlive(t, asks, "/") {
		t.Error("it is not told to come again")
	}
	wantEOF(t, asks)
	r.each(list, (*shard).evictOlder)
	wantEOF(t, silent)
}

// TestWhoIsConnectedWhenTheDoorsAreShutIsServed, even if it asks late: the kernel does not keep it out of sight.
func TestWhoIsConnectedWhenTheDoorsAreShutIsServed(t *testing.T) {
	w := handedOnWeb(t)
	r := start(t, Options{Loops: 2})
	r.apply(w)
	parting, err := r.HandOn(soon(t), everywhere, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	late := dial(t, address(w))
	quiet := make(chan bool, 1)
	go func() { quiet <- parting.Shut(soon(t), time.Minute) }()
	until(t, "it is seen", func() bool { return r.view.Load().services[0].open.Load() == 1 })
	if len(quiet) > 0 {
		t.Error("the doors were not kept shut for it")
	}
	if keptAlive(t, late, "/") {
		t.Error("it is not told to come again")
	}
	if !<-quiet {
		t.Error("everybody has an answer, it says that somebody has none")
	}
}
