package ha

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"evenkeel/appliance"
	"evenkeel/engine/wire/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what comes at once on a machine that is not busy.
const patience = time.Minute

// until waits for something that is looked for again and again.
func until(t *testing.T, what string, there func() bool) {
	t.Helper()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for end := time.After(patience); !there(); {
		select {
		case <-again.C:
		case <-end:
			t.Fatalf("not in time: %s", what)
		}
	}
}

// street is the network of the services, as both kernels see it: who has a lease, and until when.
type street struct {
	mu       sync.Mutex
	leases   map[string]time.Duration
	changes  []string // of the owner
	overlaps []string
	gateway  bool   // it answers
	severed  string // but not this node
}

// kernel is the machine of one node on the street.
type kernel struct {
	street *street
	name   string
	events chan appliance.KernelEvent
	ups    chan string // what was asked of it, in order; whatever finds no room is forgotten
}

func (s *street) kernel(name string) *kernel {
	return &kernel{street: s, name: name, events: make(chan appliance.KernelEvent, 64), ups: make(chan string, 1000)}
}

func (k *kernel) note(format string, args ...any) {
	select {
	case k.ups <- fmt.Sprintf(format, args...):
	default:
	}
}

func (k *kernel) Renew(until time.Duration) error {
	s := k.street
	s.mu.Lock()
	defer s.mu.Unlock()
	now := bootTime()
	if s.leases[k.name] <= now {
		s.changes = append(s.changes, k.name)
		k.note("lease")
	}
	for other, end := range s.leases {
		if other != k.name && end > now {
			s.overlaps = append(s.overlaps, fmt.Sprintf("%s has a lease for %v when %s renews its own", other, end-now, k.name))
		}
	}
	s.leases[k.name] = max(s.leases[k.name], until)
	return nil
}

func (k *kernel) Drop() error {
	k.street.mu.Lock()
	defer k.street.mu.Unlock()
	k.street.leases[k.name] = 0
	return nil
}

func (k *kernel) Up(context.Context) error   { k.note("up"); return nil }
func (k *kernel) Down(context.Context) error { k.note("down"); return nil }
func (k *kernel) Announce(round int)         { k.note("announce %d", round) }
func (k *kernel) Probe()                     {}
func (k *kernel) Gateways() []netip.Addr     { return []netip.Addr{netip.MustParseAddr("192.0.2.254")} }

func (k *kernel) Places() map[netip.Addr]string {
	return map[netip.Addr]string{netip.MustParseAddr("192.0.2.10"): k.name + "0"}
}

func (k *kernel) Events() <-chan appliance.KernelEvent {
	return k.events
}

func (k *kernel) AskWitness(a netip.Addr) {
	if !a.IsValid() {
		a = netip.MustParseAddr("192.0.2.254")
	}
	k.street.mu.Lock()
	defer k.street.mu.Unlock()
	if k.street.gateway && k.street.severed != k.name {
		select {
		case k.events <- appliance.KernelEvent{Kind: appliance.WitnessAnswered, At: bootTime(), Address: a}:
		default:
		}
	}
}

// silence lets no gateway answer any more.
func (s *street) silence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gateway = false
}

func (s *street) owner() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := bootTime()
	for name, end := range s.leases {
		if end > now {
			return name
		}
	}
	return ""
}

func (s *street) owners() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.changes)
}

func (s *street) verify(t *testing.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.overlaps {
		t.Errorf("two owners: %s", o)
	}
}

// couple is a pair in one process.
type couple struct {
	street *street
	left   *half
	right  *half
}

// half is one node with what it keeps and who runs it.
type half struct {
	*Node
	o      Options
	kernel *kernel
	keys   *drawer
	stop   context.CancelFunc
	done   chan error
}

// drawer is where a node's keys are stored.
type drawer struct {
	mu   sync.Mutex
	keys []appliance.HeartbeatKey
}

func (d *drawer) save(_ context.Context, keys []appliance.HeartbeatKey) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keys = keys
	return nil
}

func (d *drawer) ids() (ids []uint8) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range d.keys {
		ids = append(ids, k.ID)
	}
	return ids
}

func newKey(id uint8) appliance.HeartbeatKey {
	return appliance.HeartbeatKey{ID: id, Secret: bytes.Repeat([]byte{id}, 32)}
}

