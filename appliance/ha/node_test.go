package ha

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/appliance/ha/role"
	"evenkeel/engine/wire/wiretest"
)

func TestTwoNodesAgreeOnOne(t *testing.T) {
	c := newCouple(t, nil)
	c.settle(t)
	left, right := c.left.Status(), c.right.Status()
	if left.Self.State != appliance.Active || left.Peer.State != appliance.Passive || right.Peer.State != appliance.Active || !right.Peer.Healthy {
		t.Errorf("left says %+v of itself and %+v of right", left.Self, left.Peer)
	}
	if right.Peer.Version != "1.0" || right.Peer.Name != "left" || right.Peer.Heard.IsZero() || len(right.Paths) != 2 || !right.Paths[0].Alive || !right.Paths[1].Alive {
		t.Errorf("right says %+v, paths %+v", right.Peer, right.Paths)
	}
	if left.Sentence != "left is active and owns the floating addresses; right is ready to take them." {
		t.Errorf("%q", left.Sentence)
	}
	if right.Sentence != "left is active and owns the floating addresses; right is passive and ready to take them." {
		t.Errorf("%q", right.Sentence)
	}
	if !left.Witness.Configured || left.Last == nil || left.Last.Why == "" {
		t.Errorf("witness %+v, last takeover %+v", left.Witness, left.Last)
	}
	until(t, "both timelines have left's decision", func() bool {
		return codes(c.left.Node)["left elected"] == 1 && codes(c.right.Node)["left elected"] == 1
	})
	var order []string
	for len(c.left.kernel.ups) > 0 {
		order = append(order, <-c.left.kernel.ups)
	}
	up, lease, told := slices.Index(order, "up"), slices.Index(order, "lease"), slices.Index(order, "announce 0")
	if up < 0 || lease < up || told < lease {
		t.Errorf("addresses, lease, announcement in the order %q", order)
	}
}

func TestHeartbeatsTravelOverIPv6(t *testing.T) {
	port := wiretest.Port(t, 2)
	one := netip.AddrPortFrom(netip.IPv6Loopback(), port)
	other := netip.AddrPortFrom(netip.IPv6Loopback(), port+1)
	c := newCouple(t, func(o *Options) {
		o.Paths = []Path{{Local: one, Peer: other}}
		if o.Membership.Self.Name == "right" {
			o.Paths = []Path{{Local: other, Peer: one}}
		}
	})
	c.settle(t)
	if r := c.left.Status().Rejected; len(r) != 0 {
		t.Errorf("refused %v", r)
	}
}

func TestBothStartedAtOnceHaveOneOwner(t *testing.T) {
	c := newCouple(t, nil)
	for range 5 {
		c.settle(t)
		c.left.end(t)
		c.right.end(t)
		c.street.verify(t)
	}
}

func TestPeerTakesOverFromAFrozenNode(t *testing.T) {
	c := newCouple(t, nil)
	c.settle(t)
	thaw := c.left.freeze(t)
	defer thaw()
	until(t, "right owns the addresses", func() bool { return c.street.owner() == "right" })
	until(t, "right's status says so", func() bool { return c.right.Status().Last != nil })
	last := c.right.Status().Last
	if last.Planned || last.Silence < appliance.Lease || !strings.Contains(last.Why, "silent") {
		t.Errorf("%+v", last)
	}
	until(t, "right says that it is alone", func() bool {
		return strings.Contains(c.right.Status().Sentence, "active and alone: left has been silent for")
	})
}

func TestFrozenNodeWakesPassive(t *testing.T) {
	c := newCouple(t, nil)
	c.settle(t)
	thaw := c.left.freeze(t)
	until(t, "right owns the addresses", func() bool { return c.street.owner() == "right" })
	thaw()
	c.agree(t, appliance.Passive)
	until(t, "left has noticed", func() bool { return codes(c.left.Node)["left woke"] > 0 })
	if late := c.left.Status().Limits; !slices.ContainsFunc(late, func(s string) bool { return strings.Contains(s, "ms late") }) {
		t.Errorf("%q", late)
	}
}

