package bench

import (
	"fmt"
	"net/netip"
	"time"
)

// The addresses inside the namespace. Servers listen on several addresses so that no run is short of ports.
const (
	webServer  = 9001
	echoServer = 9002
	bulkServer = 9003
	webPort    = 1 // added to a contender's base
	echoPort   = 2
	bulkPort   = 3
	splicePort = 4
	serverIPs  = 16
)

func serverAddress(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 1, byte(1 + i)}) }

// Options say how long to measure. Zero fields get their default.
type Options struct {
	Rounds  int           // of each measurement; 0: 5
	Warm    time.Duration // before each; 0: 300 ms
	Length  time.Duration // of each; 0: 2 s
	Idle    int           // idle connections; 0: 8000; no more than the limit of open files allows
	HAProxy string        // its binary; empty: haproxy
}

func (o *Options) defaults() {
	if o.Rounds == 0 {
		o.Rounds = 5
	}
	if o.Warm == 0 {
		o.Warm = 300 * time.Millisecond
	}
	if o.Length == 0 {
		o.Length = 2 * time.Second
	}
	if o.Idle == 0 {
		o.Idle = 8000
	}
	o.Idle = min(o.Idle, sessions()-200)
	if o.HAProxy == "" {
		o.HAProxy = "haproxy"
	}
}

// work is one thing that is measured.
type work struct {
	name string
	unit string
	port int
	run  func(f *field, port int) (float64, error)
}

// row is the medians of one measurement.
type row struct {
	name, unit string
	columns    []string
	medians    []float64
	spread     []float64 // largest minus smallest, as a share of the median
}

func (r row) String() string {
	text := fmt.Sprintf("%-44s", r.name)
	for i, c := range r.columns {
		text += fmt.Sprintf("  %s %.3g %s (±%.0f %%)", c, r.medians[i], r.unit, 50*r.spread[i])
	}
	return text
}
