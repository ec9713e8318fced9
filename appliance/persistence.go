package appliance

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// PersistenceKind says by what a returning client is recognised.
type PersistenceKind string

// The kinds of persistence.
const (
	PersistNone           PersistenceKind = "none"
	PersistSourceIP       PersistenceKind = "source_ip"
	PersistCookie         PersistenceKind = "http_cookie"              // ours, sealed
	PersistApplication    PersistenceKind = "application_cookie"       // the server's own, learned from its answers
	PersistForwardedFor   PersistenceKind = "x_forwarded_for"          // what trusted proxies tell, else the source IP
	PersistCookieOrIP     PersistenceKind = "http_cookie_or_source_ip" // ours, and the table for who brings none
	PersistTLSSession     PersistenceKind = "tls_session_id"           // of a TLS connection that is passed on as it is
	PersistRDPCookie      PersistenceKind = "rdp_cookie"               // a session broker's route, or the user's name
	PersistLastSuccessful PersistenceKind = "last_successful"          // the last server that answered the client's network
)

// PersistenceKinds returns the kinds in the order of the pages.
func PersistenceKinds() []PersistenceKind {
	return []PersistenceKind{
		PersistNone, PersistSourceIP, PersistCookie, PersistApplication, PersistForwardedFor, PersistCookieOrIP, PersistTLSSession, PersistRDPCookie, PersistLastSuccessful,
	}
}

// Valid tells whether k is one of the kinds.
func (k PersistenceKind) Valid() bool { return slices.Contains(PersistenceKinds(), k) }

// NeedsHTTP tells whether the kind needs HTTP Mode.
func (k PersistenceKind) NeedsHTTP() bool {
	return k == PersistCookie || k == PersistApplication || k == PersistForwardedFor || k == PersistCookieOrIP
}

// NeedsTCP tells whether the kind needs TCP Mode.
func (k PersistenceKind) NeedsTCP() bool { return k == PersistTLSSession || k == PersistRDPCookie }

// Tabled tells whether the entries stand in a table, which can be looked at; a sealed cookie alone needs none.
func (k PersistenceKind) Tabled() bool { return k.Valid() && k != PersistNone && k != PersistCookie }

// Sealed tells whether clients get a cookie of ours.
func (k PersistenceKind) Sealed() bool { return k == PersistCookie || k == PersistCookieOrIP }

// String returns the name on the pages.
func (k PersistenceKind) String() string {
	switch k {
	case PersistNone:
		return "none"
	case PersistSourceIP:
		return "source IP"
	case PersistCookie:
		return "HTTP cookie"
	case PersistApplication:
		return "application cookie"
	case PersistForwardedFor:
		return "X-Forwarded-For or source IP"
	case PersistCookieOrIP:
		return "HTTP cookie or source IP"
	case PersistTLSSession:
		return "TLS session ID"
	case PersistRDPCookie:
		return "RDP cookie"
	case PersistLastSuccessful:
		return "last successful"
	}
	return string(k)
}

// Persistence keeps a client on one server.
type Persistence struct {
	Kind              PersistenceKind `json:"kind"`
	MaskIPv4          int             `json:"mask_ipv4"`  // bits of the client's address that count, 1 to 32
	MaskIPv6          int             `json:"mask_ipv6"`  // 1 to 128
	Timeout           Duration        `json:"timeout"`    // of an entry since it was last used
	TableSize         int             `json:"table_size"` // most entries, oldest out
	CookieName        string          `json:"cookie_name"`
	CookieIdle        Duration        `json:"cookie_idle"`        // a cookie unused for so long is not honoured
	CookieLife        Duration        `json:"cookie_life"`        // a cookie older than this is not honoured
	ApplicationCookie string          `json:"application_cookie"` // name of the cookie that the servers themselves set
	// TrustedProxies are whose X-Forwarded-For is believed: from the right, what they wrote is skipped; the first address that is none of theirs is the client's.
	TrustedProxies Networks `json:"trusted_proxies"`
	ClearOnDrain   bool     `json:"clear_on_drain"`
}

