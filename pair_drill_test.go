package main

import (
	"testing"
	"time"

	"evenkeel/appliance"
)

func TestOutageIsSaidAsItWasMeasured(t *testing.T) {
	for want, of := range map[string]appliance.Takeover{
		"less than 1 ms": {Took: 760 * time.Microsecond, Within: 120 * time.Microsecond},
		"1.2 ± 0.2 ms":   {Took: 1200 * time.Microsecond, Within: 120 * time.Microsecond},
		"0.9 ± 0.3 ms":   {Took: 900 * time.Microsecond, Within: 300 * time.Microsecond},
		"213.0 ms":       {Took: 213 * time.Millisecond},
	} {
		if got := outage(of); got != want {
			t.Errorf("%+v: %q, not %q", of, got, want)
		}
	}
}

// TestOutageIsMeasuredByOneClock: whatever the other node's clock says and however long the heartbeat was under way, the truth is within what is said.
func TestOutageIsMeasuredByOneClock(t *testing.T) {
	const outage, bound = 3 * time.Millisecond, 800 * time.Microsecond
	began := time.Now()
	for _, peer := range []bool{true, false} {
		for _, travelled := range []time.Duration{0, 100 * time.Microsecond, bound / 2, bound} {
			free, taken := appliance.PairEvent{At: began}, appliance.PairEvent{At: began.Add(outage)}
			late := &free
			if peer {
				late = &taken
			}
			late.At, late.Late = late.At.Add(travelled), bound
			took, within, ok := between(free, taken, peer)
			if !ok || took-within > outage || took+within < outage || within > bound/2+1 {
				t.Errorf("the peer took them: %v, under way for %v: %v ± %v, %v", peer, travelled, took, within, ok)
			}
		}
	}
	if took, within, ok := between(appliance.PairEvent{At: began}, appliance.PairEvent{At: began.Add(bound / 4), Late: bound}, true); !ok || took < 0 || took-within < 0 || took+within < bound/4 {
		t.Errorf("shorter than the way: %v ± %v", took, within)
	}
	if _, _, ok := between(appliance.PairEvent{At: began}, appliance.PairEvent{At: began.Add(outage)}, true); ok {
		t.Error("measured although nobody knows how late the peer was heard")
	}
}
