package appliance

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// hl7 returns a valid configuration of one service with two servers, for a test to break.
func hl7() Config {
	s := NewService(TCP)
	s.ID, s.Label, s.Address = "s1", "HL7", netip.MustParseAddr("192.168.0.189")
	s.Ports = Ports{{6667, 6667}}
	for i := range 2 {
		r := NewRealServer()
		r.ID, r.Label, r.Address = fmt.Sprintf("r%d", i+1), fmt.Sprintf("Corepoint%d", i+1), Host(fmt.Sprintf("192.168.0.5%d", i))
		s.RealServers = append(s.RealServers, r)
	}
	return Config{Cluster: Cluster{VirtualServices: []VirtualService{s}}}
}

func TestValidateAcceptsTheDefaults(t *testing.T) {
	for _, p := range []Protocol{HTTP, TCP} {
		c := hl7()
		servers := c.Cluster.VirtualServices[0].RealServers
		s := NewService(p)
		s.ID, s.Label, s.Address, s.Ports, s.RealServers = "s1", "HL7", netip.MustParseAddr("192.168.0.189"), Ports{{6667, 6667}}, servers
		c.Cluster.VirtualServices[0] = s
		if err := Validate(c, Site{}); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func TestValidateNamesTheFieldAndSaysWhy(t *testing.T) {
	const svc = "virtual_services[HL7]."
	vs := func(edit func(*VirtualService)) func(*Config) {
		return func(c *Config) { edit(&c.Cluster.VirtualServices[0]) }
	}
	rs := func(edit func(*RealServer)) func(*Config) {
		return vs(func(s *VirtualService) { edit(&s.RealServers[0]) })
	}
	for name, c := range map[string]struct {
		edit  func(*Config)
		field string
		says  string
		kind  Kind
	}{
		"no label":        {vs(func(s *VirtualService) { s.Label = "" }), "virtual_services[].label", "missing", Invalid},
		"markup label":    {vs(func(s *VirtualService) { s.Label = "<b>" }), "virtual_services[<b>].label", "letters, digits", Invalid},
		"newline label":   {vs(func(s *VirtualService) { s.Label = "a\nb" }), "virtual_services[a\nb].label", "letters, digits", Invalid},
		"rtl label":       {vs(func(s *VirtualService) { s.Label = "a\u202eb" }), "virtual_services[a\u202eb].label", "letters, digits", Invalid},
		"no address":      {vs(func(s *VirtualService) { s.Address = netip.Addr{} }), svc + "address", "missing", Invalid},
		"multicast":       {vs(func(s *VirtualService) { s.Address = netip.MustParseAddr("224.0.0.1") }), svc + "address", "multicast", Invalid},
		"broadcast":       {vs(func(s *VirtualService) { s.Address = netip.MustParseAddr("255.255.255.255") }), svc + "address", "broadcast", Invalid},
		"zone":            {vs(func(s *VirtualService) { s.Address = netip.MustParseAddr("fe80::1%eth0") }), svc + "address", "zone", Invalid},
		"no port":         {vs(func(s *VirtualService) { s.Ports = nil }), svc + "ports", "missing", Invalid},
		"port zero":       {vs(func(s *VirtualService) { s.Ports = Ports{{0, 0}} }), svc + "ports", "Port 0", Invalid},
		"too many ports":  {vs(func(s *VirtualService) { s.Ports = Ports{{1, 10000}} }), svc + "ports", "10000 ports", Invalid},
		"layer 4":         {vs(func(s *VirtualService) { s.Layer = 4 }), svc + "layer", "layer 7 only", Unsupported},
		"layer 5":         {vs(func(s *VirtualService) { s.Layer = 5 }), svc + "layer", "4 or 7", Invalid},
		"udp":             {vs(func(s *VirtualService) { s.Protocol = UDP }), svc + "check.kind", "says nothing", Invalid},
		"scheduler":       {vs(func(s *VirtualService) { s.Scheduler = "guess" }), svc + "scheduler", "not a choice", Invalid},
		"cookie in TCP":   {vs(func(s *VirtualService) { s.Persistence.Kind = PersistCookie }), svc + "persistence.kind", "needs HTTP Mode", Invalid},
		"cookie name":     {vs(func(s *VirtualService) { s.Persistence.CookieName = "a=b;" }), svc + "persistence.cookie_name", "cookie", Invalid},
		"mask":            {vs(func(s *VirtualService) { s.Persistence.MaskIPv4 = 33 }), svc + "persistence.mask_ipv4", "1 to 32", Invalid},
		"page in TCP":     {vs(func(s *VirtualService) { s.Fallback.Kind = FallbackPage }), svc + "fallback.kind", "would harm DICOM", Invalid},
		"fallback server": {vs(func(s *VirtualService) { s.Fallback.Kind = FallbackServer }), svc + "fallback.address", "address and port", Invalid},
		"interval":        {vs(func(s *VirtualService) { s.Monitor.Interval = -1 }), svc + "check.interval", "100ms", Invalid},
		"rise":            {vs(func(s *VirtualService) { s.Monitor.Rise = 0 }), svc + "check.rise", "1 to 100", Invalid},
		"http path":       {vs(func(s *VirtualService) { s.Monitor = NewMonitor(MonitorHTTP); s.Monitor.HTTP.Path = "x y" }), svc + "check.http.path", "begins with /", Invalid},
		"http path crlf":  {vs(func(s *VirtualService) { s.Monitor = NewMonitor(MonitorHTTP); s.Monitor.HTTP.Path = "/\r\nX: y" }), svc + "check.http.path", "begins with /", Invalid},
		"http codes":      {vs(func(s *VirtualService) { s.Monitor = NewMonitor(MonitorHTTP); s.Monitor.HTTP.Codes = "99" }), svc + "check.http.codes", "100 to 599", Invalid},
		"regexp": {vs(func(s *VirtualService) {
			s.Monitor = NewMonitor(MonitorHTTP)
			s.Monitor.HTTP = HTTPProbe{Content: "(", ContentRegexp: true}
		}), svc + "check.http.content", "regular expression", Invalid},
		"ae title": {vs(func(s *VirtualService) {
			s.Monitor = NewMonitor(MonitorDICOM)
			s.Monitor.DICOM.Called = strings.Repeat("A", 17)
		}), svc + "check.dicom.called_ae", "16", Invalid},
		"hl7 message":      {vs(func(s *VirtualService) { s.Monitor = NewMonitor(MonitorHL7); s.Monitor.HL7.Message = "PID|" }), svc + "check.hl7.message", "MSH|", Invalid},
		"ehlo name":        {vs(func(s *VirtualService) { s.Monitor = NewMonitor(MonitorSMTP); s.Monitor.SMTP.Name = "a\r\nQUIT" }), svc + "check.smtp.name", "EHLO", Invalid},
		"dns without name": {vs(func(s *VirtualService) { s.Monitor = NewMonitor(MonitorDNS) }), svc + "check.dns.name", "name to ask for", Invalid},
		"dns name":         {vs(func(s *VirtualService) { s.Monitor = NewMonitor(MonitorDNS); s.Monitor.DNS.Name = "a..b" }), svc + "check.dns.name", "can hold", Invalid},
		"dns type":         {vs(func(s *VirtualService) { s.Monitor = NewMonitor(MonitorDNS); s.Monitor.DNS = DNSProbe{"a", "AXFR", ""} }), svc + "check.dns.type", "not a choice", Invalid},
		"dns address":      {vs(func(s *VirtualService) { s.Monitor = NewMonitor(MonitorDNS); s.Monitor.DNS = DNSProbe{"a", "", "x"} }), svc + "check.dns.expect", "not an IP address", Invalid},
		"dns family": {vs(func(s *VirtualService) {
			s.Monitor = NewMonitor(MonitorDNS)
			s.Monitor.DNS = DNSProbe{"a", "MX", "10.0.0.1"}
		}), svc + "check.dns.expect", "type AAAA", Invalid},
		"mysql user": {vs(func(s *VirtualService) { s.Monitor = NewMonitor(MonitorMySQL); s.Monitor.MySQL.User = "a\x00b" }), svc + "check.mysql.user", "control character", Invalid},
		"postgresql user": {vs(func(s *VirtualService) {
			s.Monitor = NewMonitor(MonitorPostgreSQL)
			s.Monitor.PostgreSQL.User = strings.Repeat("a", 300)
		}), svc + "check.postgresql.user", "255 bytes", Invalid},
		"grpc service":      {vs(func(s *VirtualService) { s.Monitor = NewMonitor(MonitorGRPC); s.Monitor.GRPC.Service = "a\xff" }), svc + "check.grpc.service", "not valid text", Invalid},
		"script":            {vs(func(s *VirtualService) { s.Monitor = NewMonitor(MonitorScript) }), svc + "check.script", "Choose one", Invalid},
		"limit":             {vs(func(s *VirtualService) { s.Limits.MaxConnections = 0 }), svc + "limits.max_connections", "1 to", Invalid},
		"timeout":           {vs(func(s *VirtualService) { s.Limits.ClientTimeout = Duration(400 * 24 * time.Hour) }), svc + "limits.client_timeout", "to 8760h", Invalid},
		"queue":             {vs(func(s *VirtualService) { s.Limits.Queue = -1 }), svc + "limits.queue", "0 to", Invalid},
		"time in the queue": {vs(func(s *VirtualService) { s.Limits.QueueTimeout = 0 }), svc + "limits.queue_timeout", "10ms to", Invalid},
		"full load":         {vs(func(s *VirtualService) { s.Limits.FullLoad = -1 }), svc + "limits.full_load", "0 to", Invalid},
		"queue in UDP":      {vs(func(s *VirtualService) { s.Protocol, s.Limits.Queue = UDP, 5 }), svc + "limits.queue", "no queue", Invalid},
		"minimum, no queue": {vs(func(s *VirtualService) {
			s.RealServers[0].MinConnections, s.RealServers[0].MaxConnections = 2, 5
		}), svc + "real_servers[0].min_connections", "need a queue", Invalid},
		"minimum above maximum":  {vs(func(s *VirtualService) { s.Limits.Queue, s.RealServers[0].MinConnections = 5, 2 }), svc + "real_servers[0].min_connections", "not fewer", Invalid},
		"minimum":                {vs(func(s *VirtualService) { s.RealServers[0].MinConnections = -1 }), svc + "real_servers[0].min_connections", "0 (always", Invalid},
		"uri hash in TCP":        {vs(func(s *VirtualService) { s.Scheduler = URIHash }), svc + "scheduler", "needs HTTP Mode", Invalid},
		"header missing":         {vs(func(s *VirtualService) { s.Protocol, s.Scheduler = HTTP, HeaderHash }), svc + "hash_header", "Write the header", Invalid},
		"header":                 {vs(func(s *VirtualService) { s.HashHeader = "X Tenant" }), svc + "hash_header", "no space", Invalid},
		"bounded load":           {vs(func(s *VirtualService) { s.HashLoad = 100 }), svc + "hash_load", "101 to", Invalid},
		"minimum servers":        {vs(func(s *VirtualService) { s.MinimumServers = -1 }), svc + "minimum_servers", "0 to", Invalid},
		"slow start":             {vs(func(s *VirtualService) { s.SlowStart = Duration(2 * time.Hour) }), svc + "slow_start", "1h", Invalid},
		"observed without check": {vs(func(s *VirtualService) { s.Monitor.Kind, s.Monitor.Observe.Failures = MonitorNone, 5 }), svc + "check.observe.failures", "Choose a check", Invalid},
		"agent port":             {vs(func(s *VirtualService) { s.Monitor.Agent.Port = 0 }), svc + "check.agent.port", "such as 3333", Invalid},
		"agent misses":           {vs(func(s *VirtualService) { s.Monitor.Agent.Misses = 0 }), svc + "check.agent.misses", "1 to", Invalid},
		"agent line":             {vs(func(s *VirtualService) { s.Monitor.Agent.Send = "state\nGET /" }), svc + "check.agent.send", "one line", Invalid},
		"long agent line":        {vs(func(s *VirtualService) { s.Monitor.Agent.Send = strings.Repeat("a", 256) }), svc + "check.agent.send", "one line", Invalid},
		"observed codes":         {vs(func(s *VirtualService) { s.Monitor.Observe.Codes = "99" }), svc + "check.observe.codes", "100 to 599", Invalid},
		"empty address":          {rs(func(r *RealServer) { r.Address = "" }), svc + "real_servers[0].address", "is missing", Invalid},
		"host name":              {rs(func(r *RealServer) { r.Address = "pacs 1.local" }), svc + "real_servers[0].address", "neither an IP address nor a host name", Invalid},
		"no host name":           {rs(func(r *RealServer) { r.Address = "-pacs.local" }), svc + "real_servers[0].address", "neither an IP address nor a host name", Invalid},
		"host name in markup":    {rs(func(r *RealServer) { r.Address = "<b>" }), svc + "real_servers[0].address", "neither an IP address nor a host name", Invalid},
		"international name":     {rs(func(r *RealServer) { r.Address = "bücher.example" }), svc + "real_servers[0].address", "neither an IP address nor a host name", Invalid},
		"long host name":         {rs(func(r *RealServer) { r.Address = Host(strings.Repeat("a.", 127) + "b") }), svc + "real_servers[0].address", "neither an IP address nor a host name", Invalid},
		"address of five parts":  {rs(func(r *RealServer) { r.Address = "192.168.0.40.1" }), svc + "real_servers[0].address", "not an IP address", Invalid},
		"hexadecimal address":    {rs(func(r *RealServer) { r.Address = "0x7f000001" }), svc + "real_servers[0].address", "not an IP address", Invalid},
		"localhost":              {rs(func(r *RealServer) { r.Address = "localhost." }), svc + "real_servers[0].address", "this appliance itself", Invalid},
		"below localhost":        {rs(func(r *RealServer) { r.Address = "pacs.localhost" }), svc + "real_servers[0].address", "this appliance itself", Invalid},
		"leading zeros":          {rs(func(r *RealServer) { r.Address = "192.168.000.040" }), svc + "real_servers[0].address", "not an IP address", Invalid},
		"metadata":               {rs(func(r *RealServer) { r.Address = "169.254.169.254" }), svc + "real_servers[0].address", "link-local", Invalid},
		"loopback":               {rs(func(r *RealServer) { r.Address = "127.0.0.1" }), svc + "real_servers[0].address", "this appliance itself", Invalid},
		"mapped loopback":        {rs(func(r *RealServer) { r.Address = "::ffff:127.0.0.1" }), svc + "real_servers[0].address", "this appliance itself", Invalid},
		"weight":                 {rs(func(r *RealServer) { r.Weight = -1 }), svc + "real_servers[0].weight", "0 to 1000", Invalid},
		"state":                  {rs(func(r *RealServer) { r.State = "maybe" }), svc + "real_servers[0].state", "not a choice", Invalid},
		"fallback to itself": {vs(func(s *VirtualService) {
			s.Fallback = Fallback{Kind: FallbackServer, Address: netip.MustParseAddrPort("192.168.0.189:6667")}
		}), svc + "real_servers", "in a circle", Invalid},
		"kept port":   {vs(func(s *VirtualService) { s.Ports = Ports{{7778, 7778}} }), svc + "ports", "kept for", Conflict},
		"twin server": {vs(func(s *VirtualService) { s.RealServers[1].Label = "COREPOINT1" }), svc + "real_servers[1].label", "already a real server", Conflict},
		"twin id":     {vs(func(s *VirtualService) { s.RealServers[1].ID = "r1" }), svc + "real_servers[1].id", "stands twice", Conflict},
		"circle":      {rs(func(r *RealServer) { r.Address = "192.168.0.189" }), svc + "real_servers", "in a circle", Invalid},
		"hostname":    {func(c *Config) { c.Local.Hostname = "lb 1" }, "local.hostname", "hostname", Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			config := hl7()
			c.edit(&config)
			list := ErrorsOf(Validate(config, Site{}))
			i := slices.IndexFunc(list, func(e *Error) bool { return e.Field == c.field })
			if i < 0 {
				t.Fatalf("no error at %s: %v", c.field, list)
			}
			if !strings.Contains(list[i].Text(), c.says) || list[i].Kind != c.kind {
				t.Errorf("%s: %s (%s); want %q (%s)", c.field, list[i].Text(), list[i].Kind, c.says, c.kind)
			}
		})
	}
}

func TestValidateReturnsEveryErrorAtOnce(t *testing.T) {
	c := hl7()
	s := &c.Cluster.VirtualServices[0]
	s.Ports, s.Scheduler, s.RealServers[1].Weight = nil, "", 5000
	if list := ErrorsOf(Validate(c, Site{})); len(list) != 3 {
		t.Errorf("%d errors, want 3: %v", len(list), list)
	}
}

func TestValidateRefusesTakenPorts(t *testing.T) {
	add := func(c *Config, id, address, ports string) {
		s := c.Cluster.VirtualServices[0].Clone()
		p, err := ParsePorts(ports)
		if err != nil {
			t.Fatal(err)
		}
		s.ID, s.Label, s.Address, s.Ports, s.RealServers = id, "Second", netip.MustParseAddr(address), p, nil
		c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, s)
	}
	for _, c := range []struct {
		address, ports string
		taken          bool
	}{
		{"192.168.0.189", "6667", true},
		{"192.168.0.189", "6000-7000", true},
		{"0.0.0.0", "6667", true},
		{"::", "6667", true},
		{"::ffff:192.168.0.189", "6667", true},
		{"192.168.0.188", "6667", false},
		{"192.168.0.189", "6668", false},
		{"fd00::1", "6667", false},
	} {
		config := hl7()
		add(&config, "s2", c.address, c.ports)
		err := Validate(config, Site{})
		if (KindOf(err) == Conflict) != c.taken {
			t.Errorf("%s:%s beside 192.168.0.189:6667: %v", c.address, c.ports, err)
		}
		if c.taken && !strings.Contains(err.Error(), "HL7") {
			t.Errorf("the sentence does not name the service that has it: %v", err)
		}
	}
}

