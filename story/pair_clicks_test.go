package story

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// unheard is how long an attempt may take while an administrator is at work: less than the second after which a client sends a SYN again that nobody took, and more than
// a busy machine needs.
const unheard = 900 * time.Millisecond

// TestPairClicksCostNoClient does what an administrator does with a pair that is well, while a client asks for a service a thousand times a second, and another one on a
// connection that it keeps.
func TestPairClicksCostNoClient(t *testing.T) {
	c := lay(t).strangers()
	apply := func(args ...string) func() {
		return func() { c.a.does(append(args, "--apply")...) }
	}
	alone := func() bool { return !c.a.status().Paired && !c.b.status().Paired }
	before := c.a.status().Self.Revision
	clicks := []struct {
		name   string
		do     func()
		active string // afterwards; empty: nobody
		moves  bool   // a SYN may be lost between the two owners, and who keeps a connection begins another one
	}{
		{"500 addresses are added to an appliance alone", func() { c.spread(500) }, "", false},
		{"the pair is made", func() { c.join() }, "a", false},
		{"500 addresses are taken away", func() { c.a.does("rollback", fmt.Sprint(before), "--apply") }, "a", false},
		{"an address is added", apply("service", "add", "MORE", "--address", "10.77.0.101", "--ports", "80", "--protocol", "http", "--check", "none"), "a", false},
		{"a server is added", apply("server", "add", "MORE", "S1", "--address", labGateway, "--port", "8081"), "a", false},
		{"an address is changed", apply("service", "set", "MORE", "--address", "10.77.0.102"), "a", false},
		{"a service is taken away with its address", apply("service", "delete", "MORE"), "a", false},
		{"the service itself is changed", apply("service", "set", "WEB", "--ports", "80,88"), "a", false},
		{"500 addresses are added to a pair", func() { c.spread(500) }, "a", false},
		{"the heartbeat is restarted", func() { c.a.does("pair", "restart-heartbeat") }, "a", false},
		{"the heartbeat's key is changed", func() { c.a.does("pair", "rotate-key") }, "a", false},
		{"the heartbeat is set otherwise", apply("heartbeat", "set", "--interval", "30ms"), "a", false},
		{"the passive node is restarted", func() { c.b.cmd.stop(t); c.b.begin() }, "a", false},
		{"the other node is made active", func() { c.a.does("pair", "active", "peer") }, "b", true},
		{"and this one again", func() { c.a.does("pair", "active", "self") }, "a", true},
		{"the pair is broken", func() { c.a.does("pair", "break"); eventually(t, 20*time.Second, "both are alone", alone) }, "", false},
	}
	p := c.probeFor(labService+":80", time.Millisecond, unheard)
	<-p.served
	kept := c.keepsAsking(labService + ":80")
	var began []time.Time
	for _, click := range clicks {
		began = append(began, time.Now())
		click.do()
		if click.active != "" {
			c.settle(click.active)
		}
		pause(t, 100*time.Millisecond)
	}
	pause(t, unheard+time.Second) // the last ones, too, are answered or given up by then
	stood, list, ends := c.slipped(), p.endPatiently(), kept()
	for i, click := range clicks {
		during := func(at time.Time) bool { return !at.Before(began[i]) && (i+1 == len(began) || at.Before(began[i+1])) }
		asked, hurt, lost, ended := 0, 0, 0, 0
		for _, at := range ends {
			if during(at) {
				ended++
			}
		}
		for _, one := range list {
			if !during(one.at) {
				continue
			}
			asked++
			switch {
			case one.refused || one.cut:
				hurt++
			case !one.good:
				lost++
			}
		}
		t.Logf("%s: %d attempts, %d refused or cut off, %d unheard; %d connections that were kept have ended", click.name, asked, hurt, lost, ended)
		if hurt > 0 || asked == 0 || lost+ended > 0 && !click.moves && !stood {
			t.Errorf("%s: of %d attempts %d were refused or cut off, %d unheard; %d connections that were kept have ended", click.name, asked, hurt, lost, ended)
		}
	}
}

// keepsAsking asks fifty times a second on one connection, and on another one when that has ended; stop returns when each did.
func (c *couple) keepsAsking(to string) (stop func() []time.Time) {
	over, done := make(chan struct{}), make(chan []time.Time, 1)
	go func() {
		var ends []time.Time
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			if !c.asks(to, tick.C, over) {
				done <- ends
				return
			}
			ends = append(ends, time.Now())
		}
	}()
	return func() []time.Time { close(over); return <-done }
}

// asks asks on one connection until that has ended, or all is over: then it returns false.
func (c *couple) asks(to string, tick <-chan time.Time, over <-chan struct{}) bool {
	conn, err := c.dialClient(to)
	if err == nil {
		defer conn.Close()
	}
	for answers := bufio.NewReader(conn); ; {
		select {
		case <-over:
			return false
		case <-c.t.Context().Done(): // the test has failed meanwhile
			return false
		case <-tick:
		}
		if err != nil {
			return true
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err = fmt.Fprint(conn, "GET /kept HTTP/1.1\r\nHost: lab\r\n\r\n"); err != nil {
			continue
		}
		var answer *http.Response
		if answer, err = http.ReadResponse(answers, nil); err == nil {
			_, err = io.Copy(io.Discard, answer.Body)
		}
	}
}
