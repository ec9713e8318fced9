package monitor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"evenkeel/appliance"
)

// network answers dials without sockets: what refuses says decides, and every dial is written down.
type network struct {
	mu      sync.Mutex
	refuses map[string]bool
	hangs   map[string]bool
	dials   map[string][]time.Time
}

func newNetwork() *network {
	return &network{refuses: map[string]bool{}, hangs: map[string]bool{}, dials: map[string][]time.Time{}}
}

func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dials[address] = append(n.dials[address], time.Now())
	refuses, hangs := n.refuses[address], n.hangs[address]
	n.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if refuses {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	near, far := net.Pipe()
	_ = far.Close()
	return near, nil
}

func (n *network) set(address string, refuses bool) {
	n.mu.Lock()
	n.refuses[address] = refuses
	n.mu.Unlock()
}

func (n *network) hang(address string) {
	n.mu.Lock()
	n.hangs[address] = true
	n.mu.Unlock()
}

func (n *network) count(address string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.dials[address])
}

func (n *network) times(address string) []time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.dials[address])
}

// news is what Changed was told.
type news struct {
	mu   sync.Mutex
	list []string
}

func (n *news) add(id string, h appliance.Health) {
	n.mu.Lock()
	n.list = append(n.list, id+" "+string(h))
	n.mu.Unlock()
}

func (n *news) forget() {
	n.mu.Lock()
	n.list = nil
	n.mu.Unlock()
}

func (n *news) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.list)
}

// service returns a TCP service with n servers 10.0.0.1 and up on port 104, ids rs1 and up.
func service(n int) appliance.VirtualService {
	s := appliance.NewService(appliance.TCP)
	s.ID, s.Label, s.Address = "vs1", "VNA", netip.MustParseAddr("192.168.0.188")
	s.Ports = appliance.Ports{{First: 104, Last: 104}}
	for i := range n {
		r := appliance.NewRealServer()
		r.ID, r.Label = fmt.Sprintf("rs%d", i+1), fmt.Sprintf("Server%d", i+1)
		r.Address = appliance.Host(netip.AddrFrom4([4]byte{10, 0, byte((i + 1) / 256), byte((i + 1) % 256)}).String())
		s.RealServers = append(s.RealServers, r)
	}
	return s
}

const first = "10.0.0.1:104"

// running starts m for the length of the test's bubble.
func running(t *testing.T, m *Monitor) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
}

func TestScheduleFollowsRiseAndFall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var told news
		m := New(Options{Dial: n.dial, Changed: told.add})
		m.Apply(these(service(1)), nil)
		if h := m.Health("rs1"); h.Health != appliance.Unknown || h.Sentence != "Not yet checked." {
			t.Fatalf("before the first probe: %+v", h)
		}
		running(t, m)
		time.Sleep(10 * time.Millisecond)
		if h := m.Health("rs1").Health; h != appliance.Up {
			t.Fatalf("after one good probe: %s", h)
		}
		n.set(first, true)
		time.Sleep(2 * 4 * time.Second)
		if h := m.Health("rs1"); h.Health != appliance.Up || n.count(first) != 3 {
			t.Fatalf("after two bad probes: %s, %d probes", h.Health, n.count(first))
		}
		time.Sleep(4 * time.Second)
		h := m.Health("rs1")
		want := "Connection refused on port 104 for 8 s (3 checks). The machine answers, the service does not."
		if h.Health != appliance.Down || h.Sentence != want {
			t.Fatalf("after three bad probes: %s, %s", h.Health, h.Sentence)
		}
		if len(h.Probes) != 4 || len(h.Changes) != 2 || h.Next.Before(time.Now()) {
			t.Errorf("%d probes, %d changes, next %s", len(h.Probes), len(h.Changes), h.Next)
		}
		n.set(first, false)
		time.Sleep(2 * 4 * time.Second)
		if h := m.Health("rs1").Health; h != appliance.Up {
			t.Errorf("after two good probes: %s", h)
		}
		if want := []string{"rs1 up", "rs1 down", "rs1 up"}; !slices.Equal(told.all(), want) {
			t.Errorf("told %v", told.all())
		}
	})
}

func TestApplyKeepsWhatDidNotChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var told news
		m := New(Options{Dial: n.dial, Changed: told.add})
		running(t, m)
		s := service(3)
		m.Apply(these(s), nil)
		time.Sleep(9 * time.Second)
		before := m.Health("rs1")
		told.forget()

		edited := s.Clone()
		edited.RealServers[0].Weight, edited.RealServers[0].State = 7, appliance.Halt // no matter of health
		edited.RealServers[1].Port = 105
		edited.RealServers = edited.RealServers[:2]
		m.Apply(these(edited), nil)
		same, moved, gone := m.Health("rs1"), m.Health("rs2"), m.Health("rs3")
		if same.Health != appliance.Up || len(same.Probes) != len(before.Probes) || !same.Next.Equal(before.Next) {
			t.Errorf("the unchanged server lost something: %+v", same)
		}
		if moved.Health != appliance.Unknown || len(moved.Probes) != 3 || len(moved.Changes) != 2 {
			t.Errorf("the moved server: %+v", moved)
		}
		if gone.Health != appliance.Unknown || len(gone.Probes) != 0 {
			t.Errorf("the removed server is still known: %+v", gone)
		}
		time.Sleep(20 * time.Millisecond)
		if h := m.Health("rs2").Health; h != appliance.Up || n.count("10.0.0.2:105") != 1 {
			t.Errorf("the moved server is %s after %d probes", h, n.count("10.0.0.2:105"))
		}
		removed := n.count("10.0.0.3:104")
		halted := n.count(first)
		time.Sleep(20 * time.Second)
		if n.count("10.0.0.3:104") != removed {
			t.Error("a removed server is still probed")
		}
		if n.count(first) == halted {
			t.Error("a halted server is not probed")
		}
		if want := []string{"rs2 unknown", "rs2 up"}; !slices.Equal(told.all(), want) {
			t.Errorf("told %v", told.all())
		}
	})
}

func TestCadenceChangesWithoutLosingHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		m := New(Options{Dial: n.dial})
		running(t, m)
		s := service(1)
		s.Monitor.Interval = appliance.Duration(time.Hour)
		m.Apply(these(s), nil)
		time.Sleep(time.Second)
		s.Monitor.Interval = appliance.Duration(time.Second)
		m.Apply(these(s), nil)
		if h := m.Health("rs1"); h.Health != appliance.Up {
			t.Errorf("a new interval made it %s", h.Health)
		}
		time.Sleep(5*time.Second + 10*time.Millisecond)
		if got := n.count(first); got != 6 {
			t.Errorf("%d probes in six seconds", got)
		}
	})
}

func TestHangingServerDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.hang(first)
		m := New(Options{Dial: n.dial})
		running(t, m)
		m.Apply(these(service(2)), nil)
		time.Sleep(10 * time.Millisecond)
		if a, b := m.Health("rs1").Health, m.Health("rs2").Health; a != appliance.Unknown || b != appliance.Up {
			t.Errorf("after 10 ms: %s, %s", a, b)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		want := "No answer from 10.0.0.1 within 3s. The machine may be off or a firewall drops the packets."
		if h := m.Health("rs1"); h.Health != appliance.Down || h.Sentence != want {
			t.Errorf("after 3 s: %s %s", h.Health, h.Sentence)
		}
	})
}

func TestCancelledProbesDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.hang(first)
		m := New(Options{Dial: n.dial})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx) }()
		m.Apply(these(service(1)), nil)
		time.Sleep(time.Second)
		cancel()
		<-ended
		if h := m.Health("rs1"); h.Health != appliance.Unknown || len(h.Probes) != 0 {
			t.Errorf("%+v", h)
		}
	})
}

func TestServerThatMovesDuringAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.hang(first)
		m := New(Options{Dial: n.dial})
		running(t, m)
		s := service(1)
		m.Apply(these(s), nil)
		time.Sleep(time.Second)
		s.RealServers[0].Port = 105
		m.Apply(these(s), nil)
		time.Sleep(20 * time.Second)
		if h := m.Health("rs1"); h.Health != appliance.Up || len(h.Changes) != 1 || n.count(first) != 1 {
			t.Errorf("%s, %d changes, the old address was dialled %d times", h.Health, len(h.Changes), n.count(first))
		}
	})
}

func TestUncheckedServersAreUpAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var told news
		m := New(Options{Dial: n.dial, Changed: told.add})
		s := service(1)
		s.Monitor.Kind = appliance.MonitorNone
		m.Apply(these(s), nil)
		h := m.Health("rs1")
		if h.Health != appliance.Up || h.Sentence != "Not checked; always up." || !h.Next.IsZero() || !slices.Equal(told.all(), []string{"rs1 up"}) {
			t.Fatalf("%+v, told %v", h, told.all())
		}
		p, err := m.CheckNow(context.Background(), "rs1")
		if err != nil || !p.Good {
			t.Errorf("CheckNow: %+v, %v", p, err)
		}
		running(t, m)
		time.Sleep(time.Minute)
		if n.count(first) != 0 {
			t.Error("it was probed")
		}
		s.Monitor.Kind = appliance.MonitorConnect
		n.set(first, true)
		m.Apply(these(s), nil)
		time.Sleep(time.Second)
		if h := m.Health("rs1"); h.Health != appliance.Down || len(h.Changes) != 3 {
			t.Errorf("checked again: %+v", h)
		}
	})
}

func TestCheckNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		m := New(Options{Dial: n.dial})
		running(t, m)
		s := service(1)
		s.Monitor.Interval = appliance.Duration(time.Hour)
		m.Apply(these(s), nil)
		time.Sleep(time.Second)
		n.set(first, true)
		begin := time.Now()
		p, err := m.CheckNow(t.Context(), "rs1")
		if err != nil || p.Good || time.Since(begin) > 0 {
			t.Errorf("%+v, %v after %s", p, err, time.Since(begin))
		}
		if h := m.Health("rs1"); len(h.Probes) != 2 || h.Health != appliance.Up || h.Next.Sub(begin) != time.Hour {
			t.Errorf("the probe does not count like any other: %+v", h)
		}
		if _, err := m.CheckNow(t.Context(), "stranger"); appliance.KindOf(err) != appliance.NotFound {
			t.Errorf("a stranger: %v", err)
		}
		n.hang(first)
		answered := make(chan error, 1)
		go func() {
			_, err := m.CheckNow(t.Context(), "rs1")
			answered <- err
		}()
		synctest.Wait()
		m.Apply(nil, nil)
		if err := <-answered; appliance.KindOf(err) != appliance.NotFound {
			t.Errorf("removed while waiting: %v", err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		m.Apply(these(s), nil)
		if _, err := m.CheckNow(ended, "rs1"); !errors.Is(err, context.Canceled) {
			t.Errorf("an ended context: %v", err)
		}
	})
}

func TestOwnShortageProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var short atomic.Bool
		n := newNetwork()
		m := New(Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if short.Load() {
				return nil, &net.OpError{Op: "dial", Err: syscall.EMFILE}
			}
			return n.dial(ctx, network, address)
		}})
		running(t, m)
		m.Apply(these(service(1)), nil)
		time.Sleep(time.Second)
		short.Store(true)
		time.Sleep(time.Minute)
		if h := m.Health("rs1"); h.Health != appliance.Up || len(h.Probes) != 1 {
			t.Errorf("without descriptors it became %s: %s", h.Health, h.Sentence)
		}
	})
}

func TestChangedMayAskForHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var m *Monitor
		var told news
		m = New(Options{Dial: n.dial, Changed: func(id string, _ appliance.Health) { told.add(id, m.Health(id).Health) }})
		running(t, m)
		m.Apply(these(service(1)), nil)
		time.Sleep(time.Second)
		if want := []string{"rs1 up"}; !slices.Equal(told.all(), want) {
			t.Errorf("told %v", told.all())
		}
	})
}

func TestNoMoreProbesThanSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		m := New(Options{Dial: n.dial})
		running(t, m)
		m.mu.Lock()
		m.busy = MaxProbes
		m.mu.Unlock()
		m.Apply(these(service(1)), nil)
		time.Sleep(time.Minute)
		if n.count(first) != 0 {
			t.Fatal("a probe ran beyond the bound")
		}
		m.mu.Lock()
		m.busy = 0
		m.mu.Unlock()
		m.nudge()
		time.Sleep(time.Second)
		if n.count(first) != 1 {
			t.Errorf("%d probes after a slot was free", n.count(first))
		}
	})
}

// these hands over copies, as an engine does with what changed.
func these(list ...appliance.VirtualService) []*appliance.VirtualService {
	var out []*appliance.VirtualService
	for _, s := range list {
		own := s.Clone()
		out = append(out, &own)
	}
	return out
}

func TestAServiceThatIsHandedOverAgainIsLeftAlone(t *testing.T) {
	m := New(Options{})
	one, two := service(2), service(1)
	two.ID, two.RealServers[0].ID = "other", "elsewhere"
	list := these(one, two)
	m.Apply(list, nil)
	before := m.entries[one.RealServers[0].ID]
	changed := these(two)[0]
	changed.RealServers[0].ID = "renamed"
	m.Apply([]*appliance.VirtualService{list[0], changed}, nil)
	if m.entries[one.RealServers[0].ID] != before || m.entries["elsewhere"] != nil || m.entries["renamed"] == nil || len(m.entries) != 3 {
		t.Errorf("%v", m.entries)
	}
	m.Apply(list[1:], nil)
	if len(m.entries) != 1 || m.entries["elsewhere"] == nil {
		t.Errorf("%v", m.entries)
	}
}
