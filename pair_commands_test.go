package main

import (
	"testing"
	"time"
)

func TestOutageIsSaidAsItWasMeasured(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "less than 1 ms", 260 * time.Microsecond: "less than 1 ms", 1200 * time.Microsecond: "1 ms", 213 * time.Millisecond: "213 ms"} {
		if got := outage(d); got != want {
			t.Errorf("%v: %q", d, got)
		}
	}
}
