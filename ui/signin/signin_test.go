package signin

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

const goodPassword = "violet tractor hums quietly"

// clock is a time that the test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time          { return c.at }
func (c *clock) advance(d time.Duration) { c.at = c.at.Add(d) }

func newDoor(t *testing.T) (*Door, *memory, *clock) {
	t.Helper()
	m, c := newMemory(), &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	return New(Options{Store: m, Now: c.now, Announce: &bytes.Buffer{}}), m, c
}

func settle(t *testing.T, d *Door) {
	t.Helper()
	if err := d.FirstPassword(t.Context(), appliance.Origin{Via: "setup"}, goodPassword); err != nil {
		t.Fatal(err)
	}
}

func request(from string, cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequest("GET", "https://lb1:9443/lbadmin/", nil)
	r.RemoteAddr = from + ":40000"
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

func TestPasswordRules(t *testing.T) {
	for _, refused := range []string{
		"", "short", "elevenchars", "password1234", "Password2026!", "P@ssw0rd1234", "loadbalancer", "LoadBalancer1", "evenkeel2026", "administrator1!", "qwertyuiop12",
		"1qaz2wsx3edc", "abcdefghijkl", "123456789012", "aaaaaaaaaaaa", "abcabcabcabc", "Summer2026!!!", "hospital12345", "iloveyou1234", "baseball1999", "zxcvbnm,./123",
		"michael-jordan1", "0987654321098", "passwordpassword", "adminadmin123", "welcome-2026", "qwertzuiop12", "xy\x00" + goodPassword, "secret.secret.", strings.Repeat("x", MaxPassword+1),
	} {
		if CheckPassword(refused, "loadbalancer") == nil {
			t.Errorf("%.40q is accepted", refused)
		}
	}
	for _, accepted := range []string{
		goodPassword, "correct horse battery staple", "tr7-Vx!qWp2m", "kzhwqplmvrtd", "Der Igel isst 3 Pflaumen", "пароль из пяти слов", "🐢🐇🦊🐻🐼🐨🐯🦁🐮🐷🐸🐵", strings.Repeat("word after word ", 20),
	} {
		if err := CheckPassword(accepted, "loadbalancer"); err != nil {
			t.Errorf("%.40q is refused: %v", accepted, err)
		}
	}
}

func TestLongPasswordsDifferInEveryByte(t *testing.T) {
	d, _, _ := newDoor(t)
	long := strings.Repeat("lorem quodlibet ", MaxPassword/16)
	hash, err := d.Hash(t.Context(), long)
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]bool{long: true, long[:len(long)-1] + "x": false, long[:72] + "x" + long[73:]: false, long[:72]: false} {
		if same, err := d.verify(t.Context(), hash, password); err != nil || same != want {
			t.Errorf("a password of %d bytes matches: %v, %v", len(password), same, err)
		}
	}
	if strings.Contains(hash, "lorem") || !strings.HasPrefix(hash, "$argon2id$v=19$") {
		t.Errorf("hash %q", hash)
	}
	if same, _ := d.verify(t.Context(), "", ""); same {
		t.Error("an empty hash matches")
	}
}

func TestAPasswordThatIsTooLongIsRefusedAtItsField(t *testing.T) {
	d, m, _ := newDoor(t)
	settle(t, d)
	long, o := strings.Repeat("x", MaxPassword+1), appliance.Origin{Via: "webui"}
	_, _, signIn := d.SignIn(request("192.0.2.1"), FirstOperator, long)
	for field, err := range map[string]error{
		"password": signIn,
		"old":      d.ChangePassword(t.Context(), o, FirstOperator, long, goodPassword),
		"new":      d.SetPassword(t.Context(), o, FirstOperator, long),
	} {
		if e := appliance.ErrorsOf(err); len(e) != 1 || e[0].Kind != appliance.Invalid || e[0].Field != field || !strings.Contains(e[0].Text(), "at most 4096 bytes") {
			t.Errorf("%s: %v", field, err)
		}
	}
	if len(m.audit) != 0 {
		t.Errorf("recorded %v", m.audit)
	}
}

