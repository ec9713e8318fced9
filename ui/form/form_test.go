package form

import (
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"evenkeel/appliance"
)

// posted is what a browser sends of a form.
func posted(f Service) url.Values {
	out := url.Values{}
	for path, v := range f.Values {
		out.Set(path, v)
	}
	for i, r := range f.Rows {
		for name, v := range map[string]string{"id": r.ID, "label": r.Label, "address": r.Address, "port": r.Port, "weight": r.Weight, "max_connections": r.MaxConnections, "min_connections": r.MinConnections, "encrypt": r.Encrypt} {
			out.Set(RowName(i, name), v)
		}
	}
	return out
}

// anyAddress is one of either family.
func anyAddress(t *rapid.T, name string) netip.Addr {
	if last := rapid.Byte().Draw(t, name); last&1 == 0 {
		return netip.AddrFrom4([4]byte{10, 0, 0, last})
	}
	return netip.MustParseAddr(rapid.SampledFrom([]string{"::1", "fd00::188", "2001:db8::ffff:1", "fd00:1:2:3:4:5:6:7"}).Draw(t, name+" of IPv6"))
}

func anyService(t *rapid.T) appliance.VirtualService {
	s := appliance.NewService(rapid.SampledFrom([]appliance.Protocol{appliance.TCP, appliance.HTTP}).Draw(t, "protocol"))
	duration := func(name string) appliance.Duration {
		return appliance.Duration(time.Duration(rapid.IntRange(1, 90_000_000).Draw(t, name)) * time.Millisecond)
	}
	s.Label, s.Address = "Service", anyAddress(t, "address")
	s.SourceAddress.Addr = anyAddress(t, "source address")
	for range rapid.IntRange(0, 2).Draw(t, "trusted") {
		a := anyAddress(t, "proxy")
		s.ProxyProtocol.Trusted = append(s.ProxyProtocol.Trusted, netip.PrefixFrom(a, rapid.IntRange(1, a.BitLen()).Draw(t, "bits")))
	}
	s.Ports = appliance.Ports{{First: uint16(rapid.IntRange(1, 60000).Draw(t, "port"))}}
	s.Ports[0].Last = s.Ports[0].First + uint16(rapid.IntRange(0, 100).Draw(t, "ports"))
	s.Scheduler = rapid.SampledFrom(appliance.Schedulers()).Draw(t, "scheduler")
	s.Mode = rapid.SampledFrom([]appliance.ModeOfUse{appliance.LoadBalanced, appliance.Failover}).Draw(t, "mode")
	s.Monitor.Kind = rapid.SampledFrom([]appliance.MonitorKind{appliance.MonitorHTTP, appliance.MonitorDICOM, appliance.MonitorHL7, appliance.MonitorSMTP, appliance.MonitorRedis, appliance.MonitorLDAP, appliance.MonitorDNS, appliance.MonitorMySQL, appliance.MonitorPostgreSQL, appliance.MonitorGRPC, appliance.MonitorNone}).Draw(t, "check")
	s.Monitor.DICOM.TLS, s.Monitor.SMTP.Name = rapid.Bool().Draw(t, "tls"), "lb.example"
	s.Monitor.Interval, s.Monitor.Rise, s.Monitor.Port = duration("interval"), rapid.IntRange(1, 100).Draw(t, "rise"), uint16(rapid.IntRange(0, 65535).Draw(t, "check port"))
	s.Monitor.HTTP.Verify, s.Monitor.HTTP.Path, s.Monitor.HL7.Message = rapid.Bool().Draw(t, "verify"), "/health", "MSH|^~\\&|A\nEVN|A"
	s.Monitor.DNS = appliance.DNSProbe{Name: "a.example", Type: rapid.SampledFrom([]string{"", "AAAA", "TXT"}).Draw(t, "type"), Expect: "::1"}
	s.Monitor.MySQL.User, s.Monitor.PostgreSQL.User = "lb1", "lb2"
	s.Monitor.GRPC.Service = "imaging"
	s.Persistence.Kind, s.Persistence.Timeout, s.Persistence.ClearOnDrain = appliance.PersistSourceIP, duration("timeout"), rapid.Bool().Draw(t, "clear")
	s.Limits.Queue, s.Limits.FullLoad, s.Limits.QueueTimeout = rapid.IntRange(0, 1000).Draw(t, "queue"), rapid.IntRange(0, 1000).Draw(t, "full"), duration("queue timeout")
	s.Limits.ClientTimeout, s.Limits.MaxConnections = duration("client timeout"), rapid.IntRange(1, 1_000_000).Draw(t, "connections")
	if rapid.Bool().Draw(t, "fallback") {
		s.Fallback = appliance.Fallback{Kind: appliance.FallbackServer, Address: netip.AddrPortFrom(anyAddress(t, "fallback address"), 80)}
	}
	s.TLS.Certificates = rapid.SampledFrom([][]string{{}, {"b", "a"}}).Draw(t, "certificates")
	s.TLS.Ciphers = rapid.SampledFrom([][]string{{}, appliance.TLSCiphers()[2:4]}).Draw(t, "ciphers")
	s.TLS.ClientAuth, s.TLS.ClientCA = rapid.SampledFrom([]appliance.ClientAuth{appliance.ClientAuthNone, appliance.ClientAuthRequired}).Draw(t, "client auth"), "c"
	s.TLS.MinVersion, s.TLS.Redirect, s.TLS.RedirectPort, s.TLS.HSTS = appliance.TLS13, appliance.RedirectFound, 8443, duration("hsts")
	s.ServerTLS = appliance.ServerTLS{Enabled: rapid.Bool().Draw(t, "re-encrypt"), Verify: rapid.Bool().Draw(t, "verify server"), SNI: "pacs.example.org", CA: "d"}
	for i := range rapid.IntRange(0, 4).Draw(t, "servers") {
		s.RealServers = append(s.RealServers, appliance.RealServer{
			ID: "r" + string(rune('a'+i)), Label: "Server" + string(rune('a'+i)), Address: rapid.SampledFrom([]appliance.Host{"10.1.0.1", "fd00::40", "pacs1.example.org", "pacs1."}).Draw(t, "server"),
			Port: uint16(rapid.IntRange(0, 65535).Draw(t, "server port")), Weight: rapid.IntRange(0, 1000).Draw(t, "weight"), MaxConnections: rapid.IntRange(0, 99).Draw(t, "most"), MinConnections: rapid.IntRange(0, 9).Draw(t, "least"),
			Encrypt: rapid.Bool().Draw(t, "encrypt"),
			State:   rapid.SampledFrom([]appliance.State{appliance.Online, appliance.Drain, appliance.Halt}).Draw(t, "state"),
		})
	}
	s.Normalize()
	return s
}

