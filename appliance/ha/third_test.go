package ha

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/appliance/ha/beat"
	"evenkeel/appliance/ha/role"
	"evenkeel/engine/wire/wiretest"
)

func TestWordIsGivenToOneNodeAtATime(t *testing.T) {
	const ms = time.Millisecond
	claim := func(says role.Says) *beat.Beat { return &beat.Beat{Claim: true, Says: uint16(says)} }
	p := &witnessed{holder: -1, start: wordHolds}
	for _, step := range []struct {
		why      string
		at       time.Duration
		node     int
		question *beat.Beat
		want     bool
	}{
		{"a node that owns nothing, right after the witness's start", 10 * ms, 1, claim(0), false},
		{"the owner, right after the witness's start", 20 * ms, 0, claim(role.Owns), true},
		{"the other one meanwhile", 30 * ms, 1, claim(role.Owns), false},
		{"the owner again", 200 * ms, 0, claim(role.Owns), true},
		{"the other one, when the first word would be over", 240 * ms, 1, claim(0), false},
		{"the other one, who only asks whether the witness lives", 250 * ms, 1, &beat.Beat{}, true},
		{"the other one, when the owner is silent", 200*ms + wordHolds, 1, claim(0), true},
		{"the old owner, who comes back", 500 * ms, 0, claim(role.Owns), false},
		{"the new owner, who no longer needs it", 510 * ms, 1, &beat.Beat{}, true},
		{"the old owner then", 520 * ms, 0, claim(0), true},
	} {
		if got := p.word(step.node, step.question, step.at); got != step.want {
			t.Errorf("%s: %v", step.why, got)
		}
	}
}

// startWitness runs a witness for the couple and tells both nodes of it.
func startWitness(t *testing.T, c *couple) *Witness {
	t.Helper()
	key := newKey(77)
	port := c.left.o.Paths[0].Peer.Port()
	w, err := NewWitness(WitnessOptions{
		Listen: []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("127.0.0.33"), port)},
		Pairs:  []WitnessedPair{{Cluster: "00000000000000c1", Nodes: [2]string{"000000000000000a", "000000000000000b"}, Key: key}},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for _, h := range []*half{c.left, c.right} {
		h.o.Membership.Witness = key
		h.o.Settings = appliance.NewHeartbeat()
		h.o.Settings.Witness, h.o.Settings.Asked = appliance.WitnessNode, []netip.Addr{netip.MustParseAddr("127.0.0.33")}
	}
	return w
}

func TestWitnessNodeLetsTheSurvivorTakeOver(t *testing.T) {
	c := newCouple(t, nil)
	w := startWitness(t, c)
	c.settle(t)
	text, err := os.ReadFile(filepath.Join(c.left.o.Dir, WitnessFile))
	var known WitnessedPair
	if err != nil || json.Unmarshal(text, &known) != nil || known.Cluster != "00000000000000c1" || len(known.Key.Secret) != beat.KeySize {
		t.Errorf("the file for the witness holds %+v (%v)", known, err)
	}
	until(t, "the witness answers both", func() bool { return c.left.Status().Witness.Answers && c.right.Status().Witness.Answers })
	changed := c.right.o.Settings
	changed.Interval += appliance.Duration(time.Millisecond)
	c.right.SetSettings(changed) // questions go on counting: the witness refuses what it has answered
	thaw := c.left.freeze(t)
	until(t, "right owns the addresses", func() bool { return c.street.owner() == "right" })
	thaw()
	c.agree(t, appliance.Passive)
	if r := w.Rejected(); len(r) != 0 {
		t.Errorf("the witness has refused %v", r)
	}
	c.left.end(t)
	if _, err := os.Stat(filepath.Join(c.left.o.Dir, WitnessFile)); err == nil {
		t.Error("the file for the witness outlives the node")
	}
}

