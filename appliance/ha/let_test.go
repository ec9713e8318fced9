package ha

import (
	"context"
	"sync/atomic"
	"testing"

	"evenkeel/appliance"
)

// foundedBare is a couple whose left node served before the pair and enforces no lease; taken counts how often its addresses were taken off.
func foundedBare(t *testing.T, rightToo bool) (c *couple, taken *atomic.Int32) {
	t.Helper()
	taken = &atomic.Int32{}
	c = newCouple(t, func(o *Options) {
		left := o.Membership.Self.Name == "left"
		if left || rightToo {
			o.Kernel = nil
		}
		if !left {
			return
		}
		o.Founder = true
		o.Let = func(context.Context) error {
			if c.street.owner() != "" {
				t.Error("the peer had the addresses before they were taken off")
			}
			taken.Add(1)
			return nil
		}
	})
	return c, taken
}

func TestFounderWithoutALeaseLeavesNoAddressBehind(t *testing.T) {
	c, taken := foundedBare(t, false)
	c.left.start(t)
	c.right.start(t)
	c.agree(t, appliance.Active)
	if taken.Load() != 0 {
		t.Error("taken off while it owns")
	}
	c.left.end(t)
	until(t, "right is active", func() bool { return c.street.owner() == "right" })
	if taken.Load() != 1 {
		t.Errorf("taken off %d times", taken.Load())
	}
	c.left.o.Founder = false // its next life finds the pair
	c.left.start(t)
	c.agree(t, appliance.Passive)
}

func TestFounderWithoutALeaseKeepsItsAddressesWhenNobodyCanOwnThem(t *testing.T) {
	for name, rightToo := range map[string]bool{"the peer is bare": true, "the peer is away": false} {
		t.Run(name, func(t *testing.T) {
			c, taken := foundedBare(t, rightToo)
			c.left.start(t)
			c.right.start(t)
			c.agree(t, appliance.Active)
			if !rightToo {
				c.right.end(t)
				until(t, "the peer is silent", func() bool { return !c.left.seen.Load().contact })
			}
			c.left.end(t)
			if taken.Load() != 0 {
				t.Error("the addresses are nowhere")
			}
		})
	}
}
