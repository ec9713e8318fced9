package story

import (
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"evenkeel/appliance"
)

// restless tells whether a node says that its machine stands still again and again.
func (c *couple) restless() bool {
	return slices.ContainsFunc([]*node{c.a, c.b}, func(n *node) bool {
		return strings.Contains(strings.Join(n.status().Limits, " "), "stands still again and again")
	})
}

// stutter lets the programs of both nodes stand still together, again and again, as a host does with too few processors, until the time is over.
func (c *couple) stutter(r *rand.Rand, lasts time.Duration) {
	c.t.Helper()
	every := func(s syscall.Signal) {
		for _, n := range []*node{c.a, c.b} {
			n.signal(s)
		}
	}
	defer every(syscall.SIGCONT)
	for end := time.Now().Add(lasts); time.Now().Before(end); {
		every(syscall.SIGSTOP)
		pause(c.t, 60*time.Millisecond+time.Duration(r.Int64N(int64(180*time.Millisecond))))
		every(syscall.SIGCONT)
		pause(c.t, 100*time.Millisecond+time.Duration(r.Int64N(int64(400*time.Millisecond))))
	}
}

// TestPairOnMachinesThatStandStillKeepsItsOwner from when it has noticed, with its table, and survives a death all the same.
func TestPairOnMachinesThatStandStillKeepsItsOwner(t *testing.T) {
	const seed = 1
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	c := lay(t).pairUp()
	w := c.watch(labService)
	c.stutter(r, 4*time.Second)
	if !c.restless() {
		t.Fatal("neither node has noticed")
	}
	owner, other := c.calm()
	before := c.taken(owner) + c.taken(other)
	c.stutter(r, 8*time.Second)
	if times := c.taken(owner) + c.taken(other) - before; times > 2 { // each time is told by both; the machine under them may stand still as well, for longer
		t.Errorf("the addresses were taken %d times although nothing happened but that the machines stood still", times)
	}
	owner, other = c.calm()
	c.serves()
	owner.cmd.kill()
	c.stutter(r, 4*time.Second)
	eventually(t, 20*time.Second, other.letter+" is active", func() bool { return other.status().Self.State == appliance.Active })
	c.serves()
	if v := judge(w.end()); v.overlap != 0 {
		t.Errorf("%v, want never two owners", v)
	}
}