func TestWitnessNodeKeepsOneOwnerWhenTheWireIsCut(t *testing.T) {
	c := newCouple(t, nil)
	startWitness(t, c)
	// Each sends to where nobody listens: they never hear each other, on no path, and both reach the witness.
	for _, h := range []*half{c.left, c.right} {
		for i := range h.o.Paths {
			h.o.Paths[i].Peer = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.44"), h.o.Paths[i].Peer.Port())
		}
	}
	c.left.start(t)
	c.right.start(t)
	until(t, "one of them owns the addresses", func() bool { return c.street.owner() != "" })
	first := c.street.owner()
	other := c.right
	if first == "right" {
		other = c.left
	}
	until(t, "the other has given up", func() bool { return other.Activity() == appliance.Cut })
	if got := c.street.owner(); got != first {
		t.Errorf("the owner was %s and is %q", first, got)
	}
	if s := other.Status(); s.Witness.Answers && !strings.Contains(s.Sentence, "witness") {
		t.Errorf("%+v", s)
	}
}

func TestWitnessRefusesWhatCannotBe(t *testing.T) {
	good := WitnessedPair{Cluster: "00000000000000c1", Nodes: [2]string{"000000000000000a", "000000000000000b"}, Key: newKey(1)}
	for name, change := range map[string]func(*WitnessedPair){
		"cluster": func(p *WitnessedPair) { p.Cluster = "" },
		"node":    func(p *WitnessedPair) { p.Nodes[1] = "right" },
		"key":     func(p *WitnessedPair) { p.Key.Secret = nil },
	} {
		p := good
		change(&p)
		if _, err := NewWitness(WitnessOptions{Pairs: []WitnessedPair{p}}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	w, err := NewWitness(WitnessOptions{Listen: []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("192.0.2.77"), wiretest.Port(t, 1))}, Pairs: []WitnessedPair{good}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(context.Background()); err == nil {
		t.Error("an address of another machine is listened on")
	}
}

func TestSilentWitnessKeepsThePassiveNodePassive(t *testing.T) {
	c := newCouple(t, nil)
	c.settle(t)
	c.street.silence()
	thaw := c.left.freeze(t)
	defer thaw()
	until(t, "right knows that it is cut off", func() bool { return c.right.Activity() == appliance.Cut })
	if c.street.owner() != "" {
		t.Errorf("the owner is %q", c.street.owner())
	}
	until(t, "right says so", func() bool { return strings.Contains(c.right.Status().Sentence, "neither left nor its witness") })
	if s := c.right.Status().Witness; s.Sentence == "" {
		t.Errorf("%+v", s)
	}
}

func TestOnlyAskedAddressesAreAWitness(t *testing.T) {
	c := newCouple(t, func(o *Options) {
		o.Settings = appliance.NewHeartbeat()
		o.Settings.Witness, o.Settings.Asked = appliance.WitnessAddresses, []netip.Addr{netip.MustParseAddr("192.0.2.77")}
	})
	c.settle(t)
	until(t, "the witness answers", func() bool { return c.left.Status().Witness.Answers && c.right.Status().Witness.Answers })
	c.street.silence()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for { // somebody else answers all the time
			select {
			case c.right.kernel.events <- appliance.KernelEvent{Kind: appliance.WitnessAnswered, At: bootTime(), Address: netip.MustParseAddr("192.0.2.78")}:
			case <-stop:
				return
			}
		}
	}()
	thaw := c.left.freeze(t)
	defer thaw()
	until(t, "right knows that it is cut off", func() bool { return c.right.Activity() == appliance.Cut })
}

func TestTableThatSpeaksHoldsATakeoverOff(t *testing.T) {
	alive := make(chan struct{})
	c := newCouple(t, func(o *Options) {
		o.TableAlive = func() bool {
			select {
			case <-alive:
				return false
			default:
				return o.Membership.Self.Name == "right"
			}
		}
	})
	c.settle(t)
	thaw := c.left.freeze(t)
	defer thaw()
	until(t, "right knows that only heartbeats are missing", func() bool { return strings.Contains(c.right.Status().Sentence, "is blocked between the nodes") })
	until(t, "left's lease is over", func() bool { return c.street.owner() == "" })
	if got := c.right.Activity(); got == appliance.Active {
		t.Error("right has taken over from a peer that lives")
	}
	close(alive)
	until(t, "right takes over when the table is silent, too", func() bool { return c.street.owner() == "right" })
}
