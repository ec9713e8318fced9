package ui

import (
	"net/netip"
	"strings"
	"testing"

	"evenkeel/appliance"
)

// TestPagesShowIPv6AddressesWithPortsInBrackets where address and port stand together.
func TestPagesShowIPv6AddressesWithPortsInBrackets(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	o := appliance.Origin{Operator: "loadbalancer", Via: "webui", From: netip.MustParseAddr("fd00::17")}
	_, err := r.control.Commit(t.Context(), o, nil, func(c *appliance.Config) error {
		c.Cluster.VirtualServices = []appliance.VirtualService{sample("SIX", "fd00::188", 104, appliance.MonitorConnect, "A", "fd00::40", "B", "pacs1.example.org")}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.control.Apply(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for path, wanted := range map[string][]string{
		"/lbadmin/":                               {"fd00::188"},
		"/lbadmin/?open=" + r.id("SIX"):           {"fd00::188", "fd00::40", "pacs1.example.org"},
		layer7 + "/" + r.id("SIX"):                {`value="fd00::188"`, `value="fd00::40"`, `value="pacs1.example.org"`},
		layer7StatusPath:                          {"[fd00::188]:104"},
		"/lbadmin/search?q=fd00::188":             {"[fd00::188]:104"},
		"/lbadmin/search?q=[fd00::40":             {"[fd00::40]:104"},
		"/lbadmin/search?q=pacs1.example":         {"pacs1.example.org:104"},
		serverPath(r.id("SIX"), r.id("SIX", "A")): {"fd00::40"},
		"/lbadmin/reports/audit":                  {"fd00::17"},
		"/lbadmin/history":                        {"fd00::17"},
	} {
		_, _, body := r.get(r.client, path)
		for _, want := range wanted {
			if !strings.Contains(body, want) {
				t.Errorf("%s does not show %s", path, want)
			}
		}
		if strings.Contains(body, "fd00::188:104") || strings.Contains(body, "fd00::40:104") {
			t.Errorf("%s shows an address and a port in one", path)
		}
	}
}
