package engine

import (
	"net"
	"net/netip"
	"testing"

	"evenkeel/appliance"
	"evenkeel/engine/stats"
	"evenkeel/engine/wire"
)

func TestPickAndReleaseAllocateNothing(t *testing.T) {
	for name, change := range map[string]func(*appliance.VirtualService){
		"least connections": func(*appliance.VirtualService) {},
		"source hash":       func(v *appliance.VirtualService) { v.Scheduler = appliance.SourceHash },
		"fastest response":  func(v *appliance.VirtualService) { v.Scheduler = appliance.FastestResponse },
		"minimum servers":   func(v *appliance.VirtualService) { v.MinimumServers = 2 },
		"source IP":         func(v *appliance.VirtualService) { v.Persistence.Kind = appliance.PersistSourceIP },
		"server limits":     func(v *appliance.VirtualService) { v.RealServers[0].MaxConnections = 5 },
	} {
		r := start(t, Options{})
		v := tcp(t, "svc", netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("127.0.0.1:2"))
		change(&v)
		r.apply(v)
		shard := r.view.Load().services[0].shards[0]
		q := &wire.Query{Client: netip.MustParseAddrPort("192.0.2.1:1000"), Port: v.Ports[0].First}
		var n float64
		err := shard.lane.loop.Call(soon(t), func() {
			n = testing.AllocsPerRun(200, func() {
				if c, ok := shard.Pick(q); ok {
					shard.Release(c)
				}
			})
		})
		if err != nil || n != 0 {
			t.Errorf("%s: %v allocations, %v", name, n, err)
		}
		r.stop()
	}
}

// TestLeastConnectionsHoldsAcrossLoops shows the error of the distribution: a loop sees what the others have at most a millisecond late.
func TestLeastConnectionsHoldsAcrossLoops(t *testing.T) {
	const clients = 300
	a, b := serve(t, echo("a")), serve(t, echo("b"))
	r := start(t, Options{Loops: 4})
	v := tcp(t, "svc", a.address, b.address)
	v.RealServers[0].Weight = 200
	r.apply(v)
	var open []net.Conn
	for range clients {
		c := dial(t, address(v))
		readName(t, c)
		open = append(open, c)
	}
	if got := a.open(); got < clients*2/3-12 || got > clients*2/3+12 {
		t.Errorf("%d of %d on the server with two thirds of the weight", got, clients)
	}
	lanes := 0
	for _, shard := range r.view.Load().services[0].shards {
		if stats.Load(&shard.counters).Open > 0 {
			lanes++
		}
	}
	if lanes < 2 {
		t.Errorf("only %d loops had clients", lanes)
	}
	for _, c := range open {
		c.Close()
	}
}

func TestAServersLimitThatIsSetLaterCountsWhoIsThere(t *testing.T) {
	s := serve(t, echo("s"))
	r := start(t, Options{})
	v := tcp(t, "svc", s.address)
	r.apply(v)
	held := make([]*net.TCPConn, 3)
	for i := range held {
		held[i] = dial(t, address(v))
		readName(t, held[i])
	}
	v.RealServers[0].MaxConnections = 3
	r.apply(v)
	wantEOF(t, dial(t, address(v)))
	held[0].Close()
	until(t, "one to be gone", func() bool { return r.status(v.ID).Servers[0].Connections == 2 })
	readName(t, dial(t, address(v)))
}

// TestAClientThatIsRefusedIsNotCountedEvenForAMoment: who leaves in that moment would see no room and wake nobody, and every loop would wait for ever.
func TestAClientThatIsRefusedIsNotCountedEvenForAMoment(t *testing.T) {
	r := start(t, Options{})
	v := tcp(t, "svc")
	v.Limits.MaxConnections = 1
	r.apply(v)
	s := r.view.Load().services[0]
	if !s.admit() {
		t.Fatal("the first was refused")
	}
	refused := make(chan bool)
	go func() {
		defer close(refused)
		for range 200_000 {
			if s.admit() {
				t.Error("one too many was admitted")
				return
			}
		}
	}()
	for {
		if n := s.open.Load(); n != 1 {
			t.Errorf("%d are counted", n)
			break
		}
		select {
		case <-refused:
			s.leave()
			return
		default:
		}
	}
	<-refused
	s.leave()
}
