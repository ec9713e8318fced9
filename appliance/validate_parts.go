package appliance

import (
	"regexp"
	"strings"
	"time"
	"unicode"
)

func (v *validation) between(field string, n, lo, hi int) {
	if n < lo || n > hi {
		v.refuse(field, "This must be %d to %d.", lo, hi)
	}
}

func (v *validation) lasts(field string, d Duration, lo, hi time.Duration) {
	if d.D() < lo || d.D() > hi {
		v.refuse(field, "This time must be %s to %s.", Duration(lo), Duration(hi))
	}
}

func (v *validation) monitor(s *VirtualService) {
	m := &s.Monitor
	v.oneOf("check.kind", m.Kind.Valid(), string(m.Kind))
	v.lasts("check.interval", m.Interval, 100*time.Millisecond, 24*time.Hour)
	v.lasts("check.timeout", m.Timeout, 10*time.Millisecond, 5*time.Minute)
	v.between("check.rise", m.Rise, 1, 100)
	v.between("check.fall", m.Fall, 1, 100)
	v.observe(m)
	v.agent(&m.Agent)
	switch m.Kind {
	case MonitorHTTP, MonitorHTTPS:
		v.httpProbe(&m.HTTP)
	case MonitorDICOM:
		v.aeTitle("check.dicom.calling_ae", m.DICOM.Calling)
		v.aeTitle("check.dicom.called_ae", m.DICOM.Called)
	case MonitorHL7:
		v.hl7Probe(&m.HL7)
	case MonitorScript:
		if v.config.Cluster.Script(m.Script) == nil {
			v.refuse("check.script", "Choose one of the health check scripts.")
		}
	default:
		v.protocolProbe(m)
	}
}

func (v *validation) httpProbe(p *HTTPProbe) {
	v.oneOf("check.http.method", p.Method == "" || p.Method == "GET" || p.Method == "HEAD", p.Method)
	if p.Path != "" && (p.Path[0] != '/' || !visible(p.Path) || len(p.Path) > 2048 || strings.Contains(p.Path, "#")) {
		v.refuse("check.http.path", "A path begins with / and has no space.")
	}
	if !visible(p.Host) || len(p.Host) > 255 || strings.ContainsAny(p.Host, "/@\\?#") {
		v.refuse("check.http.host", "This is not a host name.")
	}
	if p.Codes != "" {
		if codes, err := ParsePorts(p.Codes); err != nil || codes[0].First < 100 || codes[len(codes)-1].Last > 599 {
			v.refuse("check.http.codes", "Write codes from 100 to 599: 200 or 200,204 or 200-399.")
		}
	}
	if len(p.Content) > 1024 {
		v.refuse("check.http.content", "The text to find is longer than 1024 bytes.")
	} else if p.ContentRegexp {
		if _, err := regexp.Compile(p.Content); err != nil {
			v.refuse("check.http.content", "This is not a regular expression: %v.", err)
		}
	}
}

// visible tells whether every byte is printable ASCII and none a space.
func visible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

func (v *validation) aeTitle(field, title string) {
	if len(title) > 16 || strings.ContainsFunc(title, func(r rune) bool { return r < ' ' || r > '~' || r == '\\' }) {
		v.refuse(field, "An AE title has at most 16 letters, digits and signs, no backslash.")
	}
}

func (v *validation) hl7Probe(p *HL7Probe) {
	if p.Message != "" && (!strings.HasPrefix(p.Message, "MSH|") || len(p.Message) > 64<<10 || strings.ContainsAny(p.Message, "\x00\x0b\x1c")) {
		v.refuse("check.hl7.message", "A message begins with MSH| and has one segment a line.")
	}
	switch p.Expect {
	case "", "AA", "AE", "AR", "CA", "CE", "CR":
	default:
		v.refuse("check.hl7.expect", "An acknowledgement code is AA, AE, AR, CA, CE or CR.")
	}
}

