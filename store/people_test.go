package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"evenkeel/appliance"
)

func addOperator(t *testing.T, s *Store, name string, role appliance.Role) {
	t.Helper()
	if err := s.CreateOperator(t.Context(), origin(), name, role, "hash of "+name); err != nil {
		t.Fatal(err)
	}
}

func sessionOf(name string) appliance.SessionRecord {
	at := time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC)
	return appliance.SessionRecord{
		TokenHash: sha256.Sum256([]byte("session " + name)), Operator: name, From: netip.MustParseAddr("2001:db8::7"), UserAgent: "Firefox",
		Created: at, Seen: at, Expires: at.Add(12 * time.Hour),
	}
}

func addSession(t *testing.T, s *Store, name string) appliance.SessionRecord {
	t.Helper()
	r := sessionOf(name)
	if err := s.CreateSession(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOperatorsAreCreatedOnceAndOnRecord(t *testing.T) {
	s := openTest(t, t.TempDir())
	addOperator(t, s, "anna", appliance.Administrator)
	addOperator(t, s, "Ben", appliance.Viewer)
	wantKind(t, s.CreateOperator(t.Context(), origin(), "anna", appliance.Viewer, "x"), appliance.Conflict)
	for _, bad := range []struct{ name, role, field string }{
		{"", "viewer", "name"}, {"a\nb", "viewer", "name"}, {"carl", "root", "role"}, {string(bytes.Repeat([]byte("x"), 65)), "viewer", "name"},
	} {
		if e := wantKind(t, s.CreateOperator(t.Context(), origin(), bad.name, appliance.Role(bad.role), "x"), appliance.Invalid); e.Field != bad.field {
			t.Errorf("%q as %q is refused at %q", bad.name, bad.role, e.Field)
		}
	}
	all, err := s.Operators(t.Context())
	if err != nil || len(all) != 2 || all[0].Name != "Ben" || all[1].Role != appliance.Administrator || !all[1].Created.Equal(s.now()) {
		t.Errorf("%+v %v", all, err)
	}
	if hash, o, err := s.PasswordHash(t.Context(), "anna"); err != nil || hash != "hash of anna" || o.Name != "anna" {
		t.Errorf("%q %+v %v", hash, o, err)
	}
	_, _, err = s.PasswordHash(t.Context(), "ANNA")
	wantKind(t, err, appliance.NotFound)
	entries, err := s.AuditEntries(t.Context(), 0, 10)
	if err != nil || len(entries) != 2 || entries[1].Action != "user_create" || entries[1].Subject != "anna" || entries[1].Detail != "administrator" {
		t.Errorf("%+v %v", entries, err)
	}
}

func TestSessionsEndWithWhatTheyRestOn(t *testing.T) {
	for name, change := range map[string]func(*Store) error{
		"password": func(s *Store) error { return s.SetPassword(t.Context(), origin(), "ben", "other") },
		"role":     func(s *Store) error { return s.SetRole(t.Context(), origin(), "ben", appliance.Viewer) },
		"deletion": func(s *Store) error { return s.DeleteOperator(t.Context(), origin(), "ben") },
		"sign-out": func(s *Store) error { return s.DeleteSession(t.Context(), sessionOf("ben").TokenHash) },
		"all":      func(s *Store) error { return s.DeleteSessionsOf(t.Context(), "ben") },
	} {
		t.Run(name, func(t *testing.T) {
			s := openTest(t, t.TempDir())
			addOperator(t, s, "anna", appliance.Administrator)
			addOperator(t, s, "ben", appliance.OperatorRole)
			anna, ben := addSession(t, s, "anna"), addSession(t, s, "ben")
			if r, o, err := s.Session(t.Context(), ben.TokenHash); err != nil || o.Role != appliance.OperatorRole || !cmp.Equal(r, ben, cmpopts.EquateComparable(netip.Addr{})) {
				t.Fatalf("%+v %+v %v", r, o, err)
			}
			if err := change(s); err != nil {
				t.Fatal(err)
			}
			_, _, err := s.Session(t.Context(), ben.TokenHash)
			wantKind(t, err, appliance.NotFound)
			if _, _, err := s.Session(t.Context(), anna.TokenHash); err != nil {
				t.Errorf("the other's session is gone too: %v", err)
			}
		})
	}
}

func TestSessionExpiresAndIsTouched(t *testing.T) {
	now := sessionOf("").Created
	o := testOptions(t.TempDir())
	o.Now = func() time.Time { return now }
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	addOperator(t, s, "anna", appliance.Administrator)
	r := addSession(t, s, "anna")
	later := r.Seen.Add(time.Minute)
	for _, at := range []time.Time{later, r.Seen} { // the second comes late and must not set it back
		if err := s.TouchSession(t.Context(), r.TokenHash, at); err != nil {
			t.Fatal(err)
		}
	}
	if got, _, err := s.Session(t.Context(), r.TokenHash); err != nil || !got.Seen.Equal(later) {
		t.Errorf("%+v %v", got, err)
	}
	ben := sessionOf("ben")
	addOperator(t, s, "ben", appliance.Viewer)
	ben.Operator = "anna"
	ben.Seen = later.Add(time.Second)
	if err := s.CreateSession(t.Context(), ben); err != nil {
		t.Fatal(err)
	}
	r.Seen = later
	if got, err := s.Sessions(t.Context(), "anna"); err != nil || !cmp.Equal(got, []appliance.SessionRecord{ben, r}, cmpopts.EquateComparable(netip.Addr{})) {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := s.Sessions(t.Context(), "ben"); err != nil || len(got) != 0 {
		t.Errorf("%+v %v", got, err)
	}
	now = r.Expires
	if got, err := s.Sessions(t.Context(), "anna"); err != nil || len(got) != 0 {
		t.Errorf("expired sessions are listed: %+v %v", got, err)
	}
	_, _, err = s.Session(t.Context(), r.TokenHash)
	wantKind(t, err, appliance.NotFound)
	wantKind(t, s.CreateSession(t.Context(), sessionOf("nobody")), appliance.NotFound)
}

func TestLastAdministratorStays(t *testing.T) {
	s := openTest(t, t.TempDir())
	addOperator(t, s, "anna", appliance.Administrator)
	addOperator(t, s, "ben", appliance.Viewer)
	wantKind(t, s.DeleteOperator(t.Context(), origin(), "anna"), appliance.Conflict)
	wantKind(t, s.SetRole(t.Context(), origin(), "anna", appliance.Viewer), appliance.Conflict)
	wantKind(t, s.DeleteOperator(t.Context(), origin(), "nobody"), appliance.NotFound)
	wantKind(t, s.SetRole(t.Context(), origin(), "nobody", appliance.Viewer), appliance.NotFound)
	wantKind(t, s.SetPassword(t.Context(), origin(), "nobody", "x"), appliance.NotFound)
	if err := s.SetRole(t.Context(), origin(), "ben", appliance.Administrator); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteOperator(t.Context(), origin(), "anna"); err != nil {
		t.Error(err)
	}
}

func TestTokensAreAtMostTheirOperator(t *testing.T) {
	s := openTest(t, t.TempDir())
	addOperator(t, s, "anna", appliance.Administrator)
	addOperator(t, s, "ben", appliance.Administrator)
	token := appliance.TokenRecord{
		ID: "t1", Label: "backup job", Operator: "ben", Role: appliance.OperatorRole, Hash: sha256.Sum256([]byte("secret")), Created: s.now(), Expires: s.now().Add(time.Hour),
	}
	expired := token
	expired.ID, expired.Hash, expired.Expires = "t2", sha256.Sum256([]byte("old")), s.now()
	for _, r := range []appliance.TokenRecord{token, expired} {
		if err := s.CreateToken(t.Context(), origin(), r); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Token(t.Context(), token.Hash); err != nil || got != token {
		t.Errorf("%+v %v", got, err)
	}
	_, err := s.Token(t.Context(), expired.Hash)
	wantKind(t, err, appliance.NotFound)
	if err := s.SetRole(t.Context(), origin(), "ben", appliance.Viewer); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Token(t.Context(), token.Hash); err != nil || got.Role != appliance.Viewer {
		t.Errorf("after its operator's descent: %+v %v", got, err)
	}
	if list, err := s.Tokens(t.Context()); err != nil || len(list) != 2 {
		t.Errorf("%+v %v", list, err)
	}
	if err := s.DeleteToken(t.Context(), origin(), "t2"); err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.DeleteToken(t.Context(), origin(), "t2"), appliance.NotFound)
	if err := s.DeleteOperator(t.Context(), origin(), "ben"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Token(t.Context(), token.Hash)
	wantKind(t, err, appliance.NotFound)
}

func TestSecretIsMadeOnce(t *testing.T) {
	s := openTest(t, t.TempDir())
	_, err := s.Secret(t.Context(), "cookie_key", nil)
	wantKind(t, err, appliance.NotFound)
	if _, err := s.Secret(t.Context(), "cookie_key", func() ([]byte, error) { return nil, errors.New("no entropy") }); err == nil {
		t.Error("a secret that could not be made")
	}
	var made atomic.Int32
	got := make(chan string, 8)
	for range cap(got) {
		go func() {
			b, err := s.Secret(t.Context(), "cookie_key", func() ([]byte, error) { return []byte{byte(made.Add(1)), 0, 255}, nil })
			if err != nil {
				t.Error(err)
			}
			got <- string(b)
		}()
	}
	for range cap(got) {
		if b := <-got; b != "\x01\x00\xff" {
			t.Errorf("got %q", b)
		}
	}
	if err := s.SetSecret(t.Context(), "cookie_key", []byte("new")); err != nil {
		t.Fatal(err)
	}
	if b, err := s.Secret(t.Context(), "cookie_key", nil); err != nil || string(b) != "new" {
		t.Errorf("%q %v", b, err)
	}
	if err := s.ForgetSecret(t.Context(), "cookie_key"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Secret(t.Context(), "cookie_key", nil)
	wantKind(t, err, appliance.NotFound)
}
