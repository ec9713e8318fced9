package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"evenkeel/appliance"
)

// CookieName is the session cookie's. The prefix makes browsers demand Secure, Path=/ and no Domain.
const CookieName = "__Host-evenkeel"

const (
	tokenBytes   = 32
	bearerPrefix = "evk_" // lets secret scanners recognise a leaked token
	touchEvery   = time.Minute
)

// errNobody is what a request without a valid session or token gets: the same for every reason.
func errNobody() error {
	return &appliance.Error{Kind: appliance.Denied, Op: "identify", Message: "Nobody is signed in.", Hint: "Sign in, or send a valid token."}
}

// Origin returns where a request came from, before anyone is known.
func Origin(r *http.Request, via string) appliance.Origin {
	o := appliance.Origin{Via: via}
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		o.From = at.Addr().Unmap().WithZone("")
	}
	return o
}

// Identify returns who sends the request, by bearer token (Via "api") or session cookie (Via "webui"), and counts as activity of the session. The error is of kind
// denied when it is nobody, else what the store said. A request that carries an Authorization header is judged by that alone.
func (d *Door) Identify(r *http.Request) (appliance.Operator, appliance.Origin, error) {
	return d.identify(r, true)
}

// Glance is Identify without counting as activity: for event streams, which would keep an unattended browser signed in for ever.
func (d *Door) Glance(r *http.Request) (appliance.Operator, appliance.Origin, error) {
	return d.identify(r, false)
}

func (d *Door) identify(r *http.Request, activity bool) (appliance.Operator, appliance.Origin, error) {
	if values := r.Header.Values("Authorization"); len(values) > 0 {
		return d.byBearer(r, values)
	}
	token, ok := cookieToken(r)
	if !ok {
		return appliance.Operator{}, Origin(r, "webui"), errNobody()
	}
	operator, err := d.bySession(r.Context(), token, activity)
	o := Origin(r, "webui")
	o.Operator = operator.Name
	return operator, o, err
}

func (d *Door) byBearer(r *http.Request, values []string) (appliance.Operator, appliance.Origin, error) {
	o := Origin(r, "api")
	scheme, secret, _ := strings.Cut(values[0], " ")
	if len(values) != 1 || !strings.EqualFold(scheme, "Bearer") || !strings.HasPrefix(secret, bearerPrefix) {
		return appliance.Operator{}, o, errNobody()
	}
	t, err := d.store.Token(r.Context(), sha256.Sum256([]byte(secret)))
	if err != nil {
		return appliance.Operator{}, o, nobodyIfAbsent(err)
	}
	if !t.Expires.IsZero() && !d.now().Before(t.Expires) {
		return appliance.Operator{}, o, errNobody()
	}
	_, operator, err := d.store.PasswordHash(r.Context(), t.Operator)
	if err != nil {
		return appliance.Operator{}, o, nobodyIfAbsent(err)
	}
	operator.Role = lesser(operator.Role, t.Role)
	o.Operator = operator.Name
	return operator, o, nil
}

func nobodyIfAbsent(err error) error {
	if appliance.KindOf(err) == appliance.NotFound {
		return errNobody()
	}
	return err
}

// rank orders the roles by what they may do.
func rank(r appliance.Role) int {
	switch r {
	case appliance.Administrator:
		return 3
	case appliance.OperatorRole:
		return 2
	case appliance.Viewer:
		return 1
	}
	return 0
}

// Allows tells whether somebody with the role has may do what needs the role needed.
func Allows(has, needed appliance.Role) bool { return rank(has) >= rank(needed) && rank(has) > 0 }

func lesser(a, b appliance.Role) appliance.Role {
	if rank(a) < rank(b) {
		return a
	}
	return b
}

func cookieToken(r *http.Request) (string, bool) {
	var found []*http.Cookie
	for _, c := range r.Cookies() {
		if c.Name == CookieName {
			found = append(found, c)
		}
	}
	if len(found) != 1 || len(found[0].Value) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return "", false
	}
	return found[0].Value, true
}

func (d *Door) bySession(ctx context.Context, token string, activity bool) (appliance.Operator, error) {
	hash := sha256.Sum256([]byte(token))
	s, operator, err := d.store.Session(ctx, hash)
	if err != nil {
		return appliance.Operator{}, nobodyIfAbsent(err)
	}
	now := d.now()
	if !now.Before(s.Expires) || !now.Before(s.Seen.Add(d.idle)) {
		if err := d.store.DeleteSession(ctx, hash); err != nil {
			d.log.Warn("session not removed", "error", err)
		}
		return appliance.Operator{}, errNobody()
	}
	if activity && now.Sub(s.Seen) >= touchEvery {
		if err := d.store.TouchSession(ctx, hash, now); err != nil {
			d.log.Warn("session not touched", "error", err)
		}
	}
	return operator, nil
}

