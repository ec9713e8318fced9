package wiretest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Ports that tests serve on lie below those that the kernel hands out by itself (ip_local_port_range begins at 32768), so that no connection and no listener of
// another test can come to one between the moment it is found and the moment it is used.
const (
	firstPort = 15000
	lastPort  = 32000
)

// Port returns the first of n TCP ports in a row that are free on every address of this machine; see Offset.
func Port(t testing.TB, n int) uint16 {
	t.Helper()
	row := make([]int, n)
	for i := range row {
		row[i] = i
	}
	return uint16(Offset(t, row...))
}

// Offset returns a number by which all these ports can be moved so that they are free on every address of this machine. They are reserved until the test ends,
// for all test programs that run at the same time: a reservation is a Unix socket with an abstract name (unix(7)), which the kernel gives to one of them, and
// takes back when that one ends.
func Offset(t testing.TB, ports ...int) int {
	t.Helper()
	low, high := ports[0], ports[0]
	for _, p := range ports {
		low, high = min(low, p), max(high, p)
	}
	for range 1000 {
		offset := firstPort - low + rand.IntN(lastPort-firstPort-(high-low))
		if reserved(t, offset, ports) {
			return offset
		}
	}
	t.Fatalf("no free ports between %d and %d", firstPort, lastPort)
	return 0
}

func reserved(t testing.TB, offset int, ports []int) bool {
	var held []net.Listener
	free := func() {
		for _, l := range held {
			l.Close()
		}
	}
	for _, p := range ports {
		l, ok := reserve(strconv.Itoa(p + offset))
		if !ok {
			free()
			return false
		}
		held = append(held, l)
	}
	t.Cleanup(free)
	return true
}

func reserve(port string) (net.Listener, bool) {
	held, err := net.Listen("unix", "@evenkeel-test-port-"+port)
	if err != nil {
		return nil, false
	}
	probe, err := net.Listen("tcp", ":"+port)
	if err != nil {
		held.Close()
		return nil, false
	}
	probe.Close()
	return held, true
}