// TestAFormSentAsItCameChangesNothing holds for every field, also those that the form does not show, such as the state of a server.
func TestAFormSentAsItCameChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anyService(t)
		back := s.Clone()
		if errs := ReadService(posted(OfService(&s))).Into(&back); len(errs) > 0 {
			t.Fatal(errs)
		}
		if diff := cmp.Diff(s, back, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestEmptyFieldsTakeTheDefaultsOfTheProtocol(t *testing.T) {
	for _, protocol := range []appliance.Protocol{appliance.TCP, appliance.HTTP} {
		f := NewService(2)
		f.Values["protocol"], f.Values["label"], f.Values["address"], f.Values["ports"] = string(protocol), "A", "10.0.0.1", "80"
		s := appliance.NewService(appliance.TCP)
		if errs := ReadService(posted(f)).Into(&s); len(errs) > 0 {
			t.Fatal(errs)
		}
		want := appliance.NewService(protocol)
		if s.Limits != want.Limits || s.Fallback != want.Fallback || !reflect.DeepEqual(s.Persistence, want.Persistence) || len(s.RealServers) != 0 {
			t.Errorf("%s: %+v", protocol, s)
		}
	}
}

func TestAModeIsOfferedOnlyWhatItCanHave(t *testing.T) {
	choices := map[string]Field{}
	for _, f := range allFields(nil) {
		choices[f.Path] = f
	}
	for _, c := range []struct{ path, option, misfits string }{
		{"check.kind", "connect", "udp"},
		{"check.kind", "grpc", "udp"},
		{"check.kind", "dns", ""},
		{"check.kind", "script", ""},
		{"check.kind", "none", ""},
		{"persistence.kind", "source_ip", ""},
		{"persistence.kind", "http_cookie", "tcp udp"},
		{"persistence.kind", "rdp_cookie", "http udp"},
		{"persistence.kind", "last_successful", "udp"},
		{"scheduler", "least_connections", ""},
		{"scheduler", "uri_hash", "tcp udp"},
		{"fallback.kind", "page", "tcp udp"},
		{"fallback.kind", "", ""},
	} {
		if got := choices[c.path].Misfits(c.option); got != c.misfits {
			t.Errorf("%s %s: not in %q, want %q", c.path, c.option, got, c.misfits)
		}
	}
	if got := SubjectMisfits("path") + "/" + SubjectMisfits("tls_name") + "/" + SubjectMisfits("source") + "/" + DeedMisfits("redirect") + "/" + DeedMisfits("deny"); got != "tcp udp/udp//tcp udp/" {
		t.Errorf("rules: %s", got)
	}
	f := NewService(1)
	f.Values["protocol"], f.Values["label"], f.Values["address"], f.Values["ports"] = "udp", "DNS", "10.0.0.1", "53"
	s := appliance.NewService(appliance.TCP)
	if errs := ReadService(posted(f)).Into(&s); len(errs) > 0 || s.Monitor.Kind != appliance.MonitorNone {
		t.Errorf("a new form in UDP Mode: %v, check %s", errs, s.Monitor.Kind)
	}
	f.Values["check.port"] = "8080"
	if errs := ReadService(posted(f)).Into(&s); len(errs) > 0 || s.Monitor.Kind != appliance.MonitorConnect {
		t.Errorf("with a port that answers by TCP: %v, check %s", errs, s.Monitor.Kind)
	}
}

func TestEveryUnreadableFieldIsNamed(t *testing.T) {
	f := NewService(0)
	bad := map[string]string{
		"address": "10.0.0.256", "ports": "80-70", "persistence.mask_ipv4": "many", "persistence.timeout": "soon", "check.port": "65536", "check.rise": "2.5", "fallback.address": "here", "limits.max_connections": "9999999999999999999999",
	}
	for path, v := range bad {
		f.Values[path] = v
	}
	f.Rows = []Row{{Label: "x", Address: "10.0.0.2", Port: "0", Weight: "NaN", MaxConnections: "-", MinConnections: "x"}}
	s := appliance.NewService(appliance.TCP)
	errs := Sort(ReadService(posted(f)).Into(&s), "", Known)
	for path := range bad {
		if errs.Of(path) == "" {
			t.Errorf("%s = %q is taken", path, bad[path])
		}
	}
	for _, cell := range []string{"port", "weight", "max_connections", "min_connections"} {
		if errs.Of(RowName(0, cell)) == "" {
			t.Errorf("%s of the server is taken", cell)
		}
	}
	if len(errs[""]) != 0 {
		t.Errorf("without a field: %v", errs[""])
	}
}

func TestEveryFieldHasANameAndHelp(t *testing.T) {
	known := []string{"server"}
	for _, k := range appliance.PersistenceKinds() {
		known = append(known, string(k))
	}
	for _, k := range appliance.MonitorKinds() {
		known = append(known, string(k))
	}
	for _, k := range appliance.Schedulers() {
		known = append(known, string(k))
	}
	for _, f := range allFields(nil) {
		if f.Name() == f.Path || f.Help() == "" {
			t.Errorf("%s stands in no catalogue", f.Path)
		}
		for _, kind := range strings.Fields(f.For) {
			if !slices.Contains(known, kind) {
				t.Errorf("%s counts with %q, which is no choice of any section", f.Path, kind)
			}
		}
	}
}

func TestSectionsSayTheirValueAndWhatDiffers(t *testing.T) {
	s := appliance.NewService(appliance.TCP)
	s.Persistence.Kind, s.Persistence.MaskIPv4 = appliance.PersistSourceIP, 24
	s.Monitor.Kind = appliance.MonitorDICOM
	s.Mode = appliance.Failover
	want := map[string]string{
		"balance": "failover: the first server that is up · 1 value differs from the default", "persistence": "source IP, 30 min · 1 value differs from the default",
		"check": "DICOM C-ECHO every 4 s, up after 2, down after 3", "fallback": "none: closed at once", "tls": "off: clients come in clear", "https": "HTTP Mode only", "server_tls": "off", "http": "HTTP Mode only", "neighbours": "source address of the route", "rules": "none: every request is served alike", "limits": "40000 connections, client silent for 12 h",
	}
	for _, section := range Sections(nil) {
		if got := section.Summary(&s); got != want[section.ID] {
			t.Errorf("%s: %q", section.ID, got)
		}
	}
}

func TestManyRowsAndLongTextsAreBounded(t *testing.T) {
	in := url.Values{}
	for i := range 3000 {
		in.Set(RowName(i, "label"), "x")
	}
	in.Set("label", strings.Repeat("x", 1<<20))
	in.Set("check.hl7.message", strings.Repeat("\xff", 1<<20))
	f := ReadService(in)
	if len(f.Rows) > appliance.MaxServers+1 || len(f.Values["label"]) > longestText || len(f.Values["check.hl7.message"]) > 3*longestArea {
		t.Errorf("%d rows, %d and %d bytes", len(f.Rows), len(f.Values["label"]), len(f.Values["check.hl7.message"]))
	}
}

func TestTheChosenCertificateServesEveryoneElse(t *testing.T) {
	in := url.Values{"tls.certificates": {"a", "b", "c"}, FirstName("tls.certificates"): {"b"}}
	if got := ReadService(in).Values["tls.certificates"]; got != "b,a,c" {
		t.Errorf("%q", got)
	}
	in.Set(FirstName("tls.certificates"), "not ticked")
	if got := ReadService(in).Values["tls.certificates"]; got != "a,b,c" {
		t.Errorf("%q", got)
	}
	sections := Sections(nil)
	Offer(sections, []appliance.Certificate{{ID: "a", Label: "pacs", Names: []string{"pacs.example.org", "10.0.0.1"}, NotAfter: time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC)}}, []appliance.ClientAuthority{{ID: "x", Label: "cards"}})
	offered := map[string][]Option{}
	for _, section := range sections {
		for _, f := range section.Fields {
			offered[f.Path] = f.Options
		}
	}
	if got := offered["tls.certificates"]; len(got) != 1 || got[0].Name != "pacs: pacs.example.org, 10.0.0.1 (until 2027-01-02)" {
		t.Errorf("%v", got)
	}
	for _, path := range []string{"tls.client_ca", "server_tls.ca"} {
		if got := offered[path]; len(got) != 2 || got[1] != (Option{"x", "cards"}) {
			t.Errorf("%s: %v", path, got)
		}
	}
}

// TestAPoolLeavesOutAddressAndPorts, whatever was typed before the tick, and a service that was one needs them again.
func TestAPoolLeavesOutAddressAndPorts(t *testing.T) {
	s := appliance.NewService(appliance.HTTP)
	s.Address, s.Ports = netip.MustParseAddr("10.0.0.1"), appliance.Ports{{First: 80, Last: 80}}
	f := OfService(&s)
	f.Values["pool_only"], f.Values["address"], f.Values["ports"] = "true", "10.0.0.", "no port"
	if errs := f.Into(&s); len(errs) != 0 || !s.PoolOnly || s.Address.IsValid() || s.Ports != nil {
		t.Errorf("%v, %+v", errs, s)
	}
	f = OfService(&s)
	if f.Values["pool_only"] != "true" || f.Values["address"] != "" || f.Values["ports"] != "" {
		t.Errorf("%+v", f.Values)
	}
	f.Values["pool_only"], f.Values["address"], f.Values["ports"] = "", "10.0.0.2", "81"
	if errs := f.Into(&s); len(errs) != 0 || s.PoolOnly || s.Address.String() != "10.0.0.2" || s.Ports.String() != "81" {
		t.Errorf("%v, %+v", errs, s)
	}
}