// newCouple makes a pair on loopback addresses; change may alter the options of each.
func newCouple(t *testing.T, change func(*Options)) *couple {
	t.Helper()
	port := wiretest.Port(t, 1)
	c := &couple{street: &street{leases: map[string]time.Duration{}, gateway: true}}
	one := appliance.Node{ID: "000000000000000a", Name: "left", Role: appliance.Primary}
	other := appliance.Node{ID: "000000000000000b", Name: "right", Role: appliance.Secondary}
	at := func(a string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(a), port) }
	c.left = c.half(t, one, other, []Path{{at("127.0.0.11"), at("127.0.0.12"), "a"}, {at("127.0.0.21"), at("127.0.0.22"), "b"}}, change)
	c.right = c.half(t, other, one, []Path{{at("127.0.0.12"), at("127.0.0.11"), "a"}, {at("127.0.0.22"), at("127.0.0.21"), "b"}}, change)
	t.Cleanup(func() {
		c.left.end(t)
		c.right.end(t)
		c.street.verify(t)
	})
	return c
}

func (c *couple) half(t *testing.T, self, peer appliance.Node, paths []Path, change func(*Options)) *half {
	h := &half{kernel: c.street.kernel(self.Name), keys: &drawer{}}
	h.o = Options{
		Membership: appliance.Membership{Cluster: "00000000000000c1", Self: self, Peer: peer, Keys: []appliance.HeartbeatKey{newKey(1)}},
		Dir:        t.TempDir(), Paths: paths, Kernel: h.kernel, Facts: Facts{Healthy: true, Version: "1.0"}, SaveKeys: h.keys.save,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if change != nil {
		change(&h.o)
	}
	return h
}

// start makes the node and runs it.
func (h *half) start(t *testing.T) {
	t.Helper()
	n, err := New(h.o)
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, h.stop = context.WithCancel(context.Background())
	h.Node, h.done = n, make(chan error, 1)
	go func(n *Node, done chan error) { done <- n.Run(ctx) }(n, h.done)
}

// end stops the node and waits for it.
func (h *half) end(t *testing.T) {
	t.Helper()
	if h.stop == nil {
		return
	}
	h.stop()
	h.stop = nil
	select {
	case err := <-h.done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("a node does not end")
	}
}

// freeze holds the loop up, as a stopped process, until thaw is called.
func (h *half) freeze(t *testing.T) (thaw func()) {
	frozen, warm := make(chan struct{}), make(chan struct{})
	if !h.insist(context.Background(), func(*loop) { close(frozen); <-warm }) {
		t.Fatal("not frozen")
	}
	<-frozen
	return func() { close(warm) }
}

// settle starts both and waits until they agree that left is active; on a busy machine right may come first.
func (c *couple) settle(t *testing.T) {
	t.Helper()
	c.left.start(t)
	c.right.start(t)
	until(t, "one is active", func() bool {
		return c.agreed(appliance.Active, appliance.Passive) || c.agreed(appliance.Passive, appliance.Active)
	})
	if c.agreed(appliance.Passive, appliance.Active) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		until(t, "left is given the addresses", func() bool { return c.left.MakeActive(ctx, false) == nil })
	}
	c.agree(t, appliance.Active)
}

// agree waits until left does what is said, and right the opposite, and both hear each other.
func (c *couple) agree(t *testing.T, left appliance.Activity) {
	t.Helper()
	right := appliance.Passive
	if left == appliance.Passive {
		right = appliance.Active
	}
	until(t, fmt.Sprintf("left is %s", left), func() bool { return c.agreed(left, right) })
}

// agreed tells whether each does what is said and knows what the other does.
func (c *couple) agreed(left, right appliance.Activity) bool {
	a, b := c.left.seen.Load(), c.right.seen.Load()
	return a.activity == left && b.activity == right && a.peer.State == right && b.peer.State == left && a.contact && b.contact
}

// stood tells whether the machine was so busy, or stood so long, that a node may rightly have lost its lease.
func (c *couple) stood() bool {
	return c.left.stood() || c.right.stood()
}

func (h *half) stood() bool { return h.Node != nil && h.seen.Load().late >= 50*time.Millisecond }

func codes(n *Node) map[string]int {
	out := map[string]int{}
	for _, e := range n.Timeline() {
		out[e.Node+" "+e.Code]++
	}
	return out
}
