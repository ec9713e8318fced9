package engine

import (
	"testing"

	"evenkeel/appliance"
)

func TestAServiceWithTLSIsRefusedNotServedInClear(t *testing.T) {
	s := appliance.NewService(appliance.HTTP)
	s.ID, s.Label, s.TLS.Redirect = "web", "WEB", appliance.RedirectFound
	r := appliance.NewRealServer()
	r.Encrypt = true
	s.RealServers = append(s.RealServers, r)
	s.TLS.Certificates = []string{"x"}
	err := New(Options{}).Check(t.Context(), appliance.Config{Cluster: appliance.Cluster{VirtualServices: []appliance.VirtualService{s}}})
	if errs := appliance.ErrorsOf(err); len(errs) != 3 || errs[0].Kind != appliance.Unsupported || errs[2].Field != "virtual_services[WEB].real_servers[0].encrypt" {
		t.Error(err)
	}
}
