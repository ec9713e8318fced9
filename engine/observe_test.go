package engine

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
)

// TestLiveTrafficTakesAServerDownAndTheCheckBringsItBack: the check sees an open port all the time.
func TestLiveTrafficTakesAServerDownAndTheCheckBringsItBack(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	answering := func(name string) func(net.Conn) {
		return func(c net.Conn) {
			for {
				if _, err := c.Read(make([]byte, 4096)); err != nil {
					return
				}
				status := "200 OK"
				if name == "a" && broken.Load() {
					status = "503 Busy"
				}
				_, _ = io.WriteString(c, "HTTP/1.1 "+status+"\r\nContent-Length: 1\r\n\r\n"+name)
			}
		}
	}
	a, b := serve(t, answering("a")), serve(t, answering("b"))
	r := start(t, Options{})
	v := vip(t, appliance.HTTP, "svc", a.address, b.address)
	v.Scheduler = appliance.FirstAvailable
	v.Monitor = appliance.NewMonitor(appliance.MonitorConnect)
	v.Monitor.Interval, v.Monitor.Rise, v.Monitor.Observe.Failures = appliance.Duration(time.Second), 2, 3
	r.apply(v)
	ask := func() string {
		c := dial(t, address(v))
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		b, err := io.ReadAll(c)
		if err != nil || len(b) == 0 {
			t.Fatalf("%q, %v", b, err)
		}
		return string(b[len(b)-1])
	}
	until(t, "a to be up", func() bool { return r.status(v.ID).Servers[0].Check.Health == appliance.Up })
	for range 3 {
		if got := ask(); got != "a" {
			t.Fatal(got)
		}
	}
	until(t, "a to be down", func() bool { return r.status(v.ID).Servers[0].Check.Health == appliance.Down })
	if got := r.status(v.ID).Servers[0].Check.Sentence; !strings.Contains(got, "Live traffic failed 3 times within 10s; checks bring the server back.") {
		t.Errorf("%q", got)
	}
	if got := ask(); got != "b" {
		t.Errorf("%s serves", got)
	}
	broken.Store(false)
	until(t, "a to be up again", func() bool { return r.status(v.ID).Servers[0].Check.Health == appliance.Up })
	if got := ask(); got != "a" {
		t.Errorf("%s serves", got)
	}
}

func TestFailuresCountTogetherWithinTheWindowOnly(t *testing.T) {
	f := newFailures(appliance.Observe{Failures: 3, Window: appliance.Duration(time.Second)})
	ms := func(n int) wire.Time { return wire.Time(time.Duration(n) * time.Millisecond) }
	for _, c := range []struct {
		at   int
		want bool
	}{{1000, false}, {1500, false}, {2001, false}, {2400, true}, {2500, true}, {9000, false}} {
		if got := f.add(ms(c.at)); got != c.want {
			t.Errorf("the failure at %d ms: %v", c.at, got)
		}
	}
	if !newFailures(appliance.Observe{Failures: 1}).add(1) || newFailures(appliance.Observe{}) != nil {
		t.Error("one is not enough, or none too many")
	}
}

// TestTheServiceThatOwnsAServerSaysWhatItsFailuresAre: a rule of another service leads to it.
func TestTheServiceThatOwnsAServerSaysWhatItsFailuresAre(t *testing.T) {
	broken := serve(t, func(c net.Conn) {
		for {
			if _, err := c.Read(make([]byte, 4096)); err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
		}
	})
	r := start(t, Options{})
	images := vip(t, appliance.HTTP, "images", broken.address)
	images.Monitor = appliance.NewMonitor(appliance.MonitorConnect)
	images.Monitor.Observe.Failures = 2
	front := vip(t, appliance.HTTP, "front", serveHTTP(t, "front"))
	front.Rules = []appliance.Rule{onPath("images", "/img/", appliance.RuleAction{Kind: appliance.DoPool, Pool: images.ID})}
	r.apply(front, images)
	until(t, "the server to be up", func() bool { return r.status(images.ID).Servers[0].Check.Health == appliance.Up })
	var dials atomic.Int64
	c := countingClient(&dials)
	defer c.CloseIdleConnections()
	for range 2 {
		if status, _, _ := askFor(t, c, front, "x", "/img/1"); status != 503 {
			t.Fatal(status)
		}
	}
	until(t, "the server to be down", func() bool { return r.status(images.ID).Servers[0].Check.Health == appliance.Down })
	if got := r.status(images.ID).Servers[0].Check.Sentence; !strings.HasPrefix(got, "Live traffic failed 2 times") {
		t.Errorf("%q", got)
	}
}

func TestWhatThisApplianceLacksIsNoFailureOfTheServer(t *testing.T) {
	for _, c := range []struct {
		err  error
		ours bool
	}{
		{os.NewSyscallError("socket", syscall.EMFILE), true},
		{fmt.Errorf("connect: %w", syscall.EADDRNOTAVAIL), true},
		{syscall.ENOBUFS, true},
		{syscall.ECONNREFUSED, false},
		{syscall.ETIMEDOUT, false},
		{io.EOF, false},
		{nil, false},
	} {
		if got := isOurs(c.err); got != c.ours {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}
