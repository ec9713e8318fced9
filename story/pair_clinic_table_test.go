package story

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"evenkeel/appliance"
)

// guest is a client that came once, and what has served it.
type guest struct {
	address netip.Addr
	server  string
	at      time.Time // when it had its answer
}

// crowd lets clients come from addresses of their own, a thousand a second.
type crowd struct {
	f       *field
	turns   *time.Ticker
	stop    chan struct{}
	work    sync.WaitGroup
	mu      sync.Mutex // guards what follows
	next    int
	guests  []guest
	refused int
}

// crowd has every address of 10.79.0.0/16 be the client's, and clients come from them.
func (c *couple) crowd(service string) *crowd {
	c.t.Helper()
	must(c.t, "ip", "-n", c.client, "route", "add", "local", "10.79.0.0/16", "dev", "lo")
	for _, ns := range []string{c.field.a, c.field.b} {
		must(c.t, "ip", "-n", ns, "route", "add", "10.79.0.0/16", "via", labClient)
	}
	k := &crowd{f: c.field, turns: time.NewTicker(time.Millisecond), stop: make(chan struct{})}
	for range 4 {
		k.work.Go(func() { within(c.t, c.client, func() { k.come(service) }) })
	}
	return k
}

func (k *crowd) end() []guest {
	close(k.stop)
	k.work.Wait()
	k.turns.Stop()
	return k.guests
}

func (k *crowd) come(service string) {
	for {
		select {
		case <-k.stop:
			return
		case <-k.turns.C:
		}
		k.mu.Lock()
		n := k.next
		k.next++
		k.mu.Unlock()
		address := netip.AddrFrom4([4]byte{10, 79, byte(n >> 8), byte(n)})
		server, err := visitFrom(address, service)
		k.mu.Lock()
		if err == nil {
			k.guests = append(k.guests, guest{address, server, time.Now()})
		} else {
			k.refused++
		}
		k.mu.Unlock()
	}
}

// visitFrom asks for a page, and returns how its server names itself.
func visitFrom(address netip.Addr, service string) (string, error) {
	dialer := net.Dialer{Timeout: 500 * time.Millisecond, LocalAddr: &net.TCPAddr{IP: address.AsSlice()}}
	c, err := dialer.Dial("tcp", service)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")); err != nil {
		return "", err
	}
	b := make([]byte, 4096)
	n, err := c.Read(b)
	if err != nil {
		return "", err
	}
	_, rest, found := strings.Cut(string(b[:n]), "X-Sample: ")
	if !found {
		return "", fmt.Errorf("no X-Sample in %.100q", b[:n])
	}
	server, _, _ := strings.Cut(rest, "\r\n")
	return server, nil
}

// remembered is what a node knows of clients: the address with the port of its server.
func (c *client) remembered(t *testing.T, service string) map[netip.Addr]string {
	t.Helper()
	names := map[string]string{}
	for _, r := range c.services(t)[service].RealServers {
		names[r.ID] = fmt.Sprint("http", r.Port)
	}
	var list []appliance.PersistenceEntry
	c.must(t, 200, "GET", "persistence?limit=100000", "").into(t, &list)
	out := map[netip.Addr]string{}
	for _, e := range list {
		out[e.Client.Addr()] = names[e.ServerID]
	}
	return out
}

// TestPairRemembersItsClients lets new clients come all the time while the owner dies or gives the addresses away, in turn: who came longer ago than a moment is known to
// the new owner.
func TestPairRemembersItsClients(t *testing.T) {
	const old, veryOld = 100 * time.Millisecond, 2 * time.Second // the second leaves time to a machine that is too busy for the first
	failovers := 4
	if wholeLaboratory() {
		failovers = 20
	}
	c := lay(t).pairUp()
	c.samples("http", "8085", "8086")
	c.a.does("service", "add", "TABLE", "--address", labService, "--ports", "85", "--protocol", "http", "--check", "none", "--scheduler", "round_robin",
		"--persistence", "source_ip", "--persistence-table-size", "200000", "--server", "R1="+labGateway+":8085", "--server", "R2="+labGateway+":8086")
	c.a.does("apply")
	c.settle("a")
	k := c.crowd(labService + ":85")
	ended := false
	defer func() {
		if !ended {
			k.end()
		}
	}()
	gone := map[netip.Addr]bool{}
	due, lost, longLost, young, youngLost, active := 0, 0, 0, 0, 0, "a"
	for i := range failovers {
		c.tablesAgree()
		pause(t, 500*time.Millisecond)
		var fault time.Time
		if i%2 == 0 {
			fault = time.Now()
			c.of(active).cmd.kill()
			c.owns(other(active))
		} else {
			c.of(active).does("pair", "active", "peer")
			c.owns(other(active))
			fault = time.Now()
		}
		k.mu.Lock()
		guests := append([]guest(nil), k.guests...)
		k.mu.Unlock()
		known := c.of(other(active)).rest().remembered(t, "TABLE")
		for _, g := range guests {
			switch missing := known[g.address] != g.server; {
			case gone[g.address] || !g.at.Before(fault):
				continue
			case fault.Sub(g.at) <= old:
				young++
				if missing {
					youngLost++
				}
				gone[g.address] = missing
			default:
				due++
				if missing {
					lost++
				}
				if missing && fault.Sub(g.at) > veryOld {
					longLost++
				}
				gone[g.address] = missing
			}
		}
		if i%2 == 0 {
			c.of(active).begin()
		}
		active = other(active)
		c.settle(active)
	}
	guests := k.end()
	ended = true
	rested := time.Now()
	c.tablesAgree()
	t.Logf("%d clients came, %d found nobody; %d failovers: %d of %d entries older than %v lost, %d of %d younger ones; equal %v behind the last client",
		len(guests), k.refused, failovers, lost, due, old, youngLost, young, time.Since(rested))
	if wholeLaboratory() && lost*10_000 > due || due < 500 {
		t.Errorf("%d of %d entries older than %v are lost", lost, due, old)
	}
	if longLost > 0 {
		t.Errorf("%d entries older than %v are lost", longLost, veryOld)
	}
}
