package balance

import (
	"fmt"
	"math"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire"

	"pgregory.net/rapid"
)

func TestRandomOfTwoFollowsTheWeightsAndPrefersTheLessLoaded(t *testing.T) {
	p, _ := pool(appliance.RandomOfTwo, appliance.LoadBalanced, 300, 100, 100, 0)
	got := [4]int{}
	for range 50000 {
		got[p.Pick(client(0))]++
	}
	if got[3] != 0 || got[0] < 27000 || got[0] > 33000 {
		t.Errorf("idle servers of weight 300, 100, 100 and 0 got %v", got)
	}
	for range 10000 {
		p.Seats[p.Pick(client(0))].Open++
	}
	for i, w := range []int64{300, 100, 100} {
		if share := 10000 * w / 500; p.Seats[i].Open < share*97/100 || p.Seats[i].Open > share*103/100 {
			t.Errorf("server %d has %d open, its share is %d", i, p.Seats[i].Open, share)
		}
	}
}

func TestRequestsWithOneKeyStayOnOneServer(t *testing.T) {
	for _, s := range []appliance.Scheduler{appliance.URIHash, appliance.HeaderHash} {
		p, _ := pool(s, appliance.LoadBalanced, 100, 100, 100)
		count := [3]int{}
		for n := range 6000 {
			q := &wire.Query{Client: client(n).Client, Key: wire.HashKey(fmt.Appendf(nil, "/study/%d", n))}
			i := p.Pick(q)
			count[i]++
			q.Client = client(n + 1).Client
			if again := p.Pick(q); again != i {
				t.Fatalf("%s: key %d went to %d and %d", s, n, i, again)
			}
		}
		for i, n := range count {
			if n < 1800 || n > 2200 {
				t.Errorf("%s: server %d has %d of 6000", s, i, n)
			}
		}
		got := map[int]bool{}
		for n := range 3 {
			i := p.Pick(client(n)) // without a key: least connections
			p.Seats[i].Open++
			got[i] = true
		}
		if len(got) != 3 {
			t.Errorf("%s: requests without a key went to %v", s, got)
		}
	}
}

func TestBoundedLoadIsKeptAndMovesNoMoreThanItMust(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 300), 2, 6).Draw(t, "weights")
		p, _ := pool(appliance.SourceHash, appliance.LoadBalanced, weights...)
		p.load = int64(rapid.IntRange(101, 300).Draw(t, "load"))
		sum := 0
		for _, w := range weights {
			sum += w
		}
		one := rapid.IntRange(1, 5).Draw(t, "clients") // few clients with many connections
		for n := 1; n <= 300; n++ {
			i := p.Pick(client(n % one))
			if i < 0 {
				t.Fatal("no server has room")
			}
			p.Seats[i].Open++
			if most := math.Ceil(float64(n) * float64(weights[i]) / float64(sum) * float64(p.load) / 100); float64(p.Seats[i].Open) > most {
				t.Fatalf("%d of %d on a server that may have %v", p.Seats[i].Open, n, most)
			}
		}
	})
	bounded, _ := pool(appliance.SourceHash, appliance.LoadBalanced, 100, 100, 100)
	free, _ := pool(appliance.SourceHash, appliance.LoadBalanced, 100, 100, 100)
	bounded.load = 150
	for i := range bounded.Seats {
		bounded.Seats[i].Open = 100
	}
	for n := range 1000 {
		if a, b := bounded.Pick(client(n)), free.Pick(client(n)); a != b {
			t.Fatalf("client %d moved from %d to %d though nobody is beyond the bound", n, b, a)
		}
	}
}

func TestFastestResponseTakesTheShortestWait(t *testing.T) {
	p, _ := pool(appliance.FastestResponse, appliance.LoadBalanced, 100, 100, 50)
	ms := func(n int64) int64 { return n * int64(time.Millisecond) }
	for _, c := range []struct {
		pace, open [3]int64
		want       int
	}{
		{[3]int64{ms(10), ms(30), ms(30)}, [3]int64{}, 0},
		{[3]int64{ms(10), ms(30), ms(30)}, [3]int64{2, 0, 0}, 0}, // 3 × 10 ms is not longer
		{[3]int64{ms(10), ms(29), ms(30)}, [3]int64{2, 0, 0}, 1},
		{[3]int64{ms(10), ms(10), ms(6)}, [3]int64{1, 1, 0}, 2}, // 12 ms with half the weight
		{[3]int64{ms(1), ms(1), 0}, [3]int64{}, 2},              // not known yet
	} {
		for i := range p.Seats {
			p.Seats[i].Pace, p.Seats[i].Open = c.pace[i], c.open[i]
		}
		if got := p.Pick(client(0)); got != c.want {
			t.Errorf("%+v: picked %d", c, got)
		}
	}
}

func TestFirstAvailableFillsInOrder(t *testing.T) {
	p, _ := pool(appliance.FirstAvailable, appliance.LoadBalanced, 1, 100, 100)
	p.Seats[0].Open = 50
	if got := p.Pick(client(0)); got != 0 {
		t.Errorf("picked %d", got)
	}
	p.Seats[0].Usable = false // full
	if got := p.Pick(client(0)); got != 1 {
		t.Errorf("picked %d", got)
	}
}

func TestBackupsServeOnlyWhenNobodyElseDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scheduler := rapid.SampledFrom(schedulers).Draw(t, "scheduler")
		mode := rapid.SampledFrom([]appliance.ModeOfUse{appliance.LoadBalanced, appliance.Failover}).Draw(t, "mode")
		p, _ := pool(scheduler, mode, 100, 100, 100, 100)
		p.backups = true
		p.Seats[0].backup, p.Seats[2].backup = true, true
		for step := range 20 {
			regular, any := false, false
			for i := range p.Seats {
				s := &p.Seats[i]
				s.Usable, s.Open, s.Pace = rapid.Bool().Draw(t, "usable"), int64(rapid.IntRange(0, 9).Draw(t, "open")), int64(rapid.IntRange(0, 9).Draw(t, "pace"))
				any, regular = any || s.Usable, regular || s.Usable && !s.backup
			}
			i := p.Pick(client(step))
			if (i >= 0) != any || i >= 0 && (!p.Seats[i].Usable || p.Seats[i].backup == regular || p.Backup() == regular) {
				t.Fatalf("picked %d of %+v", i, p.Seats)
			}
		}
	})
}

func TestAColdServerGetsItsShareOnly(t *testing.T) {
	for _, s := range []appliance.Scheduler{appliance.RoundRobin, appliance.LeastConnections, appliance.RandomOfTwo, appliance.SourceHash} {
		p, _ := pool(s, appliance.LoadBalanced, 100, 100)
		p.Seats[1].Share = Whole / 4
		const clients = 10000
		for n := range clients {
			p.Seats[p.Pick(client(n))].Open++
		}
		if got := p.Seats[1].Open; got < clients/5*9/10 || got > clients/5*11/10 {
			t.Errorf("%s: %d of %d to a server with a quarter of its weight", s, got, clients)
		}
	}
}