func TestSetupNeedsTheCodeAndHappensOnce(t *testing.T) {
	m, out := newMemory(), &bytes.Buffer{}
	file := filepath.Join(t.TempDir(), "setup-code")
	d := New(Options{Store: m, CodeFile: file, Announce: out})
	if err := d.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	code := strings.TrimSpace(string(b))
	if st, _ := os.Stat(file); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
	if !strings.Contains(out.String(), code) || len(code) != 14 {
		t.Errorf("printed %q, file %q", out, code)
	}
	if _, err := d.Setup(request("192.0.2.9"), "WRONG-CODE-HERE", goodPassword); appliance.KindOf(err) != appliance.Denied {
		t.Errorf("wrong code: %v", err)
	}
	if _, err := d.Setup(request("192.0.2.9"), code, "password1234"); appliance.KindOf(err) != appliance.Invalid {
		t.Errorf("common password: %v", err)
	}
	cookie, err := d.Setup(request("192.0.2.9"), strings.ToLower(strings.ReplaceAll(code, "-", " ")), goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	who, o, err := d.Identify(request("192.0.2.9", cookie))
	if err != nil || who.Name != FirstOperator || who.Role != appliance.Administrator || o.Via != "webui" || o.From.String() != "192.0.2.9" {
		t.Errorf("%v %v %v", who, o, err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the code file is still there: %v", err)
	}
	if _, err := d.Setup(request("192.0.2.9"), code, goodPassword); appliance.KindOf(err) != appliance.NotFound {
		t.Errorf("second setup: %v", err)
	}
	if err := New(Options{Store: m, CodeFile: file, Announce: out}).Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Error("a start after the setup made a code")
	}
}

func TestSessionLife(t *testing.T) {
	cases := map[string]struct {
		do    func(*Door, *memory, *clock, *http.Cookie)
		alive bool
	}{
		"at once":             {func(*Door, *memory, *clock, *http.Cookie) {}, true},
		"idle for 29 minutes": {func(_ *Door, _ *memory, c *clock, _ *http.Cookie) { c.advance(29 * time.Minute) }, true},
		"idle for 30 minutes": {func(_ *Door, _ *memory, c *clock, _ *http.Cookie) { c.advance(30 * time.Minute) }, false},
		"busy for an hour":    {func(d *Door, _ *memory, c *clock, k *http.Cookie) { busy(d, c, k, time.Hour) }, true},
		"busy for 12 hours":   {func(d *Door, _ *memory, c *clock, k *http.Cookie) { busy(d, c, k, 12*time.Hour) }, false},
		"only glanced at":     {func(d *Door, _ *memory, c *clock, k *http.Cookie) { glances(d, c, k, 31*time.Minute) }, false},
		"after sign-out":      {func(d *Door, _ *memory, _ *clock, k *http.Cookie) { d.SignOut(request("192.0.2.1", k)) }, false},
		"after a new sign-in": {func(d *Door, _ *memory, _ *clock, k *http.Cookie) {
			d.SignIn(request("192.0.2.1", k), FirstOperator, goodPassword)
		}, false},
		"after a new password": {func(d *Door, _ *memory, _ *clock, _ *http.Cookie) {
			d.SetPassword(context.Background(), appliance.Origin{}, FirstOperator, goodPassword+"!")
		}, false},
		"after all are ended": {func(_ *Door, m *memory, _ *clock, _ *http.Cookie) {
			m.DeleteSessionsOf(context.Background(), FirstOperator)
		}, false},
		"someone else signs in": {func(d *Door, _ *memory, _ *clock, _ *http.Cookie) {
			d.SignIn(request("192.0.2.7"), FirstOperator, goodPassword)
		}, true},
		"a second cookie is sent": {func(_ *Door, _ *memory, _ *clock, k *http.Cookie) { k.Value += "; " + CookieName + "=x" }, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d, m, at := newDoor(t)
			settle(t, d)
			cookie, _, err := d.SignIn(request("192.0.2.1"), FirstOperator, goodPassword)
			if err != nil {
				t.Fatal(err)
			}
			if !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.Domain != "" || len(cookie.Value) != 43 {
				t.Errorf("cookie %+v", cookie)
			}
			c.do(d, m, at, cookie)
			r := request("192.0.2.1")
			r.Header.Set("Cookie", CookieName+"="+cookie.Value)
			if _, _, err := d.Identify(r); (err == nil) != c.alive {
				t.Errorf("alive: %v", err)
			}
		})
	}
}

