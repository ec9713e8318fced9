package story

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"evenkeel/appliance"
)

// fault is one row of the laboratory's table.
type fault struct {
	name   string
	inject func(*round)
	heal   func(*round)                 // nil: it has healed by itself
	moves  outcome                      // what becomes of the owner
	lasts  time.Duration                // how long the fault stays; with a change of owner also until the other is active
	check  func(*round, tally) []string // what else must hold; nil: nothing
	probes string                       // who is asked; empty: the web service
	every  time.Duration                // how often; zero: a thousand times a second

	blind   bool // so much is lost that a machine which stands still as well may make both owners, as package role says of its limits
	rough   bool // heartbeats get gaps, which make the pair more patient for a while
	disks   bool // it needs file systems of the nodes' own
	spares  bool // no client that has its connection goes without an answer
	freezes bool // it stops a node, which says so in its timeline, or sets the clock that the timeline goes by

	full, short int // how often it is tried, in the whole laboratory and among the other tests
}

// outcome is what a fault may do to the owner.
type outcome int

const (
	stays  outcome = iota // no change of owner
	moves                 // one change, to the other node
	either                // at most one change
	chaos                 // as many as it takes; never two owners
)

// round is one trial of a fault.
type round struct {
	*couple
	owner, other *node
	at           time.Time // of the fault
	number       int       // of the trial
	draw         *rand.Rand
	keep         map[string]any
}

// tally is what one trial came to.
type tally struct {
	verdict
	gap     time.Duration // the longest time without an answer
	failed  int           // attempts
	refused int           // of them by a reset
	cut     int           // of them with a request that was not answered
	seen    []sighting
	bad     []string

	stood  time.Duration // the machine itself
	calmed time.Duration // how long the healed pair took to say on both nodes that all is well
}

// activeLetter finds the owner, as both nodes tell it.
func (c *couple) active() (owner, other *node, ok bool) {
	a, b := c.a.status(), c.b.status()
	switch {
	case a.Self.State == appliance.Active && a.Peer.State == appliance.Passive && b.Self.State == appliance.Passive && b.Peer.State == appliance.Active:
		return c.a, c.b, a.Settings.InSync && b.Settings.InSync && a.Table.InSync
	case b.Self.State == appliance.Active && b.Peer.State == appliance.Passive && a.Self.State == appliance.Passive && a.Peer.State == appliance.Active:
		return c.b, c.a, a.Settings.InSync && b.Settings.InSync && b.Table.InSync
	}
	return nil, nil, false
}

// calm waits until one node is active, the other passive, both know it of each other, and settings and tables are in sync.
func (c *couple) calm() (owner, other *node) {
	c.t.Helper()
	for end := time.Now().Add(60 * time.Second); ; pause(c.t, 10*time.Millisecond) {
		owner, other, ok := c.active()
		if ok {
			return owner, other
		}
		if time.Now().After(end) {
			c.t.Fatalf("the pair does not come to rest:\na: %+v\nb: %+v\n%s", c.a.status(), c.b.status(), c.told(time.Time{}))
		}
	}
}

// try lives through a fault once.
func (c *couple) try(f fault, number int) (out tally) {
	c.t.Helper()
	r := &round{couple: c, number: number, draw: rand.New(rand.NewPCG(seed(), uint64(number))), keep: map[string]any{}}
	r.owner, r.other = c.calm()
	target := f.probes
	if target == "" {
		target = labService
	}
	w, p, still := c.watch(target), c.probeEvery(labEndpoint(target), max(f.every, time.Millisecond)), newStill()
	select {
	case <-p.served:
	case <-time.After(30 * time.Second):
		c.t.Fatalf("%s: no answer before the fault", f.name)
	}
	pause(c.t, 50*time.Millisecond+time.Duration(r.draw.Int64N(int64(20*time.Millisecond)))) // at any moment between two heartbeats
	r.at = time.Now()
	f.inject(r)
	c.until(f, r)
	healed := time.Now()
	if f.heal != nil {
		f.heal(r)
	}
	well := time.Now()
	owner, other := c.calm()
	out.calmed = time.Since(well)
	pause(c.t, 250*time.Millisecond)
	end := p.end
	if f.spares {
		end = p.endPatiently
	}
	list := end()
	out.stood = max(still.end(), c.slept(f, r))
	out.seen = w.end()
	out.verdict = judge(out.seen)
	out.gap, out.failed = outage(list, r.at)
	for _, a := range list {
		if a.at.After(r.at) && a.refused {
			out.refused++
		}
		if a.at.After(r.at) && a.cut {
			out.cut++
		}
	}
	out.bad = append(f.judged(out, owner == r.owner), c.truth(owner, other)...)
	if f.check != nil {
		out.bad = append(out.bad, f.check(r, out)...)
	}
	if out.bad != nil {
		out.bad = append(out.bad, fmt.Sprintf("injected at %s, healed at %s, owner before: %s, after: %s", r.at.Format(clock), healed.Format(clock), r.owner.letter, owner.letter), c.told(r.at))
	}
	if wholeLaboratory() && f.moves == moves && out.gap > unplanned {
		c.t.Logf("%s: the outage of %v, injected at %s:\n%s", f.name, short(out.gap), r.at.Format(clock), c.told(r.at))
	}
	return out
}

