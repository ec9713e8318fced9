package balance

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"evenkeel/appliance"
	"evenkeel/engine/wire"

	"pgregory.net/rapid"
)

func pool(s appliance.Scheduler, mode appliance.ModeOfUse, weights ...int) (*Pool, []appliance.RealServer) {
	p := appliance.Pool{Scheduler: s, Mode: mode}
	for i, w := range weights {
		p.RealServers = append(p.RealServers, appliance.RealServer{ID: fmt.Sprintf("server-%d", i), Weight: w})
	}
	n := New(&p, nil, nil)
	for i := range n.Seats {
		n.Seats[i].Usable = true
	}
	return n, p.RealServers
}

func client(n int) *wire.Query {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 0x0a000000+uint32(n))
	return &wire.Query{Client: netip.AddrPortFrom(netip.AddrFrom4(b), 1)}
}

var schedulers = appliance.Schedulers()

func TestNoSchedulerChoosesAnUnusableOrWeightlessServer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(0, 3), 1, 8).Draw(t, "weights")
		mode := rapid.SampledFrom([]appliance.ModeOfUse{appliance.LoadBalanced, appliance.Failover}).Draw(t, "mode")
		p, _ := pool(rapid.SampledFrom(schedulers).Draw(t, "scheduler"), mode, weights...)
		for step := range 50 {
			any := false
			for i := range p.Seats {
				p.Seats[i].Usable = rapid.Bool().Draw(t, "usable")
				p.Seats[i].Open = int64(rapid.IntRange(0, 3).Draw(t, "open"))
				any = any || p.serves(i)
			}
			i := p.Pick(client(step))
			if any != (i >= 0) || i >= 0 && !p.serves(i) {
				t.Fatalf("picked %d of %+v", i, p.Seats)
			}
		}
	})
}

func TestRoundRobinFollowsTheWeightsExactlyAndSmoothly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 50), 2, 6).Draw(t, "weights")
		p, _ := pool(appliance.RoundRobin, appliance.LoadBalanced, weights...)
		sum := 0
		for _, w := range weights {
			sum += w
		}
		got := make([]int, len(weights))
		for range sum {
			got[p.Pick(client(0))]++
		}
		for i := range weights {
			if got[i] != weights[i] {
				t.Fatalf("%v for weights %v", got, weights)
			}
		}
	})
	p, _ := pool(appliance.RoundRobin, appliance.LoadBalanced, 5, 1, 1)
	order := ""
	for range 7 {
		order += fmt.Sprint(p.Pick(client(0)))
	}
	if order != "0010200" {
		t.Errorf("order %s", order)
	}
}

func TestLeastConnectionsFillsByWeight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 200), 1, 6).Draw(t, "weights")
		p, _ := pool(appliance.LeastConnections, appliance.LoadBalanced, weights...)
		sum := 0
		for _, w := range weights {
			sum += w
		}
		total := rapid.IntRange(1, 2000).Draw(t, "total")
		for range total {
			p.Seats[p.Pick(client(0))].Open++
		}
		for i, s := range p.Seats {
			share := float64(total) * float64(weights[i]) / float64(sum)
			if d := float64(s.Open) - share; d > float64(len(weights)) || d < -float64(len(weights)) {
				t.Fatalf("server %d has %d of %d, its share is %.1f", i, s.Open, total, share)
			}
		}
	})
}

func TestLeastConnectionsOnIdleServersFollowsTheWeights(t *testing.T) {
	p, _ := pool(appliance.LeastConnections, appliance.LoadBalanced, 100, 50, 50)
	got := [3]int{}
	for range 400 {
		got[p.Pick(client(0))]++ // each ends at once
	}
	if got != [3]int{200, 100, 100} {
		t.Errorf("%v", got)
	}
}

func TestLeastConnectionsPrefersTheLessLoaded(t *testing.T) {
	p, _ := pool(appliance.LeastConnections, appliance.LoadBalanced, 100, 50)
	p.Seats[0].Open, p.Seats[1].Open = 5, 2 // 5/100 > 2/50
	if i := p.Pick(client(0)); i != 1 {
		t.Errorf("picked %d", i)
	}
	p.Seats[1].Open = 3
	if i := p.Pick(client(0)); i != 0 {
		t.Errorf("picked %d", i)
	}
}