func TestOwnSessionsAreListedAndEnded(t *testing.T) {
	d, m, c := newDoor(t)
	settle(t, d)
	var cookies []*http.Cookie
	for range 3 {
		k, _, err := d.SignIn(request("192.168.0.17:1"), FirstOperator, goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		cookies = append(cookies, k)
	}
	list, err := d.Sessions(t.Context(), FirstOperator)
	if err != nil || len(list) != 3 {
		t.Fatalf("%+v %v", list, err)
	}
	mine := SessionID(request("192.168.0.17:1", cookies[0]))
	n, err := d.EndSessions(t.Context(), appliance.Origin{}, FirstOperator, func(id string) bool { return id != mine })
	if err != nil || n != 2 {
		t.Errorf("%d %v", n, err)
	}
	for i, k := range cookies {
		if _, _, err := d.Identify(request("192.168.0.17:1", k)); (err == nil) != (i == 0) {
			t.Errorf("session %d: %v", i, err)
		}
	}
	c.advance(31 * time.Minute)
	if list, err := d.Sessions(t.Context(), FirstOperator); err != nil || len(list) != 0 || len(m.sessions) != 1 {
		t.Errorf("an idle session is listed: %+v %v", list, err)
	}
}

func busy(d *Door, c *clock, k *http.Cookie, total time.Duration) {
	for spent := time.Duration(0); spent < total; spent += 20 * time.Minute {
		c.advance(20 * time.Minute)
		d.Identify(request("192.0.2.1", k))
	}
}

func glances(d *Door, c *clock, k *http.Cookie, total time.Duration) {
	for spent := time.Duration(0); spent < total; spent += time.Minute {
		c.advance(time.Minute)
		d.Glance(request("192.0.2.1", k))
	}
}

func TestNoTokenIsKept(t *testing.T) {
	d, m, _ := newDoor(t)
	settle(t, d)
	cookie, who, err := d.SignIn(request("192.0.2.1"), FirstOperator, goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := d.NewToken(t.Context(), appliance.Origin{}, who, "monitoring", appliance.Viewer, 0)
	if err != nil {
		t.Fatal(err)
	}
	if kept := fmt.Sprint(m.sessions, m.tokens, m.audit); strings.Contains(kept, cookie.Value) || strings.Contains(kept, secret) {
		t.Error("the store holds a token in clear")
	}
}

func TestBearerTokens(t *testing.T) {
	d, m, at := newDoor(t)
	settle(t, d)
	m.people[FirstOperator] = appliance.Operator{Name: FirstOperator, Role: appliance.OperatorRole}
	secret, kept, err := d.NewToken(t.Context(), appliance.Origin{}, m.people[FirstOperator], "monitoring", appliance.Administrator, time.Hour)
	if err != nil || kept.Role != appliance.OperatorRole {
		t.Fatalf("a token has more rights than its maker: %v %v", kept, err)
	}
	ask := func(headers ...string) (appliance.Operator, appliance.Origin, error) {
		r := request("192.0.2.1")
		r.Header["Authorization"] = headers
		return d.Identify(r)
	}
	if who, o, err := ask("Bearer " + secret); err != nil || who.Role != appliance.OperatorRole || o.Via != "api" {
		t.Errorf("%v %v %v", who, o, err)
	}
	for _, bad := range [][]string{{"Bearer " + secret + "x"}, {"Basic " + secret}, {"Bearer "}, {"Bearer " + secret, "Bearer " + secret}, {secret}} {
		if _, _, err := ask(bad...); appliance.KindOf(err) != appliance.Denied {
			t.Errorf("%q: %v", bad, err)
		}
	}
	m.people[FirstOperator] = appliance.Operator{Name: FirstOperator, Role: appliance.Viewer}
	if who, _, _ := ask("Bearer " + secret); who.Role != appliance.Viewer {
		t.Errorf("the token outranks its maker: %v", who.Role)
	}
	at.advance(time.Hour)
	if _, _, err := ask("Bearer " + secret); err == nil {
		t.Error("an expired token is accepted")
	}
	at.advance(-time.Hour)
	delete(m.people, FirstOperator)
	if _, _, err := ask("Bearer " + secret); appliance.KindOf(err) != appliance.Denied {
		t.Errorf("the token outlives its maker: %v", err)
	}
}

func TestGuessesAreSlowedAndOthersGetIn(t *testing.T) {
	d, m, at := newDoor(t)
	settle(t, d)
	attempt := func(from, name, password string) error {
		_, _, err := d.SignIn(request(from), name, password)
		return err
	}
	if err := attempt("198.51.100.1", FirstOperator, goodPassword); err != nil {
		t.Fatal(err)
	}
	hashed := 0
	for range 200 {
		if err := attempt("192.0.2.66", FirstOperator, "wrong password 17"); appliance.KindOf(err) == appliance.Denied {
			hashed++
		} else if _, ok := RetryAfter(err); !ok {
			t.Fatalf("neither refused nor slowed: %v", err)
		}
	}
	if n := len(m.audit); n != 1+freeBySource+1 {
		t.Errorf("%d entries of the audit for a good try, %d bad ones and those that had to wait", n, freeBySource)
	}
	if hashed > freeBySource {
		t.Errorf("%d guesses at one moment were tried", hashed)
	}
	if err := attempt("192.0.2.66", FirstOperator, goodPassword); appliance.KindOf(err) != appliance.Unavailable {
		t.Errorf("the guesser's source may go on: %v", err)
	}
	if err := attempt("198.51.100.1", FirstOperator, goodPassword); err != nil {
		t.Errorf("the owner is kept out: %v", err)
	}
	at.advance(2 * time.Second)
	if err := attempt("192.0.2.66", FirstOperator, goodPassword); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	if e := m.audit[len(m.audit)-2]; e.Outcome != "refused" || !strings.Contains(e.Detail, ": 195.") {
		t.Errorf("the tries that had to wait: %+v", e)
	}
}

func TestGuessesFromManySourcesAreSlowedByAccount(t *testing.T) {
	at := &clock{at: time.Unix(1e9, 0)}
	g := newGuesses(at.now)
	tried := 0
	for i := range 10_000 {
		if _, wait := g.begin("anna", netip.AddrFrom4([4]byte{10, 0, byte(i / 250), byte(i % 250)})); wait == 0 {
			tried++
		}
	}
	if tried != freeByAccount {
		t.Errorf("%d guesses at one moment were let through", tried)
	}
	if _, wait := g.begin("bert", netip.MustParseAddr("10.9.9.9")); wait != 0 {
		t.Errorf("another account waits %v", wait)
	}
	if len(g.sources) > mostRecords {
		t.Errorf("%d records", len(g.sources))
	}
}

func TestAGuesserBesideTheOwnerSlowsHimMildly(t *testing.T) {
	at := &clock{at: time.Unix(1e9, 0)}
	g := newGuesses(at.now)
	shared := netip.MustParseAddr("192.0.2.1")
	owner, _ := g.begin("anna", shared)
	owner.succeeded()
	for range 30 {
		if _, wait := g.begin("bert", shared); wait > 0 {
			at.advance(wait)
		}
	}
	g.begin("bert", shared)
	if _, wait := g.begin("bert", shared); wait < 10*time.Minute {
		t.Errorf("the guesser waits %s", wait)
	}
	if _, wait := g.begin("anna", shared); wait > longestName {
		t.Errorf("the owner waits %s", wait)
	}
}

func TestUnknownAccountsLookLikeKnownOnes(t *testing.T) {
	d, _, _ := newDoor(t)
	settle(t, d)
	_, _, known := d.SignIn(request("192.0.2.1"), FirstOperator, "wrong password 17")
	_, _, unknown := d.SignIn(request("192.0.2.2"), "nobody", "wrong password 17")
	if known == nil || unknown == nil || known.Error() != unknown.Error() {
		t.Errorf("%v / %v", known, unknown)
	}
}
