package proof

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine"
)

// editor applies a configuration again and again, a little different each time.
type editor struct {
	engine  *engine.Engine
	config  appliance.Config
	applied atomic.Int64
	stop    context.CancelFunc
	ended   chan error
}

// told begins with '+' and ends with '-'; anything else is not for it.
func (d *editor) told(what byte) error {
	switch {
	case what == '+' && d.stop == nil:
		ctx, stop := context.WithCancel(context.Background())
		d.stop, d.ended = stop, make(chan error, 1)
		go func() { d.ended <- d.run(ctx) }()
	case what == '-' && d.stop != nil:
		d.stop()
		d.stop = nil
		return <-d.ended
	}
	return nil
}

func (d *editor) run(ctx context.Context) error {
	tick := time.NewTicker(applyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		d.config = d.config.Clone()
		n := int(d.applied.Load())
		v := &d.config.Cluster.VirtualServices[n%len(d.config.Cluster.VirtualServices)]
		switch n % 3 {
		case 0:
			v.RealServers[0].Weight = 1 + n%200
		case 1:
			v.Scheduler = []appliance.Scheduler{appliance.LeastConnections, appliance.RoundRobin}[n/3%2]
		case 2:
			v.Limits.ServerTimeout = appliance.Duration(time.Duration(60+n%60) * time.Second)
		}
		if err := d.engine.Apply(ctx, d.config); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("apply: %w", err)
		}
		d.applied.Add(1)
	}
}

// TestAppliesDoNotSlowRequests compares how long requests take with fifty Applies a second and without, in turns. All are answered; the figures are told, and the goal for
// the change of the 99.9th percentile is 1 ms.
func TestAppliesDoNotSlowRequests(t *testing.T) {
	turns, length := 2, time.Second
	if *update {
		turns, length = 10, 2*time.Second
	}
	server, _ := library(t)
	config, address := before(t, appliance.HTTP, server, server)
	for i := range 20 { // services beside it
		c, _ := before(t, appliance.HTTP, server, server)
		v := c.Cluster.VirtualServices[0]
		v.ID, v.Label = fmt.Sprint("other", i), fmt.Sprint("other", i)
		for j := range v.RealServers {
			v.RealServers[j].ID = fmt.Sprint("other", i, "-", j)
		}
		config.Cluster.VirtualServices = append(config.Cluster.VirtualServices, v)
	}
	s := examine(t, order{Config: config, Loops: 2})
	paced(t, address, length/2)
	at := s.vitals()
	var without, with pace
	for range turns {
		without = append(without, paced(t, address, length)...)
		s.tell('+')
		with = append(with, paced(t, address, length)...)
		s.tell('-')
	}
	after := s.vitals()
	slices.Sort(without)
	slices.Sort(with)
	if after.Applied < turns*int(length/applyEvery)/10 {
		t.Errorf("only %d applies", after.Applied)
	}
	if !raced && after.Heap > at.Heap+1<<20 {
		t.Errorf("memory grew from %d to %d bytes", at.Heap, after.Heap)
	}
	if after.Files > at.Files+pooledPipes || after.Routines > at.Routines {
		t.Errorf("%d descriptors and %d goroutines before, %d and %d behind", at.Files, at.Routines, after.Files, after.Routines)
	}
	tell(t, "Applies at 50 per second", fmt.Sprintf("%d of them in %d turns of %s with and without, 21 services, 2,000 requests a second", after.Applied, turns, length),
		fmt.Sprintf("%d + %d requests, none failed; p50 %s → %s, p99 %s → %s, p99.9 %s → %s (change %s); memory %.2f → %.2f MiB, %d → %d descriptors", len(without), len(with), without.at(0.5), with.at(0.5),
			without.at(0.99), with.at(0.99), without.at(0.999), with.at(0.999), with.at(0.999)-without.at(0.999), float64(at.Heap)/(1<<20), float64(after.Heap)/(1<<20), at.Files, after.Files))
}

// paced has two clients send a request every millisecond for some time, later ones at once when an answer was late.
func paced(t *testing.T, address string, length time.Duration) (all pace) {
	t.Helper()
	var mu sync.Mutex
	var clients sync.WaitGroup
	for range 2 {
		clients.Go(func() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			in := bufio.NewReader(c)
			var own pace
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for until := time.Now().Add(length); time.Now().Before(until); <-tick.C {
				_ = c.SetDeadline(time.Now().Add(time.Minute))
				began := time.Now()
				_, err := io.WriteString(c, "GET /small HTTP/1.1\r\nHost: x\r\n\r\n")
				if err == nil {
					err = wellAnswered(in)
				}
				if err != nil {
					t.Error(err)
					return
				}
				own = append(own, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, own...)
		})
	}
	clients.Wait()
	return all
}

func wellAnswered(in *bufio.Reader) error {
	a, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if _, err := io.Copy(io.Discard, a.Body); err != nil {
		return err
	}
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("answered with %s", a.Status)
	}
	return nil
}
