package form

import (
	"strconv"
	"strings"

	"evenkeel/appliance"
)

type vs = appliance.VirtualService

func text(path, example string, at func(*vs) *string) Field {
	return Field{
		Path: path, Kind: Text, Example: example,
		get: func(s *vs) string { return *at(s) },
		set: func(s *vs, t string) error { *at(s) = t; return nil },
	}
}

func number(path string, at func(*vs) *int) Field {
	return Field{
		Path: path, Kind: Number,
		get: func(s *vs) string { return strconv.Itoa(*at(s)) },
		set: func(s *vs, t string) error { return readNumber(path, t, func(n int) { *at(s) = n }) },
	}
}

func duration(path string, at func(*vs) *appliance.Duration) Field {
	return Field{
		Path: path, Kind: Duration,
		get: func(s *vs) string { return Spaced(*at(s)) },
		set: func(s *vs, t string) error {
			d, err := appliance.ParseDuration(t)
			if err != nil {
				return appliance.Refuse(path, "%s", appliance.ErrorsOf(err)[0].Text())
			}
			*at(s) = d
			return nil
		},
	}
}

func check(path string, at func(*vs) *bool) Field {
	return Field{
		Path: path, Kind: Check,
		get: func(s *vs) string { return strconv.FormatBool(*at(s)) },
		set: func(s *vs, t string) error { *at(s) = t == "true"; return nil },
	}
}

func choice[T ~string](path string, at func(*vs) *T, options ...Option) Field {
	return Field{
		Path: path, Kind: Choice, Options: options,
		get: func(s *vs) string { return string(*at(s)) },
		set: func(s *vs, t string) error { *at(s) = T(t); return nil },
	}
}

func options[T interface {
	~string
	String() string
}](list ...T) []Option {
	out := make([]Option, len(list))
	for i, v := range list {
		out[i] = Option{string(v), v.String()}
	}
	return out
}

// words are choices that are called what they are; the first is the default, which is saved as nothing.
func words(list ...string) []Option {
	out := make([]Option, len(list))
	for i, w := range list {
		out[i] = Option{w, w}
	}
	out[0].Value = ""
	return out
}

func with(f Field, values string) Field { f.For = values; return f }

func hinted(f Field, example string) Field { f.Example = example; return f }

// firstFields are the four that are enough, and what makes a service without address and ports.
func firstFields() []Field {
	return []Field{
		text("label", "VNA_DICOM", func(s *vs) *string { return &s.Label }),
		{
			Path: "address", Kind: Text, Example: "192.168.0.188",
			get: func(s *vs) string {
				if !s.Address.IsValid() {
					return ""
				}
				return s.Address.String()
			},
			set: func(s *vs, t string) (err error) { s.Address, err = readAddress("address", t); return err },
		},
		{
			Path: "ports", Kind: Text, Example: "11112",
			get: func(s *vs) string { return s.Ports.String() },
			set: func(s *vs, t string) (err error) { s.Ports, err = appliance.ParsePorts(t); return err },
		},
		choice("protocol", func(s *vs) *appliance.Protocol { return &s.Protocol }, options(appliance.TCP, appliance.HTTP, appliance.UDP)...),
		check("pool_only", func(s *vs) *bool { return &s.PoolOnly }),
	}
}

func balanceFields() []Field {
	return []Field{
		fitting(choice("scheduler", func(s *vs) *appliance.Scheduler { return &s.Scheduler }, options(appliance.Schedulers()...)...), schedulerFits),
		with(text("hash_header", "X-Tenant", func(s *vs) *string { return &s.HashHeader }), "header_hash"),
		with(number("hash_load", func(s *vs) *int { return &s.HashLoad }), "source_hash uri_hash header_hash"),
		choice("mode", func(s *vs) *appliance.ModeOfUse { return &s.Mode },
			Option{string(appliance.LoadBalanced), "load balanced"}, Option{string(appliance.Failover), "failover"}),
		duration("slow_start", func(s *vs) *appliance.Duration { return &s.SlowStart }),
		number("minimum_servers", func(s *vs) *int { return &s.MinimumServers }),
	}
}

