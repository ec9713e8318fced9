package appliance

import (
	"fmt"
	"net/netip"
	"testing"
)

// thousand returns 1,000 services of 10 servers each.
func thousand() Config {
	c := Config{}
	for i := range 1000 {
		s := NewService(TCP)
		s.ID, s.Label, s.Address, s.Ports = fmt.Sprintf("s%d", i), fmt.Sprintf("S%d", i), netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), Ports{{104, 104}}
		for r := range 10 {
			server := NewRealServer()
			server.ID, server.Label, server.Address = fmt.Sprintf("r%d-%d", i, r), fmt.Sprintf("R%d", r), Host(netip.AddrFrom4([4]byte{10, 2, byte(i), byte(r)}).String())
			s.RealServers = append(s.RealServers, server)
		}
		c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, s)
	}
	return c
}

func BenchmarkValidateThousandServices(b *testing.B) {
	c := thousand()
	for b.Loop() {
		if err := Validate(c, Site{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDiffThousandServices(b *testing.B) {
	from, to := thousand(), thousand()
	to.Cluster.VirtualServices[500].RealServers[3].Weight = 50
	for b.Loop() {
		if len(Diff(from, to).Changes) != 1 {
			b.Fatal("not one change")
		}
	}
}
