package appliance

import (
	"strings"
	"testing"
)

func TestDrainingTheLastServerIsSaid(t *testing.T) {
	seen := func(id string, state State, health Health, weight int) ServerStatus {
		return ServerStatus{ID: id, Label: "S" + id, State: state, Weight: weight, Check: ServerHealth{Health: health}}
	}
	zero, some := 0, 50
	for name, c := range map[string]struct {
		servers []ServerStatus
		acts    []Act
		want    string
	}{
		"the only one":           {[]ServerStatus{seen("1", Online, Up, 100)}, []Act{{Server: "1", State: Drain}}, "S1 was the last server that takes new clients of WEB: they get the fallback page now."},
		"halted":                 {[]ServerStatus{seen("1", Online, Unknown, 100)}, []Act{{Server: "1", State: Halt}}, "S1 was the last"},
		"weight 0":               {[]ServerStatus{seen("1", Online, Up, 100)}, []Act{{Server: "1", Weight: &zero}}, "S1 was the last"},
		"less weight":            {[]ServerStatus{seen("1", Online, Up, 100)}, []Act{{Server: "1", Weight: &some}}, ""},
		"another serves":         {[]ServerStatus{seen("1", Online, Up, 100), seen("2", Online, Up, 100)}, []Act{{Server: "1", State: Drain}}, ""},
		"another is unknown":     {[]ServerStatus{seen("1", Online, Up, 100), seen("2", Online, Unknown, 100)}, []Act{{Server: "1", State: Drain}}, ""},
		"the other is down":      {[]ServerStatus{seen("1", Online, Up, 100), seen("2", Online, Down, 100)}, []Act{{Server: "1", State: Drain}}, "S1 was the last"},
		"the other drains":       {[]ServerStatus{seen("1", Online, Up, 100), seen("2", Drain, Up, 100)}, []Act{{Server: "1", State: Drain}}, "S1 was the last"},
		"the other has weight 0": {[]ServerStatus{seen("1", Online, Up, 100), seen("2", Online, Up, 0)}, []Act{{Server: "1", State: Drain}}, "S1 was the last"},
		"both at once":           {[]ServerStatus{seen("1", Online, Up, 100), seen("2", Online, Up, 100)}, []Act{{Server: "1", State: Drain}, {Server: "2", State: Halt}}, "These 2 were the last servers that take new clients of WEB"},
		"one for the other":      {[]ServerStatus{seen("1", Online, Up, 100), seen("2", Drain, Up, 100)}, []Act{{Server: "1", State: Drain}, {Server: "2", State: Online}}, ""},
		"it was none":            {[]ServerStatus{seen("1", Online, Down, 100)}, []Act{{Server: "1", State: Drain}}, ""},
		"online":                 {[]ServerStatus{seen("1", Drain, Up, 100)}, []Act{{Server: "1", State: Online}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			web := NewService(HTTP)
			web.ID, web.Label = "web", "WEB"
			for i := range c.acts {
				c.acts[i].Service = "web"
			}
			status := Status{Services: []ServiceStatus{{ID: "web", Servers: c.servers}, {ID: "gone", Servers: c.servers}}}
			got := strings.Join(LastServers(&Cluster{VirtualServices: []VirtualService{web}}, &status, c.acts), "|")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	tcp := NewService(TCP)
	if got := tcp.lost([]string{"A"}); !strings.HasSuffix(got, "they are turned away now.") {
		t.Error(got)
	}
}
