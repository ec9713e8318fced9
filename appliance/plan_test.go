package appliance

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDiffTellsEachChangeInTheOperatorsWords(t *testing.T) {
	for name, c := range map[string]struct {
		edit    func(*Config)
		summary string
		effect  Effect
	}{
		"weight":   {func(c *Config) { c.Cluster.VirtualServices[0].RealServers[1].Weight = 50 }, "HL7: weight of Corepoint2 100 → 50", Keeps},
		"interval": {func(c *Config) { c.Cluster.VirtualServices[0].Monitor.Interval = Duration(2 * time.Second) }, "HL7: interval 4s → 2s", Keeps},
		"drain":    {func(c *Config) { c.Cluster.VirtualServices[0].RealServers[0].State = Drain }, "HL7: state of Corepoint1 online → drain", Drains},
		"drain for a time": {func(c *Config) {
			s := c.Cluster.VirtualServices[0].RealServers
			s[0].State, s[0].DrainUntil = Drain, time.Date(2026, 3, 1, 22, 30, 0, 0, time.UTC)
		}, "HL7: state of Corepoint1 online → drain, drain until of Corepoint1 none → 2026-03-01 22:30:00 UTC", Drains},
		"halt":       {func(c *Config) { c.Cluster.VirtualServices[0].RealServers[0].State = Halt }, "HL7: state of Corepoint1 online → halt", Ends},
		"ports":      {func(c *Config) { c.Cluster.VirtualServices[0].Ports = Ports{{7000, 7001}} }, "HL7: ports 6667 → 7000-7001", Ends},
		"address":    {func(c *Config) { c.Cluster.VirtualServices[0].Address = netip.MustParseAddr("10.0.0.9") }, "HL7: IP address 192.168.0.189 → 10.0.0.9", Ends},
		"lower port": {func(c *Config) { c.Cluster.VirtualServices[0].Ports = Ports{{6000, 6000}, {6667, 6667}} }, "HL7: ports 6667 → 6000,6667, port that is checked 6667 → 6000", Keeps},
		"more ports": {func(c *Config) { c.Cluster.VirtualServices[0].Ports = Ports{{6667, 6668}} }, "HL7: ports 6667 → 6667-6668", Keeps},
		"rename":     {func(c *Config) { c.Cluster.VirtualServices[0].Label = "ADT" }, "ADT: label HL7 → ADT", Keeps},
		"port":       {func(c *Config) { c.Cluster.VirtualServices[0].RealServers[0].Port = 7000 }, "HL7: port of Corepoint1 none → 7000", Drains},
		"server gone": {func(c *Config) {
			s := &c.Cluster.VirtualServices[0]
			s.RealServers = s.RealServers[:1]
		}, "HL7: Corepoint2 removed", Drains},
		"service gone": {func(c *Config) { c.Cluster.VirtualServices = nil }, "HL7 removed", Ends},
		"order": {func(c *Config) {
			s := c.Cluster.VirtualServices[0].RealServers
			s[0], s[1] = s[1], s[0]
		}, "HL7: order of the real servers Corepoint1, Corepoint2 → Corepoint2, Corepoint1", Keeps},
		"setting": {func(c *Config) { c.Cluster.Settings.ApplyAtOnce = true }, "Settings: apply at once false → true", Keeps},
	} {
		t.Run(name, func(t *testing.T) {
			before := hl7()
			after := before.Clone()
			c.edit(&after)
			p := Diff(before, after)
			if len(p.Changes) != 1 || p.Summary() != c.summary || p.Changes[0].Effect != c.effect {
				t.Errorf("%q, %+v; want %q, %s", p.Summary(), p.Changes, c.summary, c.effect)
			}
			if back := Diff(after, before); back.Empty() {
				t.Error("the way back is empty")
			}
		})
	}
}

func TestDiffOfEqualsIsEmptyAndCloneIsDeep(t *testing.T) {
	a := hl7()
	b := a.Clone()
	if p := Diff(a, b); !p.Empty() || p.Summary() != "" {
		t.Errorf("%+v", p)
	}
	b.Cluster.VirtualServices[0].RealServers[0].Weight = 1
	b.Cluster.VirtualServices[0].Ports[0].First = 1
	if a.Cluster.VirtualServices[0].RealServers[0].Weight != 100 || a.Cluster.VirtualServices[0].Ports[0].First != 6667 {
		t.Error("the clone shares memory with its original")
	}
}