// checkFields lists the monitor's; scripts are the choices of an external script.
func checkFields(scripts []appliance.Script) []Field {
	const web, hl7, dicom = "http https", "hl7", "dicom_echo"
	choices := []Option{{"", "choose a script"}}
	for _, s := range scripts {
		choices = append(choices, Option{s.ID, s.Label})
	}
	list := []Field{
		fitting(choice("check.kind", func(s *vs) *appliance.MonitorKind { return &s.Monitor.Kind }, options(appliance.MonitorKinds()...)...), checkFits),
		with(choice("check.http.method", func(s *vs) *string { return &s.Monitor.HTTP.Method }, Option{"", "GET"}, Option{"HEAD", "HEAD"}), web),
		with(text("check.http.path", "/", func(s *vs) *string { return &s.Monitor.HTTP.Path }), web),
		with(text("check.http.host", "the server's address", func(s *vs) *string { return &s.Monitor.HTTP.Host }), web),
		with(text("check.http.codes", "200-399", func(s *vs) *string { return &s.Monitor.HTTP.Codes }), web),
		with(text("check.http.content", "", func(s *vs) *string { return &s.Monitor.HTTP.Content }), web),
		with(check("check.http.content_regexp", func(s *vs) *bool { return &s.Monitor.HTTP.ContentRegexp }), web),
		with(check("check.http.verify", func(s *vs) *bool { return &s.Monitor.HTTP.Verify }), "https"),
		with(text("check.dicom.called_ae", "", func(s *vs) *string { return &s.Monitor.DICOM.Called }), dicom),
		with(text("check.dicom.calling_ae", "EVENKEEL", func(s *vs) *string { return &s.Monitor.DICOM.Calling }), dicom),
		with(check("check.dicom.tls", func(s *vs) *bool { return &s.Monitor.DICOM.TLS }), dicom),
		with(check("check.dicom.verify", func(s *vs) *bool { return &s.Monitor.DICOM.Verify }), dicom),
		with(messageField(), hl7),
		with(choice("check.hl7.expect", func(s *vs) *string { return &s.Monitor.HL7.Expect },
			Option{"", "AA"}, Option{"AE", "AE"}, Option{"AR", "AR"}, Option{"CA", "CA"}, Option{"CE", "CE"}, Option{"CR", "CR"}), hl7),
	}
	list = append(list, protocolFields()...)
	list = append(list, with(choice("check.script", func(s *vs) *string { return &s.Monitor.Script }, choices...), "script"))
	return append(append(list, cadenceFields()...), agentFields()...)
}

// agentFields lists what counts with every check and without one.
func agentFields() []Field {
	return []Field{
		check("check.agent.enabled", func(s *vs) *bool { return &s.Monitor.Agent.Enabled }),
		{
			Path: "check.agent.port", Kind: Number, Example: "3333",
			get: func(s *vs) string { return portText(s.Monitor.Agent.Port) },
			set: func(s *vs, t string) (err error) {
				s.Monitor.Agent.Port, err = readPort("check.agent.port", t)
				return err
			},
		},
		text("check.agent.send", "nothing", func(s *vs) *string { return &s.Monitor.Agent.Send }),
		number("check.agent.misses", func(s *vs) *int { return &s.Monitor.Agent.Misses }),
	}
}

// protocolFields lists the options of the checks that speak one application's protocol.
func protocolFields() []Field {
	return []Field{
		with(text("check.smtp.name", "evenkeel", func(s *vs) *string { return &s.Monitor.SMTP.Name }), "smtp"),
		with(text("check.dns.name", "pacs.example.org", func(s *vs) *string { return &s.Monitor.DNS.Name }), "dns"),
		with(choice("check.dns.type", func(s *vs) *string { return &s.Monitor.DNS.Type }, words("A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT")...), "dns"),
		with(text("check.dns.expect", "any", func(s *vs) *string { return &s.Monitor.DNS.Expect }), "dns"),
		with(text("check.mysql.user", "evenkeel", func(s *vs) *string { return &s.Monitor.MySQL.User }), "mysql"),
		with(text("check.postgresql.user", "evenkeel", func(s *vs) *string { return &s.Monitor.PostgreSQL.User }), "postgresql"),
		with(text("check.grpc.service", "the whole server", func(s *vs) *string { return &s.Monitor.GRPC.Service }), "grpc"),
	}
}

// cadenceFields lists what counts with every check that checks something.
func cadenceFields() []Field {
	kinds := make([]string, 0, len(appliance.MonitorKinds()))
	for _, k := range appliance.MonitorKinds() {
		if k != appliance.MonitorNone {
			kinds = append(kinds, string(k))
		}
	}
	probing := strings.Join(kinds, " ")
	return []Field{
		with(Field{
			Path: "check.port", Kind: Number, Example: "the service's",
			get: func(s *vs) string { return portText(s.Monitor.Port) },
			set: func(s *vs, t string) (err error) { s.Monitor.Port, err = readPort("check.port", t); return err },
		}, probing),
		with(duration("check.interval", func(s *vs) *appliance.Duration { return &s.Monitor.Interval }), probing),
		with(duration("check.timeout", func(s *vs) *appliance.Duration { return &s.Monitor.Timeout }), probing),
		with(number("check.rise", func(s *vs) *int { return &s.Monitor.Rise }), probing),
		with(number("check.fall", func(s *vs) *int { return &s.Monitor.Fall }), probing),
		with(number("check.observe.failures", func(s *vs) *int { return &s.Monitor.Observe.Failures }), probing),
		with(text("check.observe.codes", "500-599", func(s *vs) *string { return &s.Monitor.Observe.Codes }), probing),
		with(duration("check.observe.window", func(s *vs) *appliance.Duration { return &s.Monitor.Observe.Window }), probing),
		with(check("check.close_on_down", func(s *vs) *bool { return &s.Monitor.CloseOnDown }), probing),
	}
}

