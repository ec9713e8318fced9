package appliance

import (
	"net/netip"
	"testing"
)

func TestValidateNeighbours(t *testing.T) {
	for field, spoil := range map[string]func(*VirtualService){
		"proxy_protocol.out":     func(s *VirtualService) { s.ProxyProtocol.Out = "v3" },
		"proxy_protocol.within":  func(s *VirtualService) { s.ProxyProtocol.Within = 0 },
		"proxy_protocol.trusted": func(s *VirtualService) { s.ProxyProtocol.In = true },
		"source_address":         func(s *VirtualService) { s.SourceAddress.Addr = netip.MustParseAddr("192.168.0.77") },
	} {
		s := NewService(TCP)
		s.ID, s.Label, s.Address, s.Ports = "a", "A", netip.MustParseAddr("192.168.0.188"), Ports{{80, 80}}
		r := NewRealServer()
		r.ID, r.Label, r.Address = "r", "R", "192.168.0.40"
		s.RealServers = []RealServer{r}
		site := Site{Addresses: []netip.Addr{netip.MustParseAddr("192.168.0.10")}}
		if err := Validate(Config{Cluster: Cluster{VirtualServices: []VirtualService{s}}}, site); err != nil {
			t.Fatal(err)
		}
		spoil(&s)
		err := Validate(Config{Cluster: Cluster{VirtualServices: []VirtualService{s}}}, site)
		if list := ErrorsOf(err); len(list) != 1 || list[0].Field != "virtual_services[A]."+field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestValidateRefusesToBelieveEverybodyAndToMixFamilies(t *testing.T) {
	s := NewService(TCP)
	s.ID, s.Label, s.Address, s.Ports = "a", "A", netip.MustParseAddr("fd00::188"), Ports{{80, 80}}
	s.ProxyProtocol.In, s.ProxyProtocol.Trusted = true, []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	s.SourceAddress.Addr = netip.MustParseAddr("fd00::188")
	r := NewRealServer()
	r.ID, r.Label, r.Address = "r", "R", "192.168.0.40"
	s.RealServers = []RealServer{r}
	list := ErrorsOf(Validate(Config{Cluster: Cluster{VirtualServices: []VirtualService{s}}}, Site{}))
	if len(list) != 2 || list[0].Field != "virtual_services[A].proxy_protocol.trusted" || list[1].Field != "virtual_services[A].source_address" {
		t.Errorf("%v", list)
	}
}