func TestValidateKeepsServicesAndServersOffTheAppliancesOwnPorts(t *testing.T) {
	site := Site{Listeners: []Listener{{netip.MustParseAddrPort("0.0.0.0:9443"), "the WebUI"}}}
	c := hl7()
	c.Cluster.VirtualServices[0].Ports = Ports{{9443, 9443}}
	if err := Validate(c, site); err == nil || !strings.Contains(err.Error(), "used by the WebUI") {
		t.Errorf("a service on the WebUI's port: %v", err)
	}
	c = hl7()
	c.Cluster.Settings.AllowLoopback = true
	c.Cluster.VirtualServices[0].RealServers[0].Address, c.Cluster.VirtualServices[0].RealServers[0].Port = "127.0.0.1", 9443
	if err := Validate(c, site); err == nil || !strings.Contains(err.Error(), "the WebUI of this appliance itself") {
		t.Errorf("a server that is the WebUI: %v", err)
	}
}

func TestAWildcardListensOnEveryAddressOfTheMachine(t *testing.T) {
	site := Site{
		Listeners: []Listener{{netip.MustParseAddrPort("0.0.0.0:9443"), "the WebUI"}},
		Addresses: []netip.Addr{netip.MustParseAddr("192.168.0.10")},
	}
	for name, edit := range map[string]func(*VirtualService){
		"server":  func(s *VirtualService) { s.RealServers[0].Address, s.RealServers[0].Port = "192.168.0.10", 9443 },
		"own VIP": func(s *VirtualService) { s.RealServers[0].Address, s.RealServers[0].Port = "192.168.0.189", 9443 },
		"check": func(s *VirtualService) {
			s.RealServers[0].Address, s.RealServers[0].Port, s.Monitor.Port = "192.168.0.10", 80, 9443
		},
		"fallback": func(s *VirtualService) {
			s.Fallback = Fallback{Kind: FallbackServer, Address: netip.MustParseAddrPort("192.168.0.10:9443")}
		},
		"circle": func(s *VirtualService) {
			s.Address, s.RealServers[0].Address = netip.IPv4Unspecified(), "192.168.0.10"
		},
	} {
		c := hl7()
		edit(&c.Cluster.VirtualServices[0])
		if err := Validate(c, site); err == nil || !strings.Contains(err.Error(), "of this appliance itself") && !strings.Contains(err.Error(), "circle") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValidateFindsCirclesThroughSeveralServices(t *testing.T) {
	c := Config{}
	for i := range 3 {
		s := NewService(TCP)
		s.ID, s.Label, s.Address, s.Ports = fmt.Sprintf("s%d", i), fmt.Sprintf("S%d", i), netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), Ports{{80, 80}}
		r := NewRealServer()
		r.ID, r.Label, r.Address = fmt.Sprintf("r%d", i), "next", Host(netip.AddrFrom4([4]byte{10, 0, 0, byte((i + 1) % 3)}).String())
		s.RealServers = []RealServer{r}
		c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, s)
	}
	if list := ErrorsOf(Validate(c, Site{})); len(list) != 3 || !strings.Contains(list[0].Text(), "circle") {
		t.Errorf("%v", list)
	}
	c.Cluster.VirtualServices[2].RealServers[0].Port = 81
	if err := Validate(c, Site{}); err != nil {
		t.Errorf("a chain is no circle: %v", err)
	}
}