func TestAnAddedServiceShowsItsFieldsAndServers(t *testing.T) {
	p := Diff(Config{}, hl7())
	if len(p.Changes) != 3 || p.Changes[0].Action != Added || p.Summary() != "HL7 added" {
		t.Fatalf("%+v", p)
	}
	if s := p.Changes[2]; s.Object != "real_server" || s.Label != "Corepoint2" || s.Of != "HL7" || s.Action != Added || len(s.Fields) != 2 || s.Fields[1].To != "192.168.0.51" {
		t.Errorf("its server: %+v", s)
	}
	if n := len(p.Changes[0].Fields); n != 4 {
		t.Errorf("%d fields are told, want label, address, ports and protocol: %+v", n, p.Changes[0].Fields)
	}
	for _, f := range p.Changes[0].Fields {
		if f.Field == "address" && (f.Name != "IP address" || f.To != "192.168.0.189") {
			t.Errorf("%+v", f)
		}
	}
}

func TestAnAddedRuleShowsNoDefaults(t *testing.T) {
	before := hl7()
	after := before.Clone()
	after.Cluster.VirtualServices[0].Rules = []Rule{{ID: "r", Label: "closed", Then: []RuleAction{{Kind: DoDeny}}}, {ID: "s", Label: "off", Disabled: true, Then: []RuleAction{{Kind: DoDeny}}}}
	p := Diff(before, after)
	if len(p.Changes) != 2 {
		t.Fatalf("%+v", p)
	}
	for i, want := range []int{3, 4} { // label, when, then, and whether it is off
		if n := len(p.Changes[i].Fields); n != want {
			t.Errorf("%d fields are told of %s, want %d: %+v", n, p.Changes[i].Label, want, p.Changes[i].Fields)
		}
	}
}

func TestEveryFieldOfTheLanguageStandsInTheCatalogue(t *testing.T) {
	c := hl7()
	s := &c.Cluster.VirtualServices[0]
	s.Monitor = Monitor{Kind: MonitorHTTP, Port: 1, HTTP: HTTPProbe{"GET", "/", "h", "200", "x", true, true}, DICOM: DICOMProbe{"A", "B", true, true}, HL7: HL7Probe{"M", "AA"}, Script: "x"}
	s.Monitor.MySQL, s.Monitor.PostgreSQL = DatabaseProbe{"u"}, DatabaseProbe{"u"}
	s.Monitor.GRPC = GRPCProbe{"s"}
	s.Monitor.SMTP, s.Monitor.DNS = SMTPProbe{"a"}, DNSProbe{"a", "A", "10.0.0.1"}
	s.Fallback.Address = netip.MustParseAddrPort("10.0.0.1:80")
	s.Limits.Queue, s.Limits.FullLoad, s.RealServers[0].MinConnections = 1, 1, 1
	s.RealServers[0].Port, s.RealServers[0].MaxConnections, s.RealServers[0].Encrypt = 1, 1, true
	c.Local = Local{Hostname: "lb1", MetricsNetworks: []string{"10.0.0.0/8"}, Names: []string{"lb"}, TrafficLog: TrafficLog{true, 1, 1, "h:1", SyslogTLS, "x", true}}
	for object, v := range map[string]any{"virtual_service": s, "real_server": s.RealServers[0], "script": Script{"x", "l", "b"}, "settings": c.Cluster.Settings, "heartbeat": NewHeartbeat(), "local": c.Local} {
		for _, l := range flatten(v) {
			if f, ok := FieldOf(object, l.path); !ok || f.Name == "" || f.Help == "" {
				t.Errorf("%s.%s has no name and help", object, l.path)
			}
		}
	}
}

func TestJSONKeepsEverythingAndFillsDefaults(t *testing.T) {
	want := hl7()
	want.Cluster.Normalize()
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Config
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
		t.Error(d)
	}
	var s VirtualService
	short := `{"label":"W","address":"10.0.0.1","ports":80,"protocol":"http","persistence":"http_cookie","check":"connect","real_servers":[{"label":"a","address":"10.0.0.2"}]}`
	if err := json.Unmarshal([]byte(short), &s); err != nil {
		t.Fatal(err)
	}
	if s.Limits.ClientTimeout.String() != "43s" || s.Persistence.Kind != PersistCookie || s.Persistence.CookieName != "SERVERID" || s.Monitor.Rise != 2 || s.RealServers[0].Weight != 100 || s.RealServers[0].State != Online || s.Fallback.Kind != FallbackPage {
		t.Errorf("%+v", s)
	}
	for _, bad := range []string{`{"label":"W","colour":1}`, `{"real_servers":[{"wieght":1}]}`, `{"check":{"kind":"connect","x":1}}`, `{"persistence":{"kynd":"none"}}`} {
		if err := json.Unmarshal([]byte(bad), new(VirtualService)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}
