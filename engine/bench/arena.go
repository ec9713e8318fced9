package bench

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// arena is where the contenders meet.
type arena struct {
	options    Options
	pace       pace // of the work that is measured
	load       *load
	contenders map[string]*contender
	current    *contender
	again      map[string]int // rounds of the work at hand that were measured again, by contender
	half       int            // half of what HAProxy can serve, in requests per second
}

// steady warms up, then returns what was done and the CPU time of the contender while it was done.
func (f *arena) steady() (done int64, cpu time.Duration) {
	f.load.during(f.pace.warm)
	before, used := f.load.done, f.current.cpu()
	f.load.during(f.pace.length)
	return f.load.done - before, f.current.cpu() - used
}

// clients begins n connections with act.
func (f *arena) clients(n, port int, act func(*load, *peer, uint32)) error {
	to := &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
	for range n {
		if err := f.load.dial(to, act); err != nil {
			return err
		}
	}
	return nil
}

// dropClients closes what clients are left, and lets the contender notice. It is an error if one was not served.
func (f *arena) dropClients() error {
	if f.load.failed > 0 {
		return fmt.Errorf("%d clients were not served", f.load.failed)
	}
	for _, p := range f.load.peers {
		if p != nil && p.to != nil {
			f.load.drop(p)
		}
	}
	f.load.paused = false
	f.load.during(f.pace.settle)
	return nil
}

// requests is CPU for each request of web clients of that kind.
func (f *arena) requests(clients int, kind asker) func(port int) (float64, error) {
	return func(port int) (float64, error) {
		a := kind
		if err := f.clients(clients, port, a.act); err != nil {
			return 0, err
		}
		done, cpu := f.steady()
		f.load.paused = true
		f.load.during(100 * time.Millisecond)
		return perUnit(cpu, done), f.dropClients()
	}
}

func (f *arena) connections(port int) (float64, error) {
	if err := f.clients(64, port, askEcho); err != nil {
		return 0, err
	}
	done, cpu := f.steady()
	f.load.paused = true
	f.load.during(100 * time.Millisecond)
	return perUnit(cpu, done), f.dropClients()
}

func (f *arena) bulk(port int) (float64, error) {
	if err := f.clients(4, port, swallow); err != nil {
		return 0, err
	}
	done, cpu := f.steady()
	return perUnit(cpu, done) * 1e6, f.dropClients()
}

// latency is the 99th percentile at half of HAProxy's most. A round in which a processor stood still is measured again.
func (f *arena) latency(port int) (float64, error) {
	for try := 1; ; try++ {
		w := watchProcessors()
		h, _, err := f.openLoop(port, f.half)
		calm, failed := w.stop()
		if err := errors.Join(err, failed); err != nil {
			return 0, err
		}
		if calm || try == calmTries {
			return h.quantile(0.99), nil
		}
		f.again[f.current.name]++
	}
}

// offered is the CPU for each request at half of HAProxy's most.
func (f *arena) offered(port int) (float64, error) {
	_, cpu, err := f.openLoop(port, f.half)
	return cpu, err
}

// perUnit is microseconds for each thing that was done.
func perUnit(cpu time.Duration, done int64) float64 {
	return float64(cpu.Nanoseconds()) / 1e3 / float64(max(done, 1))
}

func (f *arena) idleWeb(port int) (float64, error) { return f.idle(port, (&asker{}).act) }
func (f *arena) idleTCP(port int) (float64, error) { return f.idle(port, keepEcho) }

// idle opens many connections, uses each once, and returns how much memory each costs while nothing happens.
func (f *arena) idle(port int, act func(*load, *peer, uint32)) (float64, error) {
	f.load.paused = true
	before, begun := f.current.memory(), f.load.done
	n := f.options.Idle
	for step := 0; step < n; step += 500 {
		if err := f.clients(min(500, n-step), port, act); err != nil {
			return 0, err
		}
		want := begun + int64(min(step+500, n))
		if err := f.load.until("answers", 20*time.Second, func() bool { return f.load.done >= want }); err != nil {
			return 0, err
		}
	}
	f.load.during(time.Second)
	each := (f.current.memory() - before) / float64(n)
	return each, f.dropClients()
}