func TestSourceHashIsStableAndMovesNobodyElse(t *testing.T) {
	const clients = 20000
	p, _ := pool(appliance.SourceHash, appliance.LoadBalanced, 100, 100, 50, 150)
	before, count := make([]int, clients), [4]int{}
	for i := range before {
		before[i] = p.Pick(client(i))
		count[before[i]]++
	}
	for i, w := range []int{100, 100, 50, 150} {
		if want := clients * w / 400; count[i] < want*95/100 || count[i] > want*105/100 {
			t.Errorf("server %d has %d clients, its share is %d", i, count[i], want)
		}
	}
	p.Seats[1].Usable = false
	for i := range before {
		after := p.Pick(client(i))
		if before[i] != 1 && after != before[i] || after == 1 {
			t.Fatalf("client %d moved from %d to %d when server 1 left", i, before[i], after)
		}
	}
	p.Seats[1].Usable = true
	for i := range before {
		if p.Pick(client(i)) != before[i] {
			t.Fatalf("client %d did not come back", i)
		}
	}
}

func TestSourceHashGivesANewServerItsShareOnly(t *testing.T) {
	const clients = 20000
	three, _ := pool(appliance.SourceHash, appliance.LoadBalanced, 100, 100, 100)
	four, _ := pool(appliance.SourceHash, appliance.LoadBalanced, 100, 100, 100, 100)
	moved := 0
	for i := range clients {
		a, b := three.Pick(client(i)), four.Pick(client(i))
		if a != b {
			moved++
			if b != 3 {
				t.Fatalf("client %d moved from %d to %d", i, a, b)
			}
		}
	}
	if moved < clients/4*9/10 || moved > clients/4*11/10 {
		t.Errorf("%d of %d moved", moved, clients)
	}
}

func TestMappedAddressesHashAlike(t *testing.T) {
	if HashAddr(netip.MustParseAddr("192.0.2.1")) != HashAddr(netip.MustParseAddr("::ffff:192.0.2.1")) {
		t.Error("they differ")
	}
}

func TestFailoverKeepsTheOperatorsOrder(t *testing.T) {
	p, _ := pool(appliance.LeastConnections, appliance.Failover, 1, 100, 100)
	p.Seats[0].Open = 1000
	for _, usable := range []struct {
		seats [3]bool
		want  int
	}{{[3]bool{true, true, true}, 0}, {[3]bool{false, true, true}, 1}, {[3]bool{false, false, true}, 2}, {[3]bool{}, -1}} {
		for i := range usable.seats {
			p.Seats[i].Usable = usable.seats[i]
		}
		if got := p.Pick(client(7)); got != usable.want {
			t.Errorf("%v: picked %d", usable.seats, got)
		}
	}
}

func TestANewPoolTakesOverTheTurn(t *testing.T) {
	p, servers := pool(appliance.RoundRobin, appliance.LoadBalanced, 1, 1)
	if p.Pick(client(0)) != 0 {
		t.Fatal("the first was not first")
	}
	next := New(&appliance.Pool{Scheduler: appliance.RoundRobin, RealServers: servers}, p, servers)
	for i := range next.Seats {
		next.Seats[i].Usable = true
	}
	if got := next.Pick(client(0)); got != 1 {
		t.Errorf("after a change the turn began anew: %d", got)
	}
}

func TestANewPoolKnowsItsServersInAnyOrder(t *testing.T) {
	p, servers := pool(appliance.RoundRobin, appliance.LoadBalanced, 3, 2, 1)
	for range 2 {
		p.Pick(client(0))
	}
	slices.Reverse(servers)
	was := []int64{p.Seats[2].current, p.Seats[1].current, 0}
	servers[2].ID = "another"
	old := []appliance.RealServer{{ID: "server-0"}, {ID: "server-1"}, {ID: "server-2"}}
	next := New(&appliance.Pool{Scheduler: appliance.RoundRobin, RealServers: servers}, p, old)
	for i, want := range was {
		if got := next.Seats[i].current; got != want {
			t.Errorf("%s stands at %d, not %d", servers[i].ID, got, want)
		}
	}
}

func TestPoolsOfSeveralLoopsBeginElsewhere(t *testing.T) {
	first := ""
	for lane := range 4 {
		p, _ := pool(appliance.RoundRobin, appliance.LoadBalanced, 1, 1, 1)
		p.Turn(lane)
		first += fmt.Sprint(p.Pick(client(0)))
	}
	if first != "0120" {
		t.Errorf("the loops begin with %s", first)
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	q := client(1)
	for _, s := range schedulers {
		p, _ := pool(s, appliance.LoadBalanced, 1, 2, 3, 4)
		if n := testing.AllocsPerRun(100, func() { p.Pick(q) }); n != 0 {
			t.Errorf("%s: %v allocations", s, n)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	q := client(1)
	for _, s := range schedulers {
		p, _ := pool(s, appliance.LoadBalanced, 1, 2, 3, 4)
		b.Run(string(s), func(b *testing.B) {
			for b.Loop() {
				p.Pick(q)
			}
		})
	}
}
