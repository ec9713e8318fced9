package appliance

import (
	"net/netip"
	"strings"
	"testing"
)

func datagramService(label string) VirtualService {
	s := NewService(UDP)
	s.ID, s.Label, s.Address, s.Ports = strings.ToLower(label)+"-id", label, netip.MustParseAddr("192.168.0.188"), Ports{{53, 53}}
	r := NewRealServer()
	r.ID, r.Label, r.Address = strings.ToLower(label)+"-r", "R", "192.168.0.40"
	s.RealServers = []RealServer{r}
	return s
}

func TestValidateDatagramServices(t *testing.T) {
	check := func(list ...VirtualService) error {
		return Validate(Config{Cluster: Cluster{VirtualServices: list}}, Site{Listeners: []Listener{{netip.MustParseAddrPort("0.0.0.0:9443"), "the WebUI"}}})
	}
	web := NewService(TCP)
	web.ID, web.Label, web.Address, web.Ports = "dns-tcp", "DNS-TCP", netip.MustParseAddr("192.168.0.188"), Ports{{53, 53}}
	ours := datagramService("DNS")
	ours.Ports = Ports{{53, 53}, {9443, 9443}} // the WebUI's is a TCP port
	if err := check(ours, web); err != nil {
		t.Errorf("TCP and UDP on one port: %v", err)
	}
	for field, spoil := range map[string]func(*VirtualService){
		"check.kind":         func(s *VirtualService) { s.Monitor = NewMonitor(MonitorConnect) },
		"persistence.kind":   func(s *VirtualService) { s.Persistence.Kind = PersistRDPCookie },
		"fallback.kind":      func(s *VirtualService) { s.Fallback.Kind = FallbackPage },
		"proxy_protocol.out": func(s *VirtualService) { s.ProxyProtocol.Out = ProxyOutV2 },
		"ports":              func(s *VirtualService) { s.Ports = Ports{{PortHeartbeat, PortHeartbeat}} },
	} {
		s := datagramService("DNS")
		spoil(&s)
		if list := ErrorsOf(check(s)); len(list) == 0 || list[0].Field != "virtual_services[DNS]."+field {
			t.Errorf("%s: %v", field, list)
		}
	}
	if list := ErrorsOf(check(datagramService("A"), datagramService("B"))); len(list) != 2 || list[0].Kind != Conflict {
		t.Errorf("two UDP services on one port: %v", list)
	}
	s := datagramService("DNS")
	if s.Limits.ClientTimeout.D().Seconds() != 30 || s.Monitor.Kind != MonitorNone {
		t.Errorf("defaults: %v %v", s.Limits.ClientTimeout, s.Monitor.Kind)
	}
	s.Monitor.Kind, s.Monitor.Port = MonitorConnect, 8080
	if err := check(s); err != nil {
		t.Errorf("a check by TCP on a port of its own: %v", err)
	}
}
