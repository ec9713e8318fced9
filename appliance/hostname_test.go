package appliance

import (
	"net/netip"
	"testing"
)

func TestHostsAreAddressesOrNames(t *testing.T) {
	for in, want := range map[Host]struct {
		canonical Host
		name      bool
	}{
		" 192.168.0.40 ": {"192.168.0.40", false}, "FD00::0040": {"fd00::40", false}, "::ffff:10.0.0.1": {"10.0.0.1", false},
		"PACS1.Example.org": {"pacs1.example.org", true}, "pacs1.": {"pacs1.", true}, "": {"", false},
	} {
		got := in.canonical()
		if _, name := got.Name(); got != want.canonical || name != want.name {
			t.Errorf("%q: %q, a name: %v", in, got, name)
		}
	}
}

func TestHostNamesOfServersAreAccepted(t *testing.T) {
	for _, name := range []Host{"pacs1", "pacs1.example.org", "pacs1.example.org.", "web_farm.internal", "_sip.example", "3com.example", "1a", "xn--bcher-kva.example"} {
		s := NewService(TCP)
		s.ID, s.Label, s.Address, s.Ports = "svc", "svc", netip.MustParseAddr("192.168.0.188"), Ports{{80, 80}}
		r := NewRealServer()
		r.ID, r.Label, r.Address = "r1", "r1", name
		s.RealServers = []RealServer{r}
		if err := Validate(Config{Cluster: Cluster{VirtualServices: []VirtualService{s}}}, Site{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