func TestPlannedSwitchLetsRequestsFinish(t *testing.T) {
	drained, finish, resumed := make(chan struct{}, 1), make(chan struct{}), make(chan struct{}, 1)
	shut, last := make(chan struct{}, 1), make(chan struct{})
	c := newCouple(t, func(o *Options) {
		if o.Membership.Self.Name != "left" {
			return
		}
		held := func(begun, over chan struct{}) func(context.Context) error {
			return func(ctx context.Context) error {
				begun <- struct{}{}
				select {
				case <-over:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		o.Drain, o.Shut = held(drained, finish), held(shut, last)
		o.Resume = func() { resumed <- struct{}{} }
	})
	c.settle(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- c.right.MakeActive(ctx, false) }()
	<-drained
	until(t, "left hands on", func() bool { return c.left.Activity() == appliance.HandingOn })
	if c.street.owner() != "left" {
		t.Error("left has let the addresses go before its requests were finished")
	}
	if len(shut) > 0 {
		t.Error("left lets nobody in while requests are under way")
	}
	close(finish)
	<-shut
	if c.street.owner() != "left" {
		t.Error("left has let the addresses go before its last clients were served")
	}
	close(last)
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	<-resumed
	c.agree(t, appliance.Passive)
	if last := c.right.Status().Last; last == nil || !last.Planned {
		t.Errorf("%+v", last)
	}
	for name, n := range map[string]*Node{"left": c.left.Node, "right": c.right.Node} {
		until(t, "both have the switch in their timeline", func() bool { return len(lateOf(n, role.HandsNow)) > 0 && len(lateOf(n, role.Given)) > 0 })
		free, taken := lateOf(n, role.HandsNow)[0], lateOf(n, role.Given)[0]
		if theirs, own := max(free, taken), min(free, taken); own != 0 || theirs <= 0 || theirs > patience || (free == 0) != (name == "left") {
			t.Errorf("%s: free up to %v late, taken up to %v", name, free, taken)
		}
	}
	until(t, "left may have the addresses again", func() bool { return c.right.StandBy(ctx) == nil })
	c.agree(t, appliance.Active)
}

func TestCommandIsRefusedWithItsReason(t *testing.T) {
	c := newCouple(t, nil)
	c.left.start(t)
	until(t, "left is active", func() bool { return c.left.Activity() == appliance.Active })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for op, do := range map[string]func(context.Context) error{"StandBy": c.left.StandBy, "RotateKey": c.left.RotateKey} {
		var e *appliance.Error
		if err := do(ctx); !errors.As(err, &e) || e.Kind != appliance.Conflict && e.Kind != appliance.Unavailable || len(e.Text()) < 20 {
			t.Errorf("%s without a peer: %v", op, err)
		}
	}
	if err := c.left.MakeActive(ctx, false); err != nil {
		t.Errorf("what is so already: %v", err)
	}
}

func TestNodeThatLeavesHandsOn(t *testing.T) {
	c := newCouple(t, nil)
	c.settle(t)
	c.left.end(t)
	until(t, "right is active", func() bool { return c.right.Activity() == appliance.Active })
	if last := c.right.Status().Last; last == nil || !last.Planned {
		t.Errorf("%+v", last)
	}
	var after []string
	for len(c.left.kernel.ups) > 0 {
		after = append(after, <-c.left.kernel.ups)
	}
	if after[len(after)-1] != "down" {
		t.Errorf("the addresses of a node that has left: %q", after)
	}
	c.left.start(t)
	until(t, "they agree", func() bool {
		return c.agreed(appliance.Passive, appliance.Active) || c.agreed(appliance.Active, appliance.Passive)
	})
	if c.left.Activity() == appliance.Active && !c.stood() {
		t.Error("left takes the addresses back")
	}
}

func TestUnhealthyNodeGivesTheAddressesAway(t *testing.T) {
	c := newCouple(t, nil)
	c.settle(t)
	if err := c.left.SetFacts(Facts{Revision: 7, Hash: strings.Repeat("ab", 16), Digest: [16]byte{3}, Version: "1.0"}); err != nil {
		t.Fatal(err)
	}
	c.agree(t, appliance.Passive)
	until(t, "right knows left's facts", func() bool {
		s := c.right.Status().Peer
		d, at := c.right.PeerDigest()
		return s.Revision == 7 && s.Hash == strings.Repeat("ab", 16) && !s.Healthy && d == [16]byte{3} && !at.IsZero()
	})
	if err := c.left.SetFacts(Facts{Hash: "short"}); err == nil {
		t.Error("a hash of another length is taken")
	}
}

func TestNodeWithoutALinkGivesTheAddressesAway(t *testing.T) {
	c := newCouple(t, nil)
	c.settle(t)
	tell := func(h *half, name string, up bool) {
		h.kernel.events <- appliance.KernelEvent{Kind: appliance.LinkChanged, Interface: name, Up: up}
	}
	tell(c.left, "elsewhere", false) // no floating address belongs there
	tell(c.right, "right0", false)
	until(t, "right is not healthy", func() bool { return !c.left.Status().Peer.Healthy })
	tell(c.right, "right0", true)
	until(t, "right is healthy again", func() bool { return c.left.Status().Peer.Healthy })
	if n := codes(c.left.Node)["left health_gone"]; n != 0 || c.left.Activity() != appliance.Active {
		t.Errorf("left is %s", c.left.Activity())
	}
	tell(c.left, "left0", false)
	c.agree(t, appliance.Passive)
	until(t, "left says why", func() bool { return codes(c.left.Node)["left health_gone"] == 1 })
}

func TestKeyChangesUnderTraffic(t *testing.T) {
	c := newCouple(t, nil)
	c.settle(t)
	owners := c.street.owners()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for id := uint8(2); id < 5; id++ {
		until(t, "the change begins", func() bool { // what is shown of the one before may be older than what is so
			err := c.right.RotateKey(ctx)
			if err != nil && appliance.KindOf(err) != appliance.Conflict {
				t.Fatal(err)
			}
			return err == nil
		})
		until(t, "both hold the next key alone", func() bool {
			return slices.Equal(c.left.keys.ids(), []uint8{id}) && slices.Equal(c.right.keys.ids(), []uint8{id}) &&
				c.left.Status().KeyChange == "" && c.right.Status().KeyChange == ""
		})
	}
	if string(c.left.keys.keys[0].Secret) != string(c.right.keys.keys[0].Secret) {
		t.Error("the nodes hold different keys")
	}
	c.agree(t, appliance.Active)
	if r := c.left.Status().Rejected; r["key"] != 0 || r["forged"] != 0 || c.street.owners() != owners && !c.stood() {
		t.Errorf("refused %v, owners %d → %d", r, owners, c.street.owners())
	}
	until(t, "the timeline says so", func() bool { return codes(c.left.Node)["right key_changed"] == 3 })
}

func TestEpochGrowsWithEveryLife(t *testing.T) {
	c := newCouple(t, nil)
	for life := uint64(1); life < 4; life++ {
		c.left.start(t)
		until(t, "left decides", func() bool { return c.left.Activity() == appliance.Active })
		c.left.end(t)
		if m, damaged, err := readMemory(c.left.o.Dir); err != nil || damaged || m.Epoch != life || !m.Gateway {
			t.Errorf("life %d: %+v %v %v", life, m, damaged, err)
		}
	}
	events := c.left.Timeline()
	if n := codes(c.left.Node)["left started"]; n != 3 || events[0].Sentence == "" || events[0].At.IsZero() {
		t.Errorf("%d starts in %+v", n, events)
	}
}

func TestNodeThatWasPutBackCountsOn(t *testing.T) {
	for name, text := range map[string]string{"restored": `{"epoch":3}`, "damaged": `{"epo`} {
		t.Run(name, func(t *testing.T) {
			c := newCouple(t, nil)
			write := func(text string) {
				if err := os.WriteFile(filepath.Join(c.left.o.Dir, memoryFile), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write(`{"epoch":100}`)
			c.settle(t)
			c.left.end(t)
			until(t, "right owns the addresses", func() bool { return c.street.owner() == "right" })
			write(text)
			c.left.start(t)
			until(t, "both know who is active", func() bool { // on a busy machine an active node may have lost its lease meanwhile
				return c.agreed(appliance.Passive, appliance.Active) || c.agreed(appliance.Active, appliance.Passive)
			})
			if m, _, err := readMemory(c.left.o.Dir); err != nil || m.Epoch <= 101 {
				t.Errorf("%+v %v", m, err)
			}
			until(t, "the timeline says so", func() bool { return codes(c.left.Node)["left epoch_raised"] == 1 })
		})
	}
}

func TestRestartOfTheHeartbeatKeepsTheRole(t *testing.T) {
	c := newCouple(t, nil)
	c.settle(t)
	owners := c.street.owners()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for range 3 {
		if err := c.left.RestartHeartbeat(ctx); err != nil {
			t.Fatal(err)
		}
		c.agree(t, appliance.Active)
	}
	if n := c.street.owners(); n != owners && !c.stood() {
		t.Errorf("%d changes of the owner", n-owners)
	}
}

// TestOwnerThatKeepsTheAddressesHasThemUntilTheRulesAreGone: the end of a pair takes longer than a lease.
func TestOwnerThatKeepsTheAddressesHasThemUntilTheRulesAreGone(t *testing.T) {
	c := newCouple(t, nil)
	c.settle(t)
	c.right.end(t)
	until(t, "left owns the addresses without the other", func() bool { return c.street.owner() == "left" && c.left.Status().Self.State == appliance.Active })
	c.left.Keep()
	c.left.end(t)
	c.street.mu.Lock()
	defer c.street.mu.Unlock()
	if left := c.street.leases["left"] - bootTime(); left < keptLease/2 {
		t.Errorf("the lease lives for %v more", left)
	}
}

func TestPairWithoutFloatingAddressesFindsWhoIsActive(t *testing.T) {
	changed := make(chan appliance.Activity, 100)
	c := newCouple(t, func(o *Options) {
		o.Kernel = nil
		if o.Membership.Self.Name == "left" {
			o.Changed = func(a appliance.Activity) { changed <- a }
		}
	})
	c.settle(t)
	for a := range changed {
		if a == appliance.Active {
			break
		}
	}
	if s := c.left.Status(); !slices.Contains(s.Limits, "This pair has no floating addresses: it shares settings and tables only.") || s.Witness.Configured ||
		strings.Contains(strings.Join(s.Limits, " "), "may own the addresses") || s.Witness.Sentence != "No witness is asked: no address moves between the nodes." {
		t.Errorf("%q, %q", s.Limits, s.Witness.Sentence)
	}
	until(t, "both say that no address moves", func() bool {
		const want = "left is active, right passive. No address moves between them: this pair shares its settings and its persistence table."
		return c.left.Status().Sentence == want && c.right.Status().Sentence == want
	})
}

func TestWhatCannotBeIsRefused(t *testing.T) {
	good := newCouple(t, nil).left.o
	for name, change := range map[string]func(*Options){
		"cluster":    func(o *Options) { o.Membership.Cluster = "x" },
		"self":       func(o *Options) { o.Membership.Self.ID = "" },
		"peer":       func(o *Options) { o.Membership.Peer.ID = "zz" },
		"same node":  func(o *Options) { o.Membership.Peer.ID = o.Membership.Self.ID },
		"no key":     func(o *Options) { o.Membership.Keys = nil },
		"short key":  func(o *Options) { o.Membership.Keys = []appliance.HeartbeatKey{{ID: 1, Secret: []byte("short")}} },
		"witness":    func(o *Options) { o.Membership.Witness = appliance.HeartbeatKey{ID: 1} },
		"no path":    func(o *Options) { o.Paths = []Path{} },
		"no address": func(o *Options) { o.Paths = nil },
		"to itself":  func(o *Options) { o.Paths = []Path{{Local: o.Paths[0].Local, Peer: o.Paths[0].Local}} },
		"hash":       func(o *Options) { o.Facts.Hash = "x" },
	} {
		o := good
		change(&o)
		var e *appliance.Error
		if _, err := New(o); !errors.As(err, &e) || e.Kind != appliance.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDatagramsCostNoAllocation(t *testing.T) {
	c := newCouple(t, nil)
	make := func(h *half) *loop {
		n, err := New(h.o)
		if err != nil {
			t.Fatal(err)
		}
		l, err := newLoop(n, memory{Epoch: 1}, -1)
		if err != nil {
			t.Fatal(err)
		}
		l.facts = n.facts.Load()
		l.configure()
		l.open(bootTime())
		t.Cleanup(l.close)
		return l
	}
	left, right := make(c.left), make(c.right)
	left.state.At = bootTime()
	count := testing.AllocsPerRun(500, func() {
		left.send()
		right.send()
		left.hear()
		right.hear()
	})
	if left.peer.Sequence < 400 || right.peer.Sequence < 400 {
		t.Fatalf("heard %d and %d", left.peer.Sequence, right.peer.Sequence)
	}
	if count > 0 {
		t.Errorf("%v allocations for two datagrams on two paths", count)
	}
}

// lateOf returns how late the times of a decision may be, as the timeline of a node has it.
func lateOf(n *Node, code role.Code) (out []time.Duration) {
	for _, e := range n.Timeline() {
		if e.Code == string(code) {
			out = append(out, e.Late)
		}
	}
	return out
}