// Sessions returns the sessions of an operator that are good now, the one that was used last first.
func (d *Door) Sessions(ctx context.Context, name string) ([]appliance.SessionRecord, error) {
	list, err := d.store.Sessions(ctx, name)
	now := d.now()
	return slices.DeleteFunc(list, func(s appliance.SessionRecord) bool { return !now.Before(s.Expires) || !now.Before(s.Seen.Add(d.idle)) }), err
}

// EndSessions ends those sessions of an operator that which says, and returns how many.
func (d *Door) EndSessions(ctx context.Context, o appliance.Origin, name string, which func(id string) bool) (int, error) {
	list, err := d.store.Sessions(ctx, name)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, s := range list {
		if !which(IDOf(s)) {
			continue
		}
		if err := d.store.DeleteSession(ctx, s.TokenHash); err != nil {
			return n, err
		}
		n++
	}
	if n > 0 {
		d.audit(ctx, o, "session_end", name, nil)
	}
	return n, nil
}

// IDOf returns the name of a session that SessionID gives to its requests.
func IDOf(s appliance.SessionRecord) string {
	return base64.RawURLEncoding.EncodeToString(s.TokenHash[:])
}

// SessionID returns a name for the session of r that is not secret, or "": for what is remembered of it in memory.
func SessionID(r *http.Request) string {
	token, ok := cookieToken(r)
	if !ok {
		return ""
	}
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// open makes a session with a new id; the one that the browser had before is gone.
func (d *Door) open(r *http.Request, name string) (*http.Cookie, error) {
	if old, ok := cookieToken(r); ok {
		if err := d.store.DeleteSession(r.Context(), sha256.Sum256([]byte(old))); err != nil && appliance.KindOf(err) != appliance.NotFound {
			return nil, err
		}
	}
	token, now := newToken(), d.now()
	agent := r.UserAgent()
	if len(agent) > 255 {
		agent = agent[:255]
	}
	err := d.store.CreateSession(r.Context(), appliance.SessionRecord{
		TokenHash: sha256.Sum256([]byte(token)), Operator: name, From: Origin(r, "").From, UserAgent: strings.ToValidUTF8(agent, ""),
		Created: now, Seen: now, Expires: now.Add(d.absolute),
	})
	if err != nil {
		return nil, err
	}
	return sessionCookie(token, int(d.absolute/time.Second)), nil
}

func newToken() string {
	b := make([]byte, tokenBytes)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

func sessionCookie(token string, seconds int) *http.Cookie {
	return &http.Cookie{Name: CookieName, Value: token, Path: "/", MaxAge: seconds, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

// Replaced tells whether the session that the browser of r still has ended because the users of the pair took the place of this node's. Only who had such a session
// can learn it: the session's secret is needed.
func (d *Door) Replaced(r *http.Request) bool {
	token, ok := cookieToken(r)
	if !ok {
		return false
	}
	replaced, err := d.store.SessionReplaced(r.Context(), sha256.Sum256([]byte(token)))
	if err != nil {
		d.log.Warn("ended session not looked up", "error", err)
	}
	return replaced
}

// SignOut ends the session of r and returns the cookie that removes its trace from the browser. It is no error when there is none.
func (d *Door) SignOut(r *http.Request) (*http.Cookie, error) {
	gone := sessionCookie("", -1)
	token, ok := cookieToken(r)
	if !ok {
		return gone, nil
	}
	hash := sha256.Sum256([]byte(token))
	_, operator, err := d.store.Session(r.Context(), hash)
	if err != nil {
		return gone, nil
	}
	if err := d.store.DeleteSession(r.Context(), hash); err != nil {
		return gone, err
	}
	o := Origin(r, "webui")
	o.Operator = operator.Name
	d.audit(r.Context(), o, "sign_out", operator.Name, nil)
	return gone, nil
}

// NewToken makes an API token of the operator and returns it: this is the only time that it can be seen. life zero: it never expires.
func (d *Door) NewToken(ctx context.Context, o appliance.Origin, operator appliance.Operator, label string, role appliance.Role, life time.Duration) (string, appliance.TokenRecord, error) {
	if !role.Valid() {
		return "", appliance.TokenRecord{}, appliance.Refuse("role", "%.40q is not a role.", string(role))
	}
	if label = strings.TrimSpace(label); label == "" || len(label) > 64 || strings.ContainsFunc(label, func(r rune) bool { return r < ' ' }) {
		return "", appliance.TokenRecord{}, appliance.Refuse("label", "A label has 1 to 64 characters on one line.")
	}
	secret := bearerPrefix + newToken()
	sum := sha256.Sum256([]byte(secret))
	now := d.now()
	t := appliance.TokenRecord{
		ID: strings.ToLower(rand.Text()[:10]), Label: label, Operator: operator.Name, Role: lesser(role, operator.Role), Hash: sum, Created: now,
	}
	if life > 0 {
		t.Expires = now.Add(life)
	}
	if err := d.store.CreateToken(ctx, o, t); err != nil {
		return "", appliance.TokenRecord{}, err
	}
	return secret, t, nil
}
