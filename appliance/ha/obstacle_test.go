package ha

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/appliance/ha/role"
)

// forced has right made active although its peer, which is frozen, is not heard; it must not come about.
func forced(t *testing.T, c *couple, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	var e *appliance.Error
	if err := c.right.MakeActive(ctx, true); !errors.As(err, &e) || e.Kind != appliance.Unavailable || !strings.Contains(e.Text(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}

func TestCommandThatDoesNotComeAboutSaysWhatHoldsItUp(t *testing.T) {
	c := newCouple(t, nil)
	c.settle(t)
	c.street.silence()
	thaw := c.left.freeze(t)
	defer thaw()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				c.right.kernel.events <- appliance.KernelEvent{Kind: appliance.OwnerSeen, At: bootTime(), Address: netip.MustParseAddr("192.0.2.10"), Hardware: "02:42:00:00:00:09"}
			case <-stop:
				return
			}
		}
	}()
	until(t, "right knows that it is cut off", func() bool { return c.right.Activity() == appliance.Cut })
	forced(t, c, "A machine (02:42:00:00:00:09) answers for a floating address")
}

func TestObstacleIsForgottenWhenItIsOver(t *testing.T) {
	var r role.Record
	for i, step := range []struct{ told, left role.Code }{
		{role.WitnessSilent, role.WitnessSilent},
		{role.Forced, ""},
		{role.OwnerAnswers, role.OwnerAnswers},
		{role.Forced, role.OwnerAnswers},
		{role.HealthBack, role.OwnerAnswers},
		{role.TookOver, ""},
		{role.HealthGone, role.HealthGone},
		{role.HealthBack, ""},
		{role.StaysBare, role.StaysBare},
		{role.PeerBack, ""},
	} {
		if r = obstructed(r, role.Record{Code: step.told}); r.Code != step.left {
			t.Errorf("step %d: %s after %s", i, r.Code, step.told)
		}
	}
}
