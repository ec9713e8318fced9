package engine

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestRunEndsPolitelyWithinItsGrace(t *testing.T) {
	s := serve(t, echo("s"))
	h := serveHTTP(t, "h")
	r := start(t, Options{Grace: 10 * time.Second})
	v, w := tcp(t, "svc", s.address), web(t, "web", h)
	r.apply(v, w)
	a, b := dial(t, address(v)), dial(t, address(w))
	readName(t, a)
	if _, err := io.WriteString(b, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer := bufio.NewReader(b)
	if resp, err := http.ReadResponse(answer, nil); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(err)
	} else if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	go r.stop()
	wantEOF(t, a)
	wantEOF(t, b)
	a.Close()
	b.Close()
	r.stop()
	if c, err := net.Dial("tcp", address(v)); err == nil {
		c.Close()
		t.Error("still listening")
	}
}

func TestARequestInFlightMayFinishWhileTheEngineStops(t *testing.T) {
	inside, release := make(chan bool), make(chan bool)
	h := serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(inside)
		<-release
		_, _ = io.WriteString(w, "finished")
	}))
	r := start(t, Options{Grace: 10 * time.Second})
	v := web(t, "svc", h.address)
	r.apply(v)
	got := make(chan string, 1)
	go func() { got <- get(t, client(t), address(v)) }()
	<-inside
	stopped := make(chan bool)
	go func() { r.stop(); close(stopped) }()
	until(t, "the listeners closed", func() bool {
		c, err := net.Dial("tcp", address(v))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(release)
	if b := <-got; b != "finished" {
		t.Errorf("%q", b)
	}
	<-stopped
}

func TestAnIdleEngineSleeps(t *testing.T) {
	s := serve(t, echo("s"))
	r := start(t, Options{Loops: 4})
	v := tcp(t, "svc", s.address)
	r.apply(v)
	for range 20 {
		readName(t, dial(t, address(v)))
	}
	turns := func() (n uint64) {
		for _, l := range r.lanes {
			n += l.loop.Stats().Turns
		}
		return n
	}
	before, timer := turns(), time.NewTimer(300*time.Millisecond)
	<-timer.C
	if n := turns() - before; n > 40 {
		t.Errorf("%d turns in 300 ms of silence", n)
	}
}

func TestDescriptorsThatRunOutPauseAcceptingAndItRecovers(t *testing.T) {
	s := serve(t, echo("s"))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ENGINE_TEST_CHILD=starve", "ENGINE_TEST_SERVER="+s.address.String(), fmt.Sprintf("ENGINE_TEST_PORT=%d", freePort(t)))
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%v: %s", err, complaint.String())
	}
	var all []*net.TCPConn
	for range 30 {
		c := dial(t, "127.0.0.1:"+strings.TrimSpace(line))
		if _, err := io.WriteString(c, "hello"); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	for _, c := range all { // as the first leave, the others are served
		if name := readName(t, c); name != "s" {
			t.Fatal(name)
		}
		b := make([]byte, 5)
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
			t.Fatalf("%q, %v", b, err)
		}
		c.Close()
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, complaint.String())
	}
}

func TestProcessorsLeaveRoomBesideTheLoops(t *testing.T) {
	r := start(t, Options{Loops: 3})
	r.apply(tcp(t, "svc"))
	if n := runtime.GOMAXPROCS(0); n < 4 {
		t.Errorf("%d processors for three loops and the rest", n)
	}
}

func TestALogThatNobodyReadsStopsNoTraffic(t *testing.T) {
	unread, lines := io.Pipe()
	h := serveHTTP(t, "h")
	r := start(t, Options{Loops: 1, Log: slog.New(slog.NewTextHandler(lines, nil))})
	v := web(t, "web", h)
	r.apply(v)
	bad := dial(t, address(v))
	if _, err := io.WriteString(bad, "GET / HTTP/1.1\r\nBad Field: x\r\n\r\n"); err != nil { // which is logged
		t.Fatal(err)
	}
	if resp, err := http.ReadResponse(bufio.NewReader(bad), nil); err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("%v, %v", resp, err)
	}
	if b := get(t, client(t), address(v)); b != "h" {
		t.Errorf("%q", b)
	}
	all := bufio.NewReader(unread)
	for line := ""; !strings.Contains(line, "request refused"); {
		var err error
		if line, err = all.ReadString('\n'); err != nil {
			t.Fatalf("%q, %v", line, err)
		}
	}
	unread.Close()
}
