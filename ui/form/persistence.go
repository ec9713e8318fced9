package form

import (
	"strings"

	"evenkeel/appliance"
)

func persistenceFields() []Field {
	k := func(kinds ...appliance.PersistenceKind) string {
		words := make([]string, len(kinds))
		for i, kind := range kinds {
			words[i] = string(kind)
		}
		return strings.Join(words, " ")
	}
	var tabled, sealed, all []appliance.PersistenceKind
	for _, kind := range appliance.PersistenceKinds() {
		if kind.Tabled() {
			tabled = append(tabled, kind)
		}
		if kind.Sealed() {
			sealed = append(sealed, kind)
		}
		if kind != appliance.PersistNone {
			all = append(all, kind)
		}
	}
	byTable, byCookie, application := k(tabled...), k(sealed...), k(appliance.PersistApplication)
	var addressed []appliance.PersistenceKind // the address counts in all that have a table but one
	for _, kind := range tabled {
		if kind != appliance.PersistApplication {
			addressed = append(addressed, kind)
		}
	}
	return []Field{
		fitting(choice("persistence.kind", func(s *vs) *appliance.PersistenceKind { return &s.Persistence.Kind }, options(appliance.PersistenceKinds()...)...), persistenceFits),
		with(text("persistence.application_cookie", "JSESSIONID", func(s *vs) *string { return &s.Persistence.ApplicationCookie }), application),
		with(networksField("persistence.trusted_proxies", func(s *vs) *appliance.Networks { return &s.Persistence.TrustedProxies }), k(appliance.PersistForwardedFor)),
		with(duration("persistence.timeout", func(s *vs) *appliance.Duration { return &s.Persistence.Timeout }), byTable),
		with(number("persistence.mask_ipv4", func(s *vs) *int { return &s.Persistence.MaskIPv4 }), k(addressed...)),
		with(number("persistence.mask_ipv6", func(s *vs) *int { return &s.Persistence.MaskIPv6 }), k(addressed...)),
		with(number("persistence.table_size", func(s *vs) *int { return &s.Persistence.TableSize }), byTable),
		with(text("persistence.cookie_name", "SERVERID", func(s *vs) *string { return &s.Persistence.CookieName }), byCookie),
		with(duration("persistence.cookie_idle", func(s *vs) *appliance.Duration { return &s.Persistence.CookieIdle }), byCookie),
		with(duration("persistence.cookie_life", func(s *vs) *appliance.Duration { return &s.Persistence.CookieLife }), byCookie),
		with(check("persistence.clear_on_drain", func(s *vs) *bool { return &s.Persistence.ClearOnDrain }), k(all...)),
	}
}

// readNetworks reads addresses and networks with commas or spaces between them.
func readNetworks(path, text string) (appliance.Networks, error) {
	out := appliance.Networks{}
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		n, ok := appliance.ParseNetwork(word)
		if !ok {
			return nil, appliance.Refuse(path, "%.60q is neither an address nor a network.", word)
		}
		out = append(out, n)
	}
	return out, nil
}
