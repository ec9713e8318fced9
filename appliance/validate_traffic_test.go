package appliance

import (
	"net/netip"
	"strings"
	"testing"
)

func TestTrafficLogSettings(t *testing.T) {
	site := Site{Listeners: []Listener{{Address: netip.MustParseAddrPort("192.168.0.1:9443"), Name: "the WebUI"}}}
	for name, c := range map[string]struct {
		t    TrafficLog
		want string // part of the sentence, empty: accepted
	}{
		"zero":       {TrafficLog{}, ""},
		"all":        {TrafficLog{NoFile: true, FileSize: 1024, FileCount: 100, Remote: "logs.example.org:6514", Transport: SyslogTLS, NoVerify: true}, ""},
		"IPv6":       {TrafficLog{Remote: "[fd00::9]:514", Transport: SyslogUDP}, ""},
		"size":       {TrafficLog{FileSize: 1025}, "1 to 1024 MB"},
		"count":      {TrafficLog{FileCount: -1}, "1 to 100 files"},
		"transport":  {TrafficLog{Transport: "fax"}, "not one of tcp, udp and tls"},
		"authority":  {TrafficLog{CA: "nothing"}, "no certificate"},
		"no port":    {TrafficLog{Remote: "192.168.0.9"}, "not a host with a port"},
		"port 0":     {TrafficLog{Remote: "192.168.0.9:0"}, "not a host with a port"},
		"typo":       {TrafficLog{Remote: "10.0.0.256:514"}, "neither an address nor a host name"},
		"markup":     {TrafficLog{Remote: "<b>:514"}, "neither an address nor a host name"},
		"second":     {TrafficLog{Remote: "a\nb:514"}, "neither an address nor a host name"},
		"multicast":  {TrafficLog{Remote: "224.0.0.1:514"}, "cannot be a receiver's address"},
		"link-local": {TrafficLog{Remote: "[fe80::1%25eth0]:514"}, "cannot be a receiver's address"},
		"own":        {TrafficLog{Remote: "192.168.0.1:9443"}, "is the WebUI of this appliance itself"},
	} {
		err := Validate(Config{Local: Local{TrafficLog: c.t}}, site)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if t0 := (TrafficLog{}); t0.Size() != 16<<20 || t0.Count() != 10 {
		t.Errorf("%d, %d", t0.Size(), t0.Count())
	}
}

func TestLogModeOfOldConfigurationsIsErrors(t *testing.T) {
	var s VirtualService
	if err := s.UnmarshalJSON([]byte(`{"label":"x","protocol":"http","http":{"keep_alive":"close"}}`)); err != nil || s.Log != LogErrors || s.HTTP.RequestID {
		t.Errorf("%v, %q", err, s.Log)
	}
	s.Log = "sometimes"
	if err := Validate(Config{Cluster: Cluster{VirtualServices: []VirtualService{s}}}, Site{}); err == nil || !strings.Contains(err.Error(), "sometimes") {
		t.Error(err)
	}
}
