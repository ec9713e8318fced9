package appliance

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
)

func TestSourceIsOneWordOrAnAddressAndOldServicesHaveNone(t *testing.T) {
	for _, c := range []struct {
		text string
		want Source
	}{
		{`{"protocol":"tcp"}`, Source{}},
		{`{"protocol":"tcp","source_address":""}`, Source{}},
		{`{"protocol":"tcp","source_address":"192.168.0.10"}`, Source{Addr: netip.MustParseAddr("192.168.0.10")}},
		{`{"protocol":"tcp","source_address":"::ffff:192.168.0.10"}`, Source{Addr: netip.MustParseAddr("192.168.0.10")}},
		{`{"protocol":"tcp","source_address":"transparent"}`, Source{Transparent: true}},
	} {
		var s VirtualService
		if err := json.Unmarshal([]byte(c.text), &s); err != nil || s.SourceAddress != c.want {
			t.Errorf("%s: %+v, %v", c.text, s.SourceAddress, err)
		}
		again, err := json.Marshal(s)
		if err != nil || strings.Contains(string(again), "source_address") == c.want.IsZero() {
			t.Errorf("%s, %v", again, err)
		}
	}
	var s VirtualService
	for _, bad := range []string{"Transparent", "192.168.0.1/24", "transparent 10.0.0.1"} {
		if json.Unmarshal([]byte(`{"source_address":"`+bad+`"}`), &s) == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestSourceIsTheClientsWhereTheServerCanAnswerIt(t *testing.T) {
	own := netip.MustParseAddr("10.0.0.1")
	for _, c := range []struct {
		source         Source
		client, server string
		want           bool
	}{
		{Source{Transparent: true}, "192.168.1.20", "10.0.0.40", true},
		{Source{Transparent: true}, "::ffff:192.168.1.20", "10.0.0.40", true},
		{Source{Transparent: true}, "fd00::20", "fd00::40", true},
		{Source{Transparent: true}, "127.0.0.1", "127.0.0.1", true},
		{Source{Transparent: true}, "fd00::20", "10.0.0.40", false},
		{Source{Transparent: true}, "127.0.0.1", "10.0.0.40", false},
		{Source{Transparent: true}, "fe80::1%eth0", "fd00::40", false},
		{Source{Transparent: true}, "0.0.0.0", "10.0.0.40", false},
		{Source{Transparent: true}, "224.0.0.1", "10.0.0.40", false},
		{Source{Addr: own}, "192.168.1.20", "10.0.0.40", false},
	} {
		got, isClients := c.source.For(netip.MustParseAddr(c.client), netip.MustParseAddr(c.server))
		if want := c.source.Addr; isClients != c.want || c.want && got != netip.MustParseAddr(c.client).Unmap() || !c.want && got != want {
			t.Errorf("%s to %s: %s, %v", c.client, c.server, got, isClients)
		}
	}
	if _, isClients := (Source{Transparent: true}).For(netip.Addr{}, own); isClients {
		t.Error("a client without an address")
	}
}

func TestValidateRefusesTransparencyThatCannotWork(t *testing.T) {
	for want, spoil := range map[string]func(*VirtualService){
		"":                            func(*VirtualService) {},
		"TCP Mode and HTTP Mode":      func(s *VirtualService) { s.Protocol = UDP; s.Monitor = NewMonitor(MonitorNone) },
		"HTTP/2 to the real servers":  func(s *VirtualService) { s.HTTP.HTTP2Out = true },
		"cannot be seen there":        func(s *VirtualService) { s.RealServers[0].Address = "fd00::40" },
		"is on this appliance itself": func(s *VirtualService) { s.RealServers[0].Address = "127.0.0.1" },
	} {
		s := NewService(HTTP)
		s.ID, s.Label, s.Address, s.Ports = "a", "A", netip.MustParseAddr("192.168.0.188"), Ports{{80, 80}}
		s.SourceAddress.Transparent = true
		r := NewRealServer()
		r.ID, r.Label, r.Address = "r", "R", "192.168.0.40"
		s.RealServers = []RealServer{r}
		spoil(&s)
		c := Config{Cluster: Cluster{VirtualServices: []VirtualService{s}, Settings: Settings{AllowLoopback: true}}}
		var about []string
		for _, e := range ErrorsOf(Validate(c, Site{})) {
			if e.Field == "virtual_services[A].source_address" {
				about = append(about, e.Text())
			}
		}
		if want == "" && len(about) != 0 || want != "" && (len(about) != 1 || !strings.Contains(about[0], want)) {
			t.Errorf("want %q, got %q", want, about)
		}
		if !c.Transparent() {
			t.Error("the configuration does not know that it is transparent")
		}
	}
}