func newPersistence() Persistence {
	return Persistence{
		Kind: PersistNone, MaskIPv4: 32, MaskIPv6: 128, Timeout: Duration(30 * time.Minute), TableSize: 10240,
		CookieName: "SERVERID", CookieIdle: Duration(30 * time.Minute), CookieLife: Duration(12 * time.Hour),
		ApplicationCookie: "JSESSIONID", TrustedProxies: Networks{},
	}
}

// UnmarshalJSON reads the object, or a bare kind such as "source_ip"; fields that are absent keep what p held.
func (p *Persistence) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &p.Kind)
	}
	type plain Persistence
	return strict(b, (*plain)(p))
}

func (p *Persistence) normalize() {
	if p.TrustedProxies == nil {
		p.TrustedProxies = Networks{}
	}
	for i, n := range p.TrustedProxies {
		p.TrustedProxies[i] = n.Masked()
	}
}

// mostProxies bounds what is compared for each request.
const mostProxies = 64

func (v *validation) persistence(s *VirtualService) {
	p := &s.Persistence
	v.oneOf("persistence.kind", p.Kind.Valid(), string(p.Kind))
	if p.Kind.NeedsHTTP() && s.Protocol != HTTP {
		v.refuse("persistence.kind", "%s needs HTTP Mode; TCP Mode can keep clients by source IP.", upperFirst(p.Kind.String()))
	}
	switch {
	case p.Kind.NeedsTCP() && s.Protocol != TCP:
		v.refuse("persistence.kind", "%s needs TCP Mode; HTTP Mode can keep clients by a cookie.", upperFirst(p.Kind.String()))
	case p.Kind == PersistTLSSession && s.TLS.On():
		v.refuse("persistence.kind", "The clients' TLS ends at this service, so the servers see none of its sessions; source IP keeps clients here.")
	}
	v.between("persistence.mask_ipv4", p.MaskIPv4, 1, 32)
	v.between("persistence.mask_ipv6", p.MaskIPv6, 1, 128)
	v.between("persistence.table_size", p.TableSize, 16, 10_000_000)
	v.lasts("persistence.timeout", p.Timeout, time.Second, maxDuration)
	v.lasts("persistence.cookie_idle", p.CookieIdle, time.Second, maxDuration)
	v.lasts("persistence.cookie_life", p.CookieLife, time.Second, maxDuration)
	const spelling = "A cookie's name has letters, digits and signs such as _ and -, no space."
	if !validToken.MatchString(p.CookieName) {
		v.refuse("persistence.cookie_name", spelling)
	} else if p.Kind.Sealed() && !s.TLS.On() && secureName(p.CookieName) {
		v.refuse("persistence.cookie_name", "Browsers drop a cookie named %s unless it comes over TLS; choose a certificate for this service, or another name.", p.CookieName)
	}
	if !validToken.MatchString(p.ApplicationCookie) {
		v.refuse("persistence.application_cookie", spelling)
	}
	v.proxies(p)
}

// secureName tells whether browsers keep a cookie of that name only when it is Secure, RFC 6265bis, 4.1.3.
func secureName(name string) bool {
	for _, prefix := range []string{"__Host-", "__Secure-"} {
		if len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

func (v *validation) proxies(p *Persistence) {
	switch {
	case p.Kind == PersistForwardedFor && len(p.TrustedProxies) == 0:
		v.refuse("persistence.trusted_proxies", "Name the proxies whose X-Forwarded-For is believed, such as 192.168.0.10 or 10.1.0.0/16; with none, source IP is the same.")
	case len(p.TrustedProxies) > mostProxies:
		v.refuse("persistence.trusted_proxies", "At most %d proxies or networks.", mostProxies)
	}
	for _, n := range p.TrustedProxies {
		if !n.IsValid() || n.Addr().Zone() != "" || n.Addr().Is4In6() {
			v.refuse("persistence.trusted_proxies", "%s is not a network.", n)
		} else if n.Bits() == 0 && p.Kind == PersistForwardedFor {
			v.refuse("persistence.trusted_proxies", "%s would believe everybody; whoever writes a header could choose a server.", n)
		}
	}
}

func upperFirst(s string) string {
	if s == "" || 'a' > s[0] || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}