func (v *validation) fallback(s *VirtualService) {
	f := &s.Fallback
	switch f.Kind {
	case FallbackNone:
	case FallbackPage:
		if s.Protocol != HTTP {
			v.refuse("fallback.kind", "The appliance's page is for HTTP Mode; it would harm DICOM or HL7.")
		}
	case FallbackServer:
		if !f.Address.IsValid() || f.Address.Port() == 0 {
			v.refuse("fallback.address", "Write address and port, such as 192.168.0.9:80.")
		} else if why := v.badServer(f.Address.Addr().Unmap()); why != "" {
			v.refuse("fallback.address", "%s", why)
		} else if port, name, own := v.own(f.Address.Addr().Unmap(), Ports{{f.Address.Port(), f.Address.Port()}}); own {
			v.refuse("fallback.address", "%s port %d is %s of this appliance itself.", f.Address.Addr(), port, name)
		}
	default:
		v.oneOf("fallback.kind", false, string(f.Kind))
	}
}

func (v *validation) options(s *VirtualService) {
	switch s.HTTP.ForwardedFor {
	case ForwardedAppend, ForwardedReplace, ForwardedOff:
	default:
		v.oneOf("http.x_forwarded_for", false, string(s.HTTP.ForwardedFor))
	}
	switch s.HTTP.KeepAlive {
	case KeepAliveBoth, KeepAliveClient, KeepAliveNone:
	default:
		v.oneOf("http.keep_alive", false, string(s.HTTP.KeepAlive))
	}
	switch s.HTTP.Reuse {
	case ReuseNever, ReuseSafe, ReuseAlways:
	default:
		v.oneOf("http.reuse", false, string(s.HTTP.Reuse))
	}
	v.lasts("http.head_timeout", s.HTTP.HeadTimeout, 100*time.Millisecond, time.Hour)
	v.between("http.head_limit", s.HTTP.HeadLimit, MinHeadLimit, MaxHeadLimit)
	v.between("http.cache_size", s.HTTP.CacheSize, 0, maxCacheSize)
	v.page("http.error_page", s.HTTP.ErrorPage, MaxErrorPage)
	v.oneOf("http.http2_in", s.HTTP.HTTP2In.Valid(), string(s.HTTP.HTTP2In))
	v.lasts("http.websocket_timeout", s.HTTP.WebSocketTimeout, 10*time.Millisecond, maxDuration)
	v.between("limits.max_connections", s.Limits.MaxConnections, 1, maxConnections)
	v.lasts("limits.connect_timeout", s.Limits.ConnectTimeout, 10*time.Millisecond, 5*time.Minute)
	v.lasts("limits.client_timeout", s.Limits.ClientTimeout, 10*time.Millisecond, maxDuration)
	v.lasts("limits.server_timeout", s.Limits.ServerTimeout, 10*time.Millisecond, maxDuration)
	v.queue(s)
	v.oneOf("log", s.Log.Valid(), string(s.Log))
}

func (v *validation) scripts() {
	labels, ids := map[string]bool{}, map[string]bool{}
	for i := range v.config.Cluster.Scripts {
		s := &v.config.Cluster.Scripts[i]
		v.prefix, v.id = "scripts["+s.Label+"].", s.ID
		if v.label(s.Label) && labels[strings.ToLower(s.Label)] {
			v.refuse("label", "There is already a script named %s.", s.Label).Kind = Conflict
		}
		labels[strings.ToLower(s.Label)] = true
		v.uniqueID(ids, s.ID)
		if !strings.HasPrefix(s.Body, "#!/") || len(s.Body) > 256<<10 || strings.ContainsRune(s.Body, 0) {
			v.refuse("body", "A script begins with #! and the path of an interpreter, such as #!/bin/bash, and is at most 256 KB.")
		}
	}
	v.prefix, v.id = "", ""
}

var validHostname = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

func (v *validation) local() {
	v.prefix = "local."
	defer func() { v.prefix = "" }()
	v.trafficLog()
	v.metricsNetworks()
	if name := v.config.Local.Hostname; name != "" && (!validHostname.MatchString(name) || len(name) > 253) {
		v.refuse("hostname", "A hostname has letters, digits, - and dots.")
	}
	for _, name := range v.config.Local.Names {
		if !validHostname.MatchString(name) || strings.ContainsFunc(name, unicode.IsSpace) {
			v.refuse("host_names", "%.60q is not a host name.", name)
		}
	}
}
