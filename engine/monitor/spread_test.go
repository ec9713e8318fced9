package monitor

import (
	"testing"
	"testing/synctest"
	"time"

	"evenkeel/appliance"
)

func TestManyServersAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const servers = 1000
		n := newNetwork()
		m := New(Options{Dial: n.dial})
		s := service(servers)
		s.Monitor.Interval = appliance.Duration(4 * time.Second)
		begin := time.Now()
		m.Apply(these(s), nil)
		running(t, m)
		time.Sleep(20*time.Second + time.Millisecond)
		perTenth := map[int]int{}
		for i := range servers {
			address := s.RealServers[i].Address
			times := n.times(string(address) + ":104")
			if d := times[0].Sub(begin); d > time.Second {
				t.Fatalf("%s was first probed after %s", address, d)
			}
			for k := 2; k < len(times); k++ {
				if gap := times[k].Sub(times[k-1]); gap < 3990*time.Millisecond || gap > 4010*time.Millisecond {
					t.Fatalf("%s was probed %s after the last time", address, gap)
				}
			}
			for _, at := range times[2:] {
				perTenth[int(at.Sub(begin)/(100*time.Millisecond))]++
			}
		}
		for _, count := range perTenth {
			if count > 45 { // 25 on average
				t.Errorf("%d probes fell into one tenth of a second", count)
			}
		}
	})
}

// TestAPauseDoesNotPutServersTogether: what had to wait is made up for once, and everything is as far apart as before.
func TestAPauseDoesNotPutServersTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const servers = 1000
		n := newNetwork()
		m := New(Options{Dial: n.dial})
		s := service(servers)
		s.Monitor.Interval = appliance.Duration(4 * time.Second)
		m.Apply(these(s), nil)
		running(t, m)
		time.Sleep(10 * time.Second)
		slots := func(busy int) {
			m.mu.Lock()
			m.busy += busy
			m.mu.Unlock()
			m.nudge()
		}
		slots(MaxProbes)
		time.Sleep(1500 * time.Millisecond)
		slots(-MaxProbes)
		time.Sleep(8 * time.Second)
		begin := time.Now()
		time.Sleep(4 * time.Second)
		perTenth := map[int]int{}
		for i := range servers {
			times := n.times(string(s.RealServers[i].Address) + ":104")
			perTenth[int(times[len(times)-1].Sub(begin)/(100*time.Millisecond))]++
		}
		for _, count := range perTenth {
			if count > 45 { // 25 on average
				t.Errorf("%d probes fell into one tenth of a second", count)
			}
		}
	})
}