// unplanned is the goal of a takeover that nobody has planned; a longer one is to be explained.
const unplanned = 250 * time.Millisecond

const clock = "15:04:05.000"

// until waits for what the fault is to bring about.
func (c *couple) until(f fault, r *round) {
	c.t.Helper()
	if f.moves == moves {
		end := time.Now().Add(30 * time.Second)
		for r.other.status().Self.State != appliance.Active {
			if time.Now().After(end) {
				c.t.Fatalf("%s: the other node is not active:\n%s", f.name, c.told(r.at))
			}
			pause(c.t, 5*time.Millisecond)
		}
	}
	pause(c.t, f.lasts-time.Since(r.at))
}

// judged says what of the wire is not as it must be.
func (f fault) judged(t tally, same bool) (bad []string) {
	switch {
	case f.moves == stays && (t.changes != 0 || !same):
		bad = append(bad, fmt.Sprintf("%d changes of owner, want none", t.changes))
	case f.moves == moves && (t.changes != 1 || same):
		bad = append(bad, fmt.Sprintf("%d changes of owner, want one, to the other", t.changes))
	case f.moves == either && t.changes > 1:
		bad = append(bad, fmt.Sprintf("%d changes of owner, want at most one", t.changes))
	}
	if t.overlap != 0 {
		bad = append(bad, fmt.Sprintf("both nodes spoke for the address, for %v (%d frames)", t.overlap, t.frames))
	}
	if f.spares && t.cut > 0 {
		bad = append(bad, fmt.Sprintf("%d clients had their connections, and no answer", t.cut))
	}
	return bad
}

// truth compares what both nodes say with what their interfaces have.
func (c *couple) truth(owner, other *node) (bad []string) {
	for _, n := range []*node{owner, other} {
		s := n.status()
		for _, a := range s.Floating {
			if a.Here != (n == owner) {
				bad = append(bad, fmt.Sprintf("%s says that %s is here: %v", n.letter, a.Address, a.Here))
			}
		}
		if c.has(n.letter, labService) != (n == owner) {
			bad = append(bad, fmt.Sprintf("%s on %s's interface: %v", labService, n.letter, n != owner))
		}
	}
	return bad
}

// slept is how long a node did not run that nobody had stopped: its machine gave it no time.
func (c *couple) slept(f fault, r *round) (longest time.Duration) {
	if f.freezes {
		return 0
	}
	for _, e := range c.a.timeline() {
		if d, err := time.ParseDuration(strings.ReplaceAll(asleep.FindString(e.Sentence), " ", "")); e.Code == "woke" && e.At.After(r.at) && err == nil {
			longest = max(longest, d)
		}
	}
	return longest
}

var asleep = regexp.MustCompile(`[0-9.]+ m?s`)

// timeline is what a node knows that both decided.
func (n *node) timeline() (list []appliance.PairEvent) {
	_, body := n.api("GET", "pair/timeline", "")
	_ = json.Unmarshal(body, &list)
	return list
}

// told is what both nodes have in their timelines since a moment, for the report of a failure.
func (c *couple) told(since time.Time) string {
	var out strings.Builder
	for _, n := range []*node{c.a, c.b} {
		list := n.timeline()
		slices.Reverse(list)
		for _, e := range list[max(0, len(list)-40):] {
			if e.At.After(since) {
				fmt.Fprintf(&out, "%s: %s %s %s: %s\n", n.letter, e.At.Format(clock), e.Node, e.Code, e.Sentence)
			}
		}
	}
	return out.String()
}

// freeze stops a node and wakes it after a while.
func freeze(n *node, d time.Duration) {
	n.signal(syscall.SIGSTOP)
	time.AfterFunc(d, func() { n.signal(syscall.SIGCONT) })
}

// labEndpoint is the web service on an address of the laboratory.
func labEndpoint(address string) string {
	if labAddress(address).Is6() {
		return "[" + address + "]:80"
	}
	return address + ":80"
}
