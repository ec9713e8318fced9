package bench

import (
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
	Rounds  int           // of each measurement; 0: 9
	Warm    time.Duration // before each; 0: 300 ms
	Length  time.Duration // of each; 0: 1 s
	Idle    int           // idle connections; 0: 8000; no more than the limit of open files allows
	Only    string        // measure only works whose name begins so, "many" for the large installation; empty: all
	HAProxy string        // its binary; empty: haproxy
	Nginx   string        // its binary; empty: nginx; where it is missing, its column stays empty
}

func (o *Options) defaults() {
	if o.Rounds == 0 {
		o.Rounds = 9
	}
	if o.Warm == 0 {
		o.Warm = 300 * time.Millisecond
	}
	if o.Length == 0 {
		o.Length = time.Second
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
	// short: many rounds of 125 ms. The machine stops a processor for some milliseconds now and then. That decides a quantile of every round that it falls into, so most
	// rounds must be short enough to be without. Work of the kernel differs by a tenth from round to round, so that the median of nine says too little.
	short bool
	who   []string // HAProxy and Evenkeel next to each other
	run   func(port int) (float64, error)

	beside [][2]string // pairs of contenders beside the first quotient: theirs is told below the table
}
