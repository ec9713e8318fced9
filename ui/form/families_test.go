package form

import (
	"net/netip"
	"testing"

	"evenkeel/appliance"
)

func TestAddressesOfBothFamiliesAndNamesAreReadAsTyped(t *testing.T) {
	s := appliance.NewService(appliance.TCP)
	typed := posted(OfService(&s))
	for path, text := range map[string]string{
		"label": "S", "address": " FD00:0::188 ", "ports": "104", "source_address": "fd00::0188", "proxy_protocol.trusted": "fd00:9::/64, 10.0.0.1,FD00::1",
		"fallback.kind": "server", "fallback.address": "[fd00::9]:80",
	} {
		typed.Set(path, text)
	}
	servers := []struct{ typed, address, label string }{
		{"fd00::40", "fd00::40", "fd00..40"},
		{"::1", "::1", "1"},
		{" FD00:: ", "fd00::", "fd00"},
		{"::ffff:10.0.0.40", "10.0.0.40", "10.0.0.40"},
		{"10.0.0.41", "10.0.0.41", "10.0.0.41"},
		{"PACS1.example.org", "pacs1.example.org", "PACS1.example.org"},
		{"pacs2.example.", "pacs2.example.", "pacs2.example"},
	}
	for i, r := range servers {
		typed.Set(RowName(i, "address"), r.typed)
	}
	if errs := ReadService(typed).Into(&s); len(errs) > 0 {
		t.Fatal(errs)
	}
	s.Normalize()
	if s.Address != netip.MustParseAddr("fd00::188") || s.SourceAddress.Addr != s.Address || s.Fallback.Address != netip.MustParseAddrPort("[fd00::9]:80") || len(s.ProxyProtocol.Trusted) != 3 || s.ProxyProtocol.Trusted[2] != netip.MustParsePrefix("fd00::1/128") {
		t.Errorf("%+v", s)
	}
	for i, r := range s.RealServers {
		if string(r.Address) != servers[i].address || r.Label != servers[i].label {
			t.Errorf("%q: address %q, label %q", servers[i].typed, r.Address, r.Label)
		}
	}
	ids := "abcdefg"
	s.ID = "svc"
	for i := range s.RealServers {
		s.RealServers[i].ID = ids[i : i+1]
	}
	s.SourceAddress = appliance.Source{} // not every server can be reached from it
	errs := appliance.ErrorsOf(appliance.Validate(appliance.Config{Cluster: appliance.Cluster{VirtualServices: []appliance.VirtualService{s}, Settings: appliance.Settings{AllowLoopback: true}}}, appliance.Site{}))
	for _, e := range errs {
		t.Errorf("%s: %s", e.Field, e.Text())
	}
}
