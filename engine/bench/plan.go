package bench

import (
	"fmt"
	"net/netip"
	"time"
)

// The servers inside the namespace. They listen on several addresses so that no run is short of ports.
const (
	webServer  = 9001 // 100 B
	echoServer = 9002
	bulkServer = 9003
	midServer  = 9004 // 16 KiB
	bigServer  = 9005 // 1 MiB
	serverIPs  = 16
)

// The services of a contender: what is added to its base port.
const (
	webPort    = 1
	echoPort   = 2
	bulkPort   = 3
	cookiePort = 4
	midPort    = 5
	bigPort    = 6
	tlsPort    = 7 // with an ECDSA certificate
	rsaPort    = 8
	rulesPort  = 9
)

func serverAddress(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 1, byte(1 + i)}) }

// Options say how long to measure. Zero fields get their default.
type Options struct {
	Rounds  int           // of each measurement; 0: 5
	Warm    time.Duration // before each; 0: 300 ms
	Length  time.Duration // of each; 0: 2 s
	Idle    int           // idle connections; 0: 8000; no more than the limit of open files allows
	Only    string        // measure only works whose name begins so, "many" for the large installation; empty: all
	HAProxy string        // its binary; empty: haproxy
	Nginx   string        // its binary; empty: nginx; where it is missing, its column stays empty
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
	if o.Nginx == "" {
		o.Nginx = "nginx"
	}
}

// work is one thing that is measured, of one service of each contender.
type work struct {
	name string
	unit string
	port int
	goal float64 // HAProxy ÷ Evenkeel must reach it; 0: none is set
	once bool    // one round says it
	who  []string
	run  func(port int) (float64, error)
}

// row is the medians of one measurement.
type row struct {
	work
	medians map[string]float64 // by contender
	spread  map[string]float64 // largest minus smallest, as a share of the median
}

func (r row) String() string {
	text := fmt.Sprintf("%-40s", r.name)
	for _, c := range r.who {
		if v, ok := r.medians[c]; ok {
			text += fmt.Sprintf("  %s %.3g (±%.0f %%)", c, v, 50*r.spread[c])
		}
	}
	return text + "  " + r.unit
}
