package form

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"evenkeel/appliance"
)

// tlsSections are the parts of the form about encryption.
func tlsSections() []Section {
	return []Section{
		{ID: "tls", Name: "TLS", Fields: tlsFields(), Only: streams(), summary: sayTLS},
		{ID: "https", Name: "HTTPS", Fields: httpsFields(), Only: []appliance.Protocol{appliance.HTTP}, summary: sayHTTPS},
		{ID: "server_tls", Name: "TLS to the real servers", Fields: serverTLSFields(), Only: streams(), summary: sayServerTLS},
	}
}

// ticks is a field of which any number of options can be chosen; the order of those that are chosen is kept.
func ticks(path string, at func(*vs) *[]string) Field {
	return Field{
		Path: path, Kind: Ticks,
		get: func(s *vs) string { return strings.Join(*at(s), ",") },
		set: func(s *vs, t string) error { *at(s) = Ticked(t); return nil },
	}
}

// Ticked splits what a field of ticks holds.
func Ticked(value string) []string {
	return slices.DeleteFunc(strings.Split(value, ","), func(v string) bool { return v == "" })
}

// FirstName is the name under which a field of ticks says which option comes first.
func FirstName(path string) string { return path + ".first" }

// mostTicks bounds what is read of one field of ticks.
const mostTicks = 1000

// readTicks joins what was ticked; the option that shall come first is put there.
func readTicks(in url.Values, path string) string {
	list := slices.Clone(in[path])
	list = list[:min(len(list), mostTicks)]
	for i := range list {
		list[i] = limit(list[i], 200)
	}
	if first := in.Get(FirstName(path)); slices.Contains(list, first) {
		list = append([]string{first}, slices.DeleteFunc(list, func(v string) bool { return v == first })...)
	}
	return strings.Join(list, ",")
}

func tlsFields() []Field {
	auth := choice("tls.client_auth", func(s *vs) *appliance.ClientAuth { return &s.TLS.ClientAuth },
		Option{string(appliance.ClientAuthNone), "none are asked for"}, Option{string(appliance.ClientAuthOptional), "optional"}, Option{string(appliance.ClientAuthRequired), "required"})
	ciphers := ticks("tls.ciphers", func(s *vs) *[]string { return &s.TLS.Ciphers })
	for _, name := range appliance.TLSCiphers() {
		ciphers.Options = append(ciphers.Options, Option{name, strings.TrimPrefix(name, "TLS_")})
	}
	return []Field{
		ticks("tls.certificates", func(s *vs) *[]string { return &s.TLS.Certificates }),
		choice("tls.min_version", func(s *vs) *appliance.TLSVersion { return &s.TLS.MinVersion }, Option{string(appliance.TLS12), "1.2"}, Option{string(appliance.TLS13), "1.3"}),
		ciphers, auth,
		choice("tls.client_ca", func(s *vs) *string { return &s.TLS.ClientCA }, Option{"", "none"}),
	}
}

func httpsFields() []Field {
	redirect := choice("tls.redirect", func(s *vs) *appliance.HTTPSRedirect { return &s.TLS.Redirect })
	words := map[appliance.HTTPSRedirect]string{
		appliance.RedirectMovedPermanently: "301, for good", appliance.RedirectFound: "302, for now", appliance.RedirectSeeOther: "303, with GET",
		appliance.RedirectTemporary: "307, for now, same method", appliance.RedirectPermanentlyAsSent: "308, for good, same method",
	}
	for _, r := range appliance.HTTPSRedirects() {
		redirect.Options = append(redirect.Options, Option{string(r), cmp.Or(words[r], string(r))})
	}
	hsts := hinted(duration("tls.hsts", func(s *vs) *appliance.Duration { return &s.TLS.HSTS }), "off; usual: "+appliance.UsualHSTS.String())
	spaced, read := hsts.get, hsts.set
	hsts.set = func(s *vs, t string) error {
		if t == "" {
			t = "0"
		}
		return read(s, t)
	}
	hsts.get = func(s *vs) string {
		if s.TLS.HSTS == 0 {
			return ""
		}
		return spaced(s)
	}
	return []Field{
		redirect,
		{
			Path: "tls.redirect_port", Kind: Number, Example: "443",
			get: func(s *vs) string { return portText(s.TLS.RedirectPort) },
			set: func(s *vs, t string) (err error) {
				s.TLS.RedirectPort, err = readPort("tls.redirect_port", t)
				return err
			},
		},
		hsts,
	}
}

func serverTLSFields() []Field {
	return []Field{
		check("server_tls.enabled", func(s *vs) *bool { return &s.ServerTLS.Enabled }),
		check("server_tls.verify", func(s *vs) *bool { return &s.ServerTLS.Verify }),
		text("server_tls.sni", "pacs.example.org", func(s *vs) *string { return &s.ServerTLS.SNI }),
		choice("server_tls.ca", func(s *vs) *string { return &s.ServerTLS.CA }, Option{"", "those that the operating system trusts"}),
	}
}

// Offer sets the options of the fields whose choices the appliance keeps: certificates and authorities.
func Offer(sections []Section, certificates []appliance.Certificate, authorities []appliance.ClientAuthority) {
	var chains, bundles []Option
	for _, c := range certificates {
		name := c.Label
		if names := strings.Join(c.Names, ", "); names != "" && names != name {
			name += ": " + names
		}
		chains = append(chains, Option{c.ID, name + " (until " + c.NotAfter.Format("2006-01-02") + ")"})
	}
	for _, a := range authorities {
		bundles = append(bundles, Option{a.ID, a.Label})
	}
	for i := range sections {
		for k := range sections[i].Fields {
			f := &sections[i].Fields[k]
			switch f.Path {
			case "tls.certificates":
				f.Options = chains
			case "tls.client_ca", "server_tls.ca":
				f.Options = append(slices.Clone(f.Options), bundles...)
			}
		}
	}
}

func sayTLS(s *vs) string {
	if !s.TLS.On() {
		return "off: clients come in clear"
	}
	out := count(len(s.TLS.Certificates), "certificate") + ", TLS " + string(s.TLS.MinVersion) + " and up"
	if s.TLS.ClientAuth != appliance.ClientAuthNone {
		out += ", client certificates " + string(s.TLS.ClientAuth)
	}
	return out
}

func sayHTTPS(s *vs) string {
	switch {
	case s.Protocol != appliance.HTTP:
		return "HTTP Mode only"
	case s.TLS.Redirects():
		return "every request is sent on to HTTPS, " + string(s.TLS.Redirect)
	case s.TLS.HSTS > 0:
		return "HSTS for " + Spaced(s.TLS.HSTS)
	}
	return "no redirect, no HSTS"
}

func sayServerTLS(s *vs) string {
	out, n := "off", 0
	for i := range s.RealServers {
		if s.Encrypts(&s.RealServers[i]) {
			n++
		}
	}
	switch {
	case s.ServerTLS.Enabled:
		out = "to all real servers"
	case n > 0:
		out = "to " + count(n, "real server")
	}
	if out != "off" && s.ServerTLS.Verify {
		out += ", verified"
	}
	return out
}
