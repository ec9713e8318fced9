package proof

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire/wiretest"
)

// flock is very many web servers on addresses of their own, which come and go.
type flock struct {
	t         *testing.T
	addresses []netip.AddrPort
	listeners []net.Listener // nil: down
	web       http.Server
	all       sync.WaitGroup
	random    *rand.Rand
}

func newFlock(t *testing.T, n int, seed uint64) *flock {
	t.Helper()
	f := &flock{t: t, random: rand.New(rand.NewPCG(seed, 4)), listeners: make([]net.Listener, n)}
	f.web = http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })}
	port := wiretest.Port(t, 1)
	for i := range n {
		f.addresses = append(f.addresses, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 77, byte(i >> 8), byte(i)}), port))
		f.rise(i)
	}
	t.Cleanup(func() {
		_ = f.web.Close()
		f.all.Wait()
	})
	return f
}

func (f *flock) rise(i int) {
	f.t.Helper()
	l, err := net.Listen("tcp", f.addresses[i].String())
	if err != nil {
		f.t.Fatal(err)
	}
	f.listeners[i] = l
	f.all.Go(func() { _ = f.web.Serve(l) })
}

// flap changes the state of n servers, but never takes down more than two thirds.
func (f *flock) flap(n int) {
	f.t.Helper()
	down := 0
	for _, l := range f.listeners {
		if l == nil {
			down++
		}
	}
	for range n {
		i := f.random.IntN(len(f.listeners))
		switch {
		case f.listeners[i] == nil:
			f.rise(i)
			down--
		case down < len(f.listeners)*2/3:
			_ = f.listeners[i].Close()
			f.listeners[i] = nil
			down++
		}
	}
}

// TestAThousandServersThatFlap: dozens change ten times a second while each is checked. Requests are answered, and nothing grows.
func TestAThousandServersThatFlap(t *testing.T) {
	n, rounds, each := 1000, 100, 900
	if raced {
		n, rounds, each = 100, 30, 100
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	f := newFlock(t, n, seed)
	config, address := before(t, appliance.HTTP, f.addresses...)
	v := &config.Cluster.VirtualServices[0]
	v.Monitor = appliance.NewMonitor(appliance.MonitorConnect)
	v.Monitor.Interval, v.Monitor.Rise, v.Monitor.Fall = appliance.Duration(time.Second), 1, 1
	v.SlowStart, v.HTTP.KeepAlive = 0, appliance.KeepAliveClient
	s := examine(t, order{Config: config, Loops: 2})
	s.until("every server was checked", 30*time.Second, func(v vitals) bool { return v.Said["health changed"] >= n })
	quiet := healthy(t, address, each/3)
	at := s.vitals()
	still := make(chan struct{})
	var mu sync.Mutex
	var meanwhile pace
	failed := 0
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-still:
					return
				default:
				}
				took, err := askOften(address, 50)
				mu.Lock()
				if meanwhile = append(meanwhile, took...); err != nil {
					failed++
				}
				mu.Unlock()
			}
		})
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range rounds {
		<-tick.C
		f.flap(n / 25)
	}
	close(still)
	clients.Wait()
	slices.Sort(meanwhile)
	if failed*1000 > len(meanwhile) { // a server that closes resets who is connected and was not accepted yet, and may have worked already for all that anybody knows
		t.Errorf("%d of %d requests failed", failed, len(meanwhile))
	}
	during := s.vitals()
	if used := during.CPU - at.CPU; !raced && used > 2*during.Status.At.Sub(at.Status.At) { // two loops; what is beside them is not much
		t.Errorf("%s of processor time", used)
	}
	if changes := during.Said["health changed"] - at.Said["health changed"]; changes < n/2 {
		t.Errorf("health changed only %d times", changes)
	}
	for i, l := range f.listeners {
		if l == nil {
			f.rise(i)
		}
	}
	back := s.until("all are up again, and no more is used than before", 60*time.Second, func(v vitals) bool {
		down := 0
		for _, r := range v.Status.Services[0].Servers {
			if r.Check.Health != appliance.Up {
				down++
			}
		}
		// The last changes and checks of each server are kept: about 3 KiB.
		return down == 0 && v.Files <= at.Files+pooledPipes && v.Routines <= at.Routines+20 && v.Heap <= at.Heap+uint64(n)*(5<<10)+(2<<20)
	})
	after := s.vitals()
	tell(t, "32 a thousand servers flapping", fmt.Sprintf("%d servers checked every second, %d change ten times a second for %d s", n, n/25, rounds/10),
		fmt.Sprintf("%d changes of health, %d of %d requests failed; %s; %.0f %% of a processor, with the requests; memory %.1f → %.1f MiB, %d → %d descriptors; all up again %.1f s behind", during.Said["health changed"]-at.Said["health changed"], failed, len(meanwhile),
			compared(quiet, meanwhile), 100*float64(during.CPU-at.CPU)/float64(during.Status.At.Sub(at.Status.At)), float64(at.Heap)/(1<<20), float64(after.Heap)/(1<<20), at.Files, after.Files, back.Seconds()))
}