func messageField() Field {
	return Field{
		Path: "check.hl7.message", Kind: Area, Example: "MSH|^~\\&|…",
		get: func(s *vs) string { return s.Monitor.HL7.Message },
		set: func(s *vs, t string) error { s.Monitor.HL7.Message = lines(t); return nil },
	}
}

func fallbackFields() []Field {
	return []Field{
		fitting(choice("fallback.kind", func(s *vs) *appliance.FallbackKind { return &s.Fallback.Kind },
			Option{"", "as usual: own page in HTTP Mode, none in TCP Mode"}, Option{string(appliance.FallbackNone), "none: closed at once"},
			Option{string(appliance.FallbackPage), "the appliance's own page (HTTP Mode)"}, Option{string(appliance.FallbackServer), "another server"}), fallbackFits),
		with(Field{
			Path: "fallback.address", Kind: Text, Example: "192.168.0.9:80",
			get: func(s *vs) string {
				if !s.Fallback.Address.IsValid() {
					return ""
				}
				return s.Fallback.Address.String()
			},
			set: setFallback,
		}, string(appliance.FallbackServer)),
		with(check("fallback.encrypt", func(s *vs) *bool { return &s.Fallback.Encrypt }), string(appliance.FallbackServer)),
	}
}

func httpFields() []Field {
	return []Field{
		choice("http.x_forwarded_for", func(s *vs) *appliance.ForwardedFor { return &s.HTTP.ForwardedFor },
			Option{string(appliance.ForwardedAppend), "append"}, Option{string(appliance.ForwardedReplace), "replace"}, Option{string(appliance.ForwardedOff), "off"}),
		choice("http.keep_alive", func(s *vs) *appliance.KeepAlive { return &s.HTTP.KeepAlive },
			Option{string(appliance.KeepAliveBoth), "both sides"}, Option{string(appliance.KeepAliveClient), "the client's side only"}, Option{string(appliance.KeepAliveNone), "neither side"}),
		{
			Path: "http.error_page", Kind: Area, Example: "<h1>{status} {reason}</h1>",
			get: func(s *vs) string { return s.HTTP.ErrorPage },
			set: func(s *vs, t string) error { s.HTTP.ErrorPage = lines(t); return nil },
		},
		number("http.cache_size", func(s *vs) *int { return &s.HTTP.CacheSize }),
		check("http.compress", func(s *vs) *bool { return &s.HTTP.Compress }),
		choice("http.reuse", func(s *vs) *appliance.Reuse { return &s.HTTP.Reuse },
			Option{string(appliance.ReuseSafe), "safe"}, Option{string(appliance.ReuseNever), "never"}, Option{string(appliance.ReuseAlways), "always"}),
		duration("http.head_timeout", func(s *vs) *appliance.Duration { return &s.HTTP.HeadTimeout }),
		number("http.head_limit", func(s *vs) *int { return &s.HTTP.HeadLimit }),
		check("http.trace_and_options", func(s *vs) *bool { return &s.HTTP.TraceAndOptions }),
		choice("http.http2_in", func(s *vs) *appliance.HTTP2In { return &s.HTTP.HTTP2In },
			Option{string(appliance.HTTP2OverTLS), "over TLS"}, Option{string(appliance.HTTP2Always), "always, also in clear"}, Option{string(appliance.HTTP2Off), "off"}),
		check("http.http2_out", func(s *vs) *bool { return &s.HTTP.HTTP2Out }),
		duration("http.websocket_timeout", func(s *vs) *appliance.Duration { return &s.HTTP.WebSocketTimeout }),
		check("http.request_id", func(s *vs) *bool { return &s.HTTP.RequestID }),
	}
}

func limitFields() []Field {
	const byMode = "12 h in TCP Mode, 43 s in HTTP Mode"
	return []Field{
		number("limits.max_connections", func(s *vs) *int { return &s.Limits.MaxConnections }),
		duration("limits.connect_timeout", func(s *vs) *appliance.Duration { return &s.Limits.ConnectTimeout }),
		hinted(duration("limits.client_timeout", func(s *vs) *appliance.Duration { return &s.Limits.ClientTimeout }), byMode),
		hinted(duration("limits.server_timeout", func(s *vs) *appliance.Duration { return &s.Limits.ServerTimeout }), byMode),
		number("limits.queue", func(s *vs) *int { return &s.Limits.Queue }),
		duration("limits.queue_timeout", func(s *vs) *appliance.Duration { return &s.Limits.QueueTimeout }),
		number("limits.full_load", func(s *vs) *int { return &s.Limits.FullLoad }),
		choice("log", func(s *vs) *appliance.LogMode { return &s.Log }, options(appliance.LogErrors, appliance.LogAll, appliance.LogOff)...),
	}
}
